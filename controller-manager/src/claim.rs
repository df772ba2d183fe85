//! How a controller claims the objects that its selector matches.
//!
//! An object has one controller at most. A controller adopts matching objects that have none, and releases its own when
//! they cease to match. <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/>

use apimachinery::owner::{controller_of, controller_ref, is_controlled_by};
use apimachinery::selector::LabelSelector;
use client::cache::{Cache, CacheEvent};
use client::controller::Action;
use client::key::ObjectKey;
use proto::Kind;
use proto::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

/// The controllers of kind `K` that a change to a dependent concerns: the one that controls it now or did before; where
/// it has none, all whose selector matches it.
pub(crate) fn keys_of<K: Kind>(
    cache: &Cache,
    event: &CacheEvent,
    selector: impl Fn(&K) -> LabelSelector,
) -> Vec<ObjectKey> {
    let mut keys = Vec::new();
    if still_unclaimed(event) {
        return keys;
    }
    for meta in event.metas() {
        if let Some(owner) = controller_of(meta) {
            let found = cache.get::<K>(&meta.namespace, &owner.name);
            keys.extend(
                found
                    .filter(|found| found.uid() == owner.uid)
                    .map(|found| ObjectKey::of(&**found)),
            );
        } else if meta.deletion_timestamp.is_none() {
            let matching = cache.list::<K>(Some(&meta.namespace));
            let matching = matching.filter(|candidate| selector(candidate).matches_labels(&meta.labels));
            keys.extend(matching.map(|candidate| ObjectKey::of(&**candidate)));
        }
    }
    keys.dedup();
    keys
}

/// Whether an object had no controller before, has none now, and nothing changed by which one could claim it: as when the
/// kubelet of a Pod that nobody owns writes its status. Then no selector needs to be looked at.
fn still_unclaimed(event: &CacheEvent) -> bool {
    let (Some(before), Some(after)) = (event.meta_before(), event.meta_after()) else {
        return false;
    };
    let what_counts = |meta: &ObjectMeta| (meta.uid.clone(), meta.deletion_timestamp);
    controller_of(before).is_none()
        && controller_of(after).is_none()
        && before.labels == after.labels
        && what_counts(before) == what_counts(after)
}

/// A controller's claim on the objects that its selector matches.
pub(crate) struct Claim {
    reference: OwnerReference,
    selector: LabelSelector,
    /// Whether the controller itself is going: then it adopts nothing more.
    going: bool,
}

impl Claim {
    /// The claim of `owner`.
    pub(crate) fn of<K: Kind>(owner: &K, selector: LabelSelector) -> Self {
        Self {
            reference: controller_ref(owner),
            selector,
            going: owner.meta().deletion_timestamp.is_some(),
        }
    }

    fn owns(&self, meta: &ObjectMeta) -> bool {
        is_controlled_by(meta, &self.reference.uid)
    }

    fn matches(&self, meta: &ObjectMeta) -> bool {
        self.selector.matches_labels(&meta.labels)
    }

    /// Whether an object counts as the controller's, once [`Claim::adopt_or_release`] is done for it.
    pub(crate) fn holds<K: Kind>(&self, object: &K) -> bool {
        let meta = object.meta();
        self.matches(meta) && (self.owns(meta) || self.may_adopt(meta))
    }

    fn may_adopt(&self, meta: &ObjectMeta) -> bool {
        !self.going && controller_of(meta).is_none() && meta.deletion_timestamp.is_none()
    }

    /// The patch that makes a matching object without controller ours, or lets go of one that ceased to match. It holds
    /// only for the object as it was seen: somebody else may claim it meanwhile.
    pub(crate) fn adopt_or_release<K: Kind>(&self, object: &K) -> Option<Action> {
        let meta = object.meta();
        let mut owners = meta.owner_references.clone();
        if self.matches(meta) && !self.owns(meta) && self.may_adopt(meta) {
            // It may name us already, though not as its controller.
            owners.retain(|owner| owner.uid != self.reference.uid);
            owners.push(self.reference.clone());
        } else if self.owns(meta) && !self.matches(meta) && !self.going {
            owners.retain(|owner| owner.uid != self.reference.uid);
        } else {
            return None;
        }
        Some(Action::patch(
            object,
            owners_patch(meta, &owners.iter().collect::<Vec<_>>()),
        ))
    }
}

/// The patch that replaces an object's owners. It holds only for the object as it was seen.
pub(crate) fn owners_patch(meta: &ObjectMeta, owners: &[&OwnerReference]) -> Value {
    let owners: Vec<Value> = owners.iter().copied().map(to_json).collect();
    json!({"metadata": {"ownerReferences": owners, "resourceVersion": meta.resource_version}})
}

fn to_json(owner: &OwnerReference) -> Value {
    let mut value =
        json!({"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid});
    if let Some(controller) = owner.controller {
        value["controller"] = controller.into();
    }
    if let Some(block) = owner.block_owner_deletion {
        value["blockOwnerDeletion"] = block.into();
    }
    value
}
