//! The transcoder against two oracles that know Kubernetes independently of us: `k8s-pb` its wire format, `k8s-openapi`
//! its JSON. Objects of every kind are made from the descriptors.

mod generator;
mod hostile;

use apimachinery::json::{Message, Unknown};
use apimachinery::kinds;
use proptest::prelude::*;
use prost_reflect::prost::Message as Wire;
use proto::api::storage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One message, and its check against both oracles.
struct Subject {
    full_name: &'static str,
    check: fn(&'static Message, &[u8]),
    /// Whether prost can decode the bytes.
    decodes: fn(&[u8]) -> bool,
}

macro_rules! subjects {
    (
        $($($path:ident)::+),*;
        spelled apart: $($ours:ident = $theirs:ident),*;
        alone: $($own:ty),* $(,)?
    ) => {
        &[$(Subject {
            full_name: concat!("k8s.io" $(, ".", stringify!($path))+),
            check: check::<proto::$($path)::+, k8s_pb::$($path)::+, k8s_openapi::$($path)::+>,
            decodes: |bytes| <proto::$($path)::+>::decode(bytes).is_ok(),
        },)* $(Subject {
            full_name: <storage::v1::$ours as proto::Kind>::FULL_NAME,
            check: check::<
                storage::v1::$ours,
                k8s_pb::api::storage::v1::$theirs,
                k8s_openapi::api::storage::v1::$theirs,
            >,
            decodes: |bytes| storage::v1::$ours::decode(bytes).is_ok(),
        },)* $(Subject {
            full_name: <$own as proto::Kind>::FULL_NAME,
            check: |message, made| {
                own_forms::<$own>(message, made);
            },
            decodes: |bytes| <$own>::decode(bytes).is_ok(),
        }),*]
    };
}

/// A new kind is a line here.
const SUBJECTS: &[Subject] = subjects![
    api::core::v1::Pod,
    api::core::v1::Node,
    api::core::v1::Namespace,
    api::core::v1::Event,
    api::core::v1::ConfigMap,
    api::core::v1::Secret,
    api::core::v1::Service,
    api::core::v1::ServiceAccount,
    api::core::v1::PersistentVolume,
    api::core::v1::PersistentVolumeClaim,
    api::core::v1::ResourceQuota,
    api::core::v1::LimitRange,
    api::core::v1::ReplicationController,
    api::core::v1::PodTemplate,
    api::apps::v1::Deployment,
    api::apps::v1::ReplicaSet,
    api::apps::v1::StatefulSet,
    api::apps::v1::DaemonSet,
    api::apps::v1::ControllerRevision,
    api::batch::v1::Job,
    api::batch::v1::CronJob,
    api::coordination::v1::Lease,
    api::policy::v1::PodDisruptionBudget,
    api::scheduling::v1::PriorityClass,
    api::autoscaling::v2::HorizontalPodAutoscaler,
    api::discovery::v1::EndpointSlice,
    api::storage::v1::StorageClass,
    api::storage::v1::VolumeAttachment,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    api::autoscaling::v1::Scale,
    api::policy::v1::Eviction,
    api::core::v1::Binding,
    api::authorization::v1::SelfSubjectAccessReview,
    api::authorization::v1::SubjectAccessReview,
    api::authorization::v1::LocalSubjectAccessReview,
    api::authorization::v1::SelfSubjectRulesReview,
    api::authentication::v1::SelfSubjectReview,
    api::autoscaling::v1::HorizontalPodAutoscaler,
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::Status,
    apimachinery::pkg::apis::meta::v1::DeleteOptions;
    // Rust spells them in another way than Go does.
    spelled apart: CsiDriver = CSIDriver, CsiNode = CSINode, CsiStorageCapacity = CSIStorageCapacity;
    // No upstream APIs, so that the oracles do not know them: only what we make of them is compared.
    alone: proto::gangs::v1alpha1::PodGroup,
];

impl Subject {
    fn message(&self) -> &'static Message {
        Message::by_name(self.full_name).unwrap_or_else(|| panic!("{} is not in the schema", self.full_name))
    }

    fn generate(&self, seed: u64, density: u64) -> Vec<u8> {
        let descriptor = proto::descriptors().get_message_by_name(self.full_name).unwrap();
        generator::object(&descriptor, seed, density)
    }
}

fn json(message: &'static Message, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    message
        .to_json(bytes, &mut out)
        .unwrap_or_else(|fault| panic!("{}: {fault}", message.full_name()));
    String::from_utf8(out).unwrap()
}

fn bytes(message: &'static Message, json: &str) -> Vec<u8> {
    let read = message.from_json(json.as_bytes(), Unknown::Strict);
    let (bytes, _) = read.unwrap_or_else(|faults| panic!("{}: {faults}\n{json}", message.full_name()));
    bytes.to_vec()
}

/// Checks that JSON, wire bytes and the tree tell the same; gives them.
fn own_forms<Ours: Wire + Default>(message: &'static Message, made: &[u8]) -> (String, Vec<u8>, Value) {
    let name = message.full_name();
    assert_eq!(message.check_wire(made), Ok(Vec::new()));
    let printed = json(message, made);
    let canonical = bytes(message, &printed);
    assert_eq!(
        json(message, &canonical),
        printed,
        "{name}: JSON tells all of the object"
    );
    let reencoded = Ours::decode(canonical.as_slice()).unwrap().encode_to_vec();
    assert_eq!(
        reencoded, canonical,
        "{name}: what is read is encoded as prost encodes it"
    );
    let value = message.to_value(made).unwrap();
    let (from_value, _) = message.from_value(&value, Unknown::Strict).unwrap();
    same_bytes(
        &format!("{name}: a tree is read as its text is"),
        message,
        &from_value,
        &canonical,
    );
    (printed, canonical, value)
}

/// `Ours` is our generated type, `Pb` k8s-pb's, `Open` k8s-openapi's.
fn check<Ours, Pb, Open>(message: &'static Message, made: &[u8])
where
    Ours: Wire + Default,
    Pb: Wire + Default,
    Open: DeserializeOwned + Serialize,
{
    let name = message.full_name();
    let (printed, canonical, value) = own_forms::<Ours>(message, made);

    // The wire format, both from the generator's bytes and from ours.
    for bytes in [made, &canonical] {
        let theirs = Pb::decode(bytes).unwrap_or_else(|error| panic!("{name}: k8s-pb: {error}"));
        let kept = json(message, &theirs.encode_to_vec());
        same(
            &format!("{name}: k8s-pb keeps every field"),
            &parse(&kept),
            &parse(&printed),
        );
    }

    // JSON. k8s-openapi leaves out what is empty where Go prints it, so that empty things are not compared.
    let theirs: Open = serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("{name}: k8s-openapi: {error}\n{printed}"));
    let theirs = serde_json::to_value(&theirs).unwrap();
    if let Some(path) = missing("", &theirs, &value) {
        panic!("{name}: {path} is always printed, and we leave it out");
    }
    same(
        &format!("{name}: k8s-openapi prints what we print"),
        &pruned(theirs.clone()),
        &pruned(value),
    );
    // What Go prints as `null`, k8s-openapi takes for a required object and gives back empty.
    let read = json(message, &bytes(message, &theirs.to_string()));
    same(
        &format!("{name}: what k8s-openapi writes we read"),
        &parse(&read),
        &parse(&printed),
    );
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Encodings are compared as bytes; where they differ, their JSON tells it better.
fn same_bytes(what: &str, message: &'static Message, left: &[u8], right: &[u8]) {
    if left != right {
        same(what, &parse(&json(message, left)), &parse(&json(message, right)));
        panic!("{what}: the same JSON, other bytes");
    }
}

/// Compares two trees, `null` being equal to whatever is empty. An object with hundreds of fields is no help, so that
/// the first difference is named.
fn same(what: &str, left: &Value, right: &Value) {
    fn difference<'a>(path: &str, left: &'a Value, right: &'a Value) -> Option<String> {
        match (left, right) {
            (Value::Object(l), Value::Object(r)) => {
                let names = l.keys().chain(r.keys().filter(|name| !l.contains_key(*name)));
                names.into_iter().find_map(|name| {
                    let below = format!("{path}.{name}");
                    let of =
                        |fields: &'a serde_json::Map<String, Value>| fields.get(name).unwrap_or(&Value::Null);
                    difference(&below, of(l), of(r))
                })
            }
            (Value::Array(l), Value::Array(r)) if l.len() == r.len() => l
                .iter()
                .zip(r)
                .enumerate()
                .find_map(|(i, (l, r))| difference(&format!("{path}[{i}]"), l, r)),
            (l, r)
                if l == r
                    || [l, r].iter().all(|v| is_empty(&pruned((*v).clone())))
                        && [l, r].contains(&&Value::Null) =>
            {
                None
            }
            (l, r) => Some(format!("{path}: {l} is not {r}")),
        }
    }
    if let Some(difference) = difference("", left, right) {
        panic!("{what}: {difference}");
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Without `null`, empty objects and lists, and zero values.
fn pruned(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = match name.as_str() {
                    // Objects inside of others have no TypeMeta on the wire; k8s-openapi cannot leave it out.
                    "volumeClaimTemplates" => without_type_meta(value),
                    _ => value,
                };
                (name, pruned(value))
            });
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        // Go prints whole doubles as integers.
        Value::Number(number) => number
            .as_f64()
            .filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 1e15)
            .map_or(Value::Number(number), |n| Value::from(n as i64)),
        value => value,
    }
}

#[test]
fn every_registered_kind_is_compared_with_the_oracles() {
    for info in kinds::all() {
        assert!(
            SUBJECTS.iter().any(|subject| subject.full_name == info.message),
            "{}",
            info.message
        );
    }
}

#[test]
fn filled_in_objects_of_every_kind_agree_with_the_oracles() {
    for subject in SUBJECTS {
        for seed in 0..4 {
            (subject.check)(subject.message(), &subject.generate(seed, 100));
        }
    }
}

#[test]
fn empty_objects_of_every_kind_agree_with_the_oracles() {
    for subject in SUBJECTS {
        (subject.check)(subject.message(), &[]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_objects_of_every_kind_agree_with_the_oracles(
        subject in 0..SUBJECTS.len(),
        seed: u64,
        density in 0..100_u64,
    ) {
        let subject = &SUBJECTS[subject];
        (subject.check)(subject.message(), &subject.generate(seed, density));
    }
}

fn without_type_meta(mut objects: Value) -> Value {
    for object in objects.as_array_mut().into_iter().flatten() {
        object
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "apiVersion" && name != "kind");
    }
    objects
}

/// Upstream's OpenAPI requires these fields while its Go type leaves them out when they are empty: the name in a
/// LocalObjectReference, and some newer fields whose validation asks for them.
const REQUIRED_YET_OMITTED: [&str; 5] = ["name", "operator", "action", "signerName", "keyType"];

/// The first field that k8s-openapi prints, because it is required, and we do not.
fn missing(path: &str, theirs: &Value, ours: &Value) -> Option<String> {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => theirs.iter().find_map(|(name, value)| {
            let below = format!("{path}.{name}");
            match ours.get(name) {
                Some(ours) => missing(&below, value, ours),
                None if path.contains(".volumeClaimTemplates[")
                    && matches!(&**name, "apiVersion" | "kind") =>
                {
                    None
                }
                None if value == "" && REQUIRED_YET_OMITTED.contains(&name.as_str()) => None,
                None => Some(below),
            }
        }),
        (Value::Array(theirs), Value::Array(ours)) => {
            let pairs = theirs.iter().zip(ours).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (theirs, ours))| missing(&format!("{path}[{i}]"), theirs, ours))
        }
        _ => None,
    }
}
