//! What the [`Cache`](crate::cache::Cache) holds of an object, and what it says when one changes.

use crate::key::ObjectKey;
use proto::Kind;
use proto::meta::v1::ObjectMeta;
use std::any::Any;
use std::sync::Arc;

/// A change of the cache.
#[derive(Clone)]
pub struct CacheEvent {
    /// The object that changed.
    pub key: ObjectKey,
    /// The revision of the change; for an object found by a relist, that of its last write.
    pub revision: i64,
    pub(crate) before: Option<Arc<dyn Cached>>,
    pub(crate) after: Option<Arc<dyn Cached>>,
}

impl CacheEvent {
    /// The object before the change; `None` for one that is new, or when the cache does not hold it as a `K`.
    pub fn before<K: Kind>(&self) -> Option<&K> {
        downcast(self.before.as_deref())
    }

    /// The object after the change; `None` for one that is gone, or when the cache does not hold it as a `K`.
    pub fn after<K: Kind>(&self) -> Option<&K> {
        downcast(self.after.as_deref())
    }

    /// The object after the change, or its last state.
    pub fn object<K: Kind>(&self) -> Option<&K> {
        self.after().or_else(|| self.before())
    }

    /// The metadata before the change.
    pub fn meta_before(&self) -> Option<&ObjectMeta> {
        self.before.as_deref().map(Cached::meta)
    }

    /// The metadata after the change.
    pub fn meta_after(&self) -> Option<&ObjectMeta> {
        self.after.as_deref().map(Cached::meta)
    }

    /// Every metadata that the change concerns: that before, then that after. To find owners and selectors that match
    /// either, so that whoever lost the object hears of it as well as who got it.
    pub fn metas(&self) -> impl Iterator<Item = &ObjectMeta> {
        self.meta_before().into_iter().chain(self.meta_after())
    }

    /// Whether the object was asked to become something else, or to go: it is new or gone, its generation rose, or
    /// its deletion began. Writes to a status are not.
    pub fn is_of_spec(&self) -> bool {
        match (self.meta_before(), self.meta_after()) {
            (Some(before), Some(after)) => {
                before.uid != after.uid
                    || before.generation != after.generation
                    || before.deletion_timestamp != after.deletion_timestamp
            }
            _ => true,
        }
    }
}

fn downcast<K: Kind>(object: Option<&dyn Cached>) -> Option<&K> {
    let any: &dyn Any = object?;
    any.downcast_ref()
}

/// An object as the cache holds it: a typed one, or a [`Metadata`].
pub(crate) trait Cached: Any + Send + Sync {
    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;
}

impl<K: Kind> Cached for K {
    fn meta(&self) -> &ObjectMeta {
        Kind::meta(self)
    }
}

/// An object of which only the metadata is kept. Every kind has it as field 1; decoding skips the rest.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    /// The metadata.
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<ObjectMeta>,
}

impl Cached for Metadata {
    fn meta(&self) -> &ObjectMeta {
        static EMPTY: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);
        self.metadata.as_ref().unwrap_or(&EMPTY)
    }
}
