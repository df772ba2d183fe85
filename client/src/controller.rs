//! What a controller is: the kinds it watches, the keys an event concerns, and a pure `reconcile`.
//!
//! A controller does no I/O and keeps no state: it reads the [`Cache`], which shows the cluster at one revision, and
//! answers with a [`Plan`]. The [`runtime`](crate::runtime) carries the plan out, retries, and never asks again for a
//! key before the cache shows what the key's last plan wrote. Invariant: a second `reconcile` over the state that the
//! first one's actions lead to plans no action; [`testing::World`](crate::testing::World) checks it.

use crate::cache::{Cache, CacheEvent, Watch};
use crate::key::ObjectKey;
use jiff::Timestamp;
use proto::api::core::v1::ObjectReference;
use proto::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
pub use proto::orrery::v1::patch_request::Type as PatchType;
use proto::{Kind, Object};
use serde_json::{Value, json};
use std::time::Duration;

/// Drives objects of some kind to what their spec asks for.
pub trait Controller: Send + 'static {
    /// As logs and metrics name it: `replicaset`.
    fn name(&self) -> &'static str;

    /// The kinds that [`Controller::keys`] and [`Controller::reconcile`] read.
    fn watches(&self) -> Vec<Watch>;

    /// The keys that a change concerns. The cache shows the state after the change.
    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey>;

    /// What to do about a key. Pure: the same cache and time give the same plan. `now` is wall time.
    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan;
}

/// What [`Controller::reconcile`] wants done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Done in order. Each stands alone: one that fails does not stop the others, and the key is reconciled again.
    pub actions: Vec<Action>,
    /// Reconcile again after this long, even if nothing changes.
    pub requeue_after: Option<Duration>,
}

impl Plan {
    /// Nothing to do until something changes.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds an action.
    pub fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Asks to be reconciled again after `delay`, or sooner where that was asked for already.
    pub fn requeue_in(&mut self, delay: Duration) {
        self.requeue_after = Some(self.requeue_after.map_or(delay, |asked| asked.min(delay)));
    }

    /// Whether there is nothing to write; a plan may still ask for a later time.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}

impl From<Vec<Action>> for Plan {
    fn from(actions: Vec<Action>) -> Self {
        Self {
            actions,
            requeue_after: None,
        }
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Creates an object; `metadata.generateName` leaves its name to the server.
    Create(Object),
    /// Replaces an object's metadata and spec. Its uid and resourceVersion, where set, must still hold. Never update
    /// an object that came out of a projection: what the projection dropped would be lost.
    Update(Object),
    /// Replaces an object's status. Its uid and resourceVersion, where set, must still hold.
    UpdateStatus(Object),
    /// Changes a part of an object.
    Patch(PatchAction),
    /// Deletes an object.
    Delete(DeleteAction),
    /// Asks for a Pod's deletion; a PodDisruptionBudget may refuse, and then it is asked for again later.
    Evict(DeleteAction),
    /// Tells people about an object, and of the write before it. Best effort: the plan succeeds whatever becomes of it.
    RecordEvent(EventAction),
}

/// A change to a part of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchAction {
    /// The object.
    pub key: ObjectKey,
    /// Empty or `status`.
    pub subresource: &'static str,
    /// How to read `patch`.
    pub r#type: PatchType,
    /// JSON text.
    pub patch: String,
}

/// A deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteAction {
    /// The object.
    pub key: ObjectKey,
    /// Grace, propagation and preconditions. The uid precondition is always set: a controller deletes the object it
    /// has seen, never another of the same name.
    pub options: DeleteOptions,
}

impl DeleteAction {
    /// The UID that the object must have.
    pub fn uid(&self) -> &str {
        let preconditions = self.options.preconditions.as_ref();
        preconditions.and_then(|p| p.uid.as_deref()).unwrap_or_default()
    }
}

/// In the message of an [`EventAction`]: the name of the object that the write before it wrote, which only the server
/// knows when it came from `generateName`.
pub const WRITTEN_NAME: &str = "{name}";

/// Something to tell people about an object. When a write stands before it in the plan, it tells of that write: it is
/// sent only if that succeeded, and [`WRITTEN_NAME`] in its message becomes the name of the object written.
#[derive(Clone, Debug, PartialEq)]
pub struct EventAction {
    /// What it is about.
    pub regarding: ObjectReference,
    /// `Normal` or `Warning`.
    pub r#type: EventKind,
    /// One word in CamelCase, for programs: `SuccessfulCreate`.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
}

impl EventAction {
    /// An event about a typed object.
    pub fn new<K: Kind>(
        regarding: &K,
        r#type: EventKind,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            regarding: reference(regarding),
            r#type,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// The event with [`WRITTEN_NAME`] replaced.
    pub fn about_written(&self, name: &str) -> Self {
        Self {
            message: self.message.replace(WRITTEN_NAME, name),
            ..self.clone()
        }
    }
}

/// How an event is meant: `Event.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// All is well.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventKind {
    /// As `Event.type` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl Action {
    /// Creates an object.
    pub fn create<K: Kind>(object: &K) -> Self {
        Self::Create(Object::encode_from(object))
    }

    /// Replaces an object; its uid and resourceVersion are preconditions.
    pub fn update<K: Kind>(object: &K) -> Self {
        Self::Update(Object::encode_from(object))
    }

    /// Replaces an object's status; its uid and resourceVersion are preconditions.
    pub fn update_status<K: Kind>(object: &K) -> Self {
        Self::UpdateStatus(Object::encode_from(object))
    }

    /// Lays `patch` over `object` (RFC 7386). The object's uid becomes a precondition: Kubernetes refuses a patch
    /// whose `metadata.uid` is not the object's.
    pub fn patch<K: Kind>(object: &K, patch: Value) -> Self {
        Self::patch_key(ObjectKey::of(object), object.meta(), "", patch)
    }

    /// As [`Action::patch`], for the status.
    pub fn patch_status<K: Kind>(object: &K, patch: Value) -> Self {
        Self::patch_key(ObjectKey::of(object), object.meta(), "status", patch)
    }

    /// As [`Action::patch`], for an object of which only the metadata is known. `subresource` is empty or `status`.
    pub fn patch_key(key: ObjectKey, meta: &ObjectMeta, subresource: &'static str, mut patch: Value) -> Self {
        if !meta.uid.is_empty() {
            let metadata = &mut patch["metadata"];
            if metadata.is_null() {
                *metadata = json!({});
            }
            metadata["uid"] = Value::String(meta.uid.clone());
        }
        Self::Patch(PatchAction {
            key,
            subresource,
            r#type: PatchType::Merge,
            patch: patch.to_string(),
        })
    }

    /// Deletes an object, with its uid as precondition.
    pub fn delete<K: Kind>(object: &K) -> Self {
        Self::delete_key(ObjectKey::of(object), object.meta(), DeleteOptions::default())
    }

    /// Deletes an object of which only the metadata is known, with its uid as precondition.
    pub fn delete_key(key: ObjectKey, meta: &ObjectMeta, options: DeleteOptions) -> Self {
        Self::Delete(DeleteAction {
            key,
            options: with_uid(options, meta),
        })
    }

    /// Asks for a Pod's eviction, with its uid as precondition.
    pub fn evict(pod: &proto::api::core::v1::Pod) -> Self {
        let options = with_uid(DeleteOptions::default(), pod.meta());
        Self::Evict(DeleteAction {
            key: ObjectKey::of(pod),
            options,
        })
    }

    /// Tells people about an object.
    pub fn event<K: Kind>(
        object: &K,
        r#type: EventKind,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::RecordEvent(EventAction::new(object, r#type, reason, message))
    }
}

fn with_uid(mut options: DeleteOptions, meta: &ObjectMeta) -> DeleteOptions {
    let preconditions: &mut Preconditions = options.preconditions.get_or_insert_default();
    preconditions.uid = Some(meta.uid.clone());
    options
}

/// A reference to an object, as Events hold it.
pub fn reference<K: Kind>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        kind: K::NAME.into(),
        api_version: apimachinery::kinds::of::<K>().api_version(),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Pod;

    #[test]
    fn a_patch_carries_the_uid_of_the_object_it_was_made_for() {
        let mut pod = Pod::default();
        pod.metadata_mut().uid = "u-1".into();
        let Action::Patch(patch) = Action::patch(&pod, json!({"metadata": {"labels": {"a": "b"}}})) else {
            panic!("a patch")
        };
        let value: Value = serde_json::from_str(&patch.patch).unwrap();
        assert_eq!(value, json!({"metadata": {"labels": {"a": "b"}, "uid": "u-1"}}));
    }

    #[test]
    fn the_sooner_of_two_requeues_wins() {
        let mut plan = Plan::none();
        plan.requeue_in(Duration::from_secs(5));
        plan.requeue_in(Duration::from_secs(9));
        assert_eq!(plan.requeue_after, Some(Duration::from_secs(5)));
    }
}
