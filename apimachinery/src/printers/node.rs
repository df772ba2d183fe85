//! Nodes, and the Leases that their heartbeats renew.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{age, or, or_none};
use crate::meta::get_condition;
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::Node;

pub(super) const NODES: &[Column] = &[
    NAME,
    Column::text("Status", "Whether it is ready and takes pods."),
    Column::text("Roles", "Roles that its labels name."),
    AGE,
    Column::text("Version", "Version of its kubelet."),
    Column::wide("Internal-IP", "Address within the cluster."),
    Column::wide("External-IP", "Address outside of the cluster."),
    Column::wide("OS-Image", "Its operating system."),
    Column::wide("Kernel-Version", "Version of its kernel."),
    Column::wide("Container-Runtime", "What runs its containers, with version."),
];

/// What labels name a node's roles.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

pub(super) fn node(object: &Node, now: Timestamp) -> Vec<Cell> {
    let status = object.status.clone().unwrap_or_default();
    let info = status.node_info.unwrap_or_default();
    let ready = match get_condition(&status.conditions, "Ready") {
        Some(condition) if condition.status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = object.spec.as_ref().is_some_and(|spec| spec.unschedulable);
    let address = |of: &str| {
        let found = status.addresses.iter().find(|address| address.r#type == of);
        or_none(found.map_or("", |address| &address.address))
    };
    row![
        object.name(),
        format!("{ready}{}", if cordoned { ",SchedulingDisabled" } else { "" }),
        or_none(&roles(object)),
        age(object.meta().creation_timestamp.as_ref(), now),
        info.kubelet_version,
        address("InternalIP"),
        address("ExternalIP"),
        or(&info.os_image, "<unknown>"),
        or(&info.kernel_version, "<unknown>"),
        or(&info.container_runtime_version, "<unknown>"),
    ]
}

/// `control-plane,worker`.
pub fn roles(node: &Node) -> String {
    let labels = &node.meta().labels;
    let roles = labels.keys().filter_map(|label| label.strip_prefix(ROLE_PREFIX));
    roles
        .filter(|role| !role.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) const LEASES: &[Column] = &[NAME, Column::text("Holder", "Who holds the lease."), AGE];

pub(super) fn lease(object: &Lease, now: Timestamp) -> Vec<Cell> {
    let holder = object.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    row![
        object.name(),
        holder.unwrap_or_default(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}
