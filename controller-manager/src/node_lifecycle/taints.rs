//! The taints that follow from a Node's conditions and spec. Taints that others put there stay as they are, but for the
//! time of those that drive Pods away: who looks at them later must know since when.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>

use crate::nodes::{self, READY};
use apimachinery::well_known::{
    NO_EXECUTE, NO_SCHEDULE, TAINT_DISK_PRESSURE, TAINT_MEMORY_PRESSURE, TAINT_NETWORK_UNAVAILABLE,
    TAINT_NOT_READY, TAINT_PID_PRESSURE, TAINT_UNREACHABLE, TAINT_UNSCHEDULABLE,
};
use client::time::time;
use jiff::Timestamp;
use proto::api::core::v1::{Node, Taint};

/// Whether a Node that is not ready shall lose its Pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// They are driven away, once they no longer tolerate it.
    Yes,
    /// They stay.
    No,
}

/// Which condition, in which status, keeps new Pods away by which taint.
const OF_CONDITIONS: [(&str, &str, &str); 6] = [
    (READY, "False", TAINT_NOT_READY),
    (READY, "Unknown", TAINT_UNREACHABLE),
    ("MemoryPressure", "True", TAINT_MEMORY_PRESSURE),
    ("DiskPressure", "True", TAINT_DISK_PRESSURE),
    ("PIDPressure", "True", TAINT_PID_PRESSURE),
    ("NetworkUnavailable", "True", TAINT_NETWORK_UNAVAILABLE),
];

/// All taints that the Node should have, where it has others.
pub(super) fn changed(node: &Node, eviction: Eviction, now: Timestamp) -> Option<Vec<Taint>> {
    let wanted = wanted(node, eviction);
    let is_wanted = |taint: &Taint| wanted.contains(&(taint.key.as_str(), taint.effect.as_str()));
    let old = nodes::taints(node);
    let mut taints: Vec<Taint> = old
        .iter()
        .filter(|taint| !is_ours(taint) || is_wanted(taint))
        .cloned()
        .collect();
    for (key, effect) in wanted {
        if taints
            .iter()
            .any(|taint| taint.key == key && taint.effect == effect)
        {
            continue;
        }
        // A Node that turns from not ready to unreachable has been losing its Pods all the while.
        let since = nodes::health_eviction(node).filter(|_| effect == NO_EXECUTE);
        let since = since.and_then(|taint| taint.time_added);
        taints.push(Taint {
            key: key.into(),
            effect: effect.into(),
            time_added: since.or(Some(time(now))),
            ..Taint::default()
        });
    }
    for taint in taints.iter_mut().filter(|taint| nodes::drives_away(taint)) {
        taint.time_added.get_or_insert(time(now));
    }
    (taints != old).then_some(taints)
}

/// Keys and effects.
fn wanted(node: &Node, eviction: Eviction) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    for (condition, status, key) in OF_CONDITIONS {
        if nodes::condition(node, condition) == status {
            wanted.push((key, NO_SCHEDULE));
            if condition == READY && eviction == Eviction::Yes {
                wanted.push((key, NO_EXECUTE));
            }
        }
    }
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable) {
        wanted.push((TAINT_UNSCHEDULABLE, NO_SCHEDULE));
    }
    wanted
}

/// Whether it is for this controller to say whether the taint is there.
fn is_ours(taint: &Taint) -> bool {
    let of_condition = OF_CONDITIONS.iter().any(|(_, _, key)| taint.key == *key);
    match taint.effect.as_str() {
        NO_SCHEDULE => of_condition || taint.key == TAINT_UNSCHEDULABLE,
        NO_EXECUTE => nodes::is_of_health(taint),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{NodeCondition, NodeSpec, NodeStatus};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn node(conditions: &[(&str, &str)], unschedulable: bool, taints: Vec<Taint>) -> Node {
        let condition = |(r#type, status): &(&str, &str)| NodeCondition {
            r#type: (*r#type).into(),
            status: (*status).into(),
            ..NodeCondition::default()
        };
        Node {
            spec: Some(NodeSpec {
                unschedulable,
                taints,
                ..NodeSpec::default()
            }),
            status: Some(NodeStatus {
                conditions: conditions.iter().map(condition).collect(),
                ..NodeStatus::default()
            }),
            ..Node::default()
        }
    }

    fn taint(key: &str, effect: &str, added: Option<i64>) -> Taint {
        Taint {
            key: key.into(),
            effect: effect.into(),
            time_added: added.map(|added| time(at(added))),
            ..Taint::default()
        }
    }

    #[test]
    fn taints_follow_from_conditions() {
        use Eviction::{No, Yes};
        for (conditions, unschedulable, eviction, expected) in [
            (vec![(READY, "True")], false, No, vec![]),
            (vec![], false, No, vec![]),
            (
                vec![(READY, "False")],
                false,
                No,
                vec![(TAINT_NOT_READY, NO_SCHEDULE)],
            ),
            (
                vec![(READY, "Unknown"), ("MemoryPressure", "Unknown")],
                false,
                Yes,
                vec![(TAINT_UNREACHABLE, NO_SCHEDULE), (TAINT_UNREACHABLE, NO_EXECUTE)],
            ),
            (
                vec![(READY, "True"), ("DiskPressure", "True"), ("PIDPressure", "True")],
                true,
                No,
                vec![
                    (TAINT_DISK_PRESSURE, NO_SCHEDULE),
                    (TAINT_PID_PRESSURE, NO_SCHEDULE),
                    (TAINT_UNSCHEDULABLE, NO_SCHEDULE),
                ],
            ),
        ] {
            let mut node = node(&conditions, unschedulable, vec![]);
            let taints = changed(&node, eviction, at(100)).unwrap_or_default();
            let told: Vec<_> = taints
                .iter()
                .map(|taint| (taint.key.as_str(), taint.effect.as_str()))
                .collect();
            assert_eq!(told, expected, "{conditions:?}");
            node.spec.get_or_insert_default().taints = taints;
            assert_eq!(changed(&node, eviction, at(200)), None, "{conditions:?}");
        }
    }

    #[test]
    fn taints_of_others_stay_and_their_order_too() {
        let taints = vec![
            taint("dedicated", NO_SCHEDULE, None),
            taint(TAINT_UNREACHABLE, NO_SCHEDULE, Some(10)),
            taint(TAINT_UNREACHABLE, NO_EXECUTE, Some(10)),
            taint(TAINT_MEMORY_PRESSURE, NO_EXECUTE, Some(10)),
            taint("broken", NO_EXECUTE, Some(20)),
        ];
        let expected = vec![taints[0].clone(), taints[3].clone(), taints[4].clone()];
        let recovered = node(&[(READY, "True")], false, taints);
        assert_eq!(changed(&recovered, Eviction::No, at(100)), Some(expected));
    }

    #[test]
    fn a_taint_that_drives_pods_away_gets_a_time_when_it_has_none() {
        let node = node(
            &[(READY, "True")],
            false,
            vec![
                taint("broken", NO_EXECUTE, None),
                taint("full", NO_SCHEDULE, None),
            ],
        );
        let expected = vec![
            taint("broken", NO_EXECUTE, Some(100)),
            taint("full", NO_SCHEDULE, None),
        ];
        assert_eq!(changed(&node, Eviction::No, at(100)), Some(expected));
    }

    #[test]
    fn a_node_that_turns_unreachable_while_it_loses_its_pods_goes_on_losing_them() {
        let taints = vec![
            taint(TAINT_NOT_READY, NO_SCHEDULE, Some(10)),
            taint(TAINT_NOT_READY, NO_EXECUTE, Some(20)),
        ];
        let expected = vec![
            taint(TAINT_UNREACHABLE, NO_SCHEDULE, Some(100)),
            taint(TAINT_UNREACHABLE, NO_EXECUTE, Some(20)),
        ];
        let node = node(&[(READY, "Unknown")], false, taints);
        assert_eq!(changed(&node, Eviction::Yes, at(100)), Some(expected));
    }
}
