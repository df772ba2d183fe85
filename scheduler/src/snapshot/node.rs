//! [`Node`]: what a node gives, and what of it is taken.

use super::{PodId, Resources, Slot, UsedPorts};
use crate::framework::{ClusterEvent, EventSet};
use crate::pod::{PodClass, PodTemplate};
use apimachinery::resources::Allocatable;
use apimachinery::well_known::PREFER_NO_SCHEDULE;
use client::ObjectKey;
use proto::Kind;
use proto::api::core::v1::{self as core, Taint};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Pod that room is being made for on a node.
#[derive(Clone, Debug)]
pub struct Nominated {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Who it is.
    pub uid: Arc<str>,
    /// What it was made from.
    pub template: Arc<PodTemplate>,
}

impl PartialEq for Nominated {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid && self.template.id == other.template.id
    }
}

impl Nominated {
    /// Whether what it is promised is taken for a Pod of that priority, which is not it itself.
    pub fn counts_for(&self, priority: i32, uid: &str) -> bool {
        self.class().priority >= priority && *self.uid != *uid
    }

    /// What it asks for.
    pub fn class(&self) -> &Arc<PodClass> {
        &self.template.class
    }
}

/// A node as the plugins see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The node's name.
    pub name: Arc<str>,
    /// Where it stands.
    pub slot: Slot,
    /// False when only Pods are known that are bound to it: they may be seen before it, and after it is gone.
    pub present: bool,
    /// `metadata.labels`.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`: it is cordoned.
    pub unschedulable: bool,
    /// `status.allocatable`.
    pub allocatable: Resources,
    /// How many Pods it may hold.
    pub max_pods: i64,
    /// What its Pods ask for together.
    pub requested: Resources,
    /// What its Pods count for where nodes are scored: [`PodClass::scored`] together.
    pub scored: [i64; 2],
    /// How many Pods it holds.
    pub pods: i64,
    /// The ports that its Pods use.
    pub ports: UsedPorts,
    /// Its Pods.
    pub placed: Vec<PodId>,
    /// The Pods that room is being made for.
    pub nominated: Vec<Nominated>,
    /// The images that it holds, by every name that they have, with their size in bytes.
    pub images: Arc<BTreeMap<Arc<str>, i64>>,
}

impl Node {
    pub(super) fn named(name: Arc<str>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Takes in what the API says of the node; tells what changed that may help a Pod, and whether anything did.
    pub(super) fn update(&mut self, node: &core::Node) -> (EventSet, bool) {
        let none = BTreeMap::new();
        let list = node.status.as_ref().map_or(&none, |s| &s.allocatable);
        let Allocatable {
            resources: allocatable,
            pods: max_pods,
        } = Allocatable::of(list);
        let spec = node.spec.as_ref();
        let taints = spec.map(|s| s.taints.as_slice()).unwrap_or_default();
        let unschedulable = spec.is_some_and(|s| s.unschedulable);
        let mut events = EventSet::NONE;
        if !std::mem::replace(&mut self.present, true) {
            events.insert(ClusterEvent::NodeAdded);
        }
        if self.allocatable != allocatable || self.max_pods != max_pods {
            events.insert(ClusterEvent::NodeAllocatable);
        }
        if *self.labels != node.meta().labels {
            events.insert(ClusterEvent::NodeLabels);
            self.labels = Arc::new(node.meta().labels.clone());
        }
        if self.taints != taints || self.unschedulable != unschedulable {
            events.insert(ClusterEvent::NodeTaints);
            self.taints = taints.to_vec();
        }
        self.allocatable = allocatable;
        self.max_pods = max_pods;
        self.unschedulable = unschedulable;
        let held = node.status.as_ref().map_or(&[][..], |status| &status.images);
        let count: usize = held.iter().map(|image| image.names.len()).sum();
        let same = count == self.images.len()
            && held.iter().all(|image| {
                let mut names = image.names.iter();
                names.all(|name| self.images.get(name.as_str()) == Some(&image.size_bytes))
            });
        if !same {
            let names = held.iter().flat_map(|image| {
                let names = image.names.iter();
                names.map(|name| (name.as_str().into(), image.size_bytes))
            });
            self.images = Arc::new(names.collect());
        }
        let has_changed = !events.is_empty() || !same;
        (events, has_changed)
    }

    /// Forgets what the API said of the node; what its Pods take stays.
    pub(super) fn leave(&mut self) {
        *self = Self {
            requested: std::mem::take(&mut self.requested),
            scored: self.scored,
            pods: self.pods,
            ports: std::mem::take(&mut self.ports),
            placed: std::mem::take(&mut self.placed),
            nominated: std::mem::take(&mut self.nominated),
            slot: self.slot,
            ..Self::named(self.name.clone())
        };
    }

    /// Counts a Pod in. On a copy of a node, for a dry run, as well as on the snapshot's own.
    pub fn add_pod(&mut self, pod: &PodClass) {
        self.requested.add(&pod.requests);
        self.scored[0] += pod.scored[0];
        self.scored[1] += pod.scored[1];
        self.pods += 1;
        self.ports.take(&pod.ports);
    }

    /// Counts a Pod out that was counted in.
    pub fn remove_pod(&mut self, pod: &PodClass) {
        self.requested.subtract(&pod.requests);
        self.scored[0] -= pod.scored[0];
        self.scored[1] -= pod.scored[1];
        self.pods -= 1;
        self.ports.give_back(&pod.ports);
    }

    pub(super) fn hard_taints(&self) -> usize {
        self.taints.len() - self.soft_taints()
    }

    pub(super) fn soft_taints(&self) -> usize {
        self.taints
            .iter()
            .filter(|t| t.effect == PREFER_NO_SCHEDULE)
            .count()
    }
}
