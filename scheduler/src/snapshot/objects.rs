//! [`Objects`]: what else of the cluster decisions look at: namespaces, owners' selectors, budgets, volumes.
//!
//! Kept as the API has it, each object once and shared. A row of the table below is all that a further kind needs.

use crate::framework::{ClusterEvent, EventSet};
use client::ObjectKey;
use client::informer::target;
use prost::DecodeError;
use proto::api::apps::v1::{ReplicaSet, StatefulSet};
use proto::api::core::v1::{
    Namespace, PersistentVolume, PersistentVolumeClaim, ReplicationController, Service,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::api::storage::v1::StorageClass;
use proto::orrery::v1::WatchTarget;
use proto::{Kind, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects of one kind, by namespace and name.
pub type Kept<K> = BTreeMap<(Arc<str>, Arc<str>), Arc<K>>;

macro_rules! objects {
    ($($(#[$doc:meta])* $field:ident: $kind:ty => $event:expr),* $(,)?) => {
        /// See the module.
        #[derive(Debug, Default)]
        pub struct Objects {
            $($(#[$doc])* pub $field: Kept<$kind>,)*
        }

        impl Objects {
            /// The kinds, for a watch.
            pub fn targets() -> Vec<WatchTarget> {
                vec![$(target::<$kind>()),*]
            }

            /// An object is new, or has changed, or is gone (`None`). Tells what that may help; `None` for a kind that is not kept.
            ///
            /// # Errors
            /// The object does not decode; what was known of it stays.
            pub fn set(&mut self, key: &ObjectKey, object: Option<&Object>) -> Result<Option<EventSet>, DecodeError> {
                let name = (key.namespace.clone(), key.name.clone());
                $(if key.is::<$kind>() {
                    match object {
                        Some(object) => _ = self.$field.insert(name, Arc::new(object.decode_as::<$kind>()?)),
                        None => _ = self.$field.remove(&name),
                    }
                    return Ok(Some($event));
                })*
                Ok(None)
            }

            /// Forgets every object: a new list follows.
            pub fn clear(&mut self) {
                $(self.$field.clear();)*
            }
        }
    };
}

objects! {
    /// Namespaces; theirs is empty.
    namespaces: Namespace => ClusterEvent::NamespaceLabels.into(),
    /// Services select Pods that are to be spread.
    services: Service => EventSet::NONE,
    /// ReplicationControllers, as services.
    replication_controllers: ReplicationController => EventSet::NONE,
    /// ReplicaSets, as services.
    replica_sets: ReplicaSet => EventSet::NONE,
    /// StatefulSets, as services.
    stateful_sets: StatefulSet => EventSet::NONE,
    /// Budgets are kept where Pods must go.
    disruption_budgets: PodDisruptionBudget => EventSet::NONE,
    /// Claims name the volumes that a Pod needs.
    claims: PersistentVolumeClaim => ClusterEvent::PersistentVolumeClaim.into(),
    /// Volumes may be reached from some nodes only.
    volumes: PersistentVolume => ClusterEvent::PersistentVolume.into(),
    /// Classes say when a volume is chosen.
    storage_classes: StorageClass => ClusterEvent::StorageClass.into(),
}

impl Objects {
    /// A namespace's labels; `None` when it is not known.
    pub fn namespace_labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        let namespace = self.namespaces.get(&("".into(), name.into()))?;
        Some(&namespace.meta().labels)
    }
}
