//! Whose turn it is to lose its Pods: the lost Nodes of a zone stand in a queue, and leave it at a steady rate.
//!
//! The queue is kept nowhere. Who stands in it, and since when, the Ready conditions tell; who left it last, the times of
//! the taints. Only the first may leave, so two that are looked at in the same cache never leave at once.

use crate::nodes::{self, READY};
use crate::pods::between;
use apimachinery::meta::get_condition;
use client::time::timestamp;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::Node;
use std::sync::Arc;
use std::time::Duration;

/// How long the Node has to wait for its turn, as far as one can tell today. `zone` are all Nodes of its zone.
pub(super) fn wait(node: &Node, zone: &[&Arc<Node>], interval: Duration, now: Timestamp) -> Duration {
    let left_last = zone
        .iter()
        .filter_map(|other| nodes::health_eviction(other)?.time_added.as_ref())
        .map(timestamp)
        .max();
    let free = left_last.map_or(Duration::ZERO, |left| interval.saturating_sub(between(left, now)));
    let place = place(node);
    let before = zone
        .iter()
        .filter(|other| is_waiting(other) && self::place(other) < place)
        .count();
    let others = interval.saturating_mul(u32::try_from(before).unwrap_or(u32::MAX));
    free.saturating_add(others)
}

fn is_waiting(node: &Node) -> bool {
    nodes::is_unready(node) && nodes::health_eviction(node).is_none()
}

/// Longest lost first.
fn place(node: &Node) -> (Timestamp, &str) {
    let ready = get_condition(nodes::conditions(node), READY);
    let since = ready.and_then(|ready| ready.last_transition_time.as_ref());
    (since.map_or(Timestamp::MIN, timestamp), node.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::well_known::{NO_EXECUTE, TAINT_UNREACHABLE};
    use client::time::time;
    use proto::api::core::v1::{NodeCondition, NodeSpec, NodeStatus, Taint};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn node(name: &str, ready: &str, since: i64, tainted: Option<i64>) -> Arc<Node> {
        let condition = NodeCondition {
            r#type: READY.into(),
            status: ready.into(),
            last_transition_time: Some(time(at(since))),
            ..NodeCondition::default()
        };
        let taint = tainted.map(|added| Taint {
            key: TAINT_UNREACHABLE.into(),
            effect: NO_EXECUTE.into(),
            time_added: Some(time(at(added))),
            ..Taint::default()
        });
        let mut node = Node {
            spec: Some(NodeSpec {
                taints: taint.into_iter().collect(),
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                conditions: vec![condition],
                ..NodeStatus::default()
            }),
            ..Node::default()
        };
        node.metadata_mut().name = name.into();
        Arc::new(node)
    }

    #[test]
    fn nodes_leave_the_queue_one_by_one_those_that_were_lost_first_before_the_others() {
        let ready = node("a", "True", 0, None);
        let first = node("c", "Unknown", 90, None);
        let second = node("b", "Unknown", 95, None);
        let third = node("d", "False", 95, None);
        for (left_last, expected) in [
            (None, [0, 10, 20]),
            (Some(97), [7, 17, 27]),
            (Some(80), [0, 10, 20]),
        ] {
            let left = left_last.map(|left| node("e", "Unknown", 50, Some(left)));
            let mut zone = vec![&ready, &first, &second, &third];
            zone.extend(&left);
            let waits = [&first, &second, &third]
                .map(|node| wait(node, &zone, Duration::from_secs(10), at(100)).as_secs());
            assert_eq!(waits, expected, "the last left at {left_last:?}");
        }
    }
}
