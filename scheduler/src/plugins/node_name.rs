//! NodeName: a Pod that names its node goes there or nowhere.
//!
//! Filter. A Pod with `spec.nodeName: node-1` is refused by every other node. A Pod that the API shows with a node is
//! bound already, so only a what-if question asks for one.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PreFilter, PreFiltered, Rejection, Requeue,
};
use crate::pod::{PodClass, PodTemplate};
use crate::snapshot::{Node, Snapshot};

const REASON: &str = "node(s) didn't match the requested node name";

/// See the module.
#[derive(Debug)]
pub struct NodeName;

/// The name that the Pod asks for.
#[derive(Debug)]
pub struct Named<'a>(&'a str);

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }
}

impl Requeue for NodeName {
    fn requeue_on(&self) -> EventSet {
        ClusterEvent::NodeAdded.into()
    }

    /// The node that the Pod names.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        let Changed::Node(node) = change.what else {
            return true;
        };
        pod.class.node_name.is_empty() || *node.name == *pod.class.node_name
    }
}

impl PreFilter for NodeName {
    type State<'a> = Named<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Named<'a>> {
        if pod.node_name.is_empty() {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Named(&pod.node_name))
        }
    }
}

impl Filter for Named<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if *node.name == *self.0 {
            Ok(())
        } else {
            Err(Rejection::unresolvable(REASON))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, node};

    #[test]
    fn only_the_named_node_takes_a_pod_that_names_one() {
        for (wanted, expected) in [
            ("", Ok(())),
            ("node-1", Ok(())),
            ("node-2", Err(Rejection::unresolvable(REASON))),
        ] {
            let pod = PodClass {
                node_name: wanted.into(),
                ..PodClass::default()
            };
            assert_eq!(judge(&NodeName, &pod, &node("node-1", &[])), expected, "{wanted}");
        }
    }
}
