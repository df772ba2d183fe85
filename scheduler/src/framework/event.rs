//! [`ClusterEvent`] and [`Change`]: what can happen that helps a Pod which no node would take.

use crate::snapshot::{Node, PlacedPod};
use client::ObjectKey;

/// A change of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClusterEvent {
    /// A node is new.
    NodeAdded,
    /// A node has more or other resources to give.
    NodeAllocatable,
    /// A node's labels changed.
    NodeLabels,
    /// A node's taints changed, or it was cordoned or uncordoned.
    NodeTaints,
    /// A Pod has got a node.
    AssignedPodAdded,
    /// A Pod that has a node has other labels, or asks for something else.
    AssignedPodUpdated,
    /// A Pod that had a node is gone, or has run to its end.
    AssignedPodDeleted,
    /// A PersistentVolumeClaim is new or has changed.
    PersistentVolumeClaim,
    /// A PersistentVolume is new or has changed.
    PersistentVolume,
    /// A StorageClass is new or has changed.
    StorageClass,
    /// A CSINode, CSIDriver or CSIStorageCapacity is new or has changed.
    CsiStorage,
    /// A Namespace is new or has other labels.
    NamespaceLabels,
    /// A PodGroup, or which Pods are in one, has changed.
    PodGroup,
}

impl ClusterEvent {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NodeAdded,
        Self::NodeAllocatable,
        Self::NodeLabels,
        Self::NodeTaints,
        Self::AssignedPodAdded,
        Self::AssignedPodUpdated,
        Self::AssignedPodDeleted,
        Self::PersistentVolumeClaim,
        Self::PersistentVolume,
        Self::StorageClass,
        Self::CsiStorage,
        Self::NamespaceLabels,
        Self::PodGroup,
    ];
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u16);

impl EventSet {
    /// No event.
    pub const NONE: Self = Self(0);

    /// These events.
    pub const fn of(events: &[ClusterEvent]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < events.len() {
            bits |= 1 << events[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// Every event.
    pub const fn all() -> Self {
        Self::of(&ClusterEvent::ALL)
    }

    /// Adds an event.
    pub fn insert(&mut self, event: ClusterEvent) {
        self.0 |= 1 << event as u16;
    }

    /// The events in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any event is in both.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no event is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl From<ClusterEvent> for EventSet {
    fn from(event: ClusterEvent) -> Self {
        Self::of(&[event])
    }
}

/// What has happened, and to what: plugins look whether it helps a Pod.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What kinds of change it is.
    pub events: EventSet,
    /// What it has happened to.
    pub what: Changed<'a>,
}

/// What a change has happened to.
#[derive(Clone, Copy, Debug)]
pub enum Changed<'a> {
    /// A node, as it is now.
    Node(&'a Node),
    /// A Pod that has a node now, or has changed on it, and the node.
    Placed(&'a PlacedPod, &'a Node),
    /// A Pod that has left its node, as it was there; and the node, without it.
    Left(&'a PlacedPod, &'a Node),
    /// Another object, which is so now or is gone.
    Object(&'a ObjectKey),
    /// Something else.
    Other,
}

impl<'a> Change<'a> {
    /// A change.
    pub fn new(events: impl Into<EventSet>, what: Changed<'a>) -> Self {
        Self {
            events: events.into(),
            what,
        }
    }
}
