//! What the kinds of objects have in common, so that generic code needs no `match` over them.

use crate::meta::v1::ObjectMeta;
use prost::Message;

/// A message that is an arm of `orrery.v1.Object`. Implemented for each by generated code.
pub trait Kind: Message + Default + Clone + PartialEq + Send + Sync + 'static {
    /// The arm's field number in `orrery.v1.Object`.
    const NUMBER: u32;
    /// The kind as manifests spell it: `Pod`.
    const NAME: &'static str;
    /// The message's full protobuf name: `k8s.io.api.core.v1.Pod`.
    const FULL_NAME: &'static str;

    /// The object's metadata, where it has any yet.
    fn metadata_ref(&self) -> Option<&ObjectMeta>;

    /// The object's metadata to write to.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;

    /// The object's metadata; the empty one where it has none.
    fn meta(&self) -> &ObjectMeta {
        static EMPTY: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);
        self.metadata_ref().unwrap_or(&EMPTY)
    }

    /// The object's name; empty before it has one.
    fn name(&self) -> &str {
        &self.meta().name
    }

    /// The object's namespace; empty for kinds that live in none.
    fn namespace(&self) -> &str {
        &self.meta().namespace
    }

    /// The object's UID; empty before it was stored.
    fn uid(&self) -> &str {
        &self.meta().uid
    }

    /// The revision of the object's last write; 0 before it was stored.
    fn revision(&self) -> i64 {
        self.meta().resource_version.parse().unwrap_or(0)
    }
}

macro_rules! kind {
    ($message:ty, $number:expr, $name:expr, $full_name:expr) => {
        impl crate::Kind for $message {
            const NUMBER: u32 = $number;
            const NAME: &'static str = $name;
            const FULL_NAME: &'static str = $full_name;

            fn metadata_ref(&self) -> Option<&ObjectMeta> {
                self.metadata.as_ref()
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                self.metadata.get_or_insert_default()
            }
        }
    };
}

include!("generated/kinds.rs");
