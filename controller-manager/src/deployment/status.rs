//! The status of a Deployment: how many, and the conditions Available, Progressing and ReplicaFailure.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>

use super::sets::{self, Sets};
use super::{limits, spec};
use crate::pods::between;
use apimachinery::meta::get_condition;
use client::controller::{Action, Plan};
use client::time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetStatus};
use std::time::Duration;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The counts, without an opinion on them.
pub(super) fn observe(
    deployment: &Deployment,
    sets: &Sets,
    started: Option<&ReplicaSet>,
) -> DeploymentStatus {
    let before = deployment.status.clone().unwrap_or_default();
    let statuses: Vec<_> = sets
        .all()
        .map(|set| set.status.clone().unwrap_or_default())
        .collect();
    let sum = |count: fn(&ReplicaSetStatus) -> i32| statuses.iter().map(count).sum::<i32>();
    let available = sum(|status| status.available_replicas);
    let asked_for = sets.replicas() + started.map_or(0, sets::replicas);
    let updated = sets.new.as_ref().and_then(|new| new.status.as_ref());
    DeploymentStatus {
        observed_generation: deployment.meta().generation,
        replicas: sum(|status| status.replicas),
        updated_replicas: updated.map_or(0, |status| status.replicas),
        ready_replicas: sum(|status| status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (asked_for - available).max(0),
        terminating_replicas: Some(sum(|status| status.terminating_replicas.unwrap_or(0))),
        collision_count: before.collision_count,
        conditions: before.conditions,
    }
}

/// Whether the rollout is over: all Pods are new and available, and no others are left.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = limits::replicas(deployment);
    [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ]
    .iter()
    .all(|count| *count == wanted)
        && status.observed_generation >= deployment.meta().generation
}

/// Plans the status, and asks to be called again when lack of progress would show.
pub(super) fn sync(
    deployment: &Deployment,
    sets: &Sets,
    started: Option<&ReplicaSet>,
    now: Timestamp,
    plan: &mut Plan,
) {
    let mut status = observe(deployment, sets, started);
    let enough = limits::replicas(deployment) - limits::max_unavailable(deployment);
    let available = if status.available_replicas >= enough {
        opinion(
            AVAILABLE,
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        opinion(
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set(&mut status, available, now);
    progress(deployment, sets, started, &mut status, now);
    fail(sets, &mut status);
    if let Some(wait) = until_deadline(deployment, &status, now) {
        plan.requeue_in(wait);
    }
    if deployment.status.as_ref() != Some(&status) {
        plan.push(Action::update_status(&Deployment {
            status: Some(status),
            ..deployment.clone()
        }));
    }
}

/// Plans another hash for the Deployment's template: the name that this one gives is taken.
pub(super) fn collide(deployment: &Deployment, plan: &mut Plan) {
    let mut status = deployment.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
    plan.push(Action::update_status(&Deployment {
        status: Some(status),
        ..deployment.clone()
    }));
}

/// How long a rollout may go without progress; `None` where nobody asks.
fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = spec(deployment)
        .progress_deadline_seconds
        .filter(|seconds| *seconds != i32::MAX)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// A condition without times yet.
fn opinion(r#type: &str, status: &str, reason: &str, message: impl Into<String>) -> DeploymentCondition {
    DeploymentCondition {
        r#type: r#type.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        ..DeploymentCondition::default()
    }
}

/// Sets a condition, unless the one there says the same.
fn set(status: &mut DeploymentStatus, new: DeploymentCondition, now: Timestamp) {
    let before = get_condition(&status.conditions, &new.r#type);
    if before.is_none_or(|before| before.status != new.status || before.reason != new.reason) {
        renew(status, new, now);
    }
}

/// Sets a condition and its time of update, even if it says the same: progress counts each time.
fn renew(status: &mut DeploymentStatus, mut new: DeploymentCondition, now: Timestamp) {
    let now = Some(time::time(now));
    new.last_update_time = now;
    new.last_transition_time = now;
    match status
        .conditions
        .iter_mut()
        .find(|condition| condition.r#type == new.r#type)
    {
        Some(place) => {
            if place.status == new.status {
                new.last_transition_time = place.last_transition_time;
            }
            *place = new;
        }
        None => status.conditions.push(new),
    }
}

/// The Progressing condition.
fn progress(
    deployment: &Deployment,
    sets: &Sets,
    started: Option<&ReplicaSet>,
    status: &mut DeploymentStatus,
    now: Timestamp,
) {
    let Some(deadline) = deadline(deployment) else {
        status
            .conditions
            .retain(|condition| condition.r#type != PROGRESSING);
        return;
    };
    let before = deployment.status.clone().unwrap_or_default();
    let current = get_condition(&before.conditions, PROGRESSING);
    let reason = current.map_or("", |condition| condition.reason.as_str());
    if spec(deployment).paused {
        if reason != "ProgressDeadlineExceeded" {
            set(
                status,
                opinion(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused"),
                now,
            );
        }
        return;
    }
    if let Some(started) = started {
        let message = format!("Created new replica set {:?}", started.name());
        return renew(
            status,
            opinion(PROGRESSING, "True", "NewReplicaSetCreated", message),
            now,
        );
    }
    if reason == "DeploymentPaused" {
        return set(
            status,
            opinion(
                PROGRESSING,
                "Unknown",
                "DeploymentResumed",
                "Deployment is resumed",
            ),
            now,
        );
    }
    let Some(new) = &sets.new else { return };
    // What was complete and has no Pods of other templates stays so while it is scaled or heals.
    if status.replicas == status.updated_replicas && reason == "NewReplicaSetAvailable" {
        return;
    }
    let message = |what: &str| format!("ReplicaSet {:?} {what}", new.name());
    if is_complete(deployment, status) {
        let message = message("has successfully progressed.");
        set(
            status,
            opinion(PROGRESSING, "True", "NewReplicaSetAvailable", message),
            now,
        );
    } else if is_progress(&before, status) {
        renew(
            status,
            opinion(
                PROGRESSING,
                "True",
                "ReplicaSetUpdated",
                message("is progressing."),
            ),
            now,
        );
    } else if current.is_none() {
        let message = format!("Found new replica set {:?}", new.name());
        set(
            status,
            opinion(PROGRESSING, "True", "FoundNewReplicaSet", message),
            now,
        );
    } else if current.is_some_and(|current| is_late(current, deadline, now)) {
        let message = message("has timed out progressing.");
        set(
            status,
            opinion(PROGRESSING, "False", "ProgressDeadlineExceeded", message),
            now,
        );
    }
}

fn is_progress(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    after.updated_replicas > before.updated_replicas
        || after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

fn is_late(current: &DeploymentCondition, deadline: Duration, now: Timestamp) -> bool {
    match current.reason.as_str() {
        "NewReplicaSetAvailable" => false,
        "ProgressDeadlineExceeded" => true,
        _ => waited(current, now) >= deadline,
    }
}

/// How long ago the condition last said something new.
fn waited(current: &DeploymentCondition, now: Timestamp) -> Duration {
    current
        .last_update_time
        .as_ref()
        .map_or(Duration::ZERO, |since| between(time::timestamp(since), now))
}

/// How long until lack of progress would show; `None` where nothing is awaited.
fn until_deadline(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let current = get_condition(&status.conditions, PROGRESSING)?;
    let settled = matches!(
        current.reason.as_str(),
        "ProgressDeadlineExceeded" | "NewReplicaSetAvailable"
    );
    if settled || spec(deployment).paused {
        return None;
    }
    Some(deadline(deployment)?.saturating_sub(waited(current, now)))
}

/// Passes on the ReplicaFailure condition of a ReplicaSet, the new one's before others'.
fn fail(sets: &Sets, status: &mut DeploymentStatus) {
    let newest_first = sets.new.iter().chain(sets.old.iter().rev());
    let mut conditions = newest_first.flat_map(|set| set.status.iter().flat_map(|status| &status.conditions));
    let failure = conditions.find(|condition| condition.r#type == REPLICA_FAILURE);
    let failure = failure.map(|failure| DeploymentCondition {
        last_update_time: failure.last_transition_time,
        last_transition_time: failure.last_transition_time,
        ..opinion(
            REPLICA_FAILURE,
            &failure.status,
            &failure.reason,
            failure.message.clone(),
        )
    });
    if get_condition(&status.conditions, REPLICA_FAILURE) != failure.as_ref() {
        status
            .conditions
            .retain(|condition| condition.r#type != REPLICA_FAILURE);
        status.conditions.extend(failure);
    }
}
