//! [`Cache`]: the objects that a component needs, as they were at one revision.
//!
//! Fed with the [`Delta`]s of one [`Informer`](crate::informer::Informer), whose single stream orders all kinds. So,
//! unlike a set of per-kind informers, the cache never shows a Pod without the ReplicaSet that made it. Between
//! [`Delta::Restarted`] and [`Delta::Synced`] it jumps and shows no single revision: [`Cache::synced`] is false then.
//!
//! A component says with [`Watch`]es what it needs of each kind: all of it, a projection, or the metadata alone.
//! Invariant: every index names exactly the objects held.

use crate::cached::Metadata;
use crate::delta::Delta;
use crate::key::ObjectKey;
use crate::store::{KindStore, Store};
use apimachinery::kinds;
use apimachinery::owner::is_controlled_by;
use prost::DecodeError;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::meta::v1::ObjectMeta;
use proto::{Kind, Object};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use crate::cached::CacheEvent;

/// A kind that a component needs, and what of it.
#[derive(Clone)]
pub struct Watch {
    number: u32,
    want: Want,
    make: fn(&[&Watch]) -> Box<dyn KindStore>,
}

/// What is needed of a kind. When several ask for one kind, it is held in the form that serves all.
#[derive(Clone)]
pub(crate) enum Want {
    Metadata,
    Whole,
    /// A `fn(&mut K)`.
    Projected(Arc<dyn Any + Send + Sync>),
    /// The index's name and its `fn(&K) -> Option<String>`.
    Indexed(&'static str, Arc<dyn Any + Send + Sync>),
}

impl Watch {
    /// All of the objects of kind `K`.
    pub fn of<K: Kind>() -> Self {
        Self::typed::<K>(Want::Whole)
    }

    /// The objects of kind `K` after `project` has dropped fields that nobody in the process reads. The process gives
    /// projections, not its controllers, since it alone knows what they all need; a projection wins over
    /// [`Watch::of`], and there is one for a kind at most (the last counts).
    pub fn projected<K: Kind>(project: fn(&mut K)) -> Self {
        Self::typed::<K>(Want::Projected(Arc::new(project)))
    }

    /// The objects of kind `K`, and an index over them that [`Cache::by_index`] reads. Indexes of one name are one.
    pub fn indexed<K: Kind>(name: &'static str, value: fn(&K) -> Option<String>) -> Self {
        Self::typed::<K>(Want::Indexed(name, Arc::new(value)))
    }

    /// Only the metadata of the objects of a kind, by its number: names, uid, revision, generation, times, owners and
    /// finalizers. Labels, annotations and managedFields are dropped, as they take more room than all the rest.
    pub fn metadata(number: u32) -> Self {
        Self {
            number,
            want: Want::Metadata,
            make: Store::<Metadata>::of_metadata,
        }
    }

    /// Only the metadata of every kind that there is, the custom ones and those to come included.
    pub fn all_metadata() -> Vec<Self> {
        kinds::all()
            .iter()
            .chain([&kinds::ANY_CUSTOM])
            .map(|info| Self::metadata(info.number))
            .collect()
    }

    fn typed<K: Kind>(want: Want) -> Self {
        Self {
            number: K::NUMBER,
            want,
            make: Store::<K>::of_kind,
        }
    }

    /// The kind's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn want(&self) -> &Want {
        &self.want
    }
}

/// The objects of the kinds that were registered, at one revision.
pub struct Cache {
    stores: BTreeMap<u32, Box<dyn KindStore>>,
    /// Of custom kinds the metadata, where [`kinds::ANY_CUSTOM`] is held: a store for each kind that has come up.
    custom: BTreeMap<u32, Box<dyn KindStore>>,
    uids: HashMap<Arc<str>, ObjectKey>,
    owners: HashMap<Arc<str>, BTreeSet<ObjectKey>>,
    revision: i64,
    synced: bool,
}

impl Cache {
    /// An empty cache for these kinds.
    pub fn new(watches: impl IntoIterator<Item = Watch>) -> Self {
        let mut kinds: BTreeMap<u32, Vec<Watch>> = BTreeMap::new();
        for watch in watches {
            kinds.entry(watch.number).or_default().push(watch);
        }
        let make = |(number, watches): (u32, Vec<Watch>)| {
            // A typed form also serves those who asked for the metadata.
            let typed: Vec<&Watch> = watches
                .iter()
                .filter(|w| !matches!(w.want, Want::Metadata))
                .collect();
            let store = typed
                .first()
                .map_or_else(|| (watches[0].make)(&[]), |first| (first.make)(&typed));
            (number, store)
        };
        Self {
            stores: kinds.into_iter().map(make).collect(),
            custom: BTreeMap::new(),
            uids: HashMap::new(),
            owners: HashMap::new(),
            revision: 0,
            synced: false,
        }
    }

    /// The numbers of the kinds held.
    pub fn kinds(&self) -> impl Iterator<Item = u32> {
        self.stores.keys().copied()
    }

    /// Whether objects of this kind are held, in whatever form. Those of a custom kind are while its definition is there.
    pub fn holds(&self, kind: u32) -> bool {
        let is_defined = || {
            let name = kinds::by_number(kind).map(kinds::KindInfo::resource)?;
            self.stores
                .get(&CustomResourceDefinition::NUMBER)?
                .meta("", &name)
        };
        self.stores.contains_key(&kind) || (self.holds_custom(kind) && is_defined().is_some())
    }

    fn holds_custom(&self, kind: u32) -> bool {
        kind >= kinds::FIRST_CUSTOM && self.stores.contains_key(&kinds::ANY_CUSTOM.number)
    }

    /// The store of a kind, whether it was named or came up.
    fn any_store(&self, kind: u32) -> Option<&dyn KindStore> {
        let store = self.stores.get(&kind).or_else(|| self.custom.get(&kind))?;
        Some(&**store)
    }

    fn any_store_mut(&mut self, kind: u32) -> Option<&mut Box<dyn KindStore>> {
        if !self.stores.contains_key(&kind) && self.holds_custom(kind) {
            let store = || Store::<Metadata>::of_metadata(&[]);
            return Some(self.custom.entry(kind).or_insert_with(store));
        }
        self.stores.get_mut(&kind)
    }

    /// The revision that the cache shows; 0 before it first synced.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Whether the cache shows the cluster at one revision.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// How many objects there are, of all kinds.
    pub fn len(&self) -> usize {
        let stores = self.stores.values().chain(self.custom.values());
        stores.map(|store| store.len()).sum()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many objects of a kind there are.
    pub fn count<K: Kind>(&self) -> usize {
        self.stores.get(&K::NUMBER).map_or(0, |store| store.len())
    }

    /// One object. `None` also when the kind is not held as `K`.
    pub fn get<K: Kind>(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.store::<K>()?.get(namespace, name)
    }

    /// The object that a key names, when it is a `K`.
    pub fn get_key<K: Kind>(&self, key: &ObjectKey) -> Option<&Arc<K>> {
        if key.is::<K>() {
            self.get(&key.namespace, &key.name)
        } else {
            None
        }
    }

    /// The objects of a kind, of one namespace or of all (`None`), in order of namespace and name.
    pub fn list<'a, K: Kind>(
        &'a self,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        self.store::<K>()
            .map(|store| store.iter(namespace))
            .into_iter()
            .flatten()
    }

    /// The objects of a kind for which an index ([`Watch::indexed`]) gave `value`, in order of namespace and name.
    pub fn by_index<'a, K: Kind>(
        &'a self,
        index: &str,
        value: &str,
    ) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        self.store::<K>()
            .map(|store| store.by_index(index, value))
            .into_iter()
            .flatten()
    }

    /// The metadata of an object of any kind that is held.
    pub fn metadata(&self, key: &ObjectKey) -> Option<&ObjectMeta> {
        self.any_store(key.kind)?.meta(&key.namespace, &key.name)
    }

    /// The metadata of all objects of a kind, of one namespace or of all (`None`), in order of namespace and name.
    pub fn list_metadata<'a>(
        &'a self,
        kind: u32,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &'a ObjectMeta> + use<'a> {
        self.any_store(kind)
            .map(|store| store.metas(namespace))
            .into_iter()
            .flatten()
    }

    /// The object with a UID, whatever its kind.
    pub fn by_uid(&self, uid: &str) -> Option<&ObjectKey> {
        self.uids.get(uid)
    }

    /// The objects that have `uid` among their ownerReferences, whatever their kind, in the order of their keys.
    pub fn by_owner<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a ObjectKey> + use<'a> {
        self.owners.get(uid).into_iter().flatten()
    }

    /// The objects of kind `K` that have `uid` among their ownerReferences.
    pub fn owned<'a, K: Kind>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<K>> + use<'a, K> {
        self.by_owner(uid).filter_map(|key| self.get_key(key))
    }

    /// The objects of kind `K` whose *controller* is `uid`.
    pub fn controlled<K: Kind>(&self, uid: &str) -> impl Iterator<Item = &Arc<K>> {
        self.owned::<K>(uid)
            .filter(move |object| is_controlled_by(Kind::meta(&***object), uid))
    }

    /// Applies what the informer tells; gives the change that it makes, if any. An object of a kind that is not held
    /// changes nothing but the revision. An object that does not decode is an error and leaves its old state.
    pub fn apply(&mut self, delta: &Delta) -> Result<Option<CacheEvent>, DecodeError> {
        let (revision, change) = match delta {
            Delta::Restarted => {
                self.synced = false;
                return Ok(None);
            }
            Delta::Synced(revision) => {
                self.synced = true;
                // A relist may go back, when the store was replaced by an older one.
                self.revision = *revision;
                return Ok(None);
            }
            Delta::Bookmark(revision) => (*revision, None),
            Delta::Upsert {
                key,
                object,
                revision,
                ..
            } => (*revision, self.upsert(key, object, *revision)?),
            Delta::Delete { key, revision, .. } => (*revision, self.remove(key, *revision)),
        };
        if self.synced {
            self.revision = self.revision.max(revision);
        }
        Ok(change)
    }

    fn upsert(
        &mut self,
        key: &ObjectKey,
        object: &Object,
        revision: i64,
    ) -> Result<Option<CacheEvent>, DecodeError> {
        let Some(store) = self.any_store_mut(key.kind) else {
            return Ok(None);
        };
        let (before, after) = store.upsert(key, object)?;
        let same = before.as_ref().is_some_and(|before| {
            before.meta().uid == after.meta().uid
                && before.meta().owner_references == after.meta().owner_references
        });
        if !same {
            if let Some(before) = &before {
                self.unindex(key, before.meta());
            }
            self.index(key, after.meta());
        }
        Ok(Some(CacheEvent {
            key: key.clone(),
            revision,
            before,
            after: Some(after),
        }))
    }

    fn remove(&mut self, key: &ObjectKey, revision: i64) -> Option<CacheEvent> {
        let before = self.any_store_mut(key.kind)?.remove(key)?;
        self.unindex(key, before.meta());
        Some(CacheEvent {
            key: key.clone(),
            revision,
            before: Some(before),
            after: None,
        })
    }

    fn index(&mut self, key: &ObjectKey, meta: &ObjectMeta) {
        if !meta.uid.is_empty() {
            self.uids.insert(meta.uid.as_str().into(), key.clone());
        }
        for owner in &meta.owner_references {
            // Looks before it allocates the key: most owners own many.
            if !self.owners.contains_key(owner.uid.as_str()) {
                self.owners.insert(owner.uid.as_str().into(), BTreeSet::new());
            }
            if let Some(owned) = self.owners.get_mut(owner.uid.as_str()) {
                owned.insert(key.clone());
            }
        }
    }

    fn unindex(&mut self, key: &ObjectKey, meta: &ObjectMeta) {
        // A UID names one object, but objects written without one (in tests) must not take another's entry.
        if self.uids.get(meta.uid.as_str()) == Some(key) {
            self.uids.remove(meta.uid.as_str());
        }
        for owner in &meta.owner_references {
            if let Some(owned) = self.owners.get_mut(owner.uid.as_str()) {
                owned.remove(key);
                if owned.is_empty() {
                    self.owners.remove(owner.uid.as_str());
                }
            }
        }
    }

    fn store<K: Kind>(&self) -> Option<&Store<K>> {
        let store: &dyn Any = &**self.stores.get(&K::NUMBER)?;
        store.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::api::apps::v1::ReplicaSet;
    use proto::api::core::v1::{Node, Pod};
    use proto::apiextensions::v1::{
        CustomResourceDefinitionCondition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
        CustomResourceDefinitionStatus, CustomResourceDefinitionVersion,
    };
    use proto::meta::v1::OwnerReference;
    use proto::orrery::v1::CustomResource;

    const BY_NODE: &str = "spec.nodeName";

    fn node_of(pod: &Pod) -> Option<String> {
        pod.spec
            .as_ref()
            .map(|spec| spec.node_name.clone())
            .filter(|name| !name.is_empty())
    }

    fn pod(name: &str, uid: &str, owners: &[(&str, bool)], node: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata_mut().name = name.into();
        pod.metadata_mut().namespace = "default".into();
        pod.metadata_mut().uid = uid.into();
        pod.metadata_mut().owner_references = owners
            .iter()
            .map(|(uid, controller)| OwnerReference {
                uid: (*uid).into(),
                controller: controller.then_some(true),
                ..OwnerReference::default()
            })
            .collect();
        pod.spec.get_or_insert_default().node_name = node.into();
        pod
    }

    fn upsert<K: Kind>(object: &K, revision: i64) -> Delta {
        let (key, object) = (ObjectKey::of(object), Object::encode_from(object));
        Delta::Upsert {
            key,
            object,
            revision,
            actor: "test".into(),
            cause: 0,
        }
    }

    fn delete<K: Kind>(object: &K, revision: i64) -> Delta {
        Delta::Delete {
            key: ObjectKey::of(object),
            object: None,
            revision,
            actor: "test".into(),
            cause: 0,
        }
    }

    #[test]
    fn custom_kinds_are_held_as_they_come_up_while_their_definition_is_there() {
        let mut definition: CustomResourceDefinition = definition();
        kinds::custom::note(&definition).unwrap();
        let info = kinds::custom::by_kind("cache.example.com", "Kite").unwrap();
        let mut kite = CustomResource {
            api_version: "cache.example.com/v1".into(),
            kind: "Kite".into(),
            ..CustomResource::default()
        };
        kite.metadata_mut().name = "red".into();
        kite.metadata_mut().namespace = "default".into();
        kite.metadata_mut().uid = "k-1".into();
        let object = Object::encode_from(&kite);
        let key = ObjectKey::read(&object).unwrap();
        assert_eq!(
            (key.kind, key.resource()),
            (info.number, "kites.cache.example.com".into())
        );
        let mut cache = Cache::new(Watch::all_metadata());
        let upserted = Delta::Upsert {
            key: key.clone(),
            object,
            revision: 2,
            actor: "test".into(),
            cause: 0,
        };
        cache.apply(&upsert(&definition, 1)).unwrap();
        assert!(cache.holds(info.number));
        cache.apply(&upserted).unwrap();
        assert_eq!(cache.by_uid("k-1"), Some(&key));
        assert_eq!(cache.metadata(&key).unwrap().name, "red");
        assert_eq!(cache.list_metadata(info.number, Some("default")).count(), 1);
        let gone = Delta::Delete {
            key: key.clone(),
            object: None,
            revision: 3,
            actor: "test".into(),
            cause: 0,
        };
        cache.apply(&gone).unwrap();
        assert_eq!(cache.by_uid("k-1"), None);
        definition.metadata_mut().uid = String::new();
        cache.apply(&delete(&definition, 4)).unwrap();
        assert!(!cache.holds(info.number), "nobody can say what of it exists");
    }

    fn definition() -> CustomResourceDefinition {
        let names = CustomResourceDefinitionNames {
            plural: "kites".into(),
            kind: "Kite".into(),
            ..CustomResourceDefinitionNames::default()
        };
        let mut definition = CustomResourceDefinition {
            spec: Some(CustomResourceDefinitionSpec {
                group: "cache.example.com".into(),
                scope: "Namespaced".into(),
                names: Some(names),
                versions: vec![CustomResourceDefinitionVersion {
                    name: "v1".into(),
                    served: true,
                    storage: true,
                    ..CustomResourceDefinitionVersion::default()
                }],
                ..CustomResourceDefinitionSpec::default()
            }),
            status: Some(CustomResourceDefinitionStatus {
                conditions: vec![CustomResourceDefinitionCondition {
                    r#type: "Established".into(),
                    status: "True".into(),
                    ..CustomResourceDefinitionCondition::default()
                }],
                ..CustomResourceDefinitionStatus::default()
            }),
            ..CustomResourceDefinition::default()
        };
        definition.metadata_mut().name = "kites.cache.example.com".into();
        definition.metadata_mut().uid = "d-1".into();
        definition
    }

    #[test]
    fn the_revision_is_told_by_marks_and_events_but_not_while_listing() {
        let mut cache = Cache::new([Watch::of::<Pod>()]);
        let web = pod("web", "u-1", &[], "");
        let told = [
            (Delta::Restarted, 0, false),
            (upsert(&web, 90), 0, false),
            (Delta::Synced(100), 100, true),
            (upsert(&web, 101), 101, true),
            (upsert(&Node::default(), 102), 102, true),
            (Delta::Bookmark(110), 110, true),
            (Delta::Restarted, 110, false),
            (Delta::Synced(50), 50, true),
        ];
        for (delta, revision, synced) in told {
            cache.apply(&delta).unwrap();
            assert_eq!(
                (cache.revision(), cache.synced()),
                (revision, synced),
                "{delta:?}"
            );
        }
    }

    #[test]
    fn a_kind_is_held_in_the_form_that_serves_all_who_asked() {
        let mut web = pod("web", "u-1", &[], "node-1");
        web.metadata_mut().labels.insert("app".into(), "web".into());
        let cases: [(Vec<Watch>, bool, &str); 4] = [
            (vec![Watch::metadata(Pod::NUMBER)], false, ""),
            (
                vec![Watch::metadata(Pod::NUMBER), Watch::of::<Pod>()],
                true,
                "node-1",
            ),
            (
                vec![Watch::of::<Pod>(), Watch::projected::<Pod>(|pod| pod.spec = None)],
                true,
                "",
            ),
            (vec![Watch::indexed::<Pod>(BY_NODE, node_of)], true, "node-1"),
        ];
        for (watches, typed, node) in cases {
            let mut cache = Cache::new(watches);
            cache.apply(&upsert(&web, 1)).unwrap();
            let held = cache.get::<Pod>("default", "web");
            assert_eq!(held.is_some(), typed);
            assert_eq!(held.and_then(|pod| node_of(pod)).unwrap_or_default(), node);
            let meta = cache.metadata(&ObjectKey::of(&web)).unwrap();
            assert_eq!((meta.uid.as_str(), meta.labels.is_empty()), ("u-1", !typed));
            assert_eq!(cache.list_metadata(Pod::NUMBER, Some("default")).count(), 1);
            assert_eq!(cache.list_metadata(Pod::NUMBER, Some("other")).count(), 0);
        }
    }

    #[test]
    fn an_event_tells_spec_from_status_and_names_both_owners() {
        let mut cache = Cache::new([Watch::of::<Pod>()]);
        let first = pod("web", "u-1", &[("rs-1", true)], "");
        assert!(cache.apply(&upsert(&first, 1)).unwrap().unwrap().is_of_spec());
        let mut second = pod("web", "u-1", &[("rs-2", true)], "");
        second.status.get_or_insert_default().phase = "Running".into();
        let event = cache.apply(&upsert(&second, 2)).unwrap().unwrap();
        assert!(!event.is_of_spec());
        let owners: Vec<_> = event
            .metas()
            .filter_map(apimachinery::owner::controller_of)
            .map(|o| o.uid.as_str())
            .collect();
        assert_eq!(owners, ["rs-1", "rs-2"]);
        assert_eq!(event.before::<Pod>(), Some(&first));
        assert_eq!(event.after::<Pod>(), Some(&second));
        assert_eq!(event.after::<Node>(), None);
        let gone = cache.apply(&delete(&second, 3)).unwrap().unwrap();
        assert_eq!((gone.after::<Pod>(), gone.object::<Pod>()), (None, Some(&second)));
        assert!(cache.apply(&delete(&second, 4)).unwrap().is_none());
    }

    #[test]
    fn bytes_that_do_not_decode_leave_the_old_state() {
        let mut cache = Cache::new([Watch::of::<Pod>()]);
        let web = pod("web", "u-1", &[], "");
        cache.apply(&upsert(&web, 1)).unwrap();
        let mut bad = upsert(&web, 2);
        if let Delta::Upsert { object, .. } = &mut bad {
            object.bytes = vec![0xff; 9].into();
        }
        assert!(cache.apply(&bad).is_err());
        assert_eq!(cache.count::<Pod>(), 1);
    }

    fn change() -> impl Strategy<Value = (u8, u8, Option<(u8, u8, u8)>)> {
        // Namespace, name, and the new state: uid, owner, node.
        (0..2u8, 0..3u8, proptest::option::of((0..3u8, 0..3u8, 0..2u8)))
    }

    proptest! {
        #[test]
        fn every_index_names_exactly_the_objects_held(changes in prop::collection::vec(change(), 0..60)) {
            let mut cache = Cache::new([Watch::indexed::<Pod>(BY_NODE, node_of), Watch::of::<ReplicaSet>()]);
            let mut model: BTreeMap<(String, String), Pod> = BTreeMap::new();
            for (revision, (namespace, name, state)) in changes.into_iter().enumerate() {
                let place = (format!("ns-{namespace}"), format!("pod-{name}"));
                let (uid, owner, node) = state.unwrap_or_default();
                // A UID names one object, so it holds the place's name too.
                let uid = format!("u-{namespace}-{name}-{uid}");
                let node = if node == 0 { String::new() } else { format!("node-{node}") };
                let owners = [(format!("rs-{owner}"), owner != 0)];
                let owners: Vec<_> = owners.iter().map(|(uid, controller)| (uid.as_str(), *controller)).collect();
                let mut object = pod(&place.1, &uid, &owners, &node);
                object.metadata_mut().namespace.clone_from(&place.0);
                let delta = match state {
                    Some(_) => upsert(&object, revision as i64),
                    None => delete(&object, revision as i64),
                };
                cache.apply(&delta).unwrap();
                match state {
                    Some(_) => _ = model.insert(place, object),
                    None => _ = model.remove(&place),
                }
                let all: Vec<&Pod> = model.values().collect();
                let held: Vec<&Pod> = cache.list::<Pod>(None).map(|pod| &**pod).collect();
                prop_assert_eq!(&held, &all);
                prop_assert_eq!(cache.len(), all.len());
                prop_assert_eq!(cache.uids.len(), all.len());
                for pod in &all {
                    prop_assert_eq!(cache.by_uid(pod.uid()), Some(&ObjectKey::of(*pod)));
                }
                for owner in 0..3 {
                    let owner = format!("rs-{owner}");
                    let owned = |pod: &&&Pod| Kind::meta(**pod).owner_references[0].uid == owner;
                    let by_owner: Vec<&Pod> = cache.owned::<Pod>(&owner).map(|pod| &**pod).collect();
                    let expected: Vec<&Pod> = all.iter().filter(owned).copied().collect();
                    prop_assert_eq!(&by_owner, &expected);
                    let controlled = cache.controlled::<Pod>(&owner).count();
                    prop_assert_eq!(controlled, if owner == "rs-0" { 0 } else { expected.len() });
                }
                let on_node: Vec<&Pod> = cache.by_index::<Pod>(BY_NODE, "node-1").map(|pod| &**pod).collect();
                let expected: Vec<&Pod> =
                    all.iter().filter(|pod| node_of(pod).as_deref() == Some("node-1")).copied().collect();
                prop_assert_eq!(on_node, expected);
            }
        }
    }
}
