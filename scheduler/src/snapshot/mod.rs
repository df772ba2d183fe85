//! [`Snapshot`]: the cluster as decisions see it: nodes, and what the Pods on them take.
//!
//! In: changes of nodes and Pods from the stream, and the scheduler's own decisions, which are *assumed* at once and
//! confirmed by the stream later. Out: [`Node`]s by [`Slot`], and which of them changed. Nothing is ever rebuilt for a Pod.
//!
//! Invariant: every node's sums are those of the Pods that are placed on it, each counted once. So a node whose sums fit
//! its allocatable is never overcommitted by a binding that is on its way.

mod changes;
mod groups;
mod node;
mod objects;
mod placed;
mod ports;
mod topology;
mod volumes;

pub use apimachinery::resources::Resources;
pub use changes::Seen;
pub use groups::{GROUP_LABEL, GroupKey, group_of};
pub use node::{Node, Nominated};
pub use objects::{Kept, Objects};
pub use placed::{PlacedPod, Placement, PodId};
pub use ports::{HostPort, UsedPorts};
pub use topology::{
    Carried, Domain, Interest, Matcher, NOWHERE, Places, Role, SpreadDefaults, SpreadInterest, Tally,
    TallyId, Topology,
};
pub use volumes::{Chosen, ClaimKey, Handle, UNLIMITED, Volumes, claims_of, handle};

use crate::framework::{ClusterEvent, EventSet};
use crate::pod::{PodInfo, PodTemplate};
use changes::Changes;
use client::ObjectKey;
use placed::PlacedPods;
use prost::DecodeError;
use proto::api::core::v1 as core;
use proto::api::policy::v1::PodDisruptionBudget;
use proto::api::storage::v1::CsiNode;
use proto::{Kind, Object};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where a node stands. Stays the same while the node is there; may then become another's.
pub type Slot = u32;

/// The nodes, and the Pods on them.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Node>,
    /// Slots whose node is gone.
    free: Vec<Slot>,
    by_name: HashMap<Arc<str>, Slot>,
    pods: PlacedPods,
    /// Which node room is being made on, by the UID of the Pod that it is for.
    nominations: HashMap<Arc<str>, Slot>,
    /// How many nodes hold an image.
    image_nodes: HashMap<Arc<str>, u32>,
    changes: Changes,
    present: usize,
    soft_taints: usize,
    hard_taints: usize,
    objects: Objects,
    budgets_version: u64,
    topology: Topology,
    groups: groups::Groups,
    volumes: Volumes,
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

    /// Where the node of a name stands, if it is present.
    pub fn slot_named(&self, name: &str) -> Option<Slot> {
        let slot = *self.by_name.get(name)?;
        self.node(slot).present.then_some(slot)
    }

    /// How many taints keep Pods away, on all nodes together.
    pub fn hard_taints(&self) -> usize {
        self.hard_taints
    }

    /// A Pod that has a node.
    pub fn pod(&self, key: &ObjectKey) -> Option<&PlacedPod> {
        self.pods.get(self.pods.id(key)?)
    }

    /// The Pods on a node.
    pub fn pods_on(&self, slot: Slot) -> impl Iterator<Item = &PlacedPod> + '_ {
        let placed = self.node(slot).placed.iter();
        placed.filter_map(|id| self.pods.get(*id))
    }

    /// Every Pod that has a node.
    pub fn placed_pods(&self) -> impl Iterator<Item = &PlacedPod> + '_ {
        self.pods.iter()
    }

    /// What else of the cluster decisions look at.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Which Pods are where.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Who uses which volumes.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Volumes are chosen for a Pod whose node is decided. They are kept for it until the API shows its binding.
    pub fn choose_volumes(&mut self, pod: &ObjectKey, chosen: Chosen) {
        self.volumes.choose(pod, chosen);
    }

    /// A Pod has no need of the volumes that were chosen for it.
    pub fn give_volumes_back(&mut self, pod: &ObjectKey) {
        self.volumes.give_back(pod);
    }

    /// Another object is new, or has changed, or is gone. Tells what that may help.
    ///
    /// # Errors
    /// The object does not decode; what was known of it stays.
    pub fn set_object(&mut self, key: &ObjectKey, object: Option<&Object>) -> Result<EventSet, DecodeError> {
        let changed = self.objects.set(key, object)?;
        self.budgets_version += u64::from(key.is::<PodDisruptionBudget>());
        if changed.namespaces {
            self.topology.namespaces_changed();
        }
        if changed.owners {
            self.topology.owners_changed();
        }
        self.volumes.changed(key, &self.objects);
        if key.is::<CsiNode>()
            && let Some(slot) = self.by_name.get(&key.name)
        {
            self.volumes.seat(*slot, &key.name);
        }
        Ok(changed.events)
    }

    /// A Pod is there, with a node or without. Says whether a group has a new member, or one less.
    pub fn joins(&mut self, pod: &PodInfo) -> bool {
        self.groups.joins(&pod.key, group_of(&pod.template))
    }

    /// A Pod is gone, or has run to its end. Says whether a group has one member less.
    pub fn leaves(&mut self, pod: &ObjectKey) -> bool {
        self.groups.leaves(pod)
    }

    /// The Pods of a group that are there.
    pub fn members(&self, group: &GroupKey) -> impl Iterator<Item = &ObjectKey> {
        self.groups.members(group)
    }

    /// Changes with the PodDisruptionBudgets.
    pub fn budgets_version(&self) -> u64 {
        self.budgets_version
    }

    /// Works out what of the other Pods concerns those of a template. To be called before one of them is judged.
    pub fn know(&mut self, template: &Arc<PodTemplate>, defaults: &SpreadDefaults) {
        let pods = &self.pods;
        self.topology
            .know(template, defaults, &self.objects, &self.nodes, || pods.iter());
    }

    /// How many nodes hold an image.
    pub fn image_nodes(&self, image: &str) -> u32 {
        self.image_nodes.get(image).copied().unwrap_or(0)
    }

    /// Where room is being made for a Pod.
    pub fn nomination(&self, uid: &str) -> Option<Slot> {
        self.nominations.get(uid).copied()
    }

    /// Whether room is being made for nobody.
    pub fn promises_nothing(&self) -> bool {
        self.nominations.is_empty()
    }

    /// The nodes that are promised to other Pods of this one's priority or higher.
    pub fn promised_to_others(&self, pod: &PodInfo) -> Vec<Slot> {
        let counts = |slot: &Slot| {
            let mut promised = self.node(*slot).nominated.iter();
            promised.any(|other| other.counts_for(pod.priority(), &pod.uid))
        };
        let mut slots: Vec<Slot> = self.nominations.values().copied().filter(counts).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Places the Pods that a node is promised to, of this one's priority or higher, as if they were there already. Gives who they are, for
    /// [`Snapshot::remove_pod`].
    pub fn keep_promises(&mut self, slot: Slot, pod: &PodInfo) -> Vec<ObjectKey> {
        let node = self.node(slot).name.clone();
        let promised = self.node(slot).nominated.clone().into_iter();
        let counted = promised
            .filter(|other| other.counts_for(pod.priority(), &pod.uid) && self.pods.id(&other.key).is_none());
        let placed: Vec<PlacedPod> = counted
            .map(|other| PlacedPod {
                key: other.key,
                uid: other.uid,
                revision: 0,
                slot,
                placement: Placement::Assumed,
                started: 0,
                deleting: false,
                template: other.template,
            })
            .collect();
        let keys = placed.iter().map(|pod| pod.key.clone()).collect();
        for pod in placed {
            self.put_back(pod, &node);
        }
        keys
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
        self.hard_taints -= held.hard_taints();
        let was_present = held.present;
        let images = held.images.clone();
        let (events, has_changed) = held.update(node);
        self.soft_taints += held.soft_taints();
        self.hard_taints += held.hard_taints();
        self.present += usize::from(!was_present);
        let held = held.images.clone();
        if !Arc::ptr_eq(&images, &held) {
            self.count_images(&images, false);
            self.count_images(&held, true);
        }
        if has_changed {
            self.changes.note(slot);
        }
        if events.intersects(EventSet::of(&[ClusterEvent::NodeAdded, ClusterEvent::NodeLabels])) {
            self.relabel(slot);
        }
        events
    }

    fn relabel(&mut self, slot: Slot) {
        let node = &self.nodes[slot as usize];
        let pods = node.placed.iter().filter_map(|id| self.pods.get(*id));
        let pods: Vec<_> = pods.map(|pod| (pod.template.id, pod.deleting)).collect();
        let labels = node.labels.clone();
        let labels = node.present.then_some(&*labels);
        self.topology.relabel(slot, labels, &pods);
    }

    fn count_images(&mut self, images: &BTreeMap<Arc<str>, i64>, held: bool) {
        for image in images.keys() {
            if held {
                *self.image_nodes.entry(image.clone()).or_default() += 1;
            } else if let Some(count) = self.image_nodes.get_mut(image) {
                *count -= 1;
                if *count == 0 {
                    self.image_nodes.remove(image);
                }
            }
        }
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
            self.hard_taints -= node.hard_taints();
            let images = node.images.clone();
            node.leave();
            self.count_images(&images, false);
            self.relabel(slot);
            self.changes.note(slot);
        }
        self.release(slot);
    }

    /// A Pod has a node. When it was placed before, it is moved. Room that was being made for it is no longer.
    pub fn place(&mut self, pod: &PodInfo, node: &str, placement: Placement) {
        self.nominate(pod, None);
        if placement == Placement::Bound {
            self.volumes.give_back(&pod.key);
        }
        let slot = self.slot_of(node);
        if let Some(placed) = self.pods.id(&pod.key).and_then(|id| self.pods.get_mut(id)) {
            let same = placed.slot == slot
                && placed.uid == pod.uid
                && Arc::ptr_eq(&placed.template, &pod.template)
                && placed.deleting == pod.deleting;
            if same {
                placed.placement = placement;
                placed.revision = placed.revision.max(pod.revision);
                placed.started = pod.started;
                return;
            }
            self.remove_pod(&pod.key);
        }
        let placed = PlacedPod {
            key: pod.key.clone(),
            uid: pod.uid.clone(),
            revision: pod.revision,
            slot,
            placement,
            started: pod.started,
            deleting: pod.deleting,
            template: pod.template.clone(),
        };
        self.put_back(placed, node);
    }

    /// A Pod that was removed is where it was after all.
    pub fn put_back(&mut self, mut pod: PlacedPod, node: &str) {
        // The slot may have been freed with the Pod.
        let slot = self.slot_of(node);
        pod.slot = slot;
        let held = &mut self.nodes[slot as usize];
        held.add_pod(pod.class());
        self.topology.add(&pod, &self.nodes, &self.objects);
        self.volumes
            .add(&pod.template, &pod.key.name, slot, &self.objects);
        let held = &mut self.nodes[slot as usize];
        let id = self.pods.insert(pod);
        held.placed.push(id);
        self.changes.note(slot);
    }

    /// A Pod is gone, has run to its end, or is not bound after all.
    pub fn remove_pod(&mut self, key: &ObjectKey) -> Option<PlacedPod> {
        let (id, placed) = self.pods.remove(key)?;
        let node = &mut self.nodes[placed.slot as usize];
        node.remove_pod(placed.class());
        self.topology.remove(&placed);
        self.volumes
            .remove(&placed.template, &placed.key.name, placed.slot);
        if let Some(place) = node.placed.iter().position(|held| *held == id) {
            node.placed.swap_remove(place);
        }
        self.changes.note(placed.slot);
        self.release(placed.slot);
        Some(placed)
    }

    /// Room is being made for a Pod on a node, or is no longer.
    pub fn nominate(&mut self, pod: &PodInfo, node: Option<&str>) {
        if let Some(slot) = self.nominations.remove(&pod.uid) {
            self.nodes[slot as usize]
                .nominated
                .retain(|held| held.uid != pod.uid);
            self.changes.note(slot);
            self.release(slot);
        }
        let Some(node) = node else { return };
        let slot = self.slot_of(node);
        self.nominations.insert(pod.uid.clone(), slot);
        self.nodes[slot as usize].nominated.push(Nominated {
            key: pod.key.clone(),
            uid: pod.uid.clone(),
            template: pod.template.clone(),
        });
        self.changes.note(slot);
    }

    fn slot_of(&mut self, name: &str) -> Slot {
        if let Some(&slot) = self.by_name.get(name) {
            return slot;
        }
        let name: Arc<str> = name.into();
        let mut node = Node::named(name.clone());
        let slot = if let Some(slot) = self.free.pop() {
            node.slot = slot;
            self.nodes[slot as usize] = node;
            slot
        } else {
            node.slot = self.nodes.len() as Slot;
            self.nodes.push(node);
            self.topology.grow(self.nodes.len());
            (self.nodes.len() - 1) as Slot
        };
        self.volumes.seat(slot, &name);
        self.by_name.insert(name, slot);
        slot
    }

    /// Frees a slot that nothing is known of any more.
    fn release(&mut self, slot: Slot) {
        let node = &self.nodes[slot as usize];
        if !node.present && node.pods == 0 && node.nominated.is_empty() {
            self.by_name.remove(&node.name);
            self.free.push(slot);
            self.volumes.seat(slot, "");
        }
    }
}

#[cfg(test)]
mod tests;
