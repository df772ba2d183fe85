//! The steps of a rollout: from the old ReplicaSets to the new one.

use super::sets::{Set, Sets};
use super::{annotations, limits, spec};
use apimachinery::hash::pod_template_hash;
use apimachinery::owner::controller_ref;
use apimachinery::well_known::POD_TEMPLATE_HASH;
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};

/// The ReplicaSet that starts a rollout: the Deployment's template with its hash, and as many replicas as may be asked
/// for at once.
pub(super) fn first(deployment: &Deployment, sets: &Sets) -> ReplicaSet {
    let spec = spec(deployment);
    let mut template = spec.template.unwrap_or_default();
    let collisions = deployment
        .status
        .as_ref()
        .and_then(|status| status.collision_count);
    let hash = pod_template_hash(&template, collisions);
    let labels = &mut template.metadata.get_or_insert_default().labels;
    labels.insert(POD_TEMPLATE_HASH.into(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector.unwrap_or_default();
    selector
        .match_labels
        .insert(POD_TEMPLATE_HASH.into(), hash.clone());
    let mut set = ReplicaSet {
        spec: Some(ReplicaSetSpec {
            replicas: Some(new_replicas(deployment, sets)),
            min_ready_seconds: spec.min_ready_seconds,
            selector: Some(selector),
            template: Some(template),
        }),
        ..ReplicaSet::default()
    };
    let meta = set.metadata_mut();
    meta.name = format!("{}-{hash}", deployment.name());
    meta.namespace = deployment.namespace().to_owned();
    meta.labels = labels;
    meta.owner_references = vec![controller_ref(deployment)];
    annotations::sync_set(deployment, &mut set, sets.next_revision());
    annotations::sync_size(deployment, &mut set);
    set
}

/// How many replicas the new ReplicaSet may have now.
fn new_replicas(deployment: &Deployment, sets: &Sets) -> i32 {
    let wanted = limits::replicas(deployment);
    let current = sets.new.as_ref().map_or(0, Set::replicas);
    if limits::is_recreate(deployment) || current >= wanted {
        return wanted;
    }
    let room = wanted.saturating_add(limits::max_surge(deployment)) - sets.replicas();
    current + room.clamp(0, wanted - current)
}

/// `Recreate`: asks all old Pods to go. Says whether there was any to ask.
pub(super) fn stop_old(sets: &mut Sets) -> bool {
    let mut any = false;
    for set in sets.old.iter_mut().filter(|set| set.replicas() > 0) {
        set.planned.spec.get_or_insert_default().replicas = Some(0);
        any = true;
    }
    any
}

/// `Recreate`: asks for all new Pods.
pub(super) fn fill_new(deployment: &Deployment, sets: &mut Sets) {
    let wanted = limits::replicas(deployment);
    if let Some(new) = sets.new.as_mut().filter(|new| new.replicas() != wanted) {
        new.scale(deployment, wanted);
    }
}

/// `RollingUpdate`: one step, up where there is room, else down where enough are available.
pub(super) fn roll(deployment: &Deployment, sets: &mut Sets) {
    let target = new_replicas(deployment, sets);
    match sets.new.as_mut().filter(|new| new.replicas() != target) {
        Some(new) => new.scale(deployment, target),
        None => shrink_old(deployment, sets),
    }
}

/// Takes Pods from the old ReplicaSets: those that do not serve first, then as many as the available ones allow.
fn shrink_old(deployment: &Deployment, sets: &mut Sets) {
    let least = limits::replicas(deployment) - limits::max_unavailable(deployment);
    // Pods of the new ReplicaSet that do not serve yet may not cost the old ones theirs.
    let new_unavailable = sets
        .new
        .as_ref()
        .map_or(0, |new| (new.replicas() - new.available()).max(0));
    let mut room = sets.replicas() - least - new_unavailable;
    if room <= 0 {
        return;
    }
    for set in &mut sets.old {
        let idle = (set.replicas() - set.available()).clamp(0, room);
        if idle > 0 {
            set.scale(deployment, set.replicas() - idle);
            room -= idle;
        }
    }
    let mut spare = sets.available() - least;
    for set in &mut sets.old {
        let taken = set.replicas().min(spare).max(0);
        if taken > 0 {
            set.scale(deployment, set.replicas() - taken);
            spare -= taken;
        }
    }
}

/// The old ReplicaSets beyond `revisionHistoryLimit`, of those that have nothing left to do.
pub(super) fn history_to_drop<'a>(
    deployment: &Deployment,
    sets: &'a Sets,
) -> impl Iterator<Item = &'a Set> + use<'a> {
    let idle = |set: &&Set| {
        let status = set.status.clone().unwrap_or_default();
        let seen = status.observed_generation >= set.meta().generation;
        set.replicas() == 0 && status.replicas == 0 && seen && set.meta().deletion_timestamp.is_none()
    };
    let mut idle: Vec<_> = sets.old.iter().filter(idle).collect();
    idle.sort_by_key(|set| annotations::revision(set));
    let limit = spec(deployment)
        .revision_history_limit
        .and_then(|limit| usize::try_from(limit).ok());
    let excess = limit.map_or(0, |limit| idle.len().saturating_sub(limit));
    idle.into_iter().take(excess)
}
