//! What this crate's tests make clusters of, and how they ask one plugin alone.

use crate::framework::{AnyFilter, AnyPodFilter, AnyPodScore, AnyScore, Bounds, PreFiltered, Rejection};
use crate::pod::{Classes, PodClass, PodInfo, PodTemplate, TemplateId};
use crate::snapshot::{Node, Placement, Slot, Snapshot, SpreadDefaults};
use apimachinery::well_known::BIND_COMPLETED;
use client::ObjectKey;
use proto::api::core::v1::{
    self as core, Container, CsiPersistentVolumeSource, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource, Pod, PodSpec, ResourceRequirements, Taint, Toleration, Volume,
    VolumeSource,
};
use proto::api::storage::v1::{CsiNode, CsiNodeDriver, StorageClass, VolumeNodeResources};
use proto::{Kind, Object};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A template's number that no other has; far from those that [`Classes`] gives.
pub(crate) fn info_id() -> TemplateId {
    static LAST: AtomicU64 = AtomicU64::new(1 << 32);
    TemplateId(LAST.fetch_add(1, Ordering::Relaxed))
}

/// A Pod of a class.
pub(crate) fn info(name: &str, class: &PodClass) -> PodInfo {
    let mut template = PodTemplate {
        id: info_id(),
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

/// What a Pod plugin says of a Pod on every node, by the nodes' names.
pub(crate) fn judge_pod(
    plugin: &dyn AnyPodFilter,
    pod: &Pod,
    snapshot: &mut Snapshot,
) -> BTreeMap<String, Result<(), Rejection>> {
    let pod = fresh(pod);
    snapshot.know(&pod.template, &SpreadDefaults::default());
    let prepared = plugin.prepare(&pod, snapshot);
    let present = snapshot.slots().iter().filter(|node| node.present);
    let judge = |node: &Node| match &prepared {
        PreFiltered::Skip => Ok(()),
        PreFiltered::Filter(filter) => {
            let verdict = filter.filter(node);
            let mut slots = vec![node.slot];
            filter.narrow(&mut slots, snapshot);
            assert_eq!(
                slots.is_empty(),
                verdict.is_err(),
                "{} is judged in two ways",
                node.name
            );
            verdict
        }
        PreFiltered::Reject(rejection) => Err(rejection.clone()),
    };
    present.map(|node| (node.name.to_string(), judge(node))).collect()
}

/// What a Pod plugin gives every node, normalized, by the nodes' names; `None` when it has no opinion.
pub(crate) fn rate_pod(
    plugin: &dyn AnyPodScore,
    pod: &Pod,
    snapshot: &mut Snapshot,
) -> Option<BTreeMap<String, i64>> {
    let pod = fresh(pod);
    snapshot.know(&pod.template, &SpreadDefaults::default());
    let present = snapshot.slots().iter().filter(|node| node.present);
    let slots: Vec<Slot> = present.map(|node| node.slot).collect();
    let score = plugin.prepare(&pod, &slots, snapshot)?;
    let mut raw = Vec::new();
    score.score_all(&slots, snapshot, &mut raw);
    let one_by_one: Vec<i64> = slots
        .iter()
        .map(|slot| score.score(snapshot.node(*slot)))
        .collect();
    assert_eq!(raw, one_by_one, "nodes are scored in two ways");
    let bounds = Bounds::of(raw.iter().copied());
    let normalized = raw.iter().map(|raw| score.normalize().apply(*raw, bounds));
    let names = slots.iter().map(|slot| snapshot.node(*slot).name.to_string());
    Some(names.zip(normalized).collect())
}

/// A cluster: nodes with their labels, as `zone=a,disk=ssd`; every node also has its name as `kubernetes.io/hostname`.
pub(crate) fn cluster(nodes: &[(&str, &str)]) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for (name, labels) in nodes {
        let mut node = api_node(name, &[("cpu", "64"), ("memory", "256Gi"), ("pods", "110")]);
        let held = &mut node.metadata_mut().labels;
        *held = pairs(labels);
        held.insert("kubernetes.io/hostname".into(), (*name).into());
        snapshot.set_node(&node);
    }
    snapshot
}

/// Reads `a=1,b=2`.
pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.into(), value.into())).collect()
}

/// A Pod with labels, in a namespace.
pub(crate) fn labelled(namespace: &str, name: &str, labels: &str) -> Pod {
    let mut pod = pod(name, &[]);
    let meta = pod.metadata_mut();
    meta.namespace = namespace.into();
    meta.labels = pairs(labels);
    pod
}

/// Puts a Pod on a node.
pub(crate) fn put(snapshot: &mut Snapshot, pod: &Pod, node: &str) {
    snapshot.place(&fresh(pod), node, Placement::Bound);
}

/// A Pod with a template of its own.
pub(crate) fn fresh(pod: &Pod) -> PodInfo {
    let info = PodInfo::of(pod, 1, &mut Classes::default());
    let mut template = PodTemplate::clone(&info.template);
    template.id = info_id();
    PodInfo {
        template: Arc::new(template),
        ..info
    }
}

/// Tells the snapshot of an object.
pub(crate) fn tell<K: Kind>(snapshot: &mut Snapshot, object: &K) {
    let told = snapshot.set_object(&ObjectKey::of(object), Some(&Object::encode_from(object)));
    told.expect("the object decodes");
}

/// A Pod that uses claims.
pub(crate) fn mounting(name: &str, claims: &[&str]) -> Pod {
    let mut pod = pod(name, &[]);
    let volumes = claims.iter().map(|claim| Volume {
        name: (*claim).into(),
        volume_source: Some(VolumeSource {
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: (*claim).into(),
                read_only: false,
            }),
            ..VolumeSource::default()
        }),
    });
    pod.spec.get_or_insert_default().volumes = volumes.collect();
    pod
}

fn gibibyte() -> BTreeMap<String, proto::Quantity> {
    quantities(&[("storage", "1Gi")])
}

/// A claim for 1Gi, in the namespace `default`, whose UID is its name; bound, if it has a volume.
pub(crate) fn claim(name: &str, volume: &str) -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    let meta = claim.metadata_mut();
    (meta.namespace, meta.name, meta.uid) = ("default".into(), name.into(), name.into());
    if !volume.is_empty() {
        meta.annotations.insert(BIND_COMPLETED.into(), "yes".into());
    }
    let spec = claim.spec.get_or_insert_default();
    spec.access_modes = vec!["ReadWriteOnce".into()];
    spec.volume_name = volume.into();
    spec.resources.get_or_insert_default().requests = gibibyte();
    claim
}

/// A free volume of 1Gi with labels.
pub(crate) fn volume(name: &str, labels: &str) -> PersistentVolume {
    let mut volume = PersistentVolume::default();
    volume.metadata_mut().name = name.into();
    volume.metadata_mut().labels = pairs(labels);
    let spec = volume.spec.get_or_insert_default();
    spec.access_modes = vec!["ReadWriteOnce".into()];
    spec.capacity = gibibyte();
    volume.status.get_or_insert_default().phase = "Available".into();
    volume
}

/// A volume of a CSI driver, that calls it by its name.
pub(crate) fn csi_volume(name: &str, driver: &str) -> PersistentVolume {
    let mut volume = volume(name, "");
    let source = { volume.spec.get_or_insert_default() }
        .persistent_volume_source
        .get_or_insert_default();
    source.csi = Some(CsiPersistentVolumeSource {
        driver: driver.into(),
        volume_handle: name.into(),
        ..CsiPersistentVolumeSource::default()
    });
    volume
}

/// A node that holds so many volumes of a driver.
pub(crate) fn csi_node(name: &str, driver: &str, count: i32) -> CsiNode {
    let mut node = CsiNode::default();
    node.metadata_mut().name = name.into();
    let drivers = &mut node.spec.get_or_insert_default().drivers;
    drivers.push(CsiNodeDriver {
        name: driver.into(),
        allocatable: Some(VolumeNodeResources { count: Some(count) }),
        ..CsiNodeDriver::default()
    });
    node
}

/// A class of volumes.
pub(crate) fn class_named(name: &str, provisioner: &str, mode: &str) -> StorageClass {
    let mut class = StorageClass {
        provisioner: provisioner.into(),
        volume_binding_mode: Some(mode.into()),
        ..StorageClass::default()
    };
    class.metadata_mut().name = name.into();
    class
}
