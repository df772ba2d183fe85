//! ReplicaSet controller: keeps `spec.replicas` live Pods for every ReplicaSet.
//!
//! Watches: ReplicaSet; Pod, by its controller owner, or by labels where it has none; Namespace, to stop creating in one
//! that is going. Writes: Pod (create, delete, owner reference); ReplicaSet status. Never a Pod's spec or status.
//! Invariant: never more than `spec.replicas` live Pods by its own doing.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/>

use crate::claim::{self, Claim};
use crate::pods::{self, Availability};
use apimachinery::owner::{controller_of, controller_ref};
use apimachinery::selector::LabelSelector;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, EventKind, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use proto::api::core::v1::{Namespace, Pod};
use std::sync::Arc;

/// The most Pods that one plan creates or deletes, so that a huge ReplicaSet does not keep others waiting.
const BURST: usize = 500;

/// The most Events that one plan tells of its Pods: as many as upstream's spam filter lets pass.
const EVENTS: usize = 25;

/// The index over Pods that no controller owns, by namespace: the candidates for adoption.
const ORPHANS: &str = "pods-without-controller";

/// The controller. It keeps nothing.
pub(crate) struct ReplicaSetController;

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    fn watches(&self) -> Vec<Watch> {
        let orphan = |pod: &Pod| {
            controller_of(pod.meta())
                .is_none()
                .then(|| pod.namespace().to_owned())
        };
        vec![
            Watch::of::<ReplicaSet>(),
            Watch::indexed::<Pod>(ORPHANS, orphan),
            Watch::of::<Namespace>(),
        ]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<ReplicaSet>() {
            return vec![event.key.clone()];
        }
        if event.key.is::<Pod>() {
            claim::keys_of::<ReplicaSet>(cache, event, selector)
        } else {
            Vec::new()
        }
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let Some(rs) = cache.get_key::<ReplicaSet>(key) else {
            return Plan::none();
        };
        let namespace = cache.get::<Namespace>("", rs.namespace());
        let observed = Observed {
            rs,
            pods: cache.controlled::<Pod>(rs.uid()).cloned().collect(),
            orphans: cache.by_index::<Pod>(ORPHANS, rs.namespace()).cloned().collect(),
            namespace_is_going: namespace
                .is_some_and(|namespace| namespace.meta().deletion_timestamp.is_some()),
        };
        reconcile(&observed, now)
    }
}

fn selector(rs: &ReplicaSet) -> LabelSelector {
    let selector = rs.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    // The apiserver refuses a selector that does not parse.
    LabelSelector::from_proto(selector).unwrap_or(LabelSelector::Nothing)
}

/// What a ReplicaSet is reconciled from.
struct Observed<'a> {
    rs: &'a ReplicaSet,
    /// All Pods whose controller the ReplicaSet is.
    pods: Vec<Arc<Pod>>,
    /// The Pods of the namespace that no controller owns.
    orphans: Vec<Arc<Pod>>,
    namespace_is_going: bool,
}

fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let rs = observed.rs;
    let mut plan = Plan::none();
    let claim = Claim::of(rs, selector(rs));
    let mut pods = Vec::new();
    for pod in observed.pods.iter().chain(&observed.orphans) {
        plan.actions.extend(claim.adopt_or_release(&**pod));
        if claim.holds(&**pod) {
            pods.push(pod);
        }
    }
    let live: Vec<_> = pods.iter().copied().filter(|pod| pods::is_live(pod)).collect();
    if rs.meta().deletion_timestamp.is_none() {
        scale(rs, &live, observed.namespace_is_going, &mut plan);
    }
    let terminating = pods
        .iter()
        .filter(|pod| pods::is_terminating(pod) && !pods::is_finished(pod))
        .count();
    let status = status(rs, &live, terminating, now, &mut plan);
    if rs.status.as_ref() != Some(&status) {
        plan.push(Action::update_status(&ReplicaSet {
            status: Some(status),
            ..rs.clone()
        }));
    }
    plan
}

/// Creates the Pods that are missing, or deletes those that are too many.
fn scale(rs: &ReplicaSet, live: &[&Arc<Pod>], namespace_is_going: bool, plan: &mut Plan) {
    let desired = usize::try_from(desired(rs)).unwrap_or(0);
    if live.len() < desired && !namespace_is_going {
        for created in 0..(desired - live.len()).min(BURST) {
            plan.push(Action::create(&new_pod(rs)));
            if created < EVENTS {
                plan.push(Action::event(
                    rs,
                    EventKind::Normal,
                    "SuccessfulCreate",
                    "Created pod: {name}",
                ));
            }
        }
    }
    if live.len() > desired {
        let mut candidates = live.to_vec();
        pods::sort_for_deletion(&mut candidates);
        for (deleted, pod) in candidates
            .iter()
            .take((live.len() - desired).min(BURST))
            .enumerate()
        {
            plan.push(Action::delete(&***pod));
            if deleted < EVENTS {
                plan.push(Action::event(
                    rs,
                    EventKind::Normal,
                    "SuccessfulDelete",
                    "Deleted pod: {name}",
                ));
            }
        }
    }
}

fn desired(rs: &ReplicaSet) -> i32 {
    rs.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// A Pod as the template says, owned by the ReplicaSet. The server completes its name.
fn new_pod(rs: &ReplicaSet) -> Pod {
    let template = rs
        .spec
        .as_ref()
        .and_then(|spec| spec.template.clone())
        .unwrap_or_default();
    let of_template = template.metadata.unwrap_or_default();
    let mut pod = Pod {
        spec: template.spec,
        ..Pod::default()
    };
    let meta = pod.metadata_mut();
    meta.generate_name = format!("{}-", rs.name());
    meta.namespace = rs.namespace().to_owned();
    meta.labels = of_template.labels;
    meta.annotations = of_template.annotations;
    meta.finalizers = of_template.finalizers;
    meta.owner_references = vec![controller_ref(rs)];
    pod
}

fn status(
    rs: &ReplicaSet,
    live: &[&Arc<Pod>],
    terminating: usize,
    now: Timestamp,
    plan: &mut Plan,
) -> ReplicaSetStatus {
    let spec = rs.spec.clone().unwrap_or_default();
    let template_labels = spec
        .template
        .and_then(|template| template.metadata)
        .unwrap_or_default()
        .labels;
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let labeled = |pod: &Pod| {
        template_labels
            .iter()
            .all(|(key, value)| pod.meta().labels.get(key) == Some(value))
    };
    let mut available = 0;
    for pod in live {
        match pods::availability(pod, spec.min_ready_seconds, now) {
            Availability::Available => available += 1,
            Availability::In(wait) => plan.requeue_in(wait),
            Availability::NotReady => {}
        }
    }
    ReplicaSetStatus {
        replicas: count(live.len()),
        fully_labeled_replicas: count(live.iter().filter(|pod| labeled(pod)).count()),
        ready_replicas: count(live.iter().filter(|pod| pods::is_ready(pod)).count()),
        available_replicas: available,
        terminating_replicas: Some(count(terminating)),
        observed_generation: rs.meta().generation,
        conditions: rs.status.clone().unwrap_or_default().conditions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NAMESPACE, finish_terminating, live_pods, make_all_ready, pod, replica_set};
    use client::testing::World;
    use proptest::prelude::*;
    use proto::api::core::v1::PodStatus;
    use proto::meta::v1::OwnerReference;
    use std::time::Duration;

    fn world() -> World {
        World::of(&[&ReplicaSetController])
    }

    fn settle(world: &mut World) -> Vec<Action> {
        world.settle(&[&ReplicaSetController])
    }

    fn status_of(world: &World) -> ReplicaSetStatus {
        world.get::<ReplicaSet>(NAMESPACE, "web").unwrap().status.unwrap()
    }

    #[test]
    fn as_many_pods_as_asked_for_are_made_from_the_template_and_owned() {
        let mut world = world();
        let rs = world.add(&replica_set("web", 3));
        settle(&mut world);
        let pods = live_pods(&world);
        assert_eq!(pods.len(), 3);
        for pod in &pods {
            assert!(pod.name().starts_with("web-"), "{}", pod.name());
            assert_eq!(controller_of(pod.meta()).unwrap().uid, rs.uid());
            assert_eq!(pod.spec.as_ref().unwrap().containers[0].image, "one");
        }
        let status = status_of(&world);
        assert_eq!(
            (
                status.replicas,
                status.fully_labeled_replicas,
                status.ready_replicas
            ),
            (3, 3, 0)
        );
        make_all_ready(&mut world);
        settle(&mut world);
        let status = status_of(&world);
        assert_eq!(
            (
                status.ready_replicas,
                status.available_replicas,
                status.observed_generation
            ),
            (3, 3, 1)
        );
    }

    #[test]
    fn zero_replicas_cleans_everything_up() {
        let mut world = world();
        world.add(&replica_set("web", 3));
        settle(&mut world);
        world.edit::<ReplicaSet>(NAMESPACE, "web", |rs| {
            rs.spec.get_or_insert_default().replicas = Some(0);
        });
        settle(&mut world);
        finish_terminating(&mut world);
        settle(&mut world);
        assert_eq!(world.list::<Pod>().len(), 0);
        assert_eq!(status_of(&world).replicas, 0);
        assert_eq!(status_of(&world).terminating_replicas, Some(0));
    }

    #[test]
    fn a_pod_that_dies_is_replaced() {
        let mut world = world();
        world.add(&replica_set("web", 2));
        settle(&mut world);
        let lost = live_pods(&world);
        world.remove(&lost[0]);
        world.edit::<Pod>(NAMESPACE, lost[1].name(), |pod| {
            pod.status = Some(PodStatus {
                phase: "Failed".into(),
                ..PodStatus::default()
            });
        });
        settle(&mut world);
        let live = live_pods(&world);
        assert_eq!(live.len(), 2);
        assert!(
            live.iter()
                .all(|pod| lost.iter().all(|lost| lost.uid() != pod.uid()))
        );
    }

    #[test]
    fn a_matching_pod_without_controller_is_adopted_instead_of_made() {
        let mut world = world();
        world.add(&pod("stray", "web"));
        world.add(&pod("other", "db"));
        let rs = world.add(&replica_set("web", 2));
        settle(&mut world);
        let stray: Pod = world.get(NAMESPACE, "stray").unwrap();
        assert_eq!(controller_of(stray.meta()).unwrap().uid, rs.uid());
        assert_eq!(world.list::<Pod>().len(), 3);
        assert!(controller_of(world.get::<Pod>(NAMESPACE, "other").unwrap().meta()).is_none());
    }

    #[test]
    fn a_pod_that_names_it_as_owner_but_not_as_controller_counts_once_and_is_adopted() {
        let mut world = world();
        let rs = world.add(&replica_set("web", 0));
        let mut stray = pod("stray", "web");
        stray.metadata_mut().owner_references.push(OwnerReference {
            controller: None,
            ..controller_ref(&rs)
        });
        world.add(&stray);
        world.edit::<ReplicaSet>(NAMESPACE, "web", |rs| {
            rs.spec.get_or_insert_default().replicas = Some(1);
        });
        settle(&mut world);
        let owners = &world
            .get::<Pod>(NAMESPACE, "stray")
            .unwrap()
            .metadata
            .unwrap()
            .owner_references;
        assert_eq!(owners[..], [controller_ref(&rs)]);
        assert_eq!(live_pods(&world).len(), 1);
        assert_eq!(status_of(&world).replicas, 1);
    }

    #[test]
    fn a_pod_whose_labels_no_longer_match_is_released_and_replaced() {
        let mut world = world();
        world.add(&replica_set("web", 1));
        settle(&mut world);
        let name = live_pods(&world)[0].name().to_owned();
        world.edit::<Pod>(NAMESPACE, &name, |pod| {
            pod.metadata_mut().labels.insert("app".into(), "debug".into());
        });
        settle(&mut world);
        assert!(controller_of(world.get::<Pod>(NAMESPACE, &name).unwrap().meta()).is_none());
        assert_eq!(live_pods(&world).len(), 2);
    }

    #[test]
    fn a_pod_counts_as_available_after_min_ready_seconds() {
        let mut world = world();
        let mut rs = replica_set("web", 1);
        rs.spec.get_or_insert_default().min_ready_seconds = 10;
        world.add(&rs);
        settle(&mut world);
        make_all_ready(&mut world);
        settle(&mut world);
        assert_eq!(
            (
                status_of(&world).ready_replicas,
                status_of(&world).available_replicas
            ),
            (1, 0)
        );
        world.advance(Duration::from_secs(10));
        settle(&mut world);
        assert_eq!(status_of(&world).available_replicas, 1);
    }

    #[test]
    fn nothing_is_made_in_a_namespace_that_is_going() {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name = NAMESPACE.into();
        namespace.metadata_mut().finalizers.push("test/hold".into());
        let mut world = world();
        let namespace = world.add(&namespace);
        world.delete(&namespace);
        world.add(&replica_set("web", 3));
        settle(&mut world);
        assert_eq!(world.list::<Pod>().len(), 0);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_settles_at_exactly_the_pods_asked_for(
            steps in prop::collection::vec((0..5_u8, 0..8_usize), 1..25),
        ) {
            let mut world = world();
            world.add(&replica_set("web", 2));
            for (step, choice) in steps {
                let pods = world.list::<Pod>();
                let pick = (!pods.is_empty()).then(|| pods[choice % pods.len()].clone());
                match (step, pick) {
                    (0, _) => {
                        let replicas = i32::try_from(choice).unwrap();
                        world.edit::<ReplicaSet>(NAMESPACE, "web", |rs| {
                            rs.spec.get_or_insert_default().replicas = Some(replicas);
                        });
                    }
                    (1, Some(pod)) => world.remove(&pod),
                    (2, Some(pod)) => {
                        world.edit::<Pod>(NAMESPACE, pod.name(), |pod| {
                            pod.status.get_or_insert_default().phase = "Failed".into();
                        });
                    }
                    (3, _) => make_all_ready(&mut world),
                    _ => finish_terminating(&mut world),
                }
                settle(&mut world);
                let rs: ReplicaSet = world.get(NAMESPACE, "web").unwrap();
                prop_assert_eq!(live_pods(&world).len(), usize::try_from(desired(&rs)).unwrap());
            }
        }
    }
}
