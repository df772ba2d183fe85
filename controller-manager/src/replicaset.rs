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

/// The index over Pods that no controller owns, by namespace: the candidates for adoption.
const ORPHANS: &str = "pods-without-controller";

/// The controller. It keeps nothing.
pub(crate) struct ReplicaSetController;

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    fn watches(&self) -> Vec<Watch> {
        let orphan = |pod: &Pod| controller_of(pod.meta()).is_none().then(|| pod.namespace().to_owned());
        vec![Watch::of::<ReplicaSet>(), Watch::indexed::<Pod>(ORPHANS, orphan), Watch::of::<Namespace>()]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<ReplicaSet>() {
            return vec![event.key.clone()];
        }
        if event.key.is::<Pod>() { claim::keys_of::<ReplicaSet>(cache, event, selector) } else { Vec::new() }
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let Some(rs) = cache.get_key::<ReplicaSet>(key) else { return Plan::none() };
        let namespace = cache.get::<Namespace>("", rs.namespace());
        let observed = Observed {
            rs,
            pods: cache.owned::<Pod>(rs.uid()).cloned().collect(),
            orphans: cache.by_index::<Pod>(ORPHANS, rs.namespace()).cloned().collect(),
            namespace_is_going: namespace.is_some_and(|namespace| namespace.meta().deletion_timestamp.is_some()),
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
    /// All Pods that name the ReplicaSet as an owner.
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
    let terminating = pods.iter().filter(|pod| pods::is_terminating(pod) && !pods::is_finished(pod)).count();
    let status = status(rs, &live, terminating, now, &mut plan);
    if rs.status.as_ref() != Some(&status) {
        plan.push(Action::update_status(&ReplicaSet { status: Some(status), ..rs.clone() }));
    }
    plan
}

/// Creates the Pods that are missing, or deletes those that are too many.
fn scale(rs: &ReplicaSet, live: &[&Arc<Pod>], namespace_is_going: bool, plan: &mut Plan) {
    let desired = usize::try_from(desired(rs)).unwrap_or(0);
    if live.len() < desired && !namespace_is_going {
        for _ in 0..(desired - live.len()).min(BURST) {
            plan.push(Action::create(&new_pod(rs)));
        }
        let message = format!("Created {} pod(s)", (desired - live.len()).min(BURST));
        plan.push(Action::event(rs, EventKind::Normal, "SuccessfulCreate", message));
    }
    if live.len() > desired {
        let mut candidates = live.to_vec();
        pods::sort_for_deletion(&mut candidates);
        for pod in candidates.iter().take((live.len() - desired).min(BURST)) {
            plan.push(Action::delete(&***pod));
            let message = format!("Deleted pod: {}", pod.name());
            plan.push(Action::event(rs, EventKind::Normal, "SuccessfulDelete", message));
        }
    }
}

fn desired(rs: &ReplicaSet) -> i32 {
    rs.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// A Pod as the template says, owned by the ReplicaSet. The server completes its name.
fn new_pod(rs: &ReplicaSet) -> Pod {
    let template = rs.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let of_template = template.metadata.unwrap_or_default();
    let mut pod = Pod { spec: template.spec, ..Pod::default() };
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
    let template_labels = spec.template.and_then(|template| template.metadata).unwrap_or_default().labels;
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let labeled = |pod: &Pod| template_labels.iter().all(|(key, value)| pod.meta().labels.get(key) == Some(value));
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
