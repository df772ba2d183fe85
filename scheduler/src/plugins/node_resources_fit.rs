//! NodeResourcesFit: a node must have room for what a Pod requests.
//!
//! Filter, Score. A Pod that requests 500m CPU is refused by a node with 400m left: "Insufficient cpu". Nodes of which less
//! would be taken score higher (upstream's LeastAllocated), so that load spreads.
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-requests-are-scheduled>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, MAX_SCORE, Plugin, PreFilter, PreFiltered, PreScore,
    Rejection, Requeue, Score, Status,
};
use crate::plugins::scoring::{ResourceWeight, ShapePoint, shape, share};
use crate::pod::{PodClass, PodTemplate};
use crate::snapshot::{Node, Snapshot};
use std::borrow::Cow;

/// See the module; and upstream's NodeResourcesFitArgs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeResourcesFit {
    /// Extended resources that are not looked at.
    pub ignored_resources: Vec<String>,
    /// Extended resources that are not looked at, by what stands before the `/` in their names.
    pub ignored_resource_groups: Vec<String>,
    /// How nodes are scored.
    pub strategy: ScoringStrategy,
    /// By which resources.
    pub resources: Vec<ResourceWeight>,
}

/// Which nodes score higher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoringStrategy {
    /// Those of which less is taken: load spreads.
    LeastAllocated,
    /// Those of which more is taken: nodes fill up one after the other.
    MostAllocated,
    /// As a function of what share is taken says.
    RequestedToCapacityRatio(Vec<ShapePoint>),
}

impl Default for NodeResourcesFit {
    /// As upstream.
    fn default() -> Self {
        Self {
            ignored_resources: Vec::new(),
            ignored_resource_groups: Vec::new(),
            strategy: ScoringStrategy::LeastAllocated,
            resources: ResourceWeight::defaults(),
        }
    }
}

impl NodeResourcesFit {
    fn ignores(&self, resource: &str) -> bool {
        let group = resource.split_once('/').map_or("", |(group, _)| group);
        self.ignored_resources.iter().any(|name| name == resource)
            || self.ignored_resource_groups.iter().any(|name| name == group)
    }
}

/// What the Pod asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    pod: &'a PodClass,
    plugin: &'a NodeResourcesFit,
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }
}

impl Requeue for NodeResourcesFit {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeAllocatable,
            ClusterEvent::AssignedPodDeleted,
        ])
    }

    /// A node that has what the Pod asks for; a Pod that leaves and had some of it.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        let asked = &pod.class.requests;
        match change.what {
            Changed::Node(node) => {
                let has = &node.allocatable;
                let mut extended = asked.extended.iter();
                asked.cpu <= has.cpu
                    && asked.memory <= has.memory
                    && asked.ephemeral_storage <= has.ephemeral_storage
                    && extended.all(|(name, amount)| *amount <= has.extended(name) || self.ignores(name))
            }
            Changed::Left(left, node) => {
                let freed = &left.template.class.requests;
                let mut extended = asked.extended.keys();
                let was_full = node.pods + 1 >= node.max_pods;
                was_full
                    || asked.cpu.min(freed.cpu) > 0
                    || asked.memory.min(freed.memory) > 0
                    || asked.ephemeral_storage.min(freed.ephemeral_storage) > 0
                    || extended.any(|name| freed.extended(name) > 0)
            }
            Changed::Placed(..) | Changed::Object(_) | Changed::Other => true,
        }
    }
}

impl PreFilter for NodeResourcesFit {
    type State<'a> = Asked<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Asked<'a>> {
        PreFiltered::Filter(Asked { pod, plugin: self })
    }
}

impl Filter for Asked<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if self.fits(node) {
            Ok(())
        } else {
            Err(self.misfit(node))
        }
    }
}

impl Asked<'_> {
    /// The quick answer. A resource that is not asked for is not looked at: a node may be overcommitted already.
    fn fits(&self, node: &Node) -> bool {
        let (asked, has, taken) = (&self.pod.requests, &node.allocatable, &node.requested);
        let room = |asked: i64, has: i64, taken: i64| asked == 0 || asked <= has - taken;
        node.pods < node.max_pods
            && room(asked.cpu, has.cpu, taken.cpu)
            && room(asked.memory, has.memory, taken.memory)
            && room(
                asked.ephemeral_storage,
                has.ephemeral_storage,
                taken.ephemeral_storage,
            )
            && asked.extended.iter().all(|(name, &asked)| {
                room(asked, has.extended(name), taken.extended(name)) || self.plugin.ignores(name)
            })
    }

    /// Every resource that is short. What would not fit on the empty node either, no eviction helps.
    fn misfit(&self, node: &Node) -> Rejection {
        let (asked, has, taken) = (&self.pod.requests, &node.allocatable, &node.requested);
        let mut reasons: Vec<Cow<'static, str>> = Vec::new();
        let mut status = Status::Unschedulable;
        if node.pods >= node.max_pods {
            reasons.push("Too many pods".into());
        }
        let mut check = |reason: Cow<'static, str>, asked: i64, has: i64, taken: i64| {
            if asked > 0 && asked > has - taken {
                reasons.push(reason);
                if asked > has {
                    status = Status::UnschedulableAndUnresolvable;
                }
            }
        };
        check("Insufficient cpu".into(), asked.cpu, has.cpu, taken.cpu);
        check(
            "Insufficient memory".into(),
            asked.memory,
            has.memory,
            taken.memory,
        );
        check(
            "Insufficient ephemeral-storage".into(),
            asked.ephemeral_storage,
            has.ephemeral_storage,
            taken.ephemeral_storage,
        );
        let minded = asked
            .extended
            .iter()
            .filter(|(name, _)| !self.plugin.ignores(name));
        for (name, &amount) in minded {
            let reason = format!("Insufficient {name}").into();
            check(reason, amount, has.extended(name), taken.extended(name));
        }
        Rejection { status, reasons }
    }
}

impl PreScore for NodeResourcesFit {
    type State<'a> = Asked<'a>;

    fn pre_score<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> Option<Asked<'a>> {
        Some(Asked { pod, plugin: self })
    }
}

impl Score for Asked<'_> {
    /// The weighted mean over the resources that count.
    fn score(&self, node: &Node) -> i64 {
        let (mut sum, mut weights) = (0, 0);
        for resource in &self.plugin.resources {
            let Some((has, taken)) = share(&resource.name, self.pod, node, true) else {
                continue;
            };
            let score = match &self.plugin.strategy {
                ScoringStrategy::LeastAllocated => (has - taken).max(0) * MAX_SCORE / has,
                ScoringStrategy::MostAllocated => taken.min(has) * MAX_SCORE / has,
                ScoringStrategy::RequestedToCapacityRatio(points) => {
                    let utilization = if taken > has { 100 } else { taken * 100 / has };
                    match shape(points, utilization) {
                        // What scores nothing does not count, as upstream has it.
                        0 => continue,
                        score => score,
                    }
                }
            };
            sum += score * resource.weight;
            weights += resource.weight;
        }
        match (&self.plugin.strategy, weights) {
            (_, 0) => 0,
            (ScoringStrategy::RequestedToCapacityRatio(_), _) => (sum as f64 / weights as f64).round() as i64,
            _ => sum / weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{class, judge, node, rate, sized};

    fn rejection(status: Status, reasons: &[&'static str]) -> Result<(), Rejection> {
        let reasons = reasons.iter().map(|&reason| reason.into()).collect();
        Err(Rejection { status, reasons })
    }

    #[test]
    fn a_pod_is_refused_with_every_resource_that_is_short() {
        use Status::{Unschedulable, UnschedulableAndUnresolvable};
        let capacity = [
            ("cpu", "2"),
            ("memory", "1Gi"),
            ("ephemeral-storage", "1Gi"),
            ("example.com/gpu", "2"),
            ("pods", "2"),
        ];
        for (placed, asked, expected) in [
            (vec![], vec![("cpu", "2"), ("memory", "1Gi")], Ok(())),
            (
                vec![vec![("cpu", "1500m")]],
                vec![("cpu", "501m")],
                rejection(Unschedulable, &["Insufficient cpu"]),
            ),
            (
                vec![],
                vec![("cpu", "2001m")],
                rejection(UnschedulableAndUnresolvable, &["Insufficient cpu"]),
            ),
            (
                vec![vec![("cpu", "2"), ("memory", "1Gi"), ("example.com/gpu", "1")]],
                vec![("cpu", "1"), ("memory", "1"), ("example.com/gpu", "2")],
                rejection(
                    Unschedulable,
                    &[
                        "Insufficient cpu",
                        "Insufficient memory",
                        "Insufficient example.com/gpu",
                    ],
                ),
            ),
            (
                vec![],
                vec![("example.com/tpu", "1"), ("ephemeral-storage", "2Gi")],
                rejection(
                    UnschedulableAndUnresolvable,
                    &["Insufficient ephemeral-storage", "Insufficient example.com/tpu"],
                ),
            ),
            (vec![vec![("cpu", "3")]], vec![("memory", "1Gi")], Ok(())),
            (
                vec![vec![], vec![("cpu", "2")]],
                vec![("cpu", "1")],
                rejection(Unschedulable, &["Too many pods", "Insufficient cpu"]),
            ),
            (
                vec![vec![], vec![]],
                vec![],
                rejection(Unschedulable, &["Too many pods"]),
            ),
        ] {
            let placed: Vec<PodClass> = placed.iter().map(|requests| class(requests)).collect();
            let node = sized("node-1", &capacity, &placed);
            assert_eq!(
                judge(&NodeResourcesFit::default(), &class(&asked), &node),
                expected,
                "{asked:?}"
            );
        }
    }

    #[test]
    fn the_emptier_node_scores_higher() {
        let capacity = [("cpu", "4"), ("memory", "8Gi"), ("pods", "10")];
        let pod = class(&[("cpu", "1"), ("memory", "2Gi")]);
        let nodes = [
            sized("node-1", &capacity, &[]),
            sized("node-2", &capacity, &[class(&[("cpu", "1"), ("memory", "4Gi")])]),
            sized("node-3", &capacity, &[class(&[("cpu", "4"), ("memory", "6Gi")])]),
            node("node-4", &[("cpu", "4")]),
            node("node-5", &[]),
        ];
        let expected = [75, (50 + 25) / 2, 0, 75, 0].map(|score| (score, score));
        assert_eq!(
            rate(&NodeResourcesFit::default(), &pod, &nodes),
            Some(expected.to_vec())
        );
    }

    #[test]
    fn strategies_weights_and_ignored_resources_are_minded() {
        let capacity = [
            ("cpu", "4"),
            ("memory", "8Gi"),
            ("pods", "10"),
            ("example.com/gpu", "4"),
        ];
        let pod = class(&[("cpu", "1"), ("memory", "2Gi"), ("example.com/gpu", "1")]);
        let nodes = [
            sized("node-1", &capacity, &[]),
            sized(
                "node-2",
                &capacity,
                &[class(&[
                    ("cpu", "2"),
                    ("memory", "2Gi"),
                    ("example.com/gpu", "2"),
                ])],
            ),
        ];
        let weighted = |names: &[(&str, i64)]| -> Vec<ResourceWeight> {
            let weight = |(name, weight): &(&str, i64)| ResourceWeight {
                name: (*name).into(),
                weight: *weight,
            };
            names.iter().map(weight).collect()
        };
        let point = |utilization, score| ShapePoint { utilization, score };
        for (shows, strategy, resources, expected) in [
            (
                "the emptier node",
                ScoringStrategy::LeastAllocated,
                weighted(&[("cpu", 1)]),
                [75, 25],
            ),
            (
                "the fuller node",
                ScoringStrategy::MostAllocated,
                weighted(&[("cpu", 1)]),
                [25, 75],
            ),
            (
                "cpu counts three times as much as memory",
                ScoringStrategy::LeastAllocated,
                weighted(&[("cpu", 3), ("memory", 1)]),
                [75, (25 * 3 + 50) / 4],
            ),
            (
                "an extended resource",
                ScoringStrategy::MostAllocated,
                weighted(&[("example.com/gpu", 1)]),
                [25, 75],
            ),
            (
                "one that the Pod does not ask for counts for nothing",
                ScoringStrategy::MostAllocated,
                weighted(&[("example.com/tpu", 1)]),
                [0, 0],
            ),
            (
                "a function of the share that is taken",
                ScoringStrategy::RequestedToCapacityRatio(vec![point(0, 0), point(50, 10), point(100, 0)]),
                weighted(&[("cpu", 1)]),
                [50, 50],
            ),
        ] {
            let plugin = NodeResourcesFit {
                strategy,
                resources,
                ..NodeResourcesFit::default()
            };
            let scores = rate(&plugin, &pod, &nodes).unwrap();
            let scores: Vec<i64> = scores.iter().map(|(_, score)| *score).collect();
            assert_eq!(scores, expected, "{shows}");
        }
        let asks = class(&[("example.com/tpu", "1")]);
        for (ignored, groups, fits) in [
            (vec![], vec![], false),
            (vec!["example.com/tpu"], vec![], true),
            (vec![], vec!["example.com"], true),
        ] {
            let plugin = NodeResourcesFit {
                ignored_resources: ignored.iter().map(ToString::to_string).collect(),
                ignored_resource_groups: groups.iter().map(ToString::to_string).collect(),
                ..NodeResourcesFit::default()
            };
            assert_eq!(
                judge(&plugin, &asks, &nodes[0]).is_ok(),
                fits,
                "{ignored:?} {groups:?}"
            );
        }
    }
}
