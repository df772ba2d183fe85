//! Deployment controller: moves the Pods of a Deployment from one template to the next, through ReplicaSets.
//!
//! Watches: Deployment; ReplicaSet, by its controller owner, or by labels where it has none; Pod, for `Recreate`, which
//! waits until the old ones are gone. Writes: ReplicaSet (create, spec, owner reference, delete old ones); Deployment
//! status and its revision annotation. Never a Pod.
//! Invariants: by its own doing never more than `replicas + maxSurge` Pods asked for, nor fewer than
//! `replicas - maxUnavailable` available ones.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>
//!
//! One reconcile takes one step, as upstream does: it plans, and what the plan leads to causes the next.

mod annotations;
mod limits;
mod rollout;
mod scale;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use crate::claim::{self, Claim};
use crate::pods;
use apimachinery::owner::controller_of;
use apimachinery::selector::LabelSelector;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, EventKind, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use proto::api::core::v1::Pod;
use sets::Sets;
use std::sync::Arc;

/// The index over ReplicaSets that no controller owns, by namespace: the candidates for adoption.
const ORPHANS: &str = "replicasets-without-controller";

/// The controller. It keeps nothing.
pub(crate) struct DeploymentController;

impl Controller for DeploymentController {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn watches(&self) -> Vec<Watch> {
        let orphan = |rs: &ReplicaSet| {
            controller_of(rs.meta())
                .is_none()
                .then(|| rs.namespace().to_owned())
        };
        vec![
            Watch::of::<Deployment>(),
            Watch::indexed::<ReplicaSet>(ORPHANS, orphan),
            Watch::of::<Pod>(),
        ]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<Deployment>() {
            return vec![event.key.clone()];
        }
        if event.key.is::<ReplicaSet>() {
            return claim::keys_of::<Deployment>(cache, event, selector);
        }
        // Of a Pod only its end matters, and only to a Deployment that waits for it.
        if event.key.is::<Pod>() && event.after::<Pod>().is_none_or(pods::is_finished) {
            return waiting_for_the_end(cache, event);
        }
        Vec::new()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let Some(deployment) = cache.get_key::<Deployment>(key) else {
            return Plan::none();
        };
        let owned = cache.controlled::<ReplicaSet>(deployment.uid()).cloned();
        let orphans = cache
            .by_index::<ReplicaSet>(ORPHANS, deployment.namespace())
            .cloned();
        let sets: Vec<_> = owned.chain(orphans).collect();
        let runs = |set: &ReplicaSet| cache.owned::<Pod>(set.uid()).any(|pod| !pods::is_finished(pod));
        let observed = Observed {
            deployment,
            running: sets
                .iter()
                .filter(|set| runs(set))
                .map(|set| set.uid().to_owned())
                .collect(),
            sets,
            taken: &|name| cache.get::<ReplicaSet>(deployment.namespace(), name).is_some(),
        };
        reconcile(&observed, now)
    }
}

/// The Deployments of strategy `Recreate` that a Pod belongs to.
fn waiting_for_the_end(cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
    let owners = event
        .metas()
        .filter_map(|meta| Some((&meta.namespace, controller_of(meta)?)));
    let sets = owners.filter_map(|(namespace, owner)| cache.get::<ReplicaSet>(namespace, &owner.name));
    let deployments =
        sets.filter_map(|set| cache.get::<Deployment>(set.namespace(), &controller_of(set.meta())?.name));
    let waiting = deployments.filter(|deployment| limits::is_recreate(deployment));
    let mut keys: Vec<_> = waiting.map(|deployment| ObjectKey::of(&**deployment)).collect();
    keys.dedup();
    keys
}

fn selector(deployment: &Deployment) -> LabelSelector {
    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    // The apiserver refuses a selector that does not parse.
    LabelSelector::from_proto(selector).unwrap_or(LabelSelector::Nothing)
}

/// The spec; the apiserver stores none without.
fn spec(deployment: &Deployment) -> DeploymentSpec {
    deployment.spec.clone().unwrap_or_default()
}

/// What a Deployment is reconciled from.
struct Observed<'a> {
    deployment: &'a Deployment,
    /// Its ReplicaSets, and those of the namespace that no controller owns.
    sets: Vec<Arc<ReplicaSet>>,
    /// The UIDs of those ReplicaSets that still have Pods which have not ended.
    running: Vec<String>,
    /// Whether a ReplicaSet of this name exists, whoever owns it.
    taken: &'a dyn Fn(&str) -> bool,
}

fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let deployment = observed.deployment;
    let mut plan = Plan::none();
    let claim = Claim::of(deployment, selector(deployment));
    let mut held = Vec::new();
    for set in &observed.sets {
        plan.actions.extend(claim.adopt_or_release(&**set));
        if claim.holds(&**set) {
            held.push(set.clone());
        }
    }
    let mut sets = Sets::new(deployment, held);
    // What else is to change about an adopted ReplicaSet waits for its adoption: each is written once.
    if deployment.meta().deletion_timestamp.is_some() || !plan.is_empty() {
        status::sync(deployment, &sets, None, now, &mut plan);
        return plan;
    }
    sets.sync_revision(deployment);
    let started = if spec(deployment).paused || scale::is_scaling(deployment, &sets) {
        scale::scale(deployment, &mut sets);
        None
    } else {
        step(observed, &mut sets)
    };
    if started
        .as_ref()
        .is_some_and(|started| (observed.taken)(started.name()))
    {
        // A ReplicaSet of another template or another owner has the name: another hash gives another.
        status::collide(deployment, &mut plan);
        return plan;
    }
    write(deployment, &sets, started.as_ref(), &mut plan);
    if !sets.changed() && status::is_complete(deployment, &status::observe(deployment, &sets, None)) {
        plan.actions
            .extend(rollout::history_to_drop(deployment, &sets).map(|set| Action::delete(&**set)));
    }
    status::sync(deployment, &sets, started.as_ref(), now, &mut plan);
    annotations::sync_deployment(deployment, sets.revision(started.as_ref()), &mut plan);
    plan
}

/// One step of a rollout. Gives the new ReplicaSet to create, where there is none yet and there may be one.
fn step(observed: &Observed<'_>, sets: &mut Sets) -> Option<ReplicaSet> {
    let deployment = observed.deployment;
    if limits::is_recreate(deployment) {
        let stopping = rollout::stop_old(sets);
        if stopping
            || sets
                .old
                .iter()
                .any(|set| observed.running.iter().any(|uid| uid == set.uid()))
        {
            return None;
        }
    }
    if sets.new.is_none() {
        return Some(rollout::first(deployment, sets));
    }
    if limits::is_recreate(deployment) {
        rollout::fill_new(deployment, sets);
    } else {
        rollout::roll(deployment, sets);
    }
    None
}

/// The writes that bring the ReplicaSets to what was planned for them.
fn write(deployment: &Deployment, sets: &Sets, started: Option<&ReplicaSet>, plan: &mut Plan) {
    let event = |direction: &str, name: &str, from: i32, to: i32| {
        let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
        Action::event(deployment, EventKind::Normal, "ScalingReplicaSet", message)
    };
    if let Some(started) = started {
        plan.push(Action::create(started));
        if sets::replicas(started) > 0 {
            plan.push(event("up", started.name(), 0, sets::replicas(started)));
        }
    }
    for set in sets.all().filter(|set| set.changed()) {
        plan.push(Action::update(&set.planned));
        let (from, to) = (sets::replicas(&set.seen), set.replicas());
        if from != to {
            plan.push(event(if to > from { "up" } else { "down" }, set.name(), from, to));
        }
    }
}
