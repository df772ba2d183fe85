//! Scaling apart from rollouts: when `replicas` changes, or while the Deployment is paused.
//!
//! In the middle of a rollout all ReplicaSets share the change in proportion to their sizes, so that one bad template
//! does not get all new Pods.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling>

use super::annotations::number;
use super::limits;
use super::sets::{Set, Sets, replicas};
use apimachinery::well_known::{DESIRED_REPLICAS, MAX_REPLICAS};
use proto::api::apps::v1::Deployment;

/// Whether the Deployment's size changed since its ReplicaSets were last scaled.
pub(super) fn is_scaling(deployment: &Deployment, sets: &Sets) -> bool {
    sets.all()
        .any(|set| number(set, DESIRED_REPLICAS).is_some() && !is_noted(deployment, set))
}

/// Whether a ReplicaSet has written down the Deployment's size; one without Pods need not.
fn is_noted(deployment: &Deployment, set: &Set) -> bool {
    let noted = number(set, DESIRED_REPLICAS);
    replicas(set) == 0 || noted == Some(i64::from(limits::replicas(deployment)))
}

/// Plans the sizes for the Deployment's size.
pub(super) fn scale(deployment: &Deployment, sets: &mut Sets) {
    let wanted = limits::replicas(deployment);
    let active = sets.all().filter(|set| set.replicas() > 0).count();
    let only = match active {
        0 => sets.new.as_mut().or(sets.old.last_mut()),
        1 => sets.all_mut().find(|set| set.replicas() > 0),
        _ => None,
    };
    if let Some(only) = only {
        if only.replicas() != wanted || !is_noted(deployment, only) {
            only.scale(deployment, wanted);
        }
    } else if sets.new.as_ref().is_some_and(|new| is_saturated(new, wanted)) {
        for set in sets.old.iter_mut().filter(|set| set.replicas() > 0) {
            set.scale(deployment, 0);
        }
    } else if !limits::is_recreate(deployment) {
        share(deployment, sets);
    }
}

/// Whether the new ReplicaSet has all the Deployment wants, so that the rollout is over but for the old ones.
fn is_saturated(new: &Set, wanted: i32) -> bool {
    let noted = number(new, DESIRED_REPLICAS) == Some(i64::from(wanted));
    noted && new.replicas() == wanted && new.available() == wanted
}

/// Shares what is to be added or taken among the active ReplicaSets.
fn share(deployment: &Deployment, sets: &mut Sets) {
    let wanted = limits::replicas(deployment);
    let allowed = if wanted > 0 {
        wanted.saturating_add(limits::max_surge(deployment))
    } else {
        0
    };
    let total = allowed - sets.replicas();
    let observed = deployment.status.as_ref().map_or(0, |status| status.replicas);
    let mut active: Vec<&mut Set> = sets.all_mut().filter(|set| set.replicas() > 0).collect();
    // The largest bears the most; among equals the newest when it grows, the oldest when it shrinks. The old ones come
    // first, oldest to newest, and the sort is stable.
    if total > 0 {
        active.reverse();
    }
    active.sort_by_key(|set| std::cmp::Reverse(set.replicas()));
    let mut left = total;
    let mut sizes = Vec::with_capacity(active.len());
    for set in &active {
        let part = fraction(set, wanted, allowed, observed);
        let part = if total > 0 {
            part.clamp(0, left.max(0))
        } else {
            part.clamp(left.min(0), 0)
        };
        left -= part;
        sizes.push(set.replicas() + part);
    }
    // What rounding left over goes to the largest.
    if let Some(size) = sizes.first_mut() {
        *size = (*size + left).max(0);
    }
    for (set, size) in active.into_iter().zip(sizes) {
        set.scale(deployment, size);
    }
}

/// A ReplicaSet's share of the change, rounded to the nearest.
fn fraction(set: &Set, wanted: i32, allowed: i32, observed: i32) -> i32 {
    if wanted == 0 {
        return -set.replicas();
    }
    let noted = number(set, MAX_REPLICAS).filter(|max| *max > 0);
    let of = noted.unwrap_or(i64::from(observed)).max(1);
    let size = (2 * i64::from(set.replicas()) * i64::from(allowed) + of) / (2 * of);
    i32::try_from(size).unwrap_or(i32::MAX) - set.replicas()
}
