//! The live objects of every kind, in persistent ordered maps: a snapshot is one pointer, and never waits for a writer.

use crate::event::{Batch, Draft, Recorded, Stored};
use crate::filter::{IndexedValue, kind_of};
use crate::index;
use crate::store::{Key, Revision, Snapshot, StoreError};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// The objects of one kind at one revision. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct KindObjects {
    /// By key.
    pub(crate) objects: OrdMap<Key, Stored>,
    /// For each row of [`index::of`]: the field's value, and the object's key.
    indexes: Vec<OrdSet<(Arc<str>, Key)>>,
}

impl KindObjects {
    fn new(number: u32) -> Self {
        Self {
            objects: OrdMap::new(),
            indexes: index::of(number).iter().map(|_| OrdSet::new()).collect(),
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
        }
    }
}

/// The live objects of every kind.
#[derive(Debug)]
pub(crate) struct Objects {
    /// By kind number, from 1.
    kinds: Vec<KindObjects>,
    /// The revision that the objects are at.
    pub(crate) revision: Revision,
}

impl Objects {
    /// What a store holds.
    pub(crate) fn load(snapshot: Snapshot) -> Result<Self, StoreError> {
        let kinds = apimachinery::kinds::all()
            .iter()
            .map(|kind| KindObjects::new(kind.number))
            .collect();
        let mut objects = Self {
            kinds,
            revision: snapshot.revision,
        };
        for (key, value) in snapshot.entries {
            let kind = kind_of(key.parts().0)
                .ok_or_else(|| StoreError::Corrupt(format!("{} is of no known kind", key.as_str())))?;
            let stored = Stored::from_value(&key, &value)?;
            if let Some(objects) = objects.kind_mut(kind.number) {
                objects.set(kind.number, &key, Some(&stored));
            }
        }
        Ok(objects)
    }

    /// The objects of a kind. Empty for a number that no kind has.
    pub(crate) fn kind(&self, number: u32) -> KindObjects {
        (number as usize)
            .checked_sub(1)
            .and_then(|i| self.kinds.get(i))
            .cloned()
            .unwrap_or_default()
    }

    fn kind_mut(&mut self, number: u32) -> Option<&mut KindObjects> {
        (number as usize)
            .checked_sub(1)
            .and_then(|i| self.kinds.get_mut(i))
    }

    /// One object.
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        let kind = kind_of(key.parts().0)?;
        self.kinds.get(kind.number as usize - 1)?.objects.get(key)
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
            let before = self
                .kind_mut(number)
                .and_then(|objects| objects.set(number, draft.key(), after.as_ref()));
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
