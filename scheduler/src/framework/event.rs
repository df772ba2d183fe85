//! [`ClusterEvent`]: what can happen that helps a Pod which no node would take.

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
    /// A Pod that had a node is gone, or has run to its end.
    AssignedPodDeleted,
}

impl ClusterEvent {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NodeAdded,
        Self::NodeAllocatable,
        Self::NodeLabels,
        Self::NodeTaints,
        Self::AssignedPodDeleted,
    ];
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u8);

impl EventSet {
    /// No event.
    pub const NONE: Self = Self(0);

    /// These events.
    pub const fn of(events: &[ClusterEvent]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < events.len() {
            bits |= 1 << events[i] as u8;
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
        self.0 |= 1 << event as u8;
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
