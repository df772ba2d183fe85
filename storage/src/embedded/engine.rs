//! What the parts of the embedded store share, and its reads.
//!
//! In: a recovered [`Database`]. Out: objects, changes and histories, as of the newest durable revision.
//! Everything here blocks on the disk now and then: callers are on a thread that may.

use super::acknowledged::Acknowledged;
use super::database::{Compacted, Database};
use super::lock::DirectoryLock;
use super::record::{Head, Record};
use super::state::State;
use crate::store::{Change, HistoryLimit, Key, Revision, Snapshot, StoreError, Versioned};
use bytes::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// A feed that reads the log takes about this many bytes of objects at a time, and keeps them while nobody takes them
/// from it: there may be thousands of such feeds.
const READ_BYTES: usize = 512 << 10;

/// See the module. Fields are dropped in order: the lock goes last.
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) acknowledged: Acknowledged,
    state: Mutex<State>,
    /// Told after the state has moved on.
    pub(super) published: watch::Sender<Revision>,
    /// Held while the log is compacted: one at a time.
    pub(super) compacted: tokio::sync::Mutex<Compacted>,
    pub(super) directory: PathBuf,
    pub(super) min_free_bytes: u64,
    _lock: DirectoryLock,
    /// Its receiver learns that the engine, and with it the lock, is gone.
    _alive: mpsc::Sender<Infallible>,
}

/// Looking a record up takes as long as reading this many that lie one behind the other.
const SCANNED_PER_READ: usize = 16;

/// What a feed can go on with.
pub(super) enum Next {
    Changes(VecDeque<Arc<Change>>),
    /// The next changes are no longer in memory: read the log.
    Log,
    /// Nothing is new.
    Wait,
}

impl Engine {
    pub(super) fn new(
        database: Database,
        acknowledged: Acknowledged,
        state: State,
        compacted: Compacted,
        config: super::Config,
        lock: DirectoryLock,
        alive: mpsc::Sender<Infallible>,
    ) -> Self {
        Self {
            database,
            acknowledged,
            published: watch::Sender::new(state.revision),
            state: Mutex::new(state),
            compacted: tokio::sync::Mutex::new(compacted),
            directory: config.directory,
            min_free_bytes: config.min_free_bytes,
            _lock: lock,
            _alive: alive,
        }
    }

    /// The state. Held for memory accesses only, never across a disk access.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held cannot have left it half changed: `publish` does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no further writes, since what is on disk is unknown after a failed one.
    pub(super) fn stop(&self, error: &StoreError) {
        tracing::error!(%error, "a write to disk failed: the store takes no further writes");
        self.state().stopped = Some(StoreError::Unavailable(format!(
            "it stopped, since what is on disk is unknown after a failed write ({error}); restart it"
        )));
        self.published.send_modify(|_| {});
    }

    /// The objects whose keys start with `prefix`.
    pub(super) fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        // The view is opened under the state's lock: it has every record that `heads` names, and keeps them whatever
        // is compacted meanwhile.
        let (revision, compacted, heads, view) = {
            let state = self.state();
            (
                state.revision,
                state.compacted,
                state.heads.clone(),
                self.database.view(),
            )
        };
        let mut found: Vec<(&Key, Revision)> = heads
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .filter(|(_, head)| head.live)
            .map(|(key, head)| (key, head.revision))
            .collect();
        // Neighbours in the log share blocks on disk; neighbours by name do not.
        found.sort_unstable_by_key(|(_, revision)| *revision);
        let mut entries = Vec::with_capacity(found.len());
        let records = usize::try_from(revision - compacted).map_or(usize::MAX, |log| log + heads.len());
        if found.len() > records / SCANNED_PER_READ {
            // Most of what lies between is wanted: read on instead of looking each up.
            let mut found = found.into_iter().peekable();
            for entry in view.from(found.peek().map_or(revision, |(_, first)| *first)) {
                let (at, stored) = entry?;
                if let Some((key, _)) = found.next_if(|(_, wanted)| *wanted == at) {
                    entries.push((key.clone(), versioned(at, &stored.decode()?)?));
                }
            }
            if let Some((_, revision)) = found.next() {
                return Err(missing(revision));
            }
        } else {
            for (key, revision) in found {
                let record = view.read(revision)?.ok_or_else(|| missing(revision))?;
                entries.push((key.clone(), versioned(revision, &record)?));
            }
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Snapshot {
            revision,
            compacted,
            entries,
        })
    }

    /// What a feed that has reached `after` goes on with.
    pub(super) fn next(&self, after: Revision, limit: usize) -> Result<Next, StoreError> {
        let state = self.state();
        state.check_continues(after)?;
        if after < state.revision {
            return Ok(state.recent_after(after, limit).map_or(Next::Log, Next::Changes));
        }
        match &state.stopped {
            Some(why) => Err(why.clone()),
            None => Ok(Next::Wait),
        }
    }

    /// At least one and at most `limit` changes after `after`, which is before the newest revision.
    pub(super) fn read_log(
        &self,
        after: Revision,
        limit: usize,
    ) -> Result<VecDeque<Arc<Change>>, StoreError> {
        let newest = self.state().revision;
        let mut changes = VecDeque::new();
        let mut bytes = 0;
        for (expected, entry) in (after + 1..).zip(self.database.range(after + 1, newest)) {
            let (revision, record) = entry?;
            if revision != expected {
                return Err(self.gone(expected));
            }
            let change = self.complete(revision, record)?;
            bytes += change.bytes();
            changes.push_back(change);
            if changes.len() == limit || bytes > READ_BYTES {
                break;
            }
        }
        if changes.is_empty() {
            return Err(self.gone(after + 1));
        }
        Ok(changes)
    }

    /// The change that made a revision.
    pub(super) fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        {
            let state = self.state();
            state.check_in_log(revision)?;
            if let Some(change) = state.recent(revision) {
                return Ok(change.clone());
            }
        }
        match self.database.read(revision)? {
            Some(record) => self.complete(revision, record),
            None => Err(self.gone(revision)),
        }
    }

    /// The changes of a key that the log holds, newest first.
    pub(super) fn history(&self, key: &Key, mut limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        let mut next = self.state().heads.get(key).map(|head| head.revision);
        let mut changes = Vec::new();
        while let Some(revision) = next
            && revision > self.state().compacted
        {
            let record = self.database.read(revision)?;
            let step = record.ok_or_else(|| self.gone(revision)).and_then(|record| {
                let previous = record.previous;
                Ok((self.complete(revision, record)?, previous))
            });
            match step {
                Ok((change, previous)) => {
                    if !limit.admits(&change, changes.is_empty()) {
                        break;
                    }
                    changes.push(change);
                    next = previous.map(|previous| previous.revision);
                }
                // Compacted while it was read.
                Err(StoreError::Expired { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(changes)
    }

    /// What a key's last change left, from memory where it is recent.
    pub(super) fn value(&self, head: Head) -> Result<Option<Versioned>, StoreError> {
        if !head.live {
            return Ok(None);
        }
        let recent = self.state().recent(head.revision).cloned();
        let value = match recent {
            Some(change) => change.after.clone(),
            None => match self.database.read(head.revision)? {
                Some(record) => record.value,
                None => return Err(missing(head.revision)),
            },
        };
        Ok(Some(Versioned {
            value: value.ok_or_else(|| missing(head.revision))?,
            revision: head.revision,
        }))
    }

    /// Adds what was before to a record.
    fn complete(&self, revision: Revision, record: Record) -> Result<Arc<Change>, StoreError> {
        let before = match record.previous {
            Some(previous) => self.value(previous).map_err(|error| match self.gone(revision) {
                // The previous record goes together with the log's entry for this one.
                expired @ StoreError::Expired { .. } => expired,
                _ => error,
            })?,
            None => None,
        };
        Ok(Arc::new(Change {
            revision,
            key: record.key,
            before,
            after: record.value,
            origin: record.origin,
        }))
    }

    /// Why a record of the log is not there: compacted while it was looked for, or lost.
    fn gone(&self, revision: Revision) -> StoreError {
        self.state()
            .check_in_log(revision)
            .err()
            .unwrap_or_else(|| missing(revision))
    }
}

/// The value is copied: it must not keep a whole block of the database in memory.
fn versioned(revision: Revision, record: &Record) -> Result<Versioned, StoreError> {
    let value = record.value.as_ref().ok_or_else(|| missing(revision))?;
    Ok(Versioned {
        value: Bytes::copy_from_slice(value),
        revision,
    })
}

fn missing(revision: Revision) -> StoreError {
    StoreError::Corrupt(format!(
        "the value written at revision {revision} is missing from the database"
    ))
}
