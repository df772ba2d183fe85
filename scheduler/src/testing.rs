//! What this crate's tests make clusters of, and how they ask one plugin alone.

use crate::framework::{AnyFilter, AnyScore, Bounds, PreFiltered, Rejection};
use crate::pod::{PodClass, PodInfo, PodTemplate, TemplateId};
use crate::snapshot::{Node, Placement, Snapshot};
use client::ObjectKey;
use proto::Kind;
use proto::api::core::v1::{self as core, Container, Pod, PodSpec, ResourceRequirements, Taint, Toleration};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) type Amounts<'a> = [(&'a str, &'a str)];

fn quantities(amounts: &Amounts<'_>) -> BTreeMap<String, proto::Quantity> {
    let quantity = |text: &str| proto::Quantity { string: text.into() };
    amounts
        .iter()
        .map(|(name, text)| ((*name).into(), quantity(text)))
        .collect()
}

pub(crate) fn container(requests: &Amounts<'_>) -> Container {
    Container {
        resources: Some(ResourceRequirements {
            requests: quantities(requests),
            ..ResourceRequirements::default()
        }),
        ..Container::default()
    }
}

/// A Pod in the namespace `default`, whose UID is its name.
pub(crate) fn pod(name: &str, requests: &Amounts<'_>) -> Pod {
    let mut pod = Pod {
        spec: Some(PodSpec {
            containers: vec![container(requests)],
            scheduler_name: "default-scheduler".into(),
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    let meta = pod.metadata_mut();
    meta.name = name.into();
    meta.namespace = "default".into();
    meta.uid = name.into();
    pod
}

pub(crate) fn class(requests: &Amounts<'_>) -> PodClass {
    PodClass::of(pod("pod", requests).spec.as_ref().unwrap())
}

/// A Pod of a class.
pub(crate) fn info(name: &str, class: &PodClass) -> PodInfo {
    let mut template = PodTemplate {
        id: TemplateId(0),
        namespace: "default".into(),
        class: Arc::new(class.clone()),
        ..PodTemplate::default()
    };
    template.spec.scheduler_name = "default-scheduler".into();
    PodInfo {
        key: ObjectKey::new::<Pod>("default", name),
        uid: name.into(),
        revision: 1,
        gated: false,
        deleting: false,
        started: 0,
        nominated: None,
        conditions: vec![],
        template: Arc::new(template),
    }
}

/// A node as the API has it.
pub(crate) fn api_node(name: &str, allocatable: &Amounts<'_>) -> core::Node {
    let mut node = core::Node {
        status: Some(core::NodeStatus {
            allocatable: quantities(allocatable),
            ..core::NodeStatus::default()
        }),
        ..core::Node::default()
    };
    node.metadata_mut().name = name.into();
    node
}

/// An empty node.
pub(crate) fn node(name: &str, allocatable: &Amounts<'_>) -> Node {
    sized(name, allocatable, &[])
}

/// A node with Pods.
pub(crate) fn sized(name: &str, allocatable: &Amounts<'_>, pods: &[PodClass]) -> Node {
    let mut snapshot = Snapshot::new();
    snapshot.set_node(&api_node(name, allocatable));
    for (number, class) in pods.iter().enumerate() {
        snapshot.place(&info(&format!("pod-{number}"), class), name, Placement::Bound);
    }
    snapshot.node_named(name).unwrap().clone()
}

/// A large node with Pods.
pub(crate) fn node_with(pods: &[PodClass]) -> Node {
    sized(
        "node-1",
        &[("cpu", "64"), ("memory", "256Gi"), ("pods", "110")],
        pods,
    )
}

pub(crate) fn taint(key: &str, value: &str, effect: &str) -> Taint {
    Taint {
        key: key.into(),
        value: value.into(),
        effect: effect.into(),
        time_added: None,
    }
}

pub(crate) fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
    Toleration {
        key: key.into(),
        operator: operator.into(),
        value: value.into(),
        effect: effect.into(),
        toleration_seconds: None,
    }
}

/// What a plugin says of a Pod on a node.
pub(crate) fn judge(plugin: &dyn AnyFilter, pod: &PodClass, node: &Node) -> Result<(), Rejection> {
    match plugin.prepare(pod, &Snapshot::new()) {
        PreFiltered::Skip => Ok(()),
        PreFiltered::Filter(filter) => filter.filter(node),
        PreFiltered::Reject(rejection) => Err(rejection),
    }
}

/// What a plugin gives each node, raw and normalized over all of them; `None` when it has no opinion.
pub(crate) fn rate(plugin: &dyn AnyScore, pod: &PodClass, nodes: &[Node]) -> Option<Vec<(i64, i64)>> {
    let mut snapshot = Snapshot::new();
    for node in nodes {
        let mut api = api_node(&node.name, &[]);
        api.spec.get_or_insert_default().taints.clone_from(&node.taints);
        snapshot.set_node(&api);
    }
    let score = plugin.prepare(pod, &snapshot)?;
    let raw: Vec<i64> = nodes.iter().map(|node| score.score(node)).collect();
    let bounds = Bounds::of(raw.iter().copied());
    let normalize = score.normalize();
    Some(
        raw.into_iter()
            .map(|raw| (raw, normalize.apply(raw, bounds)))
            .collect(),
    )
}
