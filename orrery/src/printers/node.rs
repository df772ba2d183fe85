//! Nodes, and the Leases that their heartbeats renew.

use super::text::{age, or, or_none};
use super::{Column, always, wide};
use apimachinery::meta::get_condition;
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::Node;

pub(super) const NODES: &[Column] = &[
    always("NAME"),
    always("STATUS"),
    always("ROLES"),
    always("AGE"),
    always("VERSION"),
    wide("INTERNAL-IP"),
    wide("EXTERNAL-IP"),
    wide("OS-IMAGE"),
    wide("KERNEL-VERSION"),
    wide("CONTAINER-RUNTIME"),
];

/// What labels name a node's roles.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

pub(super) fn node(object: &Node, now: Timestamp) -> Vec<String> {
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
    vec![
        object.name().to_owned(),
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
pub(crate) fn roles(node: &Node) -> String {
    let labels = &node.meta().labels;
    let roles = labels.keys().filter_map(|label| label.strip_prefix(ROLE_PREFIX));
    roles
        .filter(|role| !role.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

pub(super) const LEASES: &[Column] = &[always("NAME"), always("HOLDER"), always("AGE")];

pub(super) fn lease(object: &Lease, now: Timestamp) -> Vec<String> {
    let holder = object.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    vec![
        object.name().to_owned(),
        holder.unwrap_or_default(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}
