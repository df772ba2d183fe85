//! A store that keeps everything in memory: for tests that need a [`Store`] and no disk.
//!
//! It keeps the trait's promises except durability, in the fewest lines that can: one lock, one log, and a feed that
//! reads the log by position. Tests of the cache, the hub and the apiserver stand on it.

use crate::store::{
    Change, Changes, Conflict, HistoryLimit, Key, Revision, Snapshot, Store, StoreError, Versioned, Write,
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// An in-memory [`Store`]. Clones share their content, so that a test can close one cache and open another.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    newest: Arc<watch::Sender<Revision>>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<Key, Versioned>,
    /// The changes after `compacted`: the one that made revision r stands at r - compacted - 1.
    log: Vec<Arc<Change>>,
    compacted: Revision,
}

impl Inner {
    fn revision(&self) -> Revision {
        self.compacted + self.log.len() as Revision
    }

    /// The log after a revision.
    fn after(&self, revision: Revision) -> Result<&[Arc<Change>], StoreError> {
        let (compacted, current) = (self.compacted, self.revision());
        if revision < compacted {
            return Err(StoreError::Expired {
                asked: revision,
                compacted,
            });
        }
        if revision > current {
            return Err(StoreError::Future {
                asked: revision,
                current,
            });
        }
        Ok(&self.log[(revision - compacted) as usize..])
    }

    fn write(&mut self, write: Write) -> Result<Arc<Change>, Conflict> {
        let before = self.objects.get(&write.key).cloned();
        let current = before.as_ref().map(|b| b.revision);
        if !write.is_allowed(current) {
            return Err(Conflict {
                key: write.key,
                current,
            });
        }
        let revision = self.revision() + 1;
        match &write.value {
            Some(value) => {
                let value = Versioned {
                    value: value.clone(),
                    revision,
                };
                self.objects.insert(write.key.clone(), value);
            }
            None => {
                self.objects.remove(&write.key);
            }
        }
        let change = Arc::new(Change {
            revision,
            key: write.key,
            before,
            after: write.value,
            origin: write.origin,
        });
        self.log.push(Arc::clone(&change));
        Ok(change)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            inner: Arc::default(),
            newest: Arc::new(watch::Sender::new(0)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code between lock and unlock can leave a half-done write.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many changes the feed takes from the log under one lock.
const FEED_CHUNK: usize = 256;

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError> {
        let mut inner = self.lock();
        let results = writes.into_iter().map(|write| inner.write(write)).collect();
        let revision = inner.revision();
        drop(inner);
        self.newest.send_if_modified(|newest| {
            let rises = revision > *newest;
            *newest = revision.max(*newest);
            rises
        });
        Ok(results)
    }

    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        let inner = self.lock();
        let under = |(key, value): (&Key, &Versioned)| {
            key.as_str()
                .starts_with(prefix)
                .then(|| (key.clone(), value.clone()))
        };
        Ok(Snapshot {
            revision: inner.revision(),
            compacted: inner.compacted,
            entries: inner.objects.iter().filter_map(under).collect(),
        })
    }

    async fn changes(&self, after: Revision) -> Result<Changes, StoreError> {
        self.lock().after(after)?;
        let feed = stream::unfold(
            (self.clone(), self.newest.subscribe(), after),
            |(store, mut newest, position)| async move {
                newest.wait_for(|newest| *newest > position).await.ok()?;
                let chunk: Vec<Result<_, _>> = match store.lock().after(position) {
                    Ok(changes) => changes.iter().take(FEED_CHUNK).cloned().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                };
                let position = position + chunk.len() as Revision;
                Some((stream::iter(chunk), (store, newest, position)))
            },
        );
        Ok(feed.flatten().boxed())
    }

    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        let inner = self.lock();
        // Refuses a revision to come in its own name, not in that of the one before it.
        inner.after(revision)?;
        let change = inner.after(revision - 1)?.first().cloned();
        change.ok_or(StoreError::Future {
            asked: revision,
            current: inner.revision(),
        })
    }

    async fn history(&self, key: &Key, mut limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        let inner = self.lock();
        let of_key = inner.log.iter().rev().filter(|change| change.key == *key);
        let wanted = of_key
            .enumerate()
            .take_while(|(i, change)| limit.admits(change, *i == 0));
        Ok(wanted.map(|(_, change)| Arc::clone(change)).collect())
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let current = inner.revision();
        if to > current {
            return Err(StoreError::Future { asked: to, current });
        }
        if to > inner.compacted {
            let gone = (to - inner.compacted) as usize;
            inner.log.drain(..gone);
            inner.compacted = to;
        }
        Ok(())
    }

    async fn revisions(&self) -> Result<(Revision, Revision), StoreError> {
        let inner = self.lock();
        Ok((inner.revision(), inner.compacted))
    }
}
