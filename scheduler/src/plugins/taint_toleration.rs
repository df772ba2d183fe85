//! TaintToleration: nodes turn away Pods that do not tolerate their taints.
//!
//! Filter, Score. A node with the taint `dedicated=gpu:NoSchedule` takes only Pods with a matching toleration; `NoExecute`
//! likewise. `PreferNoSchedule` only costs score: the fewer such taints a Pod does not tolerate, the better.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Normalize, Plugin, PreFilter, PreFiltered, PreScore,
    Rejection, Requeue, Score,
};
use crate::pod::{PodClass, PodTemplate};
use crate::snapshot::{Node, Snapshot};
use apimachinery::tolerations::{tolerated, untolerated};
use apimachinery::well_known::{NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE};
use proto::api::core::v1::Toleration;

/// Which taint it was Kubernetes no longer says since 1.35: it does not belong into the status of somebody's Pod.
const REASON: &str = "node(s) had untolerated taint(s)";

/// See the module.
#[derive(Debug)]
pub struct TaintToleration;

/// What the Pod tolerates.
#[derive(Debug)]
pub struct Tolerations<'a>(&'a [Toleration]);

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }
}

impl Requeue for TaintToleration {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[ClusterEvent::NodeAdded, ClusterEvent::NodeTaints])
    }

    /// A node whose taints the Pod tolerates.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        let Changed::Node(node) = change.what else {
            return true;
        };
        Tolerations(&pod.class.tolerations).filter(node).is_ok()
    }
}

impl PreFilter for TaintToleration {
    type State<'a> = Tolerations<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Tolerations<'a>> {
        PreFiltered::Filter(Tolerations(&pod.tolerations))
    }
}

impl Filter for Tolerations<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        let repels = |effect: &str| effect == NO_SCHEDULE || effect == NO_EXECUTE;
        let taints = node.taints.iter().filter(|taint| repels(&taint.effect));
        match untolerated(taints, self.0) {
            None => Ok(()),
            Some(_) => Err(Rejection::unresolvable(REASON)),
        }
    }
}

impl PreScore for TaintToleration {
    type State<'a> = Tolerations<'a>;

    fn pre_score<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Tolerations<'a>> {
        (snapshot.soft_taints() > 0).then_some(Tolerations(&pod.tolerations))
    }
}

impl Score for Tolerations<'_> {
    fn score(&self, node: &Node) -> i64 {
        let untolerated = node
            .taints
            .iter()
            .filter(|taint| taint.effect == PREFER_NO_SCHEDULE && !tolerated(self.0, taint));
        untolerated.count() as i64
    }

    fn normalize(&self) -> Normalize {
        Normalize::LowestBest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, node, rate, taint, toleration};

    #[test]
    fn a_node_turns_away_pods_that_do_not_tolerate_its_taints() {
        let reject = || Err(Rejection::unresolvable(REASON));
        let gpu = toleration("dedicated", "Equal", "gpu", "NoSchedule");
        for (taints, tolerations, expected) in [
            (vec![], vec![], Ok(())),
            (vec![taint("dedicated", "gpu", NO_SCHEDULE)], vec![], reject()),
            (
                vec![taint("dedicated", "gpu", NO_SCHEDULE)],
                vec![gpu.clone()],
                Ok(()),
            ),
            (
                vec![taint("dedicated", "gpu", NO_EXECUTE)],
                vec![gpu.clone()],
                reject(),
            ),
            (
                vec![
                    taint("dedicated", "gpu", NO_SCHEDULE),
                    taint("sick", "", NO_EXECUTE),
                ],
                vec![gpu],
                reject(),
            ),
            (vec![taint("full", "", PREFER_NO_SCHEDULE)], vec![], Ok(())),
            (
                vec![taint("a", "", NO_SCHEDULE), taint("b", "c", NO_EXECUTE)],
                vec![toleration("", "Exists", "", "")],
                Ok(()),
            ),
        ] {
            let pod = PodClass {
                tolerations,
                ..PodClass::default()
            };
            let mut node = node("node-1", &[]);
            node.taints = taints;
            assert_eq!(
                judge(&TaintToleration, &pod, &node),
                expected,
                "{:?}",
                node.taints
            );
        }
    }

    #[test]
    fn each_soft_taint_that_is_not_tolerated_counts_against_a_node() {
        let pod = PodClass {
            tolerations: vec![toleration("a", "Exists", "", "")],
            ..PodClass::default()
        };
        let soft = |keys: &[&str]| {
            let mut node = node(&format!("node-{}", keys.len()), &[]);
            node.taints = keys
                .iter()
                .map(|key| taint(key, "", PREFER_NO_SCHEDULE))
                .collect();
            node
        };
        let nodes = [
            soft(&[]),
            soft(&["a"]),
            soft(&["b", "a"]),
            soft(&["b", "c", "d", "e"]),
        ];
        assert_eq!(
            rate(&TaintToleration, &pod, &nodes),
            Some(vec![(0, 100), (0, 100), (1, 75), (4, 0)])
        );
        assert_eq!(rate(&TaintToleration, &pod, &nodes[..1]), None);
    }
}
