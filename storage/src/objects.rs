//! The live objects of every kind, in persistent ordered maps: a snapshot is one pointer, and never waits for a writer.

use crate::event::{Batch, Draft, Recorded, Stored};
use crate::filter::{IndexedValue, is_custom, number_of};
use crate::index;
use crate::store::{Key, Revision, Snapshot, StoreError};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects of one kind at one revision. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct KindObjects {
    /// By key.
    pub(crate) objects: OrdMap<Key, Stored>,
    /// For each row of [`index::of`]: the field's value, and the object's key.
    indexes: Vec<OrdSet<(Arc<str>, Key)>>,
    /// The revision of the last change; of what was loaded, that of the store.
    pub(crate) changed: Revision,
}

impl KindObjects {
    fn new(number: u32) -> Self {
        Self {
            objects: OrdMap::new(),
            indexes: index::of(number).iter().map(|_| OrdSet::new()).collect(),
            changed: 0,
        }
    }

    /// Sets or removes an object; gives back what was there.
    fn set(&mut self, number: u32, key: &Key, after: Option<&Stored>) -> Option<Stored> {
        let before = match after {
            Some(after) => self.objects.insert(key.clone(), after.clone()),
            None => self.objects.remove(key),
        };
        for (row, entries) in index::of(number).iter().zip(&mut self.indexes) {
            let was = before.as_ref().and_then(|object| row.value(&object.bytes));
            let is = after.and_then(|object| row.value(&object.bytes));
            if was != is {
                if let Some(was) = was {
                    entries.remove(&(was.into(), key.clone()));
                }
                if let Some(is) = is {
                    entries.insert((is.into(), key.clone()));
                }
            }
        }
        before
    }

    /// Whether the indexes are there: an earlier state is rebuilt without them.
    pub(crate) fn has_indexes(&self) -> bool {
        !self.indexes.is_empty()
    }

    /// The objects whose indexed field has this value and whose keys start with `prefix`, from `start` on.
    pub(crate) fn indexed(
        &self,
        wanted: IndexedValue,
        prefix: String,
        start: Key,
    ) -> impl Iterator<Item = (&Key, &Stored)> {
        let IndexedValue { row, value } = wanted;
        let from = (Arc::clone(&value), start);
        self.indexes
            .get(row)
            .into_iter()
            .flat_map(move |index| index.range(from.clone()..))
            .take_while(move |(v, key)| *v == value && key.as_str().starts_with(&prefix))
            .filter_map(|(_, key)| self.objects.get_key_value(key))
    }

    /// The objects whose keys start with `prefix`, from `start` on.
    pub(crate) fn range(&self, prefix: String, start: Key) -> impl Iterator<Item = (&Key, &Stored)> {
        self.objects
            .range(start..)
            .take_while(move |(key, _)| key.as_str().starts_with(&prefix))
    }

    /// The same objects with some of them as they were earlier, and without indexes.
    pub(crate) fn rewound(&self, earlier: impl IntoIterator<Item = (Key, Option<Stored>)>) -> Self {
        let mut objects = self.objects.clone();
        for (key, object) in earlier {
            match object {
                Some(object) => objects.insert(key, object),
                None => objects.remove(&key),
            };
        }
        Self {
            objects,
            indexes: Vec::new(),
            changed: self.changed,
        }
    }
}

/// The live objects of every kind.
#[derive(Debug)]
pub(crate) struct Objects {
    /// By kind number. Of a custom kind that has never had objects there is none.
    kinds: BTreeMap<u32, KindObjects>,
    /// The revision that the objects are at.
    pub(crate) revision: Revision,
}

impl Objects {
    /// What a store holds.
    pub(crate) fn load(snapshot: Snapshot) -> Result<Self, StoreError> {
        let mut objects = Self {
            kinds: BTreeMap::new(),
            revision: snapshot.revision,
        };
        for (key, value) in snapshot.entries {
            let number = number_of(key.parts().0)
                .ok_or_else(|| StoreError::Corrupt(format!("{} is of no known kind", key.as_str())))?;
            let stored = Stored::from_value(&key, &value)?;
            let kind = objects.kind_mut(number);
            kind.set(number, &key, Some(&stored));
            kind.changed = snapshot.revision;
        }
        Ok(objects)
    }

    /// Every object, with its kind's number.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Key, &Stored)> {
        let kinds = self.kinds.iter();
        kinds.flat_map(|(number, kind)| kind.objects.iter().map(|(key, object)| (*number, key, object)))
    }

    /// The objects of a kind. Empty for a number that no kind has.
    pub(crate) fn kind(&self, number: u32) -> KindObjects {
        self.kinds
            .get(&number)
            .cloned()
            .unwrap_or_else(|| KindObjects::new(number))
    }

    /// The revision of the last change of a kind.
    pub(crate) fn kind_at(&self, number: u32) -> Revision {
        self.kinds.get(&number).map_or(0, |kind| kind.changed)
    }

    /// The custom kinds that have or had objects.
    pub(crate) fn custom(&self) -> impl Iterator<Item = (u32, &KindObjects)> {
        let kinds = self.kinds.iter().filter(|(number, _)| is_custom(**number));
        kinds.map(|(number, objects)| (*number, objects))
    }

    fn kind_mut(&mut self, number: u32) -> &mut KindObjects {
        self.kinds
            .entry(number)
            .or_insert_with(|| KindObjects::new(number))
    }

    /// One object.
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        let number = number_of(key.parts().0)?;
        self.kinds.get(&number)?.objects.get(key)
    }

    /// Applies changes that follow on the current revision, in order.
    pub(crate) fn apply(&mut self, drafts: Vec<Draft>) -> Result<Option<Batch>, StoreError> {
        let mut done: Vec<Recorded> = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let (revision, number) = (draft.revision(), draft.number());
            if revision <= self.revision {
                return Err(StoreError::Corrupt(format!(
                    "the feed of changes gave revision {revision} after {}",
                    self.revision
                )));
            }
            let after = draft.after().cloned();
            let kind = self.kind_mut(number);
            let before = kind.set(number, draft.key(), after.as_ref());
            kind.changed = revision;
            if before.as_ref().map(|before| before.revision) != draft.expected {
                return Err(StoreError::Corrupt(format!(
                    "revision {revision} does not follow on what is known of {}: a change is missing",
                    draft.key().as_str()
                )));
            }
            self.revision = revision;
            done.push(draft.finish(before));
        }
        Ok(Batch::new(done))
    }
}
