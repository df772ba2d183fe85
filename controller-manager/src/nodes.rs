//! What controllers ask about a Node: is it ready, what taints has it, where does it stand, and how is its zone.
//!
//! <https://kubernetes.io/docs/concepts/architecture/nodes/>

use apimachinery::meta::get_condition;
use apimachinery::well_known::{
    EXCLUDE_DISRUPTION, NO_EXECUTE, REGION, TAINT_NOT_READY, TAINT_UNREACHABLE, ZONE,
};
use client::cache::{Cache, Watch};
use proto::Kind;
use proto::api::core::v1::{Node, NodeCondition, Taint};
use std::sync::Arc;

/// The condition that tells whether Pods can run.
pub(crate) const READY: &str = "Ready";

/// The index over Nodes by zone.
const BY_ZONE: &str = "nodes-by-zone";

/// Below so many lost Nodes, a share of them says little about the zone.
const FEW_NODES: usize = 2;

/// Nodes, with the index that [`in_zone`] reads.
pub(crate) fn watch() -> Watch {
    Watch::indexed::<Node>(BY_ZONE, |node| Some(zone_of(node)))
}

fn zone_of(node: &Node) -> String {
    let label = |key| node.meta().labels.get(key).map_or("", String::as_str);
    format!("{}/{}", label(REGION), label(ZONE))
}

/// The Nodes of the zone in which `node` stands. Those without labels are a zone too.
pub(crate) fn in_zone<'a>(cache: &'a Cache, node: &Node) -> impl Iterator<Item = &'a Arc<Node>> + use<'a> {
    cache.by_index::<Node>(BY_ZONE, &zone_of(node))
}

/// The Node's conditions.
pub(crate) fn conditions(node: &Node) -> &[NodeCondition] {
    node.status.as_ref().map_or(&[], |status| &status.conditions)
}

/// `True`, `False` or `Unknown`; empty where the Node lacks the condition.
pub(crate) fn condition<'a>(node: &'a Node, r#type: &str) -> &'a str {
    get_condition(conditions(node), r#type).map_or("", |condition| condition.status.as_str())
}

/// Whether Pods can run on the Node.
pub(crate) fn is_ready(node: &Node) -> bool {
    condition(node, READY) == "True"
}

/// Whether the Node has not been heard of for so long that it counts as lost.
pub(crate) fn is_lost(node: &Node) -> bool {
    condition(node, READY) == "Unknown"
}

/// The Node's taints.
pub(crate) fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().map_or(&[], |spec| &spec.taints)
}

/// Whether the taint drives away the Pods that are on the Node.
pub(crate) fn drives_away(taint: &Taint) -> bool {
    taint.effect == NO_EXECUTE
}

/// Whether the taint says that the Node is not ready, in whichever way.
pub(crate) fn is_of_health(taint: &Taint) -> bool {
    matches!(taint.key.as_str(), TAINT_NOT_READY | TAINT_UNREACHABLE)
}

/// The taint that makes the Node lose its Pods because it is not ready.
pub(crate) fn health_eviction(node: &Node) -> Option<&Taint> {
    taints(node)
        .iter()
        .find(|taint| drives_away(taint) && is_of_health(taint))
}

/// Whether the Node's kubelet, or this process for it, says that Pods cannot run there. A Node that nobody has spoken for
/// yet is neither ready nor that.
pub(crate) fn is_unready(node: &Node) -> bool {
    matches!(condition(node, READY), "False" | "Unknown")
}

/// Whether so many Nodes of a zone are not ready that the fault lies elsewhere: all of them, or more than a few and at
/// least the share `threshold`.
///
/// Kubernetes goes on evicting from a zone that is lost as a whole while others are well, on the guess that it lost its
/// power. Here a lost zone keeps its Pods: the guess is as likely to be wrong, and Pods come back with their Nodes.
/// <https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction>
pub(crate) fn is_disrupted<'a>(zone: impl Iterator<Item = &'a Arc<Node>>, threshold: f64) -> bool {
    let (mut all, mut lost) = (0, 0);
    for node in zone.filter(|node| !node.meta().labels.contains_key(EXCLUDE_DISRUPTION)) {
        all += 1;
        lost += usize::from(!is_ready(node));
    }
    (lost > 0 && lost == all) || (lost > FEW_NODES && lost as f64 >= threshold * all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::NodeStatus;

    fn node(ready: &str) -> Arc<Node> {
        let condition = NodeCondition {
            r#type: READY.into(),
            status: ready.into(),
            ..NodeCondition::default()
        };
        Arc::new(Node {
            status: Some(NodeStatus {
                conditions: vec![condition],
                ..NodeStatus::default()
            }),
            ..Node::default()
        })
    }

    #[test]
    fn a_zone_is_disrupted_when_all_or_most_of_its_nodes_are_lost() {
        for (ready, lost, expected) in [
            (0, 0, false),
            (1, 0, false),
            (0, 1, true),
            (2, 1, false),
            (1, 2, false),
            (0, 3, true),
            (3, 3, false),
            (2, 3, true),
            (9, 11, true),
            (10, 11, false),
        ] {
            let mut zone = vec![node("True"); ready];
            zone.extend(vec![node("Unknown"); lost]);
            assert_eq!(
                is_disrupted(zone.iter(), 0.55),
                expected,
                "{ready} ready, {lost} lost"
            );
        }
    }

    #[test]
    fn a_node_may_be_left_out_of_the_count() {
        let mut excluded = Node::clone(&node("Unknown"));
        excluded
            .metadata_mut()
            .labels
            .insert(EXCLUDE_DISRUPTION.into(), String::new());
        let mut zone = vec![node("True"); 2];
        zone.extend(std::iter::repeat_n(Arc::new(excluded), 3));
        assert!(!is_disrupted(zone.iter(), 0.55));
    }
}
