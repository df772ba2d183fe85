//! Defaults and validation over whole objects of every kind: a plain manifest of each is accepted, defaulting twice is
//! defaulting once, and nothing that can be decoded makes a rule panic.

#[path = "../transcode/generator.rs"]
mod generator;

use apimachinery::json::{self, Unknown};
use apimachinery::kinds;
use apimachinery::strategy::{Rejection, Subresource, admit_create, admit_update, default_object};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

/// One plain manifest of each kind, as a user writes it.
const MANIFESTS: &str = include_str!("manifests.yaml");

/// The manifests, decoded, in their namespaces.
fn examples() -> Vec<(u32, Bytes)> {
    let decode = |mut manifest: Value| {
        let kind = manifest["kind"].as_str().unwrap().to_owned();
        let info = kinds::lookup(&kind).unwrap();
        if info.namespaced {
            manifest["metadata"]["namespace"] = "default".into();
        }
        let decoded = json::from_value(&manifest, Unknown::Strict).unwrap_or_else(|e| panic!("{kind}: {e}"));
        (decoded.number, decoded.bytes)
    };
    json::yaml::documents(MANIFESTS)
        .map(|document| decode(document.unwrap().value))
        .collect()
}

fn name(number: u32) -> &'static str {
    kinds::by_number(number).unwrap().kind
}

#[test]
fn there_is_an_example_of_every_kind() {
    let mut numbers: Vec<u32> = examples().into_iter().map(|(number, _)| number).collect();
    numbers.sort_unstable();
    let all: Vec<u32> = kinds::all().iter().map(|info| info.number).collect();
    assert_eq!(numbers, all);
}

fn admitted(number: u32, object: &Bytes) -> Result<Bytes, Rejection> {
    admit_create(number, object, &mut |meta| meta.uid = "u1".into())
}

#[test]
fn plain_manifests_are_admitted_and_admitted_again_unchanged() {
    for (number, object) in examples() {
        let object = admitted(number, &object).unwrap_or_else(|e| panic!("{}: {e:?}", name(number)));
        let again = admit_update(number, &object, &object, Subresource::None).unwrap();
        assert_eq!(
            (again.bytes, again.spec_changed),
            (object.clone(), false),
            "{}",
            name(number)
        );
        if kinds::by_number(number).unwrap().has_status {
            let again = admit_update(number, &object, &object, Subresource::Status).unwrap();
            assert_eq!(again.bytes, object, "{}", name(number));
        }
    }
}

#[test]
fn objects_without_anything_are_refused_with_their_names_missing() {
    for info in kinds::all() {
        let Err(Rejection::Invalid { faults, .. }) = admitted(info.number, &Bytes::new()) else {
            panic!("{} is admitted", info.kind);
        };
        assert!(
            faults.iter().any(|f| f.field == "metadata.name"),
            "{}: {faults:?}",
            info.kind
        );
    }
}

#[test]
fn a_deployments_defaults_are_those_that_kubectl_shows() {
    let (number, object) = examples()
        .into_iter()
        .find(|(number, _)| name(*number) == "Deployment")
        .unwrap();
    let object = default_object(number, &object).unwrap();
    let spec = &json::to_value(number, &object).unwrap()["spec"];
    let pod = &spec["template"]["spec"];
    for (shown, expected) in [
        (&spec["strategy"]["rollingUpdate"]["maxSurge"], Value::from("25%")),
        (&spec["progressDeadlineSeconds"], 600.into()),
        (&spec["revisionHistoryLimit"], 10.into()),
        (&pod["containers"][0]["terminationMessagePolicy"], "File".into()),
        (&pod["containers"][0]["imagePullPolicy"], "IfNotPresent".into()),
        (
            &pod["containers"][0]["readinessProbe"]["periodSeconds"],
            10.into(),
        ),
        (
            &pod["containers"][0]["resources"]["requests"]["cpu"],
            "100m".into(),
        ),
        (&pod["terminationGracePeriodSeconds"], 30.into()),
        (&pod["volumes"][0]["configMap"]["defaultMode"], 420.into()),
    ] {
        assert_eq!(shown, &expected);
    }
}

/// An object with whatever its message may hold.
fn arbitrary() -> impl Strategy<Value = (u32, Bytes)> {
    let densities = prop::sample::select(vec![5_u64, 30, 70]);
    (0..kinds::all().len(), any::<u64>(), densities).prop_map(|(kind, seed, density)| {
        let info = &kinds::all()[kind];
        let descriptor = proto::descriptors().get_message_by_name(info.message).unwrap();
        (info.number, generator::object(&descriptor, seed, density).into())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn defaulting_twice_is_defaulting_once((number, object) in arbitrary()) {
        let once = default_object(number, &object).unwrap();
        let twice = default_object(number, &once).unwrap();
        prop_assert!(once == twice, "{}: {}", name(number), json::to_yaml(number, &once).unwrap());
    }

    #[test]
    fn no_object_makes_a_rule_panic((number, object) in arbitrary(), (_, other) in arbitrary()) {
        let _ = admitted(number, &object);
        // Objects of another kind may decode as this one, and then are as good as any.
        for part in [Subresource::None, Subresource::Status] {
            let _ = admit_update(number, &object, &other, part);
        }
    }
}

/// What JSON always shows and the wire may leave out must not become a change of the spec: a patch reads objects as JSON.
#[test]
fn an_admitted_object_that_went_through_json_is_the_same_object() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let manifests = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut seen = 0;
    for path in manifests {
        for document in json::yaml::documents(&std::fs::read_to_string(&path).unwrap()) {
            // Custom resources are no kind of this crate's.
            let Ok(decoded) = json::from_value(&document.unwrap().value, Unknown::Strict) else {
                continue;
            };
            let Some(info) = kinds::by_number(decoded.number) else {
                continue;
            };
            let mut stamp = |meta: &mut proto::meta::v1::ObjectMeta| {
                meta.uid = "u1".into();
                meta.namespace = if info.namespaced { "default" } else { "" }.into();
            };
            let object = admit_create(decoded.number, &decoded.bytes, &mut stamp).unwrap();
            let value = json::to_value(decoded.number, &object).unwrap();
            let again = json::from_value_as(decoded.number, &value, Unknown::Strict).unwrap();
            assert_eq!(again.bytes, object, "{}: {value:#}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "the examples are found: {seen}");
}
