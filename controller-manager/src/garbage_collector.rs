//! Garbage collector: deletes what has lost all its owners, and carries out foreground and orphan deletion.
//!
//! Watches: the metadata of every kind. Writes: deletions, owner references, the finalizers `foregroundDeletion` and
//! `orphan`. Invariants: it leaves no orphan, and deletes nothing that an owner still holds.
//! <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>
//!
//! The cache shows all kinds at one revision, so an owner whose UID is not there does not exist: upstream, whose caches
//! are a kind each, has to ask the server again.

use crate::claim::owners_patch;
use apimachinery::kinds;
use apimachinery::meta::{has_finalizer, is_being_deleted};
use apimachinery::owner::is_owned_by;
use apimachinery::well_known::{FOREGROUND_DELETION, ORPHAN};
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::meta::v1::{DeleteOptions, ObjectMeta, OwnerReference};
use serde_json::json;

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
        }
        let gone = event.meta_after().is_none_or(is_being_deleted);
        if let Some(meta) = event.metas().next().filter(|_| gone) {
            keys.extend(cache.by_owner(&meta.uid).cloned());
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
    let found = cache.by_uid(&owner.uid).filter(|found| {
        found.kind == info.number && (!info.namespaced || found.namespace == dependent.namespace)
    });
    match found.and_then(|found| cache.metadata(found)) {
        None => Standing::Absent,
        Some(meta) if is_being_deleted(meta) && has_finalizer(meta, FOREGROUND_DELETION) => Standing::Waiting,
        Some(_) => Standing::Solid,
    }
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
    let has_dependents = cache.by_owner(&meta.uid).next().is_some();
    let policy = if has_finalizer(meta, ORPHAN) {
        "Orphan"
    } else if has_finalizer(meta, FOREGROUND_DELETION) || (waited_for && has_dependents) {
        "Foreground"
    } else {
        "Background"
    };
    let options = DeleteOptions {
        propagation_policy: Some(policy.into()),
        ..DeleteOptions::default()
    };
    plan.push(Action::delete_key(key.clone(), meta, options));
    plan
}

/// An object that is being deleted: does what its finalizers ask for, and takes them away when that is done.
fn finish(cache: &Cache, key: &ObjectKey, meta: &ObjectMeta) -> Plan {
    let mut plan = Plan::none();
    let dependents = || {
        let keys = cache.by_owner(&meta.uid).filter(|dependent| *dependent != key);
        keys.filter_map(|dependent| Some((dependent, cache.metadata(dependent)?)))
    };
    if has_finalizer(meta, ORPHAN) {
        for (dependent, of_dependent) in dependents() {
            let left: Vec<_> = of_dependent
                .owner_references
                .iter()
                .filter(|owner| owner.uid != meta.uid)
                .collect();
            plan.push(Action::patch_key(
                dependent.clone(),
                of_dependent,
                "",
                owners_patch(of_dependent, &left),
            ));
        }
        if plan.is_empty() {
            plan.push(without_finalizer(key, meta, ORPHAN));
        }
    } else if has_finalizer(meta, FOREGROUND_DELETION) {
        // The dependents see that their owner waits, and go by themselves.
        let blocks = |of_dependent: &ObjectMeta| {
            let mut owners = of_dependent.owner_references.iter();
            owners.any(|owner| owner.uid == meta.uid && owner.block_owner_deletion == Some(true))
        };
        if !dependents().any(|(_, of_dependent)| is_owned_by(of_dependent, &meta.uid) && blocks(of_dependent))
        {
            plan.push(without_finalizer(key, meta, FOREGROUND_DELETION));
        }
    }
    plan
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
