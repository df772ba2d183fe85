//! A Node: its state, what it has, and which Pods use it.

use super::page::{Page, moment};
use anyhow::Result;
use apimachinery::printers::node::roles;
use apimachinery::printers::text::{age, or_none};
use apimachinery::quantity::{self, Quantity};
use apimachinery::resources::{pod_limits, pod_requests};
use apimachinery::well_known::NODE_LEASE_NAMESPACE;
use client::api::ListOptions;
use client::{Api, Client};
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::{Node, NodeStatus, Pod, Taint};

pub(super) async fn sections(client: &Client, node: &Node, page: &mut Page, now: Timestamp) -> Result<()> {
    let (meta, spec) = (node.meta(), node.spec.clone().unwrap_or_default());
    let status = node.status.clone().unwrap_or_default();
    page.field(0, "Name", &meta.name);
    page.field(0, "Roles", or_none(&roles(node)));
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    page.field(0, "CreationTimestamp", moment(meta.creation_timestamp.as_ref()));
    page.list(0, "Taints", spec.taints.iter().map(taint));
    page.field(0, "Unschedulable", spec.unschedulable.to_string());
    let lease: Option<Lease> = Api::new(client.clone())
        .find(NODE_LEASE_NAMESPACE, &meta.name)
        .await?;
    if let Some(lease) = lease.and_then(|lease| lease.spec) {
        page.head(0, "Lease");
        page.field(1, "HolderIdentity", lease.holder_identity.unwrap_or_default());
        page.field(1, "RenewTime", moment(lease.renew_time.as_ref()));
    }
    conditions(&status, page);
    page.head(0, "Addresses");
    for address in &status.addresses {
        page.field(1, &address.r#type, &address.address);
    }
    page.amounts(0, "Capacity", &status.capacity);
    page.amounts(0, "Allocatable", &status.allocatable);
    let info = status.node_info.clone().unwrap_or_default();
    page.head(0, "System Info");
    for (name, value) in [
        ("Machine ID", info.machine_id),
        ("Kernel Version", info.kernel_version),
        ("OS Image", info.os_image),
        ("Operating System", info.operating_system),
        ("Architecture", info.architecture),
        ("Container Runtime Version", info.container_runtime_version),
        ("Kubelet Version", info.kubelet_version),
    ] {
        page.field(1, name, value);
    }
    page.some(0, "PodCIDR", &spec.pod_cidr);
    let options = ListOptions {
        field_selector: format!(
            "spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed",
            meta.name
        ),
        ..ListOptions::default()
    };
    let pods = Api::<Pod>::new(client.clone()).list(options).await?.items;
    usage(&pods, &status, page, now);
    Ok(())
}

fn taint(taint: &Taint) -> String {
    let value = if taint.value.is_empty() {
        String::new()
    } else {
        format!("={}", taint.value)
    };
    format!("{}{value}:{}", taint.key, taint.effect)
}

fn conditions(status: &NodeStatus, page: &mut Page) {
    page.head(0, "Conditions");
    page.cells(
        1,
        &[
            "Type",
            "Status",
            "LastHeartbeatTime",
            "LastTransitionTime",
            "Reason",
            "Message",
        ],
    );
    page.cells(
        1,
        &[
            "----",
            "------",
            "-----------------",
            "------------------",
            "------",
            "-------",
        ],
    );
    for condition in &status.conditions {
        page.cells(
            1,
            &[
                &condition.r#type,
                &condition.status,
                &moment(condition.last_heartbeat_time.as_ref()),
                &moment(condition.last_transition_time.as_ref()),
                &condition.reason,
                &condition.message,
            ],
        );
    }
}

/// Who asks for how much of what the node has.
fn usage(pods: &[Pod], status: &NodeStatus, page: &mut Page, now: Timestamp) {
    page.cells(0, &[&format!("Non-terminated Pods: ({} in total)", pods.len())]);
    page.cells(
        1,
        &[
            "Namespace",
            "Name",
            "CPU Requests",
            "CPU Limits",
            "Memory Requests",
            "Memory Limits",
            "Age",
        ],
    );
    page.cells(
        1,
        &[
            "---------",
            "----",
            "------------",
            "----------",
            "---------------",
            "-------------",
            "---",
        ],
    );
    let zero = || Quantity::from_milli(0);
    let allocatable = |resource: &str| {
        let amount = status.allocatable.get(resource);
        amount
            .and_then(|amount| quantity::parse(&amount.string).ok())
            .unwrap_or_else(zero)
    };
    let columns = [("cpu", false), ("cpu", true), ("memory", false), ("memory", true)];
    let mut totals = columns.map(|_| zero());
    for pod in pods {
        let spec = pod.spec.clone().unwrap_or_default();
        let (requests, limits) = (pod_requests(&spec), pod_limits(&spec));
        let mut cells = vec![pod.namespace().to_owned(), pod.name().to_owned()];
        for (total, (resource, is_limit)) in totals.iter_mut().zip(columns) {
            let amounts = if is_limit { &limits } else { &requests };
            let amount = amounts.get(resource).cloned().unwrap_or_else(zero);
            *total = &*total + &amount;
            cells.push(share(&amount, &allocatable(resource)));
        }
        cells.push(age(pod.meta().creation_timestamp.as_ref(), now));
        page.cells(1, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    page.head(0, "Allocated resources");
    page.cells(1, &["Resource", "Requests", "Limits"]);
    page.cells(1, &["--------", "--------", "------"]);
    for (index, resource) in ["cpu", "memory"].into_iter().enumerate() {
        let of = |total: &Quantity| share(total, &allocatable(resource));
        page.cells(
            1,
            &[resource, &of(&totals[index * 2]), &of(&totals[index * 2 + 1])],
        );
    }
}

/// `100m (5%)`.
fn share(amount: &Quantity, whole: &Quantity) -> String {
    let percent = if whole.is_zero() {
        0.0
    } else {
        amount.as_f64() / whole.as_f64() * 100.0
    };
    format!("{amount} ({percent:.0}%)")
}
