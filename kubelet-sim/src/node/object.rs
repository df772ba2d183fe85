//! The API objects that stand for a node: its Node and its Lease.
//!
//! Inputs: a [`NodeState`] and the time. Outputs: objects to write, and what of an existing Node has to change.
//! Rules: <https://kubernetes.io/docs/reference/node/node-status/>.

use super::state::NodeState;
use apimachinery::well_known;
use client::time::micro_time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::{Lease, LeaseSpec};
use proto::api::core::v1 as core;
use proto::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Where the leases of nodes live.
pub const LEASE_NAMESPACE: &str = well_known::NODE_LEASE_NAMESPACE;
/// A node whose lease was not renewed for so long counts as lost.
pub const LEASE_SECONDS: i32 = 40;

/// Annotation: where the Simulator of the node's process listens.
pub const ENDPOINT: &str = "sim.orrery.dev/endpoint";
/// Annotation: where the chance of the node's pods comes from. A restarted process goes on with it, so that what was
/// drawn for a running container stays.
pub const SEED: &str = "sim.orrery.dev/seed";

/// Where a process is reached; its Nodes say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// By people, for faults.
    pub simulator: String,
    /// By the apiserver, for logs.
    pub kubelet: String,
}

impl Endpoints {
    fn annotations(&self) -> [(&'static str, &str); 2] {
        [
            (ENDPOINT, &self.simulator),
            (well_known::KUBELET_ENDPOINT, &self.kubelet),
        ]
    }
}

const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
const READY: &str = "Ready";

/// The kubelet's port, which nobody serves here, but tools print. See [`Endpoints`] for the real one.
const KUBELET_PORT: i32 = 10250;

/// The node's labels.
pub fn labels(node: &NodeState) -> BTreeMap<String, String> {
    let group = &node.group;
    let mut labels = group.labels.clone();
    let usual = [
        (well_known::HOSTNAME, &*node.name),
        (well_known::OS, "linux"),
        (well_known::ARCH, architecture()),
        (well_known::ZONE, group.zone.as_str()),
        (well_known::REGION, group.region.as_str()),
        (INSTANCE_TYPE, group.instance_type.as_str()),
    ];
    for (key, value) in usual.into_iter().filter(|(_, value)| !value.is_empty()) {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// As Go spells it, and so Kubernetes.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The Node, as the kubelet registers it.
pub fn node(node: &NodeState, endpoints: &Endpoints, now: Timestamp) -> core::Node {
    let block = node.addresses.block().to_string();
    let annotations = endpoints
        .annotations()
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let seed = (SEED.to_owned(), node.seed.0.to_string());
    core::Node {
        metadata: Some(ObjectMeta {
            name: node.name.to_string(),
            labels: labels(node),
            annotations: annotations.into_iter().chain([seed]).collect(),
            ..ObjectMeta::default()
        }),
        spec: Some(core::NodeSpec {
            pod_cidr: block.clone(),
            pod_cidrs: vec![block],
            provider_id: format!("sim://{}", node.name),
            taints: node.group.taints.iter().map(super::NodeTaint::to_proto).collect(),
            ..core::NodeSpec::default()
        }),
        status: Some(status(node, now)),
    }
}

/// The Node's status.
pub fn status(node: &NodeState, now: Timestamp) -> core::NodeStatus {
    let capacity: BTreeMap<String, proto::Quantity> = node
        .group
        .capacity
        .iter()
        .map(|(name, amount)| (name.clone(), amount.into()))
        .collect();
    let address = |r#type: &str, address: String| core::NodeAddress {
        r#type: r#type.to_owned(),
        address,
    };
    let condition = |r#type: &str, holds: bool, reason: &str, message: &str| core::NodeCondition {
        r#type: r#type.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        last_heartbeat_time: Some(micro_time(now)),
        last_transition_time: Some(micro_time(node.ready_since)),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    core::NodeStatus {
        allocatable: capacity.clone(),
        capacity,
        conditions: vec![
            condition(
                "MemoryPressure",
                false,
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
            condition(
                "DiskPressure",
                false,
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure",
            ),
            condition(
                "PIDPressure",
                false,
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
            condition(READY, true, "KubeletReady", "kubelet is posting ready status"),
        ],
        addresses: vec![
            address("InternalIP", node.address.to_string()),
            address("Hostname", node.name.to_string()),
        ],
        daemon_endpoints: Some(core::NodeDaemonEndpoints {
            kubelet_endpoint: Some(core::DaemonEndpoint { port: KUBELET_PORT }),
        }),
        node_info: Some(core::NodeSystemInfo {
            machine_id: node.name.to_string(),
            system_uuid: node.name.to_string(),
            boot_id: node.name.to_string(),
            kernel_version: "simulated".to_owned(),
            os_image: "Orrery".to_owned(),
            container_runtime_version: format!("sim://{}", env!("CARGO_PKG_VERSION")),
            kubelet_version: format!("v{}-orrery", env!("CARGO_PKG_VERSION")),
            operating_system: "linux".to_owned(),
            architecture: architecture().to_owned(),
            ..core::NodeSystemInfo::default()
        }),
        images: images(node),
        ..core::NodeStatus::default()
    }
}

/// What the node has pulled, as far as a Node tells it.
fn images(node: &NodeState) -> Vec<core::ContainerImage> {
    /// As many as real kubelets list.
    const MOST_IMAGES: usize = 50;
    let mut names: Vec<&str> = node.images.iter().map(|image| &**image).collect();
    names.sort_unstable();
    names.truncate(MOST_IMAGES);
    let image = |name: &str| core::ContainerImage {
        names: vec![name.to_owned()],
        size_bytes: 0,
    };
    names.into_iter().map(image).collect()
}

/// The Lease, renewed now.
pub fn lease(node: &NodeState, now: Timestamp) -> Lease {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: core::Node::NAME.to_owned(),
        name: node.name.to_string(),
        uid: node.uid.clone(),
        ..OwnerReference::default()
    };
    Lease {
        metadata: Some(ObjectMeta {
            name: node.name.to_string(),
            namespace: LEASE_NAMESPACE.to_owned(),
            owner_references: vec![owner],
            ..ObjectMeta::default()
        }),
        spec: Some(LeaseSpec {
            holder_identity: Some(node.name.to_string()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(micro_time(now)),
            ..LeaseSpec::default()
        }),
    }
}

/// Whether the API says that the node is ready, and since when.
pub fn ready(node: &core::Node) -> Option<Timestamp> {
    let conditions = &node.status.as_ref()?.conditions;
    let ready = conditions
        .iter()
        .find(|c| c.r#type == READY && c.status == "True")?;
    Some(client::time::timestamp(ready.last_transition_time.as_ref()?))
}

/// Whether a Node tells something else of its machine than there is now.
pub fn is_outdated(existing: &core::Node, node: &NodeState) -> bool {
    let Some(status) = &existing.status else {
        return true;
    };
    let ours = self::status(node, node.ready_since);
    status.capacity != ours.capacity
        || status.allocatable != ours.allocatable
        || status.addresses != ours.addresses
}

/// A merge patch that gives an existing Node the labels and annotations that it lacks; `None` when it lacks none.
/// Labels that somebody else added stay.
pub fn metadata_patch(existing: &core::Node, node: &NodeState, endpoints: &Endpoints) -> Option<Value> {
    let meta = existing.meta();
    let mut labels = labels(node);
    labels.retain(|key, value| meta.labels.get(key) != Some(value));
    let mut annotations = serde_json::Map::new();
    for (key, endpoint) in endpoints.annotations() {
        if meta.annotations.get(key).map(String::as_str) != Some(endpoint) {
            annotations.insert(key.to_owned(), endpoint.into());
        }
    }
    if !meta.annotations.contains_key(SEED) {
        annotations.insert(SEED.to_owned(), node.seed.0.to_string().into());
    }
    if labels.is_empty() && annotations.is_empty() {
        return None;
    }
    Some(json!({"metadata": {"uid": meta.uid, "labels": labels, "annotations": annotations}}))
}
