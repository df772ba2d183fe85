//! What controllers ask about a Pod: is it live, ready, available, and which one goes first.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>

use apimachinery::meta::get_condition;
use apimachinery::well_known::POD_DELETION_COST;
use client::cache::{Cache, Watch};
use client::time::timestamp;
use jiff::{SignedDuration, Timestamp};
use proto::Kind;
use proto::api::core::v1::{Pod, PodCondition};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The index over Pods by the Node that they are bound to.
const BY_NODE: &str = "pods-by-node";

/// Pods, with the index that [`on_node`] reads.
pub(crate) fn watch_by_node() -> Watch {
    let bound = |pod: &Pod| Some(node_name(pod).to_owned()).filter(|node| !node.is_empty());
    Watch::indexed::<Pod>(BY_NODE, bound)
}

/// The Pods that are bound to a Node.
pub(crate) fn on_node<'a>(cache: &'a Cache, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
    cache.by_index::<Pod>(BY_NODE, node)
}

/// The Pod's phase; empty before its kubelet has spoken.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().map_or("", |status| status.phase.as_str())
}

/// Whether the Pod has ended and will not run again.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the Pod is on its way out.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.meta().deletion_timestamp.is_some()
}

/// Whether the Pod counts towards its owner's replicas.
pub(crate) fn is_live(pod: &Pod) -> bool {
    !is_finished(pod) && !is_terminating(pod)
}

/// The Pod's conditions.
pub(crate) fn conditions(pod: &Pod) -> &[PodCondition] {
    pod.status.as_ref().map_or(&[], |status| &status.conditions)
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    get_condition(conditions(pod), "Ready")
}

/// Whether the Pod serves.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|condition| condition.status == "True")
}

/// From `earlier` to `later`; nothing when they are the other way round.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier).max(SignedDuration::ZERO)).unwrap_or_default()
}

/// How far a Pod is from counting as available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It has been ready for long enough.
    Available,
    /// It is ready, and will be available after this long without a change.
    In(Duration),
    /// It is not ready.
    NotReady,
}

/// Whether a Pod has been ready for `min_ready_seconds`.
pub(crate) fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(ready) = ready_condition(pod).filter(|condition| condition.status == "True") else {
        return Availability::NotReady;
    };
    let Ok(needed @ 1..) = u64::try_from(min_ready_seconds) else {
        return Availability::Available;
    };
    let needed = Duration::from_secs(needed);
    let since = ready.last_transition_time.as_ref().map(timestamp);
    let elapsed = since.map_or(Duration::ZERO, |since| between(since, now));
    if elapsed >= needed {
        Availability::Available
    } else {
        Availability::In(needed - elapsed)
    }
}

/// Sorts the Pods so that those to lose first come first: not yet placed, not running, not ready, cheap by their own
/// word, crowded on one node, young.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset>
pub(crate) fn sort_for_deletion(pods: &mut [&Arc<Pod>]) {
    let mut on_node: HashMap<String, usize> = HashMap::new();
    for pod in pods.iter() {
        *on_node.entry(node_name(pod).to_owned()).or_default() += 1;
    }
    pods.sort_by_cached_key(|pod| {
        let node = node_name(pod);
        let placed = !node.is_empty();
        let phase = match phase(pod) {
            "Pending" | "" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let cost = pod
            .meta()
            .annotations
            .get(POD_DELETION_COST)
            .and_then(|text| text.parse::<i32>().ok())
            .unwrap_or(0);
        let crowd = if placed {
            on_node.get(node).copied().unwrap_or(0)
        } else {
            0
        };
        let ready = is_ready(pod);
        let ready_since = ready_condition(pod)
            .filter(|_| ready)
            .and_then(|condition| condition.last_transition_time);
        let ready_since = ready_since.map(|time| (time.seconds, time.nanos));
        let created = pod
            .meta()
            .creation_timestamp
            .map(|time| (time.seconds, time.nanos));
        let order = (placed, phase, ready, cost, Reverse(crowd));
        (
            order,
            Reverse(ready_since),
            Reverse(restarts(pod)),
            Reverse(created),
            pod.name().to_owned(),
        )
    });
}

/// The Node that the Pod is bound to; empty where it is bound to none.
pub(crate) fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().map_or("", |spec| spec.node_name.as_str())
}

/// How often the container was restarted that was restarted most.
pub(crate) fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.container_statuses);
    statuses
        .iter()
        .map(|status| status.restart_count)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{PodSpec, PodStatus};

    fn pod(name: &str, node: &str, phase: &str, ready_at: Option<i64>) -> Arc<Pod> {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: node.into(),
                ..PodSpec::default()
            }),
            status: Some(PodStatus {
                phase: phase.into(),
                ..PodStatus::default()
            }),
            ..Pod::default()
        };
        pod.metadata_mut().name = name.into();
        if let Some(seconds) = ready_at {
            let condition = PodCondition {
                r#type: "Ready".into(),
                status: "True".into(),
                last_transition_time: Some(proto::Timestamp { seconds, nanos: 0 }),
                ..PodCondition::default()
            };
            pod.status.get_or_insert_default().conditions.push(condition);
        }
        Arc::new(pod)
    }

    #[test]
    fn pods_that_do_least_are_lost_first() {
        let mut cheap = Pod::clone(&pod("cheap", "n3", "Running", Some(10)));
        cheap
            .metadata_mut()
            .annotations
            .insert(POD_DELETION_COST.into(), "-5".into());
        let pods = [
            pod("old-ready", "n4", "Running", Some(10)),
            pod("young-ready", "n5", "Running", Some(99)),
            pod("crowded", "n1", "Running", Some(10)),
            pod("crowded-too", "n1", "Running", Some(11)),
            Arc::new(cheap),
            pod("not-ready", "n2", "Running", None),
            pod("pending", "n2", "Pending", None),
            pod("unplaced", "", "Pending", None),
        ];
        let mut sorted: Vec<_> = pods.iter().collect();
        sort_for_deletion(&mut sorted);
        let names: Vec<_> = sorted.iter().map(|pod| pod.name()).collect();
        let expected = [
            "unplaced",
            "pending",
            "not-ready",
            "cheap",
            "crowded-too",
            "crowded",
            "young-ready",
            "old-ready",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_pod_is_available_once_it_was_ready_for_long_enough() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let ready = pod("web", "n1", "Running", Some(100));
        assert_eq!(availability(&ready, 0, at(100)), Availability::Available);
        assert_eq!(
            availability(&ready, 10, at(104)),
            Availability::In(Duration::from_secs(6))
        );
        assert_eq!(availability(&ready, 10, at(110)), Availability::Available);
        assert_eq!(
            availability(&pod("web", "n1", "Running", None), 0, at(100)),
            Availability::NotReady
        );
    }
}
