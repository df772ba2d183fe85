//! [`Facts`]: what the invariants are about, read out of an object once.
//!
//! In: an object as the API hands it out. Out: the few fields that checkers compare, and digests of the rest. A drill
//! records hundreds of thousands of changes; whole objects would not fit.

use apimachinery::int_or_string::scaled;
use apimachinery::meta::is_condition_true;
use apimachinery::quantity::Quantity;
use apimachinery::resources::{Amounts, pod_requests};
use apimachinery::wire::{Fields, MetaView, without_resource_version};
use apimachinery::{kinds, wire::WireError};
use prost::DecodeError;
use proto::api::apps::v1 as apps;
use proto::api::core::v1 as core;
use proto::{Kind, Object};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Amounts by resource name, in thousandths of the unit.
pub type Milli = BTreeMap<String, i64>;

/// `spec` in every kind that has one; other kinds have their content from here on.
const METADATA: u32 = 1;
/// `status` in the kinds that write it apart.
const STATUS: u32 = 3;
/// What an unset `maxSurge` means.
const DEFAULT_SURGE_PERCENT: &str = "25%";

/// What is known of one version of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The revision of the write that made this version.
    pub revision: i64,
    /// Stands for the whole object, its resourceVersion excepted.
    pub digest: u64,
    /// Stands for what the object asks for: everything but metadata and status.
    pub content: u64,
    /// The object's UID.
    pub uid: String,
    /// The UIDs of its owners.
    pub owners: Vec<String>,
    /// The UID of the owner that manages it.
    pub controller: Option<String>,
    /// Who must agree before it goes.
    pub finalizers: Vec<String>,
    /// Whether it has a deletionTimestamp.
    pub deleting: bool,
    /// `metadata.generation`.
    pub generation: i64,
    /// What only its kind has.
    pub body: Body,
}

/// The facts of the kinds that the invariants know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// A Pod.
    Pod(Pod),
    /// A Node.
    Node(Node),
    /// A Deployment.
    Deployment(Deployment),
    /// A ReplicaSet.
    ReplicaSet(ReplicaSet),
    /// Any other kind.
    #[default]
    Other,
}

/// A Pod's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `spec.nodeName`.
    pub node: String,
    /// `status.phase`.
    pub phase: String,
    /// `status.hostIP`.
    pub host_ip: String,
    /// Whether its Ready condition is true.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: i64,
    /// What the scheduler sets aside for it, and one of `pods`.
    pub requests: Milli,
    /// The containers' images, joined.
    pub images: String,
}

impl Pod {
    /// Whether its containers have ended for good, so that it needs nothing of its node any more.
    pub fn finished(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

/// A Node's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `status.allocatable`.
    pub allocatable: Milli,
    /// Its InternalIP.
    pub address: String,
    /// Whether its Ready condition is true.
    pub ready: bool,
}

/// A Deployment's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// `spec.replicas`.
    pub replicas: i64,
    /// `maxSurge` as a number of pods.
    pub surge: i64,
    /// `spec.revisionHistoryLimit`.
    pub history_limit: i64,
    /// The containers' images, joined.
    pub images: String,
    /// `status.observedGeneration`.
    pub observed_generation: i64,
    /// `status.replicas`.
    pub current: i64,
    /// `status.updatedReplicas`.
    pub updated: i64,
    /// `status.availableReplicas`.
    pub available: i64,
}

/// A ReplicaSet's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet {
    /// `spec.replicas`.
    pub replicas: i64,
}

/// The object is not what its kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object of kind {0} does not decode")]
pub struct Undecodable(pub u32);

impl Facts {
    /// Reads an object.
    pub fn read(object: &Object) -> Result<Self, Undecodable> {
        let bad = |_: WireError| Undecodable(object.number);
        let meta = MetaView::parse(&object.bytes).map_err(bad)?;
        let stored = without_resource_version(&object.bytes).map_err(bad)?;
        Ok(Self {
            revision: meta.revision(),
            digest: digest(&stored),
            content: content(object).map_err(bad)?,
            uid: meta.uid.to_owned(),
            owners: meta.owners().map(|owner| owner.uid.to_owned()).collect(),
            controller: meta.controller().map(|owner| owner.uid.to_owned()),
            finalizers: meta.finalizers().map(str::to_owned).collect(),
            deleting: meta.deletion_timestamp.is_some(),
            generation: meta.generation,
            body: Body::read(object).map_err(|_| Undecodable(object.number))?,
        })
    }

    /// The facts of a Pod, if it is one.
    pub fn pod(&self) -> Option<&Pod> {
        match &self.body {
            Body::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// The facts of a Node, if it is one.
    pub fn node(&self) -> Option<&Node> {
        match &self.body {
            Body::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The facts of a Deployment, if it is one.
    pub fn deployment(&self) -> Option<&Deployment> {
        match &self.body {
            Body::Deployment(deployment) => Some(deployment),
            _ => None,
        }
    }

    /// The facts of a ReplicaSet, if it is one.
    pub fn replica_set(&self) -> Option<&ReplicaSet> {
        match &self.body {
            Body::ReplicaSet(set) => Some(set),
            _ => None,
        }
    }

    /// Whether this is a Pod that counts as a replica: neither being deleted nor finished.
    pub fn is_live_pod(&self) -> bool {
        !self.deleting && self.pod().is_some_and(|pod| !pod.finished())
    }
}

impl Body {
    fn read(object: &Object) -> Result<Self, DecodeError> {
        Ok(match object.number {
            core::Pod::NUMBER => Self::Pod(pod(&object.decode_as()?)),
            core::Node::NUMBER => Self::Node(node(&object.decode_as()?)),
            apps::Deployment::NUMBER => Self::Deployment(deployment(&object.decode_as()?)),
            apps::ReplicaSet::NUMBER => {
                let set: apps::ReplicaSet = object.decode_as()?;
                let replicas = set.spec.and_then(|spec| spec.replicas);
                Self::ReplicaSet(ReplicaSet {
                    replicas: replicas.map_or(1, i64::from),
                })
            }
            _ => Self::Other,
        })
    }
}

fn pod(pod: &core::Pod) -> Pod {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let mut requests = milli(&pod_requests(&spec));
    requests.insert("pods".into(), 1000);
    let containers = (status.init_container_statuses.iter()).chain(&status.container_statuses);
    Pod {
        requests,
        images: images(&spec),
        node: spec.node_name,
        ready: is_condition_true(&status.conditions, "Ready"),
        restarts: containers.map(|status| i64::from(status.restart_count)).sum(),
        phase: status.phase,
        host_ip: status.host_ip,
    }
}

fn node(node: &core::Node) -> Node {
    let status = node.status.clone().unwrap_or_default();
    let address = status
        .addresses
        .into_iter()
        .find(|address| address.r#type == "InternalIP");
    let readable =
        |(name, amount): (&String, &proto::Quantity)| Some((name.clone(), Quantity::try_from(amount).ok()?));
    Node {
        allocatable: milli(&status.allocatable.iter().filter_map(readable).collect()),
        address: address.map(|address| address.address).unwrap_or_default(),
        ready: is_condition_true(&status.conditions, "Ready"),
    }
}

fn deployment(deployment: &apps::Deployment) -> Deployment {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let replicas = spec.replicas.unwrap_or(1);
    let strategy = spec.strategy.unwrap_or_default();
    let surge = match strategy.r#type.as_str() {
        "Recreate" => Some(0),
        _ => {
            let asked = strategy.rolling_update.and_then(|update| update.max_surge);
            let asked = asked.unwrap_or_else(|| apimachinery::int_or_string::string(DEFAULT_SURGE_PERCENT));
            scaled(&asked, replicas, true)
        }
    };
    let template = spec.template.and_then(|template| template.spec);
    Deployment {
        replicas: replicas.into(),
        surge: surge.unwrap_or(0).into(),
        history_limit: spec.revision_history_limit.unwrap_or(10).into(),
        images: template.as_ref().map(images).unwrap_or_default(),
        observed_generation: status.observed_generation,
        current: status.replicas.into(),
        updated: status.updated_replicas.into(),
        available: status.available_replicas.into(),
    }
}

fn images(spec: &core::PodSpec) -> String {
    let images: Vec<_> = spec
        .containers
        .iter()
        .map(|container| container.image.as_str())
        .collect();
    images.join(",")
}

fn milli(amounts: &Amounts) -> Milli {
    let one = |(name, amount): (&String, &Quantity)| (name.clone(), amount.milli_value());
    amounts.iter().map(one).collect()
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Everything but metadata and status. Fields keep the order of their encoding, which is the schema's.
fn content(object: &Object) -> Result<u64, WireError> {
    let has_status = kinds::by_number(object.number).is_some_and(|info| info.has_status);
    let mut hasher = DefaultHasher::new();
    for field in Fields::new(&object.bytes) {
        let field = field?;
        if field.number != METADATA && !(has_status && field.number == STATUS) {
            field.raw.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::json::{Unknown, from_value};
    use serde_json::{Value, json};

    fn read(value: &Value) -> Facts {
        let decoded = from_value(value, Unknown::Strict).unwrap();
        Facts::read(&Object {
            number: decoded.number,
            bytes: decoded.bytes,
        })
        .unwrap()
    }

    fn manifest(status: &Value, revision: &str, replicas: i64) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "uid": "u", "resourceVersion": revision, "generation": 2},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}},
            },
            "status": status,
        })
    }

    #[test]
    fn a_status_changes_the_digest_and_a_spec_the_content_too() {
        let first = read(&manifest(&json!({}), "7", 5));
        let later = read(&manifest(&json!({}), "8", 5));
        assert_eq!((first.revision, later.revision), (7, 8));
        assert_eq!(
            (first.digest, first.content, first.generation),
            (later.digest, later.content, 2)
        );
        let status = read(&manifest(&json!({"replicas": 5, "updatedReplicas": 4}), "9", 5));
        assert_ne!(status.digest, first.digest);
        assert_eq!(status.content, first.content);
        let deployment = status.deployment().unwrap();
        assert_eq!(
            (deployment.current, deployment.updated, deployment.surge),
            (5, 4, 2)
        );
        assert_eq!(deployment.images, "web:1");
        assert_ne!(read(&manifest(&json!({}), "9", 6)).content, first.content);
    }

    #[test]
    fn a_pod_asks_for_its_requests_and_for_one_place() {
        let facts = read(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "finalizers": ["a/b"], "deletionTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r-1", "controller": true}]},
            "spec": {"nodeName": "node-1", "containers": [
                {"name": "c", "image": "x", "resources": {"requests": {"cpu": "250m", "memory": "1Ki"}}}]},
            "status": {"phase": "Running", "hostIP": "172.16.0.1", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "c", "restartCount": 3, "image": "x", "imageID": "", "ready": true}]},
        }));
        let pod = facts.pod().unwrap();
        let expected = [("cpu", 250), ("memory", 1_024_000), ("pods", 1000)];
        assert_eq!(
            pod.requests,
            expected.map(|(name, amount)| (name.to_owned(), amount)).into()
        );
        assert_eq!((pod.node.as_str(), pod.ready, pod.restarts), ("node-1", true, 3));
        assert_eq!((facts.controller.as_deref(), facts.deleting), (Some("r-1"), true));
        assert_eq!(facts.finalizers, ["a/b"]);
        assert!(!facts.is_live_pod());
    }
}
