//! [`Plugins`]: the plugins of a profile, in the order in which they are asked, with their weights.
//!
//! Which there are and what is on by default stands in [`crate::config`]. A node is asked for no more opinions once a plugin refuses it,
//! so those that refuse many nodes for little work stand first. <https://kubernetes.io/docs/reference/scheduling/config/#profiles>

use crate::extender::Extenders;
use crate::framework::{
    AnyFilter, AnyPodFilter, AnyPodScore, AnyScore, Bind, Change, Permit, PostFilter, Requeue, Reserve,
};
use crate::pod::PodTemplate;
use crate::snapshot::{Snapshot, SpreadDefaults};

/// The plugins at each extension point.
pub struct Plugins {
    /// PreFilter and Filter.
    pub filters: Vec<FilterPlugin>,
    /// PreScore and Score.
    pub scores: Vec<Weighted>,
    /// PostFilter.
    pub post_filters: Vec<Box<dyn PostFilter>>,
    /// Reserve.
    pub reserves: Vec<Box<dyn Reserve>>,
    /// Permit and PreBind.
    pub permits: Vec<Box<dyn Permit>>,
    /// How Pods are spread that say nothing about it.
    pub spreading: SpreadDefaults,
    /// Bind: the first that knows how.
    pub binds: Vec<Box<dyn Bind>>,
    /// Who else has a say.
    pub extenders: Extenders,
}

/// A filtering plugin, by what it looks at.
pub enum FilterPlugin {
    /// At what the Pod asks for, and the node.
    Class(Box<dyn AnyFilter>),
    /// At the Pod itself, and all of the cluster.
    Pod(Box<dyn AnyPodFilter>),
}

impl FilterPlugin {
    /// As Kubernetes names it.
    pub fn name(&self) -> &'static str {
        self.requeue().name()
    }

    /// When it helps to ask it again.
    pub fn requeue(&self) -> &dyn Requeue {
        match self {
            Self::Class(plugin) => plugin.as_ref(),
            Self::Pod(plugin) => plugin.as_ref(),
        }
    }
}

/// A scoring plugin, by what it looks at.
pub enum ScorePlugin {
    /// At what the Pod asks for, and the node.
    Class(Box<dyn AnyScore>),
    /// At the Pod itself, and all of the cluster.
    Pod(Box<dyn AnyPodScore>),
}

impl ScorePlugin {
    /// As Kubernetes names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Class(plugin) => plugin.name(),
            Self::Pod(plugin) => plugin.name(),
        }
    }
}

/// A scoring plugin, and how much it counts.
pub struct Weighted {
    /// The plugin.
    pub plugin: ScorePlugin,
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
        crate::config::default_plugins()
    }

    /// Whether a change can help a Pod which these plugins rejected. A Pod that no plugin rejected may be helped by any.
    pub fn helps(
        &self,
        rejected_by: PluginSet,
        pod: &PodTemplate,
        change: &Change<'_>,
        snapshot: &Snapshot,
    ) -> bool {
        let helps = |plugin: &FilterPlugin| {
            let plugin = plugin.requeue();
            plugin.requeue_on().intersects(change.events) && plugin.helps(pod, change, snapshot)
        };
        let rejecting = (0..)
            .zip(&self.filters)
            .filter(|(place, _)| rejected_by.contains(*place));
        rejected_by.is_empty() || { rejecting }.any(|(_, plugin)| helps(plugin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::{Changed, ClusterEvent};

    #[test]
    fn an_event_helps_pods_whose_rejecting_plugins_ask_for_it() {
        let plugins = Plugins::all();
        let snapshot = Snapshot::new();
        let helps = |name: &str, event: ClusterEvent| {
            let mut set = PluginSet::default();
            if let Some(place) = plugins.filters.iter().position(|plugin| plugin.name() == name) {
                set.insert(place);
            }
            let change = Change::new(event, Changed::Other);
            plugins.helps(set, &PodTemplate::default(), &change, &snapshot)
        };
        for (name, event, expected) in [
            ("NodeResourcesFit", ClusterEvent::AssignedPodDeleted, true),
            ("NodeResourcesFit", ClusterEvent::NodeLabels, false),
            ("TaintToleration", ClusterEvent::NodeTaints, true),
            ("TaintToleration", ClusterEvent::AssignedPodDeleted, false),
            ("NodeAffinity", ClusterEvent::NodeLabels, true),
            ("NodePorts", ClusterEvent::AssignedPodDeleted, true),
            ("NodeUnschedulable", ClusterEvent::NodeTaints, true),
        ] {
            assert_eq!(helps(name, event), expected, "{name} {event:?}");
        }
        for event in ClusterEvent::ALL {
            assert!(helps("none", event), "a pod that nobody rejected, {event:?}");
        }
    }

    #[test]
    fn every_plugin_wakes_its_pods_for_a_new_node() {
        // A group waits for Pods, not for nodes.
        let filters = Plugins::all().filters.into_iter();
        for plugin in filters.filter(|plugin| plugin.name() != "Coscheduling") {
            assert!(
                plugin
                    .requeue()
                    .requeue_on()
                    .intersects(ClusterEvent::NodeAdded.into()),
                "{}",
                plugin.name()
            );
        }
    }
}
