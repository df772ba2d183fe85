//! The fjall database below the store: one keyspace, which holds every change under its revision.
//!
//! In: the data directory. Out: records read and batches written, with fjall's errors told apart.
//! The keyspace also holds [`Compacted`], under a key that sorts behind every revision.

use super::record::{Record, log_key, revision_of};
use crate::store::{Revision, StoreError};
use bytes::Bytes;
use fjall::{CompressionType, KeyspaceCreateOptions, PersistMode, Readable};
use std::io::ErrorKind;
use std::path::Path;

const KEYSPACE: &str = "changes";
/// Behind every revision, since those are positive.
const COMPACTED_KEY: &[u8] = b"\xffcompacted";
/// fjall starts a new journal after 64 MB, once the memtable is flushed; a smaller one lets journals go sooner, so that
/// there is less to replay at the start and less on disk.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// The least that fjall takes.
const JOURNALS_BYTES: u64 = 64 << 20;
/// Flushing and compacting are rare and must not take the cores from the writers.
const WORKERS: usize = 2;
/// Old values are read for `before`, mostly of objects written lately; the newest come from memory.
const CACHE_BYTES: u64 = 16 << 20;

/// How far the log is compacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compacted {
    /// The log starts after this one.
    pub(super) revision: Revision,
    /// How many records up to it are kept, because they hold an object's value.
    pub(super) kept: u64,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    database: fjall::Database,
    changes: fjall::Keyspace,
}

impl Database {
    /// Makes an empty database at `path`, durably.
    pub(super) fn create(path: &Path) -> Result<(), StoreError> {
        let this = Self::open(path)?;
        this.database.persist(PersistMode::SyncAll).map_err(error)
    }

    /// Opens a database whose journals were checked.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = fjall::Database::builder(path)
            .cache_size(CACHE_BYTES)
            .worker_threads(WORKERS)
            .max_journaling_size(JOURNALS_BYTES)
            // Compressing on the way to the journal costs more than the bytes it saves.
            .journal_compression(CompressionType::None)
            .open()
            .map_err(error)?;
        let changes = database
            .keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
            })
            .map_err(error)?;
        Ok(Self { database, changes })
    }

    /// A revision's record; `None` when it is not there.
    pub(super) fn read(&self, revision: Revision) -> Result<Option<Record>, StoreError> {
        let bytes = self.changes.get(log_key(revision)).map_err(error)?;
        bytes.map(|bytes| decode(revision, bytes)).transpose()
    }

    /// The records as they are now, whatever is removed later. Short-lived: it keeps fjall from reclaiming space.
    pub(super) fn view(&self) -> View {
        View {
            snapshot: self.database.snapshot(),
            changes: self.changes.clone(),
        }
    }

    /// The records from `first` to `last` that are there, in order.
    pub(super) fn range(
        &self,
        first: Revision,
        last: Revision,
    ) -> impl Iterator<Item = Result<(Revision, Record), StoreError>> {
        let records = self.changes.range(log_key(first)..=log_key(last));
        records.map(|guard| {
            let (revision, bytes) = revision_and_bytes(guard)?;
            Ok((revision, decode(revision, bytes)?))
        })
    }

    /// How far the log was compacted.
    pub(super) fn compacted(&self) -> Result<Compacted, StoreError> {
        let Some(bytes) = self.changes.get(COMPACTED_KEY).map_err(error)? else {
            return Ok(Compacted::default());
        };
        decode_compacted(&bytes).ok_or_else(|| {
            StoreError::Corrupt("the record of how far the log is compacted is damaged".into())
        })
    }

    /// A batch that is on disk when it is committed.
    fn batch(&self, capacity: usize) -> fjall::OwnedWriteBatch {
        fjall::OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
            .durability(Some(PersistMode::SyncData))
    }

    /// Writes records, wholly or not at all, and waits until they are on disk.
    pub(super) fn append(&self, records: Vec<(Revision, Bytes)>) -> Result<(), StoreError> {
        let mut batch = self.batch(records.len());
        for (revision, record) in records {
            batch.insert(&self.changes, log_key(revision), record);
        }
        batch.commit().map_err(error)
    }

    /// Removes records and notes how far the log is compacted, wholly or not at all.
    pub(super) fn remove(&self, records: &[Revision], compacted: Compacted) -> Result<(), StoreError> {
        // Waited for although nobody asks for it to be durable: the check of the journals relies on it that only the
        // last batch can be torn.
        let mut batch = self.batch(records.len() + 1);
        for &revision in records {
            batch.remove(&self.changes, log_key(revision));
        }
        batch.insert(&self.changes, COMPACTED_KEY, encode_compacted(compacted));
        batch.commit().map_err(error)
    }
}

/// See [`Database::view`].
pub(super) struct View {
    snapshot: fjall::Snapshot,
    changes: fjall::Keyspace,
}

impl View {
    /// A revision's record; `None` when it was not there.
    pub(super) fn read(&self, revision: Revision) -> Result<Option<Record>, StoreError> {
        let bytes = self
            .snapshot
            .get(&self.changes, log_key(revision))
            .map_err(error)?;
        bytes.map(|bytes| decode(revision, bytes)).transpose()
    }

    /// The records from `first` on, in order, not yet decoded.
    pub(super) fn from(
        &self,
        first: Revision,
    ) -> impl Iterator<Item = Result<(Revision, Stored), StoreError>> {
        let records = self
            .snapshot
            .range(&self.changes, log_key(first)..=log_key(Revision::MAX));
        records.map(|guard| {
            let (revision, bytes) = revision_and_bytes(guard)?;
            Ok((revision, Stored { revision, bytes }))
        })
    }
}

/// A record that may not be wanted.
pub(super) struct Stored {
    revision: Revision,
    bytes: fjall::Slice,
}

impl Stored {
    pub(super) fn decode(self) -> Result<Record, StoreError> {
        decode(self.revision, self.bytes)
    }
}

fn revision_and_bytes(guard: fjall::Guard) -> Result<(Revision, fjall::Slice), StoreError> {
    let (key, bytes) = guard.into_inner().map_err(error)?;
    let revision = revision_of(&key)
        .ok_or_else(|| StoreError::Corrupt(format!("the log has a key that is no revision: {key:?}")))?;
    Ok((revision, bytes))
}

fn decode(revision: Revision, bytes: fjall::Slice) -> Result<Record, StoreError> {
    Record::decode(revision, &bytes.into()).map_err(|why| {
        StoreError::Corrupt(format!("the record of revision {revision} cannot be read: {why}"))
    })
}

fn encode_compacted(compacted: Compacted) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&compacted.revision.to_be_bytes());
    bytes[8..16].copy_from_slice(&compacted.kept.to_be_bytes());
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode_compacted(bytes: &[u8]) -> Option<Compacted> {
    let compacted = Compacted {
        revision: Revision::from_be_bytes(bytes.get(..8)?.try_into().ok()?),
        kept: u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?),
    };
    (encode_compacted(compacted) == bytes).then_some(compacted)
}

/// Tells a full disk and damaged data from everything else.
fn error(error: fjall::Error) -> StoreError {
    use fjall::{Error, LsmError};
    match &error {
        Error::Io(io) | Error::Storage(LsmError::Io(io)) => match io.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoSpace(io.to_string()),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
                StoreError::Corrupt(format!("a file of the database is cut short or damaged: {io}"))
            }
            _ => StoreError::Unavailable(format!("the disk failed: {io}")),
        },
        Error::Poisoned => {
            StoreError::Unavailable("an earlier write to disk failed; look at the log, then restart".into())
        }
        Error::Storage(_)
        | Error::JournalRecovery(_)
        | Error::InvalidVersion(_)
        | Error::Decompress(_)
        | Error::InvalidTrailer
        | Error::InvalidTag(_)
        | Error::Unrecoverable => StoreError::Corrupt(format!("the database cannot be read: {error:?}")),
        _ => StoreError::Unavailable(format!("{error:?}")),
    }
}
