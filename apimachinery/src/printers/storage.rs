//! Volumes, claims on them, and their classes.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{access_modes, age, or, quantity};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use proto::api::storage::v1::StorageClass;

pub(super) const VOLUMES: &[Column] = &[
    NAME,
    Column::text("Capacity", "Size of the volume."),
    Column::text("Access Modes", "How many nodes may use it, and how."),
    Column::text("Reclaim Policy", "What becomes of it when its claim goes."),
    Column::text("Status", "Whether it is bound."),
    Column::text("Claim", "The claim that it is bound to."),
    Column::text("StorageClass", "Its class."),
    Column::text("VolumeAttributesClass", "Class of what can change about it."),
    Column::text("Reason", "Why it is in this state, in a word."),
    AGE,
    Column::wide("VolumeMode", "Whether it is a file system or a block device."),
];

/// What stands for a class or mode that is not set.
const UNSET: &str = "<unset>";

pub(super) fn volume(object: &PersistentVolume, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let claim = spec
        .claim_ref
        .map(|claim| format!("{}/{}", claim.namespace, claim.name));
    row![
        object.name(),
        spec.capacity.get("storage").map(quantity).unwrap_or_default(),
        access_modes(&spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        phase(&status.phase, object.meta()),
        claim.unwrap_or_default(),
        spec.storage_class_name,
        or(&spec.volume_attributes_class_name.unwrap_or_default(), UNSET),
        status.reason,
        age(object.meta().creation_timestamp.as_ref(), now),
        or(&spec.volume_mode.unwrap_or_default(), UNSET),
    ]
}

pub(super) const CLAIMS: &[Column] = &[
    NAME,
    Column::text("Status", "Whether it is bound."),
    Column::text("Volume", "The volume that it is bound to."),
    Column::text("Capacity", "Size of the volume."),
    Column::text("Access Modes", "How many nodes may use it, and how."),
    Column::text("StorageClass", "Its class."),
    Column::text("VolumeAttributesClass", "Class of what can change about it."),
    AGE,
    Column::wide("VolumeMode", "Whether it is a file system or a block device."),
];

pub(super) fn claim(object: &PersistentVolumeClaim, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    // Before it is bound, a claim has no size.
    let bound = !spec.volume_name.is_empty();
    let capacity = status.capacity.get("storage").filter(|_| bound).map(quantity);
    row![
        object.name(),
        phase(&status.phase, object.meta()),
        spec.volume_name,
        capacity.unwrap_or_default(),
        if bound {
            access_modes(&status.access_modes)
        } else {
            String::new()
        },
        spec.storage_class_name.unwrap_or_default(),
        or(&spec.volume_attributes_class_name.unwrap_or_default(), UNSET),
        age(object.meta().creation_timestamp.as_ref(), now),
        or(&spec.volume_mode.unwrap_or_default(), UNSET),
    ]
}

fn phase(phase: &str, meta: &proto::meta::v1::ObjectMeta) -> String {
    if meta.deletion_timestamp.is_some() {
        "Terminating"
    } else {
        phase
    }
    .to_owned()
}

pub(super) const CLASSES: &[Column] = &[
    NAME,
    Column::text("Provisioner", "Who makes the volumes."),
    Column::text("ReclaimPolicy", "What becomes of a volume when its claim goes."),
    Column::text("VolumeBindingMode", "When claims are bound."),
    Column::boolean("AllowVolumeExpansion", "Whether volumes may grow."),
    AGE,
];

/// The annotation of the class that claims get when they name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn class(object: &StorageClass, now: Timestamp) -> Vec<Cell> {
    let default = object
        .meta()
        .annotations
        .get(DEFAULT_CLASS)
        .is_some_and(|value| value == "true");
    row![
        format!("{}{}", object.name(), if default { " (default)" } else { "" }),
        object.provisioner.clone(),
        object.reclaim_policy.clone().unwrap_or_else(|| "Delete".into()),
        object
            .volume_binding_mode
            .clone()
            .unwrap_or_else(|| "Immediate".into()),
        object.allow_volume_expansion.unwrap_or(false),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}
