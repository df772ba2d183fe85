//! What this process keeps of the objects that it watches: the fields that its controllers read, and no more.
//!
//! A cluster has far more Pods than anything else, and most of a Pod is what only its kubelet and the scheduler need.
//! Who makes a controller read another field adds it here. Nothing that comes out of a projection may be written back
//! whole: controllers patch Pods, Nodes and Leases, and delete them.

use crate::pods;
use apimachinery::well_known::POD_DELETION_COST;
use client::cache::Watch;
use proto::api::coordination::v1::{Lease, LeaseSpec};
use proto::api::core::v1::{ContainerStatus, Node, NodeStatus, Pod, PodSpec, PodStatus, Volume};
use std::collections::BTreeMap;

/// The projections of every kind that has one.
pub(crate) fn all() -> Vec<Watch> {
    vec![
        Watch::projected::<Pod>(pod),
        Watch::projected::<Node>(node),
        Watch::projected::<Lease>(lease),
    ]
}

fn pod(pod: &mut Pod) {
    let restarts = pods::restarts(pod);
    if let Some(meta) = &mut pod.metadata {
        meta.managed_fields = Vec::new();
        meta.generate_name = String::new();
        let cost = meta.annotations.remove(POD_DELETION_COST);
        meta.annotations = cost
            .map(|cost| (POD_DELETION_COST.to_owned(), cost))
            .into_iter()
            .collect();
    }
    if let Some(spec) = &mut pod.spec {
        // A Pod brings a claim of its own with few of its volumes, if any.
        let is_own = |volume: &Volume| {
            let source = volume.volume_source.as_ref();
            source.is_some_and(|source| source.ephemeral.is_some())
        };
        spec.volumes.retain(is_own);
        *spec = PodSpec {
            volumes: std::mem::take(&mut spec.volumes),
            node_name: std::mem::take(&mut spec.node_name),
            tolerations: std::mem::take(&mut spec.tolerations),
            ..PodSpec::default()
        };
    }
    if let Some(status) = &mut pod.status {
        // Only the highest count is asked for, and most Pods never restart.
        let container = (restarts > 0).then(|| ContainerStatus {
            restart_count: restarts,
            ..ContainerStatus::default()
        });
        *status = PodStatus {
            phase: std::mem::take(&mut status.phase),
            reason: std::mem::take(&mut status.reason),
            conditions: std::mem::take(&mut status.conditions),
            container_statuses: container.into_iter().collect(),
            ..PodStatus::default()
        };
    }
}

fn node(node: &mut Node) {
    if let Some(meta) = &mut node.metadata {
        meta.managed_fields = Vec::new();
        meta.annotations = BTreeMap::new();
    }
    if let Some(status) = &mut node.status {
        *status = NodeStatus {
            conditions: std::mem::take(&mut status.conditions),
            ..NodeStatus::default()
        };
    }
}

fn lease(lease: &mut Lease) {
    if let Some(meta) = &mut lease.metadata {
        meta.managed_fields = Vec::new();
        meta.labels = BTreeMap::new();
        meta.annotations = BTreeMap::new();
    }
    if let Some(spec) = &mut lease.spec {
        *spec = LeaseSpec {
            renew_time: spec.renew_time,
            ..LeaseSpec::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::{Container, PodCondition, Toleration};
    use proto::meta::v1::{ManagedFieldsEntry, OwnerReference};

    #[test]
    fn a_pod_keeps_what_controllers_read_and_nothing_else() {
        let mut whole = Pod::default();
        let meta = whole.metadata_mut();
        meta.name = "web-1".into();
        meta.uid = "u1".into();
        meta.labels.insert("app".into(), "web".into());
        meta.owner_references.push(OwnerReference::default());
        meta.finalizers.push("test/hold".into());
        meta.deletion_grace_period_seconds = Some(30);
        let mut projected = whole.clone();
        let meta = projected.metadata_mut();
        meta.annotations.insert("big".into(), "annotation".into());
        meta.managed_fields.push(ManagedFieldsEntry::default());
        for pod in [&mut whole, &mut projected] {
            let cost = (POD_DELETION_COST.to_owned(), "5".to_owned());
            pod.metadata_mut().annotations.extend([cost]);
            let spec = pod.spec.get_or_insert_default();
            spec.node_name = "node-1".into();
            spec.tolerations.push(Toleration::default());
            let status = pod.status.get_or_insert_default();
            status.phase = "Running".into();
            status.conditions.push(PodCondition::default());
            status.container_statuses.push(ContainerStatus {
                restart_count: 3,
                ..ContainerStatus::default()
            });
        }
        projected
            .spec
            .get_or_insert_default()
            .containers
            .push(Container::default());
        let status = projected.status.get_or_insert_default();
        status.pod_ip = "10.0.0.1".into();
        status.container_statuses.push(ContainerStatus {
            name: "main".into(),
            restart_count: 1,
            ..ContainerStatus::default()
        });
        pod(&mut projected);
        assert_eq!(projected, whole);
    }

    #[test]
    fn a_pod_that_never_restarted_keeps_no_container_status() {
        let mut projected = Pod::default();
        let status = projected.status.get_or_insert_default();
        status.container_statuses.push(ContainerStatus::default());
        pod(&mut projected);
        assert_eq!(projected.status, Some(PodStatus::default()));
    }
}
