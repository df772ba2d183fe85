//! The one list of plugins, in the order in which they are asked, with their weights.
//!
//! A node is asked for no more opinions once a plugin refuses it, so those that refuse many nodes for little work stand
//! first. Weights are upstream's defaults. <https://kubernetes.io/docs/reference/scheduling/config/#profiles>

use crate::framework::{AnyFilter, AnyScore, Bind, EventSet, PostFilter, Reserve};
use crate::plugins::balanced_allocation::BalancedAllocation;
use crate::plugins::default_binder::DefaultBinder;
use crate::plugins::node_affinity::NodeAffinity;
use crate::plugins::node_name::NodeName;
use crate::plugins::node_ports::NodePorts;
use crate::plugins::node_resources_fit::NodeResourcesFit;
use crate::plugins::node_unschedulable::NodeUnschedulable;
use crate::plugins::taint_toleration::TaintToleration;

/// The plugins at each extension point.
pub struct Plugins {
    /// PreFilter and Filter.
    pub filters: Vec<Box<dyn AnyFilter>>,
    /// PreScore and Score.
    pub scores: Vec<Weighted>,
    /// PostFilter.
    pub post_filters: Vec<Box<dyn PostFilter>>,
    /// Reserve.
    pub reserves: Vec<Box<dyn Reserve>>,
    /// Bind: the first that knows how.
    pub binds: Vec<Box<dyn Bind>>,
}

/// A scoring plugin, and how much it counts.
pub struct Weighted {
    /// The plugin.
    pub plugin: Box<dyn AnyScore>,
    /// What its scores are multiplied by.
    pub weight: i64,
}

/// A set of filter plugins, by their place in [`Plugins::filters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginSet(u32);

impl PluginSet {
    /// Adds the plugin in a place.
    pub fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// Whether the plugin in a place is in it.
    pub fn contains(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Whether no plugin is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Plugins {
    /// All plugins, as upstream enables them by default.
    pub fn all() -> Self {
        let weighted = |plugin: Box<dyn AnyScore>, weight| Weighted { plugin, weight };
        Self {
            filters: vec![
                Box::new(NodeUnschedulable),
                Box::new(NodeName),
                Box::new(TaintToleration),
                Box::new(NodeAffinity),
                Box::new(NodePorts),
                Box::new(NodeResourcesFit),
            ],
            scores: vec![
                weighted(Box::new(TaintToleration), 3),
                weighted(Box::new(NodeAffinity), 2),
                weighted(Box::new(NodeResourcesFit), 1),
                weighted(Box::new(BalancedAllocation), 1),
            ],
            post_filters: vec![],
            reserves: vec![],
            binds: vec![Box::new(DefaultBinder)],
        }
    }

    /// The changes that can help a Pod which these plugins rejected. A Pod that no plugin rejected may be helped by any.
    pub fn requeue_on(&self, rejected_by: PluginSet) -> EventSet {
        if rejected_by.is_empty() {
            return EventSet::all();
        }
        let rejecting = (0..)
            .zip(&self.filters)
            .filter(|(place, _)| rejected_by.contains(*place));
        rejecting.fold(EventSet::NONE, |set, (_, plugin)| set.union(plugin.requeue_on()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::ClusterEvent;

    #[test]
    fn an_event_helps_pods_whose_rejecting_plugins_ask_for_it() {
        let plugins = Plugins::all();
        let by = |name: &str| {
            let mut set = PluginSet::default();
            set.insert(
                plugins
                    .filters
                    .iter()
                    .position(|plugin| plugin.name() == name)
                    .unwrap(),
            );
            set
        };
        for (name, event, helps) in [
            ("NodeResourcesFit", ClusterEvent::AssignedPodDeleted, true),
            ("NodeResourcesFit", ClusterEvent::NodeLabels, false),
            ("TaintToleration", ClusterEvent::NodeTaints, true),
            ("TaintToleration", ClusterEvent::AssignedPodDeleted, false),
            ("NodeAffinity", ClusterEvent::NodeLabels, true),
            ("NodePorts", ClusterEvent::AssignedPodDeleted, true),
            ("NodeUnschedulable", ClusterEvent::NodeTaints, true),
        ] {
            assert_eq!(
                plugins.requeue_on(by(name)).intersects(event.into()),
                helps,
                "{name} {event:?}"
            );
        }
        for event in ClusterEvent::ALL {
            assert!(plugins.requeue_on(PluginSet::default()).intersects(event.into()));
        }
    }

    #[test]
    fn every_plugin_wakes_its_pods_for_a_new_node() {
        for plugin in Plugins::all().filters {
            assert!(
                plugin.requeue_on().intersects(ClusterEvent::NodeAdded.into()),
                "{}",
                plugin.name()
            );
        }
    }
}
