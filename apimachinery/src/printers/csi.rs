//! Storage drivers, their nodes and room, and what they attach where.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{age, or_none, quantity};
use jiff::Timestamp;
use proto::Kind;
use proto::api::storage::v1::{CsiDriver, CsiNode, CsiStorageCapacity, VolumeAttachment};

pub(super) const DRIVERS: &[Column] = &[
    NAME,
    Column::boolean(
        "AttachRequired",
        "Whether volumes are attached before they are mounted.",
    ),
    Column::boolean("PodInfoOnMount", "Whether the driver is told about the pod."),
    Column::boolean("StorageCapacity", "Whether the scheduler looks at its room."),
    Column::text("TokenRequests", "Whom the tokens that it gets are meant for."),
    Column::boolean("RequiresRepublish", "Whether it is asked to mount again."),
    Column::text("Modes", "Kinds of volumes that it serves."),
    AGE,
];

pub(super) fn driver(object: &CsiDriver, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let audiences: Vec<&str> = spec.token_requests.iter().map(|t| t.audience.as_str()).collect();
    // Upstream's word for none, which is not the `<none>` of other columns.
    let tokens = match audiences.join(",") {
        none if audiences.is_empty() => none + "<unset>",
        names => names,
    };
    row![
        object.name(),
        spec.attach_required.unwrap_or(true),
        spec.pod_info_on_mount.unwrap_or(false),
        spec.storage_capacity.unwrap_or(false),
        tokens,
        spec.requires_republish.unwrap_or(false),
        or_none(&spec.volume_lifecycle_modes.join(",")),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const CSI_NODES: &[Column] = &[NAME, Column::integer("Drivers", "How many drivers it has."), AGE];

pub(super) fn csi_node(object: &CsiNode, now: Timestamp) -> Vec<Cell> {
    let drivers = object.spec.as_ref().map_or(0, |spec| spec.drivers.len());
    row![
        object.name(),
        drivers,
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const CAPACITIES: &[Column] = &[
    NAME,
    Column::text("StorageClassName", "The class of the volumes."),
    Column::text("Capacity", "How much room there is."),
    AGE,
];

pub(super) fn storage_capacity(object: &CsiStorageCapacity, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.storage_class_name.clone(),
        object.capacity.as_ref().map(quantity).unwrap_or_default(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const ATTACHMENTS: &[Column] = &[
    NAME,
    Column::text("Attacher", "The driver that attaches."),
    Column::text("PV", "The volume."),
    Column::text("Node", "The node."),
    Column::boolean("Attached", "Whether the volume is there."),
    AGE,
];

pub(super) fn attachment(object: &VolumeAttachment, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let volume = spec.source.and_then(|source| source.persistent_volume_name);
    row![
        object.name(),
        spec.attacher,
        volume.unwrap_or_default(),
        spec.node_name,
        object.status.as_ref().is_some_and(|status| status.attached),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}
