//! [`Objects`]: what else of the cluster decisions look at: namespaces, owners' selectors, budgets, volumes.
//!
//! Kept as the API has it, each object once and shared. A row of the table below is all that a further kind needs.

use crate::framework::{ClusterEvent, EventSet};
use apimachinery::selector::LabelSelector;
use client::ObjectKey;
use client::informer::target;
use prost::DecodeError;
use proto::api::apps::v1::{ReplicaSet, StatefulSet};
use proto::api::core::v1::{
    Namespace, PersistentVolume, PersistentVolumeClaim, ReplicationController, Service,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::api::storage::v1::{CsiDriver, CsiNode, CsiStorageCapacity, StorageClass};
use proto::gangs::v1alpha1::PodGroup;
use proto::orrery::v1::WatchTarget;
use proto::{Kind, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects of one kind, by namespace and name.
pub type Kept<K> = BTreeMap<(Arc<str>, Arc<str>), Arc<K>>;

/// What the change of an object means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    /// What it may help.
    pub(super) events: EventSet,
    /// Namespaces have other labels.
    pub(super) namespaces: bool,
    /// Somebody selects other Pods.
    pub(super) owners: bool,
}

/// The words of an object that say which Pods are meant: the labels of a namespace, the selector of a Service or a controller.
trait Words {
    fn words(&self) -> Option<LabelSelector>;
}

macro_rules! objects {
    ($($(#[$doc:meta])* $field:ident: $kind:ty => $event:expr),* $(,)?) => {
        /// See the module.
        #[derive(Clone, Debug, Default)]
        pub struct Objects {
            $($(#[$doc])* pub $field: Kept<$kind>,)*
        }

        impl Objects {
            /// The kinds, for a watch.
            pub fn targets() -> Vec<WatchTarget> {
                vec![$(target::<$kind>()),*]
            }

            /// An object is new, or has changed, or is gone (`None`). Tells what that means; nothing for a kind that is not kept.
            ///
            /// # Errors
            /// The object does not decode; what was known of it stays.
            pub(super) fn set(&mut self, key: &ObjectKey, object: Option<&Object>) -> Result<Meaning, DecodeError> {
                let name = (key.namespace.clone(), key.name.clone());
                $(if key.is::<$kind>() {
                    let (before, after) = match object {
                        Some(object) => {
                            let object = Arc::new(object.decode_as::<$kind>()?);
                            (self.$field.insert(name, object.clone()), Some(object))
                        }
                        None => (self.$field.remove(&name), None),
                    };
                    let words = |object: &Option<Arc<$kind>>| object.as_ref().map(|object| object.words());
                    let same = words(&before) == words(&after);
                    return Ok(Meaning {
                        events: $event,
                        namespaces: !same && key.is::<Namespace>(),
                        owners: !same && !key.is::<Namespace>(),
                    });
                })*
                Ok(Meaning::default())
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
    /// Groups of Pods that are placed together.
    pod_groups: PodGroup => ClusterEvent::PodGroup.into(),
    /// Classes say when a volume is chosen.
    storage_classes: StorageClass => ClusterEvent::StorageClass.into(),
    /// How many volumes of a driver a node holds.
    csi_nodes: CsiNode => ClusterEvent::CsiStorage.into(),
    /// Drivers say whether they tell how much room they have.
    csi_drivers: CsiDriver => ClusterEvent::CsiStorage.into(),
    /// The room of a class, where it can be reached.
    csi_capacities: CsiStorageCapacity => ClusterEvent::CsiStorage.into(),
}

impl Objects {
    /// A namespace's labels; `None` when it is not known.
    pub fn namespace_labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        let namespace = self.namespaces.get(&("".into(), name.into()))?;
        Some(&namespace.meta().labels)
    }

    /// An object that belongs to no namespace.
    pub fn global<'a, K>(&self, kept: &'a Kept<K>, name: &str) -> Option<&'a Arc<K>> {
        kept.get(&("".into(), name.into()))
    }

    /// The objects of one kind in a namespace.
    pub fn in_namespace<'a, K>(
        &self,
        kept: &'a Kept<K>,
        namespace: &'a Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        let from = (namespace.clone(), Arc::from(""));
        let objects = kept.range(from..);
        objects
            .take_while(move |((of, _), _)| of == namespace)
            .map(|(_, object)| object)
    }

    /// The Pods that a controller selects; `None` for one that is not known.
    pub fn selector_of(&self, kind: &str, namespace: &Arc<str>, name: &str) -> Option<LabelSelector> {
        let name = (namespace.clone(), Arc::from(name));
        match kind {
            "ReplicationController" => self.replication_controllers.get(&name)?.words(),
            "ReplicaSet" => self.replica_sets.get(&name)?.words(),
            "StatefulSet" => self.stateful_sets.get(&name)?.words(),
            _ => None,
        }
    }
}

impl Words for Namespace {
    fn words(&self) -> Option<LabelSelector> {
        LabelSelector::from_set(&self.meta().labels).ok()
    }
}

impl Words for Service {
    fn words(&self) -> Option<LabelSelector> {
        LabelSelector::from_set(&self.spec.as_ref()?.selector).ok()
    }
}

impl Words for ReplicationController {
    fn words(&self) -> Option<LabelSelector> {
        LabelSelector::from_set(&self.spec.as_ref()?.selector).ok()
    }
}

impl Words for ReplicaSet {
    fn words(&self) -> Option<LabelSelector> {
        LabelSelector::from_proto(self.spec.as_ref()?.selector.as_ref()).ok()
    }
}

impl Words for StatefulSet {
    fn words(&self) -> Option<LabelSelector> {
        LabelSelector::from_proto(self.spec.as_ref()?.selector.as_ref()).ok()
    }
}

macro_rules! selects_nothing {
    ($($kind:ty),*) => {
        $(impl Words for $kind {
            fn words(&self) -> Option<LabelSelector> {
                None
            }
        })*
    };
}

selects_nothing!(
    PodGroup,
    PodDisruptionBudget,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CsiNode,
    CsiDriver,
    CsiStorageCapacity
);
