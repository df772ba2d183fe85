//! Taint eviction: deletes Pods from Nodes whose `NoExecute` taints they do not tolerate, or no longer.
//!
//! Watches: Node; Pod, by its Node. Writes: Pod deletions; on the Pod, the condition that says why. Invariant: when a Pod
//! has to go follows from the times in the taints and its tolerations alone, so that a restart neither hastens nor delays
//! an eviction, and a taint that goes away takes it back.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>

use crate::nodes;
use crate::patch;
use crate::pods::{self, between};
use crate::settings::Settings;
use apimachinery::meta::set_condition;
use apimachinery::tolerations::{Stay, stay};
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, EventKind, Plan};
use client::key::ObjectKey;
use client::time::{time, timestamp};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Node, Pod, PodCondition, Taint};
use serde_json::json;
use std::time::Duration;

/// When to look again at a Pod that is due in a disrupted zone. Long before that the taint is gone.
const RECHECK: Duration = Duration::from_secs(5);

/// The controller. It keeps nothing but its settings.
pub(crate) struct TaintEvictionController {
    threshold: f64,
}

impl TaintEvictionController {
    /// The controller, with these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            threshold: settings.unhealthy_zone_threshold,
        }
    }
}

impl Controller for TaintEvictionController {
    fn name(&self) -> &'static str {
        "taint-eviction"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![nodes::watch(), pods::watch_by_node()]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if let Some(pod) = event.after::<Pod>() {
            let node = cache.get::<Node>("", pods::node_name(pod));
            let tainted = node.is_some_and(|node| drivers(node).next().is_some());
            return if tainted {
                vec![event.key.clone()]
            } else {
                Vec::new()
            };
        }
        let Some(node) = event.after::<Node>() else {
            return Vec::new();
        };
        let same = event
            .before::<Node>()
            .is_some_and(|before| drivers(before).eq(drivers(node)));
        if same || drivers(node).next().is_none() {
            return Vec::new();
        }
        let pods = pods::on_node(cache, node.name());
        pods.map(|pod| ObjectKey::of(&**pod)).collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let mut plan = Plan::none();
        let pod = cache.get_key::<Pod>(key).filter(|pod| !pods::is_terminating(pod));
        let Some(pod) = pod else {
            return plan;
        };
        let Some(node) = cache.get::<Node>("", pods::node_name(pod)) else {
            return plan;
        };
        let taints: Vec<_> = drivers(node).collect();
        match verdict(pod, &taints, now) {
            Verdict::Stays => {}
            Verdict::GoesIn(wait) => plan.requeue_in(wait),
            Verdict::Goes => {
                let others: Vec<_> = taints
                    .iter()
                    .copied()
                    .filter(|taint| !nodes::is_of_health(taint))
                    .collect();
                if verdict(pod, &others, now) != Verdict::Goes
                    && nodes::is_disrupted(nodes::in_zone(cache, node), self.threshold)
                {
                    // The taint is about to be taken back.
                    plan.requeue_in(RECHECK);
                } else {
                    evict(pod, now, &mut plan);
                }
            }
        }
        plan
    }
}

/// The Node's taints that drive Pods away.
fn drivers(node: &Node) -> impl Iterator<Item = &Taint> {
    nodes::taints(node)
        .iter()
        .filter(|taint| nodes::drives_away(taint))
}

/// What the taints mean for a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It may stay, as far as one can tell.
    Stays,
    /// It has to go after this long.
    GoesIn(Duration),
    /// It has to go.
    Goes,
}

fn verdict(pod: &Pod, taints: &[&Taint], now: Timestamp) -> Verdict {
    let tolerations = pod.spec.as_ref().map_or(&[][..], |spec| &spec.tolerations);
    let seconds = match stay(taints.iter().copied(), tolerations) {
        Stay::Forever => return Verdict::Stays,
        Stay::Seconds(0) => return Verdict::Goes,
        Stay::Seconds(seconds) => Duration::from_secs(seconds.unsigned_abs()),
    };
    let times = taints
        .iter()
        .map(|taint| taint.time_added.as_ref().map(timestamp));
    // The node lifecycle controller gives a taint without time one; that change brings the Pod here again.
    let Some(since) = times
        .collect::<Option<Vec<_>>>()
        .and_then(|times| times.into_iter().max())
    else {
        return Verdict::Stays;
    };
    match seconds.saturating_sub(between(since, now)) {
        Duration::ZERO => Verdict::Goes,
        left => Verdict::GoesIn(left),
    }
}

fn evict(pod: &Pod, now: Timestamp, plan: &mut Plan) {
    let mut conditions = pods::conditions(pod).to_vec();
    let condition = PodCondition {
        r#type: "DisruptionTarget".into(),
        status: "True".into(),
        reason: "DeletionByTaintManager".into(),
        message: "Taint manager: deleting due to NoExecute taint".into(),
        last_transition_time: Some(time(now)),
        ..PodCondition::default()
    };
    if set_condition(&mut conditions, condition) {
        let status = json!({"conditions": patch::list("PodCondition", &conditions)});
        plan.push(Action::patch_status(pod, patch::of_status(pod.meta(), status)));
    }
    plan.push(Action::delete(pod));
    let message = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
    plan.push(Action::event(
        pod,
        EventKind::Normal,
        "TaintManagerEviction",
        message,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::well_known::{NO_EXECUTE, NO_SCHEDULE};
    use client::testing::World;
    use proto::api::core::v1::Toleration;

    fn taint(key: &str, effect: &str, added: Option<i64>) -> Taint {
        Taint {
            key: key.into(),
            effect: effect.into(),
            time_added: added.map(|seconds| proto::Timestamp { seconds, nanos: 0 }),
            ..Taint::default()
        }
    }

    fn pod(name: &str, tolerated: &[(&str, Option<i64>)]) -> Pod {
        let mut pod = Pod::default();
        pod.metadata_mut().name = name.into();
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = "node-1".into();
        spec.tolerations = tolerated
            .iter()
            .map(|(key, seconds)| Toleration {
                key: (*key).into(),
                operator: "Exists".into(),
                effect: NO_EXECUTE.into(),
                toleration_seconds: *seconds,
                ..Toleration::default()
            })
            .collect();
        pod
    }

    #[test]
    fn a_pod_goes_when_its_tolerations_of_the_taints_have_run_out() {
        let a = taint("a", NO_EXECUTE, Some(70));
        let b = taint("b", NO_EXECUTE, Some(90));
        let untimed = taint("u", NO_EXECUTE, None);
        let goes_in = |seconds| Verdict::GoesIn(Duration::from_secs(seconds));
        for (taints, tolerated, expected) in [
            (vec![], vec![], Verdict::Stays),
            (vec![&a], vec![], Verdict::Goes),
            (vec![&untimed], vec![], Verdict::Goes),
            (vec![&a], vec![("a", None)], Verdict::Stays),
            (vec![&a], vec![("a", Some(300))], goes_in(270)),
            (vec![&a], vec![("a", Some(30))], Verdict::Goes),
            (vec![&a], vec![("a", Some(31))], goes_in(1)),
            (vec![&a, &b], vec![("a", Some(30))], Verdict::Goes),
            (vec![&a, &b], vec![("a", Some(30)), ("b", None)], goes_in(20)),
            (vec![&untimed], vec![("u", Some(1))], Verdict::Stays),
        ] {
            let now = Timestamp::from_second(100).unwrap();
            assert_eq!(
                verdict(&pod("web", &tolerated), &taints, now),
                expected,
                "{tolerated:?}"
            );
        }
    }

    #[test]
    fn a_taint_that_goes_away_in_time_saves_the_pods_that_tolerated_it() {
        let settings = Settings::default();
        let controller = TaintEvictionController::new(&settings);
        let mut world = World::of(&[&controller]);
        let mut node = Node::default();
        node.metadata_mut().name = "node-1".into();
        world.add(&node);
        world.add(&pod("patient", &[("broken", Some(60))]));
        world.add(&pod("hasty", &[]));
        world.add(&pod("calm", &[("broken", None)]));
        world.settle(&[&controller]);
        let now = world.now().as_second();
        world.edit::<Node>("", "node-1", |node| {
            let spec = node.spec.get_or_insert_default();
            spec.taints = vec![
                taint("broken", NO_EXECUTE, Some(now)),
                taint("full", NO_SCHEDULE, None),
            ];
        });
        let going = |world: &World| -> Vec<String> {
            let pods = world.list::<Pod>().into_iter().filter(pods::is_terminating);
            pods.map(|pod| pod.name().to_owned()).collect()
        };
        world.settle(&[&controller]);
        assert_eq!(going(&world), ["hasty"]);
        let event = &world.events[0];
        assert_eq!(
            (event.reason.as_str(), event.message.as_str()),
            ("TaintManagerEviction", "Marking for deletion Pod default/hasty")
        );
        let hasty: Pod = world.get("default", "hasty").unwrap();
        assert_eq!(pods::conditions(&hasty)[0].reason, "DeletionByTaintManager");
        world.advance(Duration::from_secs(59));
        world.edit::<Node>("", "node-1", |node| node.spec = None);
        world.settle(&[&controller]);
        world.advance(Duration::from_secs(60));
        world.settle(&[&controller]);
        assert_eq!(going(&world), ["hasty"]);
    }
}
