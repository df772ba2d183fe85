//! Disruption controller: tells every PodDisruptionBudget how many of its Pods may be evicted now.
//!
//! Watches: PodDisruptionBudget; Pod, by the budget's labels; Deployment, ReplicaSet, StatefulSet and
//! ReplicationController, whose replicas are what a budget of percentages counts from. Writes: PodDisruptionBudget status.
//! Invariant: an eviction that was granted counts against the budget until its Pod is seen to go, or for
//! [`DELETION_TIMEOUT`].
//! <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>

use crate::pods::{self, between};
use apimachinery::int_or_string;
use apimachinery::meta::{get_condition, set_condition};
use apimachinery::owner::controller_of;
use apimachinery::selector::LabelSelector;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, EventAction, EventKind, Plan};
use client::key::ObjectKey;
use client::time::{time, timestamp};
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use proto::api::core::v1::{Pod, ReplicationController};
use proto::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use proto::meta::v1::{Condition, ObjectMeta, OwnerReference};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an eviction that was granted is believed in before its Pod is seen to go.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);

/// The condition that tells whether the budget has anything left.
const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// The controller. It keeps nothing.
pub(crate) struct DisruptionController;

impl Controller for DisruptionController {
    fn name(&self) -> &'static str {
        "disruption"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::of::<PodDisruptionBudget>(),
            Watch::of::<Pod>(),
            Watch::of::<Deployment>(),
            Watch::of::<ReplicaSet>(),
            Watch::of::<StatefulSet>(),
            Watch::of::<ReplicationController>(),
        ]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<PodDisruptionBudget>() {
            return vec![event.key.clone()];
        }
        let budgets = cache.list::<PodDisruptionBudget>(Some(&event.key.namespace));
        let is_pod = event.key.is::<Pod>();
        let concerned = budgets.filter(|budget| {
            // Of what makes Pods it is not known yet which Pods it has.
            !is_pod
                || event
                    .metas()
                    .any(|meta| selector(budget).matches_labels(&meta.labels))
        });
        concerned.map(|budget| ObjectKey::of(&**budget)).collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let Some(budget) = cache.get_key::<PodDisruptionBudget>(key) else {
            return Plan::none();
        };
        let selector = selector(budget);
        let pods: Vec<&Arc<Pod>> = cache
            .list::<Pod>(Some(budget.namespace()))
            .filter(|pod| selector.matches_labels(&pod.meta().labels))
            .collect();
        let wanted = wanted(budget, &pods, |owner| replicas(cache, budget.namespace(), owner));
        reconcile(budget, &pods, wanted, now)
    }
}

fn selector(budget: &PodDisruptionBudget) -> LabelSelector {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    // The apiserver refuses a selector that does not parse.
    LabelSelector::from_proto(selector).unwrap_or(LabelSelector::Nothing)
}

/// How many Pods there should be, and how many of them must be healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    expected: i32,
    healthy: i32,
}

/// What the budget asks for. `replicas` gives what a Pod's controller is asked for, and by which UID that counts once.
fn wanted(
    budget: &PodDisruptionBudget,
    pods: &[&Arc<Pod>],
    replicas: impl Fn(&OwnerReference) -> Option<(String, i32)>,
) -> Result<Wanted, String> {
    let spec = budget.spec.clone().unwrap_or_default();
    let expected = || -> Result<i32, String> {
        let mut scales = BTreeMap::new();
        for pod in pods {
            // Pods that nobody manages count for nothing here.
            let Some(owner) = controller_of(pod.meta()) else {
                continue;
            };
            let (uid, count) =
                replicas(owner).ok_or_else(|| format!("found no controllers for pod {:?}", pod.name()))?;
            scales.insert(uid, count);
        }
        Ok(scales
            .values()
            .fold(0, |sum: i32, count| sum.saturating_add(*count)))
    };
    let of = |share, total| int_or_string::scaled(share, total, true).unwrap_or(total);
    if let Some(share) = &spec.max_unavailable {
        let expected = expected()?;
        let healthy = expected.saturating_sub(of(share, expected)).max(0);
        return Ok(Wanted { expected, healthy });
    }
    match &spec.min_available {
        Some(share) if int_or_string::as_int(share).is_some() => Ok(Wanted {
            expected: i32::try_from(pods.len()).unwrap_or(i32::MAX),
            healthy: of(share, 0),
        }),
        Some(share) => {
            let expected = expected()?;
            let healthy = of(share, expected);
            Ok(Wanted { expected, healthy })
        }
        None => Ok(Wanted::default()),
    }
}

/// How many replicas a Pod's controller is asked for: its own, or those of the Deployment behind a ReplicaSet.
fn replicas(cache: &Cache, namespace: &str, owner: &OwnerReference) -> Option<(String, i32)> {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, owner.kind.as_str()) {
        ("apps", "ReplicaSet") => {
            let set = found::<ReplicaSet>(cache, namespace, owner)?;
            match controller_of(set.meta()).filter(|above| above.kind == Deployment::NAME) {
                Some(above) => {
                    let deployment = found::<Deployment>(cache, namespace, above)?;
                    let spec = deployment.spec.as_ref();
                    scale(deployment.meta(), spec.and_then(|spec| spec.replicas))
                }
                None => scale(set.meta(), set.spec.as_ref().and_then(|spec| spec.replicas)),
            }
        }
        ("apps", "StatefulSet") => {
            let set = found::<StatefulSet>(cache, namespace, owner)?;
            scale(set.meta(), set.spec.as_ref().and_then(|spec| spec.replicas))
        }
        ("", "ReplicationController") => {
            let controller = found::<ReplicationController>(cache, namespace, owner)?;
            let spec = controller.spec.as_ref();
            scale(controller.meta(), spec.and_then(|spec| spec.replicas))
        }
        _ => None,
    }
}

fn found<'a, K: Kind>(cache: &'a Cache, namespace: &str, owner: &OwnerReference) -> Option<&'a Arc<K>> {
    let found = cache.get::<K>(namespace, &owner.name);
    found.filter(|found| found.uid() == owner.uid)
}

/// Without a word about it, one replica is wanted.
fn scale(meta: &ObjectMeta, replicas: Option<i32>) -> Option<(String, i32)> {
    Some((meta.uid.clone(), replicas.unwrap_or(1)))
}

fn reconcile(
    budget: &PodDisruptionBudget,
    pods: &[&Arc<Pod>],
    wanted: Result<Wanted, String>,
    now: Timestamp,
) -> Plan {
    let before = budget.status.clone().unwrap_or_default();
    let mut plan = Plan::none();
    let mut status = before.clone();
    status.observed_generation = budget.meta().generation;
    match wanted {
        Ok(wanted) => {
            status.disrupted_pods = believed(&before, pods, now, &mut plan);
            count(&mut status, pods, wanted);
            let (allowed, reason) = match status.disruptions_allowed {
                0 => (false, "InsufficientPods"),
                _ => (true, "SufficientPods"),
            };
            set_allowed(&mut status, allowed, reason, "", now);
        }
        Err(why) => {
            // Who cannot tell must not let anything go.
            status.disruptions_allowed = 0;
            set_allowed(&mut status, false, "SyncFailed", &why, now);
            if status != before {
                let reason = "CalculateExpectedPodCountFailed";
                let message = format!("Failed to calculate the number of expected pods: {why}");
                let event = EventAction::new(budget, EventKind::Warning, reason, message);
                plan.push(Action::RecordEvent(event));
            }
        }
    }
    if status != before {
        if pods.is_empty() {
            let event = EventAction::new(budget, EventKind::Normal, "NoPods", "No matching pods found");
            plan.push(Action::RecordEvent(event));
        }
        let mut next = PodDisruptionBudget::clone(budget);
        next.status = Some(status);
        plan.actions.insert(0, Action::update_status(&next));
    }
    plan
}

/// The granted evictions whose Pods are still there and not known to go, unless they were granted too long ago. Asks to
/// come back when the next one is.
fn believed(
    before: &PodDisruptionBudgetStatus,
    pods: &[&Arc<Pod>],
    now: Timestamp,
    plan: &mut Plan,
) -> BTreeMap<String, proto::Timestamp> {
    let mut believed = BTreeMap::new();
    for (name, granted) in &before.disrupted_pods {
        let stands = pods
            .iter()
            .any(|pod| pod.name() == name && !pods::is_terminating(pod));
        let waited = between(timestamp(granted), now);
        if stands && waited < DELETION_TIMEOUT {
            plan.requeue_in(DELETION_TIMEOUT - waited);
            believed.insert(name.clone(), *granted);
        }
    }
    believed
}

fn count(status: &mut PodDisruptionBudgetStatus, pods: &[&Arc<Pod>], wanted: Wanted) {
    let healthy = pods.iter().filter(|pod| {
        !pods::is_terminating(pod) && pods::is_ready(pod) && !status.disrupted_pods.contains_key(pod.name())
    });
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    status.current_healthy = healthy;
    status.desired_healthy = wanted.healthy;
    status.expected_pods = wanted.expected;
    status.disruptions_allowed = match wanted.expected {
        ..=0 => 0,
        _ => healthy.saturating_sub(wanted.healthy).max(0),
    };
}

fn set_allowed(
    status: &mut PodDisruptionBudgetStatus,
    allowed: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let condition = Condition {
        r#type: DISRUPTION_ALLOWED.into(),
        status: if allowed { "True" } else { "False" }.into(),
        observed_generation: status.observed_generation,
        last_transition_time: Some(time(now)),
        reason: reason.into(),
        message: message.into(),
    };
    let observed = get_condition(&status.conditions, DISRUPTION_ALLOWED).map(|c| c.observed_generation);
    if !set_condition(&mut status.conditions, condition) && observed != Some(status.observed_generation) {
        let same = status
            .conditions
            .iter_mut()
            .find(|c| c.r#type == DISRUPTION_ALLOWED);
        if let Some(same) = same {
            same.observed_generation = status.observed_generation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::DeploymentController;
    use crate::replicaset::ReplicaSetController;
    use crate::testing::{NAMESPACE, deployment, live_pods, make_all_ready, make_ready, pod};
    use apimachinery::int_or_string::{int, string};
    use client::testing::World;
    use proto::IntOrString;
    use proto::api::policy::v1::PodDisruptionBudgetSpec;
    use proto::meta::v1::LabelSelector as Selector;

    const ALL: [&dyn Controller; 3] = [
        &DeploymentController,
        &ReplicaSetController,
        &DisruptionController,
    ];

    fn budget(
        min_available: Option<IntOrString>,
        max_unavailable: Option<IntOrString>,
    ) -> PodDisruptionBudget {
        let selector = Selector {
            match_labels: [("app".to_owned(), "web".to_owned())].into(),
            ..Selector::default()
        };
        let mut budget = PodDisruptionBudget {
            spec: Some(PodDisruptionBudgetSpec {
                min_available,
                max_unavailable,
                selector: Some(selector),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        };
        budget.metadata_mut().name = "web".into();
        budget.metadata_mut().namespace = NAMESPACE.into();
        budget
    }

    fn status(world: &World) -> PodDisruptionBudgetStatus {
        let budget: PodDisruptionBudget = world.get(NAMESPACE, "web").unwrap();
        budget.status.unwrap_or_default()
    }

    /// Expected, healthy, wanted, allowed.
    fn numbers(world: &World) -> [i32; 4] {
        let status = status(world);
        [
            status.expected_pods,
            status.current_healthy,
            status.desired_healthy,
            status.disruptions_allowed,
        ]
    }

    fn condition(world: &World) -> (String, String) {
        let conditions = status(world).conditions;
        let condition = get_condition(&conditions, DISRUPTION_ALLOWED).unwrap();
        (condition.status.clone(), condition.reason.clone())
    }

    #[test]
    fn a_budget_counts_from_what_its_deployment_is_asked_for() {
        for (min_available, max_unavailable, expected) in [
            (Some(int(3)), None, [5, 5, 3, 2]),
            (Some(int(9)), None, [5, 5, 9, 0]),
            (Some(string("50%")), None, [5, 5, 3, 2]),
            (Some(string("100%")), None, [5, 5, 5, 0]),
            (None, Some(int(1)), [5, 5, 4, 1]),
            (None, Some(string("30%")), [5, 5, 3, 2]),
            (None, Some(int(9)), [5, 5, 0, 5]),
        ] {
            let mut world = World::of(&ALL);
            world.add(&deployment("web", 5));
            world.add(&budget(min_available.clone(), max_unavailable.clone()));
            world.settle(&ALL);
            make_all_ready(&mut world);
            world.settle(&ALL);
            assert_eq!(numbers(&world), expected, "{min_available:?} {max_unavailable:?}");
        }
    }

    #[test]
    fn pods_that_are_not_ready_are_not_healthy() {
        let mut world = World::of(&ALL);
        world.add(&deployment("web", 3));
        world.add(&budget(None, Some(int(1))));
        world.settle(&ALL);
        assert_eq!(numbers(&world), [3, 0, 2, 0]);
        assert_eq!(condition(&world), ("False".into(), "InsufficientPods".into()));
        make_all_ready(&mut world);
        world.settle(&ALL);
        assert_eq!(numbers(&world), [3, 3, 2, 1]);
        assert_eq!(condition(&world), ("True".into(), "SufficientPods".into()));
    }

    #[test]
    fn a_granted_eviction_counts_until_its_pod_goes_or_two_minutes_have_passed() {
        let mut world = World::of(&ALL);
        world.add(&deployment("web", 3));
        world.add(&budget(None, Some(int(1))));
        world.settle(&ALL);
        make_all_ready(&mut world);
        world.settle(&ALL);
        let victim = live_pods(&world)[0].name().to_owned();
        let granted = time(world.now());
        world.edit::<PodDisruptionBudget>(NAMESPACE, "web", |budget| {
            let status = budget.status.get_or_insert_default();
            status.disruptions_allowed -= 1;
            status.disrupted_pods.insert(victim.clone(), granted);
        });
        world.settle(&ALL);
        assert_eq!(numbers(&world), [3, 2, 2, 0]);
        world.advance(DELETION_TIMEOUT);
        world.settle(&ALL);
        assert_eq!(numbers(&world), [3, 3, 2, 1]);
        assert!(status(&world).disrupted_pods.is_empty());
    }

    #[test]
    fn pods_that_nobody_manages_count_only_where_a_number_is_asked_for() {
        let mut world = World::of(&[&DisruptionController]);
        let web = world.add(&pod("web-1", "web"));
        make_ready(&mut world, &web);
        world.add(&pod("other", "other"));
        world.add(&budget(Some(int(0)), None));
        world.settle(&[&DisruptionController]);
        assert_eq!(numbers(&world), [1, 1, 0, 1]);
        world.edit::<PodDisruptionBudget>(NAMESPACE, "web", |pdb| pdb.spec = budget(None, Some(int(1))).spec);
        world.settle(&[&DisruptionController]);
        assert_eq!(numbers(&world), [0, 1, 0, 0]);
    }

    #[test]
    fn nothing_may_go_while_the_pods_controller_is_unknown() {
        let mut world = World::of(&[&DisruptionController]);
        let mut web = pod("web-1", "web");
        web.metadata_mut().owner_references.push(OwnerReference {
            api_version: "example.com/v1".into(),
            kind: "Fleet".into(),
            name: "web".into(),
            uid: "u".into(),
            controller: Some(true),
            ..OwnerReference::default()
        });
        world.add(&web);
        world.add(&budget(None, Some(int(1))));
        world.settle(&[&DisruptionController]);
        assert_eq!(status(&world).disruptions_allowed, 0);
        assert_eq!(condition(&world), ("False".into(), "SyncFailed".into()));
    }

    #[test]
    fn a_new_generation_is_told_even_where_no_number_changes() {
        let mut world = World::of(&[&DisruptionController]);
        world.add(&budget(Some(int(1)), None));
        world.settle(&[&DisruptionController]);
        let before = status(&world);
        let changed = world.edit::<PodDisruptionBudget>(NAMESPACE, "web", |pdb| {
            pdb.spec.get_or_insert_default().unhealthy_pod_eviction_policy = Some("AlwaysAllow".into());
        });
        let generation = changed.meta().generation;
        assert!(generation > before.observed_generation);
        world.settle(&[&DisruptionController]);
        assert_eq!(status(&world).observed_generation, generation);
        assert_eq!(status(&world).conditions[0].observed_generation, generation);
    }
}
