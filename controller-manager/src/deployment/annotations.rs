//! The annotations by which a Deployment and its ReplicaSets remember the course of rollouts.
//!
//! They are Kubernetes' own, so that `kubectl rollout history` and `undo` work on them.

use super::limits;
use apimachinery::well_known::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY};
use client::controller::{Action, Plan};
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use serde_json::json;

/// Annotations that are the Deployment's own business and are not passed on.
const NOT_PASSED_ON: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];

/// The revision that a ReplicaSet stands for; 0 before it has one.
pub(super) fn revision(set: &ReplicaSet) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

/// An annotation that holds a number.
pub(super) fn number(set: &ReplicaSet, key: &str) -> Option<i64> {
    set.meta().annotations.get(key)?.parse().ok()
}

/// Gives a ReplicaSet the Deployment's annotations, and a revision no smaller than `newest`.
pub(super) fn sync_set(deployment: &Deployment, set: &mut ReplicaSet, newest: i64) {
    let before = revision(set);
    let annotations = &mut set.metadata_mut().annotations;
    for (key, value) in &deployment.meta().annotations {
        if !NOT_PASSED_ON.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    if before >= newest {
        return;
    }
    annotations.insert(REVISION.into(), newest.to_string());
    if before > 0 {
        // Rolled back to: what it stood for earlier stays on record.
        let history = annotations.entry(REVISION_HISTORY.into()).or_default();
        if !history.is_empty() {
            history.push(',');
        }
        history.push_str(&before.to_string());
    }
}

/// Writes down for which size of the Deployment a ReplicaSet was scaled.
pub(super) fn sync_size(deployment: &Deployment, set: &mut ReplicaSet) {
    let desired = limits::replicas(deployment);
    let max = desired.saturating_add(limits::max_surge(deployment));
    let annotations = &mut set.metadata_mut().annotations;
    annotations.insert(DESIRED_REPLICAS.into(), desired.to_string());
    annotations.insert(MAX_REPLICAS.into(), max.to_string());
}

/// Gives the Deployment the revision of its newest ReplicaSet.
pub(super) fn sync_deployment(deployment: &Deployment, revision: Option<&str>, plan: &mut Plan) {
    let Some(revision) = revision else { return };
    if deployment.meta().annotations.get(REVISION).map(String::as_str) != Some(revision) {
        plan.push(Action::patch(
            deployment,
            json!({"metadata": {"annotations": {REVISION: revision}}}),
        ));
    }
}
