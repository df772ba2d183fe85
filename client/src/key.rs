//! [`ObjectKey`]: names one object of any kind, cheaply.
//!
//! Keys are what caches index by, workqueues hold and controllers reconcile. They share their text, so that a key costs
//! no allocation to copy. [`ObjectKey::read`] finds the key of an encoded object without decoding the rest of it.

use apimachinery::kinds::{self, KindInfo};
use apimachinery::wire::{MetaView, WireError};
use proto::{Kind, Object};
use std::fmt;
use std::sync::Arc;

/// Kind, namespace and name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The kind's number ([`KindInfo::number`]).
    pub kind: u32,
    /// Empty for kinds that live in no namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of an object of kind `K`.
    pub fn new<K: Kind>(namespace: &str, name: &str) -> Self {
        Self::of_kind(K::NUMBER, namespace, name)
    }

    /// The key of an object whose kind is known by its number only.
    pub fn of_kind(kind: u32, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of a typed object.
    pub fn of<K: Kind>(object: &K) -> Self {
        Self::new::<K>(object.namespace(), object.name())
    }

    /// The key of an encoded object. One of a custom kind has the number that its kind has in this process, which is known
    /// once its definition was noted ([`kinds::custom::note`]).
    pub fn read(object: &Object) -> Result<Self, WireError> {
        let meta = MetaView::parse(&object.bytes)?;
        let number = if object.number == kinds::ANY_CUSTOM.number {
            kinds::custom::of_object(object).map_or(object.number, |info| info.number)
        } else {
            object.number
        };
        Ok(Self::of_kind(number, meta.namespace, meta.name))
    }

    /// Whether the key names an object of kind `K`.
    pub fn is<K: Kind>(&self) -> bool {
        self.kind == K::NUMBER
    }

    /// The registry's row of the kind; `None` for a kind that is not stored.
    pub fn info(&self) -> Option<&'static KindInfo> {
        kinds::by_number(self.kind)
    }

    /// The kind as requests name it: `deployments.apps`; empty for a kind that is not stored.
    pub fn resource(&self) -> String {
        self.info().map(KindInfo::resource).unwrap_or_default()
    }
}

impl fmt::Display for ObjectKey {
    /// `pods/default/web-1`, or `nodes/node-1` where the kind lives in no namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => f.write_str(&info.resource())?,
            None => write!(f, "kind-{}", self.kind)?,
        }
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{Node, Pod};

    #[test]
    fn the_key_of_encoded_bytes_is_the_key_of_the_object() {
        let mut pod = Pod::default();
        pod.metadata_mut().name = "web-1".into();
        pod.metadata_mut().namespace = "shop".into();
        pod.metadata_mut().labels.insert("app".into(), "web".into());
        let key = ObjectKey::read(&Object::encode_from(&pod)).unwrap();
        assert_eq!(key, ObjectKey::of(&pod));
        assert_eq!(key.to_string(), "pods/shop/web-1");
        assert_eq!(ObjectKey::new::<Node>("", "node-1").to_string(), "nodes/node-1");
    }
}
