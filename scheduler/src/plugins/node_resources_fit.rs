//! NodeResourcesFit: a node must have room for what a Pod requests.
//!
//! Filter, Score. A Pod that requests 500m CPU is refused by a node with 400m left: "Insufficient cpu". Nodes of which less
//! would be taken score higher (upstream's LeastAllocated), so that load spreads.
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-requests-are-scheduled>

use crate::framework::{
    ClusterEvent, EventSet, Filter, MAX_SCORE, Plugin, PreFilter, PreFiltered, PreScore, Rejection, Requeue,
    Score, Status,
};
use crate::pod::PodClass;
use crate::snapshot::{Node, Snapshot};
use std::borrow::Cow;

/// See the module.
#[derive(Debug)]
pub struct NodeResourcesFit;

/// What the Pod asks for.
#[derive(Debug)]
pub struct Asked<'a>(&'a PodClass);

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
}

impl PreFilter for NodeResourcesFit {
    type State<'a> = Asked<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Asked<'a>> {
        PreFiltered::Filter(Asked(pod))
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
        let (asked, has, taken) = (&self.0.requests, &node.allocatable, &node.requested);
        let room = |asked: i64, has: i64, taken: i64| asked == 0 || asked <= has - taken;
        node.pods < node.max_pods
            && room(asked.cpu, has.cpu, taken.cpu)
            && room(asked.memory, has.memory, taken.memory)
            && room(
                asked.ephemeral_storage,
                has.ephemeral_storage,
                taken.ephemeral_storage,
            )
            && asked
                .extended
                .iter()
                .all(|(name, &asked)| room(asked, has.extended(name), taken.extended(name)))
    }

    /// Every resource that is short. What would not fit on the empty node either, no eviction helps.
    fn misfit(&self, node: &Node) -> Rejection {
        let (asked, has, taken) = (&self.0.requests, &node.allocatable, &node.requested);
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
        for (name, &amount) in &asked.extended {
            let reason = format!("Insufficient {name}").into();
            check(reason, amount, has.extended(name), taken.extended(name));
        }
        Rejection { status, reasons }
    }
}

impl PreScore for NodeResourcesFit {
    type State<'a> = Asked<'a>;

    fn pre_score<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> Option<Asked<'a>> {
        Some(Asked(pod))
    }
}

impl Score for Asked<'_> {
    /// The mean of the shares that stay free, of the resources that the node has.
    fn score(&self, node: &Node) -> i64 {
        let (mut sum, mut count) = (0, 0);
        for (has, taken) in [
            (node.allocatable.cpu, node.scored[0] + self.0.scored[0]),
            (node.allocatable.memory, node.scored[1] + self.0.scored[1]),
        ] {
            if has > 0 {
                sum += (has - taken).max(0) * MAX_SCORE / has;
                count += 1;
            }
        }
        if count == 0 { 0 } else { sum / count }
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
                judge(&NodeResourcesFit, &class(&asked), &node),
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
        assert_eq!(rate(&NodeResourcesFit, &pod, &nodes), Some(expected.to_vec()));
    }
}
