//! [`Store`]: the objects of one kind inside the [`Cache`](crate::cache::Cache), and the indexes over them.
//!
//! The cache keeps stores of different types side by side and reaches them through [`KindStore`]; typed reads downcast
//! the store once, not each object.

use crate::cache::{Want, Watch};
use crate::cached::{Cached, Metadata};
use crate::key::ObjectKey;
use prost::{DecodeError, Message};
use proto::meta::v1::ObjectMeta;
use proto::{Kind, Object};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What the cache needs of a store, whatever the type of its objects.
pub(crate) trait KindStore: Any + Send + Sync {
    /// Puts an object in; gives it before and after.
    fn upsert(&mut self, key: &ObjectKey, object: &Object) -> Result<Replaced, DecodeError>;
    /// Takes an object out.
    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<dyn Cached>>;
    /// One object's metadata.
    fn meta(&self, namespace: &str, name: &str) -> Option<&ObjectMeta>;
    /// All objects' metadata, in order of namespace and name.
    fn metas(&self, namespace: Option<&str>) -> Box<dyn Iterator<Item = &ObjectMeta> + '_>;
    /// How many objects there are.
    fn len(&self) -> usize;
}

/// An object before and after it was put in.
pub(crate) type Replaced = (Option<Arc<dyn Cached>>, Arc<dyn Cached>);

/// Objects of one type, by namespace and name.
pub(crate) struct Store<T> {
    objects: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<T>>>,
    len: usize,
    decode: fn(&Object) -> Result<T, DecodeError>,
    project: Option<fn(&mut T)>,
    indexes: Vec<Index<T>>,
}

/// Objects by a value that each gives.
struct Index<T> {
    name: &'static str,
    value: fn(&T) -> Option<String>,
    objects: HashMap<String, BTreeSet<(Arc<str>, Arc<str>)>>,
}

impl Store<Metadata> {
    /// The store for a kind of which only the metadata is needed.
    pub(crate) fn of_metadata(_: &[&Watch]) -> Box<dyn KindStore> {
        let mut store = Self::new(|object| Metadata::decode(object.bytes.clone()));
        store.project = Some(|held| {
            if let Some(meta) = &mut held.metadata {
                meta.labels = BTreeMap::new();
                meta.annotations = BTreeMap::new();
                meta.managed_fields = Vec::new();
            }
        });
        Box::new(store)
    }
}

impl<K: Kind> Store<K> {
    /// The store that serves all `watches`, which are of kind `K`.
    pub(crate) fn of_kind(watches: &[&Watch]) -> Box<dyn KindStore> {
        let mut store = Self::new(Object::decode_as::<K>);
        for watch in watches {
            match watch.want() {
                Want::Metadata | Want::Whole => {}
                Want::Projected(project) => {
                    store.project = project.downcast_ref::<fn(&mut K)>().copied().or(store.project);
                }
                Want::Indexed(name, value) => {
                    let known = store.indexes.iter().any(|index| index.name == *name);
                    if let (false, Some(value)) = (known, value.downcast_ref::<fn(&K) -> Option<String>>()) {
                        store.indexes.push(Index {
                            name,
                            value: *value,
                            objects: HashMap::new(),
                        });
                    }
                }
            }
        }
        Box::new(store)
    }
}

impl<T: Cached> Store<T> {
    fn new(decode: fn(&Object) -> Result<T, DecodeError>) -> Self {
        Self {
            objects: BTreeMap::new(),
            len: 0,
            decode,
            project: None,
            indexes: Vec::new(),
        }
    }

    /// One object.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.objects.get(namespace)?.get(name)
    }

    /// The objects of one namespace or of all, in order.
    pub(crate) fn iter<'a>(
        &'a self,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        let one = namespace.and_then(|namespace| self.objects.get(namespace));
        let all = namespace.is_none().then(|| self.objects.values());
        one.into_iter()
            .chain(all.into_iter().flatten())
            .flat_map(BTreeMap::values)
    }

    /// The objects for which the index gave the value, in order.
    pub(crate) fn by_index<'a>(
        &'a self,
        index: &str,
        value: &str,
    ) -> impl Iterator<Item = &'a Arc<T>> + use<'a, T> {
        let index = self.indexes.iter().find(|known| known.name == index);
        let objects = index.and_then(|index| index.objects.get(value));
        objects
            .into_iter()
            .flatten()
            .filter_map(|(namespace, name)| self.get(namespace, name))
    }
}

impl<T: Cached> KindStore for Store<T> {
    fn upsert(&mut self, key: &ObjectKey, object: &Object) -> Result<Replaced, DecodeError> {
        let mut after = (self.decode)(object)?;
        if let Some(project) = self.project {
            project(&mut after);
        }
        let after = Arc::new(after);
        let namespace = match self.objects.get_mut(&key.namespace) {
            Some(namespace) => namespace,
            None => self.objects.entry(key.namespace.clone()).or_default(),
        };
        let before = namespace.insert(key.name.clone(), after.clone());
        self.len += usize::from(before.is_none());
        for index in &mut self.indexes {
            index.replace(key, before.as_deref(), Some(&after));
        }
        Ok((before.map(|before| before as _), after))
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Arc<dyn Cached>> {
        let namespace = self.objects.get_mut(&key.namespace)?;
        let before = namespace.remove(&key.name)?;
        if namespace.is_empty() {
            self.objects.remove(&key.namespace);
        }
        self.len -= 1;
        for index in &mut self.indexes {
            index.replace(key, Some(&before), None);
        }
        Some(before)
    }

    fn meta(&self, namespace: &str, name: &str) -> Option<&ObjectMeta> {
        self.get(namespace, name).map(|object| object.meta())
    }

    fn metas(&self, namespace: Option<&str>) -> Box<dyn Iterator<Item = &ObjectMeta> + '_> {
        Box::new(self.iter(namespace).map(|object| object.meta()))
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl<T> Index<T> {
    fn replace(&mut self, key: &ObjectKey, before: Option<&T>, after: Option<&T>) {
        let (before, after) = (before.and_then(self.value), after.and_then(self.value));
        if before == after {
            return;
        }
        let place = (key.namespace.clone(), key.name.clone());
        if let Some(value) = before
            && let Some(objects) = self.objects.get_mut(&value)
        {
            objects.remove(&place);
            if objects.is_empty() {
                self.objects.remove(&value);
            }
        }
        if let Some(value) = after {
            self.objects.entry(value).or_default().insert(place);
        }
    }
}
