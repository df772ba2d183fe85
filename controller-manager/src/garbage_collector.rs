//! Garbage collector: deletes what has lost all its owners, and carries out foreground and orphan deletion.
//!
//! Watches: the metadata of every kind. Writes: deletions, owner references, the finalizers `foregroundDeletion` and
//! `orphan`. Invariants: it leaves no orphan, and deletes nothing that an owner still holds.
//! <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>
//!
//! The cache shows all kinds at one revision, so an owner whose UID is not there does not exist: upstream, whose caches
//! are a kind each, has to ask the server again.

#[cfg(test)]
mod tests;

use crate::claim::owners_patch;
use apimachinery::kinds;
use apimachinery::meta::{has_finalizer, is_being_deleted};
use apimachinery::well_known::{FOREGROUND_DELETION, ORPHAN};
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::meta::v1::{DeleteOptions, ObjectMeta, OwnerReference, Preconditions};
use serde_json::json;
use std::collections::HashSet;

/// The most dependents that one plan sets free, so that an owner of very many does not keep others waiting.
const BURST: usize = 500;

/// The controller. It keeps nothing.
pub(crate) struct GarbageCollector;

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        "garbage-collector"
    }

    fn watches(&self) -> Vec<Watch> {
        Watch::all_metadata()
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if !matters(event) {
            return Vec::new();
        }
        let mut keys = Vec::new();
        for meta in event.metas() {
            if !meta.owner_references.is_empty() || is_being_deleted(meta) {
                keys.push(event.key.clone());
            }
            // Owners that wait for their dependents to go.
            let owners = meta
                .owner_references
                .iter()
                .filter_map(|owner| cache.by_uid(&owner.uid));
            keys.extend(
                owners
                    .filter(|owner| cache.metadata(owner).is_some_and(is_being_deleted))
                    .cloned(),
            );
            // Dependents of what is gone, or going.
            let owner = cache.by_uid(&meta.uid).and_then(|found| cache.metadata(found));
            if owner.is_none_or(is_being_deleted) {
                keys.extend(cache.by_owner(&meta.uid).cloned());
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, _now: Timestamp) -> Plan {
        let Some(meta) = cache.metadata(key) else {
            return Plan::none();
        };
        if is_being_deleted(meta) {
            return finish(cache, key, meta);
        }
        if meta.owner_references.is_empty() {
            Plan::none()
        } else {
            collect(cache, key, meta)
        }
    }
}

/// Whether the change is of what this controller decides by. Most are not: statuses, labels.
fn matters(event: &CacheEvent) -> bool {
    event.meta_before().map(decisive) != event.meta_after().map(decisive)
}

fn decisive(meta: &ObjectMeta) -> (&str, &[OwnerReference], &[String], bool) {
    (
        &meta.uid,
        &meta.owner_references,
        &meta.finalizers,
        is_being_deleted(meta),
    )
}

/// How an owner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is there, or nobody can say that it is not.
    Solid,
    /// It is being deleted, and waits for its dependents to go first.
    Waiting,
    /// It does not exist.
    Absent,
}

fn standing(cache: &Cache, dependent: &ObjectKey, owner: &OwnerReference) -> Standing {
    let Some(info) = kinds::by_gvk(&owner.api_version, &owner.kind) else {
        return Standing::Solid;
    };
    if !cache.holds(info.number) || (info.namespaced && dependent.namespace.is_empty()) {
        // Of a kind that is not watched nothing is known; and what lives in no namespace cannot have an owner in one.
        return Standing::Solid;
    }
    let found = cache
        .by_uid(&owner.uid)
        .filter(|found| names(owner, found, dependent));
    match found.and_then(|found| cache.metadata(found)) {
        None => Standing::Absent,
        Some(meta) if waits(meta) => Standing::Waiting,
        Some(_) => Standing::Solid,
    }
}

/// Whether the reference of `dependent` to the UID of `owner` is right in the rest too.
fn names(reference: &OwnerReference, owner: &ObjectKey, dependent: &ObjectKey) -> bool {
    let info = kinds::by_gvk(&reference.api_version, &reference.kind);
    info.is_some_and(|info| info.number == owner.kind)
        && reference.name == *owner.name
        && (owner.namespace.is_empty() || owner.namespace == dependent.namespace)
}

/// Whether the object is being deleted, its dependents first.
fn waits(meta: &ObjectMeta) -> bool {
    is_being_deleted(meta) && has_finalizer(meta, FOREGROUND_DELETION)
}

/// The objects that `owner` owns, and the reference of each to it. An object that refers to itself is none of them.
fn dependents<'a>(
    cache: &'a Cache,
    owner: &'a ObjectKey,
    meta: &'a ObjectMeta,
) -> impl Iterator<Item = (&'a ObjectKey, &'a ObjectMeta, &'a OwnerReference)> {
    let others = cache
        .by_owner(&meta.uid)
        .filter(move |dependent| *dependent != owner);
    others.filter_map(move |dependent| {
        let of_dependent = cache.metadata(dependent)?;
        let mut references = of_dependent.owner_references.iter();
        let reference =
            references.find(|reference| reference.uid == meta.uid && names(reference, owner, dependent))?;
        Some((dependent, of_dependent, reference))
    })
}

/// An object with owners: goes when it has lost all, and lets go of those it has lost when others are left.
fn collect(cache: &Cache, key: &ObjectKey, meta: &ObjectMeta) -> Plan {
    let owners: Vec<_> = meta
        .owner_references
        .iter()
        .map(|owner| (owner, standing(cache, key, owner)))
        .collect();
    let solid: Vec<_> = owners
        .iter()
        .filter(|(_, standing)| *standing == Standing::Solid)
        .collect();
    let mut plan = Plan::none();
    if solid.len() == owners.len() {
        return plan;
    }
    if !solid.is_empty() {
        let left: Vec<_> = solid.iter().map(|(owner, _)| *owner).collect();
        plan.push(Action::patch_key(
            key.clone(),
            meta,
            "",
            owners_patch(meta, &left),
        ));
        return plan;
    }
    let waited_for = owners.iter().any(|(_, standing)| *standing == Standing::Waiting);
    let has_dependents = dependents(cache, key, meta).next().is_some();
    let policy = if has_finalizer(meta, ORPHAN) {
        "Orphan"
    } else if has_finalizer(meta, FOREGROUND_DELETION) || (waited_for && has_dependents) {
        "Foreground"
    } else {
        "Background"
    };
    let options = DeleteOptions {
        propagation_policy: Some(policy.into()),
        // Somebody may adopt it meanwhile.
        preconditions: Some(Preconditions {
            resource_version: Some(meta.resource_version.clone()),
            ..Preconditions::default()
        }),
        ..DeleteOptions::default()
    };
    plan.push(Action::delete_key(key.clone(), meta, options));
    plan
}

/// An object that is being deleted: does what its finalizers ask for, and takes them away when that is done.
fn finish(cache: &Cache, key: &ObjectKey, meta: &ObjectMeta) -> Plan {
    let mut plan = Plan::none();
    if has_finalizer(meta, ORPHAN) {
        for (dependent, of_dependent, _) in dependents(cache, key, meta).take(BURST) {
            let owners = of_dependent.owner_references.iter();
            let left: Vec<_> = owners.filter(|owner| owner.uid != meta.uid).collect();
            let patch = owners_patch(of_dependent, &left);
            plan.push(Action::patch_key(dependent.clone(), of_dependent, "", patch));
        }
        if plan.is_empty() {
            plan.push(without_finalizer(key, meta, ORPHAN));
        }
    } else if has_finalizer(meta, FOREGROUND_DELETION) {
        // The dependents see that their owner waits, and go by themselves.
        let mut blocking = blocking(cache, key, meta);
        if !blocking.any(|(dependent, of_dependent)| !waits_for(cache, dependent, of_dependent, key)) {
            plan.push(without_finalizer(key, meta, FOREGROUND_DELETION));
        }
    }
    plan
}

/// The dependents that a foreground deletion of `owner` waits for.
fn blocking<'a>(
    cache: &'a Cache,
    owner: &'a ObjectKey,
    meta: &'a ObjectMeta,
) -> impl Iterator<Item = (&'a ObjectKey, &'a ObjectMeta)> {
    dependents(cache, owner, meta)
        .filter(|(_, _, reference)| reference.block_owner_deletion == Some(true))
        .map(|(dependent, of_dependent, _)| (dependent, of_dependent))
}

/// Whether an object waits for `target` to go, itself or through others: then `target` must not wait for the object, as
/// objects that own each other in a circle would wait for ever.
fn waits_for(cache: &Cache, key: &ObjectKey, meta: &ObjectMeta, target: &ObjectKey) -> bool {
    let mut seen = HashSet::from([key]);
    let mut open = vec![(key, meta)];
    while let Some((key, meta)) = open.pop() {
        if !waits(meta) {
            continue;
        }
        for (dependent, of_dependent) in blocking(cache, key, meta) {
            if dependent == target {
                return true;
            }
            if seen.insert(dependent) {
                open.push((dependent, of_dependent));
            }
        }
    }
    false
}

fn without_finalizer(key: &ObjectKey, meta: &ObjectMeta, finalizer: &str) -> Action {
    let left: Vec<_> = meta
        .finalizers
        .iter()
        .filter(|other| *other != finalizer)
        .collect();
    let patch = json!({"metadata": {"finalizers": left, "resourceVersion": meta.resource_version}});
    Action::patch_key(key.clone(), meta, "", patch)
}
