//! Pod garbage collector: takes away Pods that nobody else will.
//!
//! - Pods of a Node that no longer exists: no kubelet is left to end them.
//! - Pods that were asked to go and were never bound to a Node.
//! - Pods that were asked to go from a Node that is down and that somebody has declared out of service.
//! - Finished Pods beyond a number: the oldest of them.
//!
//! Watches: Node; Pod, by its Node, and the finished ones. Writes: the phase `Failed` of Pods that it ends; deletions
//! without grace. Invariant: a Pod whose kubelet may still run it is left alone.
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection>

use crate::nodes;
use crate::patch;
use crate::pods::{self, between};
use crate::settings::Settings;
use apimachinery::meta::set_condition;
use apimachinery::well_known::TAINT_OUT_OF_SERVICE;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use client::time::{time, timestamp};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Node, Pod, PodCondition};
use proto::meta::v1::DeleteOptions;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A Pod so young is not judged by its missing Node: the Node may be about to be registered again.
const QUARANTINE: Duration = Duration::from_secs(40);

/// The most finished Pods that one plan deletes, so that a flood of them does not keep others waiting.
const BURST: usize = 500;

/// The index over finished Pods. All have the same value: there is one number for the whole cluster.
const FINISHED: &str = "pods-finished";

/// The controller. It keeps nothing but its settings.
pub(crate) struct PodGcController {
    /// How many finished Pods are kept; 0 for all.
    threshold: usize,
}

impl PodGcController {
    /// The controller, with these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            threshold: settings.terminated_pod_gc_threshold,
        }
    }

    /// Deletes the oldest finished Pods where there are too many.
    fn trim(&self, cache: &Cache) -> Plan {
        let finished = cache.by_index::<Pod>(FINISHED, FINISHED);
        let mut finished: Vec<_> = finished.filter(|pod| !pods::is_terminating(pod)).collect();
        let excess = finished.len().saturating_sub(self.threshold);
        let mut plan = Plan::none();
        if self.threshold == 0 || excess == 0 {
            return plan;
        }
        // Evicted ones first: their controllers have replaced them long since.
        finished.sort_by_cached_key(|pod| {
            let evicted = pod
                .status
                .as_ref()
                .is_some_and(|status| status.reason == "Evicted");
            let created = pod.meta().creation_timestamp.as_ref().map(timestamp);
            (!evicted, created, pod.name().to_owned())
        });
        let oldest = finished.iter().take(excess.min(BURST));
        plan.actions.extend(oldest.map(|pod| delete_now(pod)));
        if excess > BURST {
            plan.requeue_in(Duration::ZERO);
        }
        plan
    }
}

/// The key that stands for all finished Pods together. No Pod has it, as every Pod has a name.
fn all_finished() -> ObjectKey {
    ObjectKey::new::<Pod>("", "")
}

impl Controller for PodGcController {
    fn name(&self) -> &'static str {
        "pod-gc"
    }

    fn watches(&self) -> Vec<Watch> {
        let finished = |pod: &Pod| pods::is_finished(pod).then(|| FINISHED.to_owned());
        vec![
            nodes::watch(),
            pods::watch_by_node(),
            Watch::indexed::<Pod>(FINISHED, finished),
        ]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<Node>() {
            let served = event.after::<Node>().is_some_and(|node| !is_out_of_service(node));
            let pods = (!served).then(|| pods::on_node(cache, &event.key.name));
            return pods
                .into_iter()
                .flatten()
                .map(|pod| ObjectKey::of(&**pod))
                .collect();
        }
        let Some(pod) = event.after::<Pod>() else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        if pods::is_terminating(pod) || is_bereft(cache, pod) {
            keys.push(event.key.clone());
        }
        let was_finished = event.before::<Pod>().is_some_and(pods::is_finished);
        let too_many = self.threshold > 0 && cache.count::<Pod>() > self.threshold;
        if too_many && pods::is_finished(pod) && !was_finished {
            keys.push(all_finished());
        }
        keys
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        if *key == all_finished() {
            return self.trim(cache);
        }
        match cache.get_key::<Pod>(key) {
            Some(pod) => collect(cache, pod, now),
            None => Plan::none(),
        }
    }
}

/// Whether the Pod is bound to a Node that does not exist.
fn is_bereft(cache: &Cache, pod: &Pod) -> bool {
    let node = pods::node_name(pod);
    !node.is_empty() && cache.get::<Node>("", node).is_none()
}

/// Whether the Node is down, and somebody has said that it will not come back as it was.
fn is_out_of_service(node: &Node) -> bool {
    !nodes::is_ready(node)
        && nodes::taints(node)
            .iter()
            .any(|taint| taint.key == TAINT_OUT_OF_SERVICE)
}

fn collect(cache: &Cache, pod: &Arc<Pod>, now: Timestamp) -> Plan {
    let mut plan = Plan::none();
    if is_bereft(cache, pod) {
        let created = pod.meta().creation_timestamp.as_ref().map(timestamp);
        let age = created.map_or(QUARANTINE, |created| between(created, now));
        if age < QUARANTINE {
            plan.requeue_in(QUARANTINE - age);
        } else {
            let why = PodCondition {
                r#type: "DisruptionTarget".into(),
                status: "True".into(),
                reason: "DeletionByPodGC".into(),
                message: "PodGC: node no longer exists".into(),
                last_transition_time: Some(time(now)),
                ..PodCondition::default()
            };
            end(pod, Some(why), &mut plan);
        }
    } else if pods::is_terminating(pod) {
        let node = cache.get::<Node>("", pods::node_name(pod));
        // Bound to a Node that exists, or to none.
        if node.is_none_or(|node| is_out_of_service(node)) {
            end(pod, None, &mut plan);
        }
    }
    plan
}

/// Ends a Pod in its kubelet's place: a Job, for one, counts it only when it has failed.
fn end(pod: &Pod, why: Option<PodCondition>, plan: &mut Plan) {
    if !pods::is_finished(pod) {
        let mut status = json!({"phase": "Failed"});
        if let Some(why) = why {
            let mut conditions = pods::conditions(pod).to_vec();
            set_condition(&mut conditions, why);
            status["conditions"] = patch::list("PodCondition", &conditions);
        }
        plan.push(Action::patch_status(pod, patch::of_status(pod.meta(), status)));
    }
    // Without grace already, only its finalizers hold it.
    if !pods::is_terminating(pod) || pod.meta().deletion_grace_period_seconds != Some(0) {
        plan.push(delete_now(pod));
    }
}

fn delete_now(pod: &Pod) -> Action {
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        ..DeleteOptions::default()
    };
    Action::delete_key(ObjectKey::of(pod), pod.meta(), options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::well_known::NO_EXECUTE;
    use client::testing::World;
    use proto::api::core::v1::{NodeCondition, NodeSpec, NodeStatus, Taint};

    fn gc(threshold: usize) -> PodGcController {
        PodGcController { threshold }
    }

    fn node(ready: bool, out_of_service: bool) -> Node {
        let condition = NodeCondition {
            r#type: nodes::READY.into(),
            status: if ready { "True" } else { "Unknown" }.into(),
            ..NodeCondition::default()
        };
        let taint = out_of_service.then(|| Taint {
            key: TAINT_OUT_OF_SERVICE.into(),
            effect: NO_EXECUTE.into(),
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
        node.metadata_mut().name = "node-1".into();
        node
    }

    fn pod(name: &str, node: &str, phase: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata_mut().name = name.into();
        pod.metadata_mut().namespace = "default".into();
        pod.spec.get_or_insert_default().node_name = node.into();
        pod.status.get_or_insert_default().phase = phase.into();
        pod
    }

    fn names(world: &World) -> Vec<String> {
        world
            .list::<Pod>()
            .iter()
            .map(|pod| pod.name().to_owned())
            .collect()
    }

    #[test]
    fn pods_of_a_node_that_is_gone_fail_and_go_after_the_quarantine() {
        let controller = gc(0);
        let mut world = World::of(&[&controller]);
        let node = world.add(&node(true, false));
        let mut held = pod("held", "node-1", "Running");
        held.metadata_mut().finalizers.push("test/hold".into());
        world.add(&held);
        world.add(&pod("web", "node-1", "Running"));
        world.add(&pod("other", "", "Pending"));
        world.advance(Duration::from_secs(30));
        world.remove(&node);
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["held", "other", "web"]);
        world.advance(Duration::from_secs(10));
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["held", "other"]);
        let held: Pod = world.get("default", "held").unwrap();
        assert_eq!(pods::phase(&held), "Failed");
        assert_eq!(pods::conditions(&held)[0].reason, "DeletionByPodGC");
        assert!(pods::is_terminating(&held));
    }

    #[test]
    fn a_node_that_is_registered_again_within_the_quarantine_keeps_its_pods() {
        let controller = gc(0);
        let mut world = World::of(&[&controller]);
        world.add(&pod("web", "node-1", "Running"));
        world.settle(&[&controller]);
        world.advance(Duration::from_secs(39));
        world.add(&node(true, false));
        world.settle(&[&controller]);
        world.advance(Duration::from_secs(60));
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["web"]);
    }

    #[test]
    fn pods_that_terminate_are_ended_only_where_no_kubelet_will() {
        for (ready, out_of_service, stays) in [
            (true, false, true),
            (false, false, true),
            (true, true, true),
            (false, true, false),
        ] {
            let controller = gc(0);
            let mut world = World::of(&[&controller]);
            world.add(&node(ready, out_of_service));
            let going = world.add(&pod("going", "node-1", "Running"));
            world.add(&pod("staying", "node-1", "Running"));
            world.delete(&going);
            world.settle(&[&controller]);
            let expected: &[&str] = if stays {
                &["going", "staying"]
            } else {
                &["staying"]
            };
            assert_eq!(
                names(&world),
                expected,
                "ready: {ready}, out of service: {out_of_service}"
            );
        }
    }

    #[test]
    fn the_taint_may_come_after_the_deletion() {
        let controller = gc(0);
        let mut world = World::of(&[&controller]);
        world.add(&node(false, false));
        let going = world.add(&pod("going", "node-1", "Running"));
        world.delete(&going);
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["going"]);
        world.edit::<Node>("", "node-1", |tainted| tainted.spec = node(false, true).spec);
        world.settle(&[&controller]);
        assert!(names(&world).is_empty());
    }

    #[test]
    fn the_oldest_finished_pods_go_when_there_are_too_many() {
        let controller = gc(2);
        let mut world = World::of(&[&controller]);
        world.add(&node(true, false));
        for (name, phase) in [
            ("e-old", "Succeeded"),
            ("d-running", "Running"),
            ("c-evicted", "Failed"),
            ("b-young", "Succeeded"),
            ("a-youngest", "Failed"),
        ] {
            world.advance(Duration::from_secs(1));
            let mut pod = pod(name, "node-1", phase);
            if name == "c-evicted" {
                pod.status.get_or_insert_default().reason = "Evicted".into();
            }
            world.add(&pod);
        }
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["a-youngest", "b-young", "d-running"]);
        world.edit::<Pod>("default", "d-running", |pod| {
            pod.status.get_or_insert_default().phase = "Succeeded".into();
        });
        world.settle(&[&controller]);
        assert_eq!(names(&world), ["a-youngest", "b-young"]);
    }
}
