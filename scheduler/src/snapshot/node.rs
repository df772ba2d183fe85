//! [`Node`]: what a node gives, and what of it is taken.

use super::resources::read_allocatable;
use super::{Resources, UsedPorts};
use crate::framework::{ClusterEvent, EventSet};
use crate::pod::PodClass;
use apimachinery::well_known::PREFER_NO_SCHEDULE;
use proto::Kind;
use proto::api::core::v1::{self as core, Taint};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node as the plugins see it. Which Pods are on it, nobody asks yet; only what they take together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The node's name.
    pub name: Arc<str>,
    /// False when only Pods are known that are bound to it: they may be seen before it, and after it is gone.
    pub present: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
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
}

impl Node {
    pub(super) fn named(name: Arc<str>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Takes in what the API says of the node; tells what changed.
    pub(super) fn update(&mut self, node: &core::Node) -> EventSet {
        let none = BTreeMap::new();
        let (allocatable, max_pods) =
            read_allocatable(node.status.as_ref().map_or(&none, |s| &s.allocatable));
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
        if self.labels != node.meta().labels {
            events.insert(ClusterEvent::NodeLabels);
            self.labels.clone_from(&node.meta().labels);
        }
        if self.taints != taints || self.unschedulable != unschedulable {
            events.insert(ClusterEvent::NodeTaints);
            self.taints = taints.to_vec();
        }
        self.allocatable = allocatable;
        self.max_pods = max_pods;
        self.unschedulable = unschedulable;
        events
    }

    /// Forgets what the API said of the node; what its Pods take stays.
    pub(super) fn leave(&mut self) {
        *self = Self {
            requested: std::mem::take(&mut self.requested),
            scored: self.scored,
            pods: self.pods,
            ports: std::mem::take(&mut self.ports),
            ..Self::named(self.name.clone())
        };
    }

    pub(super) fn add_pod(&mut self, pod: &PodClass) {
        self.requested.add(&pod.requests);
        self.scored[0] += pod.scored[0];
        self.scored[1] += pod.scored[1];
        self.pods += 1;
        self.ports.take(&pod.ports);
    }

    pub(super) fn remove_pod(&mut self, pod: &PodClass) {
        self.requested.subtract(&pod.requests);
        self.scored[0] -= pod.scored[0];
        self.scored[1] -= pod.scored[1];
        self.pods -= 1;
        self.ports.give_back(&pod.ports);
    }

    pub(super) fn soft_taints(&self) -> usize {
        self.taints
            .iter()
            .filter(|t| t.effect == PREFER_NO_SCHEDULE)
            .count()
    }
}
