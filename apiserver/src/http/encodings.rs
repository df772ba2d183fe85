//! The JSON of object versions, made once and shared by everybody who reads or watches them.
//!
//! An object at a revision never changes, so its text never grows stale: entries leave only to make room, oldest first.
//! Bounded in bytes; what is larger than the whole cache is never kept.

use apimachinery::convert;
use apimachinery::json::{self, Fault};
use apimachinery::kinds::ANY_CUSTOM;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most bytes of JSON kept: 10,000 Pods of 5 KB with room for as much again. Beyond it, what is read or watched
/// lately is still made once.
pub(crate) const MAX_CACHED_BYTES: usize = 96 << 20;

/// What an entry weighs beside its text: its key twice, its pointers, its part of the tables.
const ENTRY_BYTES: usize = 128;

/// One version of one object, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VersionKey {
    /// The arm of `orrery.v1.Object` that it is shown as.
    pub(crate) number: u32,
    /// The API version that it is shown in: a custom kind has one arm for all of its versions.
    pub(crate) version: &'static str,
    /// Its `metadata.resourceVersion`. Revisions count the writes of the whole store, so no other object has it.
    pub(crate) revision: i64,
    /// Whether it is the object before a change that took it out of somebody's sight: it shows the change's revision.
    pub(crate) departed: bool,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Encodings {
    entries: Mutex<Entries>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Entries {
    texts: HashMap<VersionKey, Bytes>,
    order: VecDeque<VersionKey>,
    bytes: usize,
}

impl Default for Encodings {
    fn default() -> Self {
        Self::new(MAX_CACHED_BYTES)
    }
}

impl Encodings {
    fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::default(),
            limit,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic between the tables' updates leaves at worst an entry that is never evicted.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The JSON of `object`, as it is stored, which is the version that `key` says.
    pub(crate) fn json(&self, key: VersionKey, object: &Bytes) -> Result<Bytes, Fault> {
        if key.number == ANY_CUSTOM.number {
            // Kept as JSON, it is copied as fast as it is found; and a new schema may fill in other defaults.
            let mut text = Vec::with_capacity(object.len() + ENTRY_BYTES);
            json::to_json(key.number, object, &mut text)?;
            return Ok(text.into());
        }
        if let Some(text) = self.entries().texts.get(&key) {
            return Ok(text.clone());
        }
        // Made outside of the lock. Two that ask at once may both make it; the first one's stays.
        let mut text = Vec::with_capacity(object.len() * 2);
        match convert::by_number(key.number) {
            Some(view) => {
                let converted = (view.to)(object).map_err(|error| Fault::syntax(error.to_string()))?;
                json::to_json(key.number, &converted, &mut text)?;
            }
            None => json::to_json(key.number, object, &mut text)?,
        }
        text.shrink_to_fit();
        Ok(self.keep(key, text.into()))
    }

    fn keep(&self, key: VersionKey, text: Bytes) -> Bytes {
        let mut entries = self.entries();
        if let Some(earlier) = entries.texts.get(&key) {
            return earlier.clone();
        }
        entries.bytes += text.len() + ENTRY_BYTES;
        entries.texts.insert(key, text.clone());
        entries.order.push_back(key);
        while entries.bytes > self.limit {
            let Some(oldest) = entries.order.pop_front() else {
                break;
            };
            if let Some(text) = entries.texts.remove(&oldest) {
                entries.bytes -= text.len() + ENTRY_BYTES;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::ConfigMap;

    fn version(revision: i64) -> VersionKey {
        VersionKey {
            number: ConfigMap::NUMBER,
            version: "v1",
            revision,
            departed: false,
        }
    }

    fn object(name: &str) -> Bytes {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = name.into();
        object.encode_to_vec().into()
    }

    #[test]
    fn a_version_is_encoded_once() {
        let cache = Encodings::default();
        let first = cache.json(version(1), &object("a")).unwrap();
        let again = cache.json(version(1), &object("a")).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        let departed = VersionKey {
            departed: true,
            ..version(1)
        };
        assert_ne!(cache.json(departed, &object("b")).unwrap(), first);
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let cache = Encodings::new(3 * (ENTRY_BYTES + 120));
        for revision in 1..=100 {
            cache.json(version(revision), &object("a")).unwrap();
        }
        let entries = cache.entries();
        assert!(entries.bytes <= cache.limit && !entries.texts.is_empty());
        assert_eq!(entries.texts.len(), entries.order.len());
        assert!(entries.texts.contains_key(&version(100)) && !entries.texts.contains_key(&version(1)));
    }

    #[test]
    fn what_is_no_object_is_an_error_and_not_kept() {
        let cache = Encodings::default();
        assert!(cache.json(version(1), &Bytes::from_static(b"\xff")).is_err());
        assert!(cache.entries().texts.is_empty());
    }
}
