//! [`Snapshot`]: the cluster as decisions see it: nodes, and what the Pods on them take.
//!
//! In: changes of nodes and Pods from the stream, and the scheduler's own decisions, which are *assumed* at once and
//! confirmed by the stream later. Out: [`Node`]s by [`Slot`], and which of them changed. Nothing is ever rebuilt for a Pod.
//!
//! Invariant: every node's sums are those of the Pods that are placed on it, each counted once. So a node whose sums fit
//! its allocatable is never overcommitted by a binding that is on its way.

mod changes;
mod node;
mod ports;
mod resources;

pub use changes::Seen;
pub use node::Node;
pub use ports::{HostPort, UsedPorts};
pub use resources::Resources;

use crate::framework::EventSet;
use crate::pod::{PodClass, PodInfo};
use changes::Changes;
use client::ObjectKey;
use proto::Kind;
use proto::api::core::v1 as core;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a node stands. Stays the same while the node is there; may then become another's.
pub type Slot = u32;

/// Who says that a Pod is on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// This scheduler has decided so; the binding is on its way.
    Assumed,
    /// The API shows it.
    Bound,
}

/// A Pod that has a node.
#[derive(Clone, Debug)]
pub struct PlacedPod {
    /// Tells it from another Pod of its name.
    pub uid: Arc<str>,
    /// The revision of the Pod's last write that is known.
    pub revision: i64,
    /// Where its node stands.
    pub slot: Slot,
    /// Who says so.
    pub placement: Placement,
    /// What it takes.
    pub class: Arc<PodClass>,
}

/// The nodes, and the Pods on them.
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Node>,
    /// Slots whose node is gone.
    free: Vec<Slot>,
    by_name: HashMap<Arc<str>, Slot>,
    pods: HashMap<ObjectKey, PlacedPod>,
    changes: Changes,
    present: usize,
    soft_taints: usize,
}

impl Snapshot {
    /// An empty cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every slot's node in the order of slots, also those that are not present.
    pub fn slots(&self) -> &[Node] {
        &self.nodes
    }

    /// The node in a slot.
    pub fn node(&self, slot: Slot) -> &Node {
        &self.nodes[slot as usize]
    }

    /// The node of a name, if it is present.
    pub fn node_named(&self, name: &str) -> Option<&Node> {
        let node = self.node(*self.by_name.get(name)?);
        node.present.then_some(node)
    }

    /// How many nodes are present.
    pub fn node_count(&self) -> usize {
        self.present
    }

    /// How many taints only ask Pods to go elsewhere, on all nodes together.
    pub fn soft_taints(&self) -> usize {
        self.soft_taints
    }

    /// A Pod that has a node.
    pub fn pod(&self, key: &ObjectKey) -> Option<&PlacedPod> {
        self.pods.get(key)
    }

    /// How many Pods have a node.
    pub fn pod_count(&self) -> usize {
        self.pods.len()
    }

    /// Up to where the changes are told.
    pub fn seen(&self) -> Seen {
        self.changes.now()
    }

    /// The nodes that changed since, some perhaps more than once; `None` when it may be any.
    pub fn changed_since(&self, seen: Seen) -> Option<impl Iterator<Item = Slot> + '_> {
        self.changes.since(seen)
    }

    /// A node is new or has changed. Tells in what; heartbeats and the like change nothing.
    pub fn set_node(&mut self, node: &core::Node) -> EventSet {
        let slot = self.slot_of(node.name());
        let held = &mut self.nodes[slot as usize];
        self.soft_taints -= held.soft_taints();
        let was_present = held.present;
        let events = held.update(node);
        self.soft_taints += held.soft_taints();
        self.present += usize::from(!was_present);
        if !events.is_empty() {
            self.changes.note(slot);
        }
        events
    }

    /// A node is gone.
    pub fn remove_node(&mut self, name: &str) {
        let Some(&slot) = self.by_name.get(name) else {
            return;
        };
        let node = &mut self.nodes[slot as usize];
        if node.present {
            self.present -= 1;
            self.soft_taints -= node.soft_taints();
            node.leave();
            self.changes.note(slot);
        }
        self.release(slot);
    }

    /// A Pod has a node. When it was placed before, it is moved.
    pub fn place(&mut self, pod: &PodInfo, node: &str, placement: Placement) {
        let slot = self.slot_of(node);
        if let Some(placed) = self.pods.get_mut(&pod.key) {
            let same = placed.slot == slot && placed.uid == pod.uid && placed.class == pod.class;
            if same {
                placed.placement = placement;
                placed.revision = placed.revision.max(pod.revision);
                return;
            }
            self.remove_pod(&pod.key);
        }
        let placed = PlacedPod {
            uid: pod.uid.clone(),
            revision: pod.revision,
            slot,
            placement,
            class: pod.class.clone(),
        };
        self.put_back(pod.key.clone(), placed, node);
    }

    /// A Pod that was removed is where it was after all.
    pub fn put_back(&mut self, key: ObjectKey, mut pod: PlacedPod, node: &str) {
        // The slot may have been freed with the Pod.
        pod.slot = self.slot_of(node);
        self.nodes[pod.slot as usize].add_pod(&pod.class);
        self.changes.note(pod.slot);
        self.pods.insert(key, pod);
    }

    /// A Pod is gone, has run to its end, or is not bound after all.
    pub fn remove_pod(&mut self, key: &ObjectKey) -> Option<PlacedPod> {
        let placed = self.pods.remove(key)?;
        self.nodes[placed.slot as usize].remove_pod(&placed.class);
        self.changes.note(placed.slot);
        self.release(placed.slot);
        Some(placed)
    }

    fn slot_of(&mut self, name: &str) -> Slot {
        if let Some(&slot) = self.by_name.get(name) {
            return slot;
        }
        let name: Arc<str> = name.into();
        let node = Node::named(name.clone());
        let slot = if let Some(slot) = self.free.pop() {
            self.nodes[slot as usize] = node;
            slot
        } else {
            self.nodes.push(node);
            (self.nodes.len() - 1) as Slot
        };
        self.by_name.insert(name, slot);
        slot
    }

    /// Frees a slot that nothing is known of any more.
    fn release(&mut self, slot: Slot) {
        let node = &self.nodes[slot as usize];
        if !node.present && node.pods == 0 {
            self.by_name.remove(&node.name);
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests;
