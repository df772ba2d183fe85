//! NodeUnschedulable: cordoned nodes take no Pods.
//!
//! Filter. After `kubectl cordon node-1`, only Pods that tolerate the taint `node.kubernetes.io/unschedulable` go to node-1.
//! <https://kubernetes.io/docs/concepts/architecture/nodes/#manual-node-administration>

use crate::framework::{ClusterEvent, EventSet, Filter, Plugin, PreFilter, PreFiltered, Rejection, Requeue};
use crate::pod::PodClass;
use crate::snapshot::{Node, Snapshot};
use apimachinery::tolerations::tolerated;
use apimachinery::well_known::{NO_SCHEDULE, TAINT_UNSCHEDULABLE};
use proto::api::core::v1::Taint;

const REASON: &str = "node(s) were unschedulable";

/// See the module.
#[derive(Debug)]
pub struct NodeUnschedulable;

/// A Pod that does not tolerate cordoned nodes.
#[derive(Debug)]
pub struct Uncordoned;

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }
}

impl Requeue for NodeUnschedulable {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[ClusterEvent::NodeAdded, ClusterEvent::NodeTaints])
    }
}

impl PreFilter for NodeUnschedulable {
    type State<'a> = Uncordoned;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Uncordoned> {
        let cordon = Taint {
            key: TAINT_UNSCHEDULABLE.into(),
            effect: NO_SCHEDULE.into(),
            ..Taint::default()
        };
        if tolerated(&pod.tolerations, &cordon) {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Uncordoned)
        }
    }
}

impl Filter for Uncordoned {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if node.unschedulable {
            Err(Rejection::unresolvable(REASON))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, node, toleration};

    #[test]
    fn a_cordoned_node_takes_only_pods_that_tolerate_it() {
        let tolerant = PodClass {
            tolerations: vec![toleration(TAINT_UNSCHEDULABLE, "Exists", "", NO_SCHEDULE)],
            ..PodClass::default()
        };
        for (pod, unschedulable, expected) in [
            (PodClass::default(), false, Ok(())),
            (PodClass::default(), true, Err(Rejection::unresolvable(REASON))),
            (tolerant, true, Ok(())),
        ] {
            let mut node = node("node-1", &[]);
            node.unschedulable = unschedulable;
            assert_eq!(judge(&NodeUnschedulable, &pod, &node), expected);
        }
    }
}
