//! A volume is made for a claim: the part of a storage provider, simulated. Nothing stands behind the volume but its object.
//!
//! <https://kubernetes.io/docs/concepts/storage/dynamic-provisioning/>

use apimachinery::volumes::{NO_PROVISIONER, class_of_claim};
use apimachinery::well_known::{PROVISIONED_BY, SELECTED_NODE};
use client::cache::Cache;
use client::controller::{Action, EventKind, Plan, reference};
use proto::Kind;
use proto::api::core::v1::{
    CsiPersistentVolumeSource, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeSource, PersistentVolumeSpec,
    VolumeNodeAffinity,
};
use proto::api::storage::v1::{CsiNode, StorageClass};
use std::sync::Arc;

/// Where a claim's volume is to be made.
pub(super) struct Place<'a> {
    /// The node that the scheduler has chosen, where it is there.
    pub(super) node: Option<&'a Arc<Node>>,
    /// What that node's drivers say.
    pub(super) drivers: Option<&'a Arc<CsiNode>>,
}

impl<'a> Place<'a> {
    pub(super) fn of(cache: &'a Cache, claim: &PersistentVolumeClaim) -> Self {
        let selected = claim.meta().annotations.get(SELECTED_NODE);
        Self {
            node: selected.and_then(|name| cache.get::<Node>("", name)),
            drivers: selected.and_then(|name| cache.get::<CsiNode>("", name)),
        }
    }
}

/// What makes a claim's volume; `None` when nobody makes volumes of its class.
pub(super) fn plan(claim: &PersistentVolumeClaim, class: &StorageClass, place: &Place<'_>) -> Option<Plan> {
    if class.provisioner.is_empty() || class.provisioner == NO_PROVISIONER {
        return None;
    }
    let selected = claim.meta().annotations.get(SELECTED_NODE);
    if let Some(name) = selected.filter(|_| place.node.is_none()) {
        // The scheduler is to choose again.
        let mut again = claim.clone();
        again.metadata_mut().annotations.remove(SELECTED_NODE);
        let message = format!(
            "failed to provision volume with StorageClass {:?}: node {name:?} not found",
            class_of_claim(claim)
        );
        let event = Action::event(claim, EventKind::Warning, "ProvisioningFailed", message);
        return Some(vec![Action::update(&again), event].into());
    }
    let volume = volume(claim, class, place);
    let message = format!(
        "Successfully provisioned volume {} using {}",
        volume.name(),
        class.provisioner
    );
    let event = Action::event(claim, EventKind::Normal, "ProvisioningSucceeded", message);
    Some(vec![Action::create(&volume), event].into())
}

/// The volume, kept for its claim from the beginning.
fn volume(claim: &PersistentVolumeClaim, class: &StorageClass, place: &Place<'_>) -> PersistentVolume {
    let asked = claim.spec.clone().unwrap_or_default();
    let name = format!("pvc-{}", claim.uid());
    let mut volume = PersistentVolume::default();
    let meta = volume.metadata_mut();
    meta.name.clone_from(&name);
    meta.annotations
        .insert(PROVISIONED_BY.into(), class.provisioner.clone());
    let reclaim = class.reclaim_policy.clone();
    volume.spec = Some(PersistentVolumeSpec {
        capacity: asked.resources.unwrap_or_default().requests,
        persistent_volume_source: Some(PersistentVolumeSource {
            csi: Some(CsiPersistentVolumeSource {
                driver: class.provisioner.clone(),
                volume_handle: name,
                ..CsiPersistentVolumeSource::default()
            }),
            ..PersistentVolumeSource::default()
        }),
        access_modes: asked.access_modes,
        claim_ref: Some(reference(claim)),
        persistent_volume_reclaim_policy: reclaim.unwrap_or_else(|| "Delete".into()),
        storage_class_name: class.name().into(),
        mount_options: class.mount_options.clone(),
        volume_mode: asked.volume_mode,
        node_affinity: affinity(class, place),
        volume_attributes_class_name: asked.volume_attributes_class_name,
    });
    volume
}

/// From where it can be reached: from the chosen node's like, by the labels that its driver names; else where the class allows.
fn affinity(class: &StorageClass, place: &Place<'_>) -> Option<VolumeNodeAffinity> {
    let labels = place.node.map(|node| &node.meta().labels);
    let drivers = place.drivers.and_then(|node| node.spec.as_ref());
    let driver = drivers.and_then(|spec| {
        let mut drivers = spec.drivers.iter();
        drivers.find(|driver| driver.name == class.provisioner)
    });
    let keys = driver.map(|driver| driver.topology_keys.as_slice());
    let of_node: Vec<NodeSelectorRequirement> = { keys.unwrap_or_default().iter() }
        .filter_map(|key| Some(is_in(key, vec![labels?.get(key)?.clone()])))
        .collect();
    let terms: Vec<NodeSelectorTerm> = if of_node.is_empty() {
        let allowed = class.allowed_topologies.iter();
        let expressions = allowed.map(|term| {
            let expressions = term.match_label_expressions.iter();
            { expressions }
                .map(|one| is_in(&one.key, one.values.clone()))
                .collect()
        });
        expressions.map(term).collect()
    } else {
        vec![term(of_node)]
    };
    (!terms.is_empty()).then_some(VolumeNodeAffinity {
        required: Some(NodeSelector {
            node_selector_terms: terms,
        }),
    })
}

fn term(match_expressions: Vec<NodeSelectorRequirement>) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions,
        ..NodeSelectorTerm::default()
    }
}

fn is_in(key: &str, values: Vec<String>) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: "In".into(),
        values,
    }
}
