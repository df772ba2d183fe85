//! Whether a Node is silent for so long that it counts as lost, and what its conditions say then.
//!
//! Its kubelet shows that it lives by renewing its Lease, and by posting its status. The times are the kubelet's own, so
//! its clock must agree with ours to within a fraction of the grace period.
//! <https://kubernetes.io/docs/concepts/architecture/nodes/#condition>

use crate::nodes::{self, READY};
use crate::pods::between;
use apimachinery::meta::get_condition;
use apimachinery::well_known::NODE_LEASE_NAMESPACE;
use client::cache::Cache;
use client::time::{time, timestamp};
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::{Node, NodeCondition};
use std::time::Duration;

/// The conditions that a kubelet posts, and that nobody knows when it is silent.
const POSTED: [&str; 4] = [READY, "MemoryPressure", "DiskPressure", "PIDPressure"];

/// When the Node's kubelet was last heard of; the Node's creation where it never was.
pub(super) fn last_sign(node: &Node, lease: Option<&Lease>) -> Timestamp {
    let renewed = lease.and_then(renewed);
    let posted = get_condition(nodes::conditions(node), READY)
        .and_then(|ready| ready.last_heartbeat_time)
        .map(|time| timestamp(&time));
    let created = node.meta().creation_timestamp.map(|time| timestamp(&time));
    renewed.max(posted).max(created).unwrap_or(Timestamp::MIN)
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(timestamp)
}

/// How long until a Node that was last heard of at `last_sign` counts as lost; nothing when it does.
///
/// Where nobody at all was heard of, the fault is probably the apiserver's, or that of our own link to it: then twice the
/// grace is given, so that the kubelets have time to speak when it is back.
pub(super) fn time_left(
    last_sign: Timestamp,
    grace: Duration,
    now: Timestamp,
    anybody_speaks: impl FnOnce() -> bool,
) -> Duration {
    let silence = between(last_sign, now);
    if silence < grace {
        return grace - silence;
    }
    if anybody_speaks() {
        return Duration::ZERO;
    }
    grace.saturating_mul(2).saturating_sub(silence)
}

/// Whether any kubelet has been heard of within the grace. Reads Leases until it finds one, so it is asked only about a
/// Node that seems lost.
pub(super) fn anybody_speaks(cache: &Cache, grace: Duration, now: Timestamp) -> bool {
    cache
        .list::<Lease>(Some(NODE_LEASE_NAMESPACE))
        .filter_map(|lease| renewed(lease))
        .any(|renewed| between(renewed, now) < grace)
}

/// The conditions of a Node that is lost, where they do not say so already.
pub(super) fn lost(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    if POSTED
        .iter()
        .all(|r#type| nodes::condition(node, r#type) == "Unknown")
    {
        return None;
    }
    let mut conditions = nodes::conditions(node).to_vec();
    for r#type in POSTED {
        let unknown = |reason: &str, message: &str, heard: Option<proto::Timestamp>| NodeCondition {
            r#type: r#type.into(),
            status: "Unknown".into(),
            reason: reason.into(),
            message: message.into(),
            last_heartbeat_time: heard,
            last_transition_time: Some(time(now)),
        };
        match conditions.iter_mut().find(|condition| condition.r#type == r#type) {
            None => conditions.push(unknown(
                "NodeStatusNeverUpdated",
                "Kubelet never posted node status.",
                node.meta().creation_timestamp,
            )),
            Some(known) if known.status != "Unknown" => {
                let heard = known.last_heartbeat_time;
                *known = unknown("NodeStatusUnknown", "Kubelet stopped posting node status.", heard);
            }
            Some(_) => {}
        }
    }
    Some(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::coordination::v1::LeaseSpec;
    use proto::api::core::v1::NodeStatus;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn node(created: i64, posted: Option<i64>) -> Node {
        let mut node = Node::default();
        node.metadata_mut().creation_timestamp = Some(time(at(created)));
        let ready = posted.map(|posted| NodeCondition {
            r#type: READY.into(),
            status: "True".into(),
            last_heartbeat_time: Some(time(at(posted))),
            ..NodeCondition::default()
        });
        node.status = Some(NodeStatus {
            conditions: ready.into_iter().collect(),
            ..NodeStatus::default()
        });
        node
    }

    #[test]
    fn the_last_sign_of_a_kubelet_is_the_newest_of_lease_status_and_creation() {
        for (renewed, posted, expected) in [
            (None, None, 10),
            (Some(30), None, 30),
            (None, Some(20), 20),
            (Some(30), Some(20), 30),
            (Some(30), Some(40), 40),
            (Some(5), Some(6), 10),
        ] {
            let lease = renewed.map(|renewed| Lease {
                spec: Some(LeaseSpec {
                    renew_time: Some(time(at(renewed))),
                    ..LeaseSpec::default()
                }),
                ..Lease::default()
            });
            assert_eq!(last_sign(&node(10, posted), lease.as_ref()), at(expected));
        }
    }

    #[test]
    fn a_silent_node_is_lost_after_the_grace_or_twice_the_grace_when_all_are_silent() {
        let grace = Duration::from_secs(40);
        for (now, anybody_speaks, expected) in [
            (100, true, 40),
            (139, false, 1),
            (140, true, 0),
            (140, false, 40),
            (170, false, 10),
            (170, true, 0),
            (180, false, 0),
            (90, true, 40),
        ] {
            let left = time_left(at(100), grace, at(now), || anybody_speaks);
            assert_eq!(
                left.as_secs(),
                expected,
                "at {now}, others speak: {anybody_speaks}"
            );
        }
    }

    #[test]
    fn the_conditions_of_a_lost_node_are_unknown_and_say_whether_they_were_ever_known() {
        let mut node = node(10, Some(20));
        let conditions = lost(&node, at(60)).unwrap();
        let told: Vec<_> = conditions
            .iter()
            .map(|c| (c.r#type.as_str(), c.status.as_str(), c.reason.as_str()))
            .collect();
        let expected = [
            (READY, "Unknown", "NodeStatusUnknown"),
            ("MemoryPressure", "Unknown", "NodeStatusNeverUpdated"),
            ("DiskPressure", "Unknown", "NodeStatusNeverUpdated"),
            ("PIDPressure", "Unknown", "NodeStatusNeverUpdated"),
        ];
        assert_eq!(told, expected);
        assert_eq!(conditions[0].last_heartbeat_time, Some(time(at(20))));
        assert_eq!(conditions[0].last_transition_time, Some(time(at(60))));
        node.status.get_or_insert_default().conditions = conditions;
        assert_eq!(lost(&node, at(70)), None);
    }
}
