//! The trait that an engine implements, and the plain data that it speaks in.
//!
//! What an engine promises, and `conformance` checks:
//! - A write that [`Store::commit`] acknowledges is on disk, and every later call sees it.
//! - Each write that succeeds gets a revision of its own. Revisions rise, and never fall or repeat, restarts included.
//! - A write's precondition is checked against all writes before it, and of N writes at one revision one succeeds.
//! - [`Store::changes`] gives every change after a revision, in order, once; or says [`StoreError::Expired`].
//! - Nothing shows a revision that a crash could take back.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use proto::Timestamp;
use std::sync::Arc;

/// Counts the writes of the whole store: each has a higher one than those before it. 0 is before everything. The embedded
/// engine counts 1, 2, 3; etcd leaves gaps.
pub type Revision = i64;

/// Names one object: `pods/default/web`, `deployments.apps/default/web`, or `nodes//node-1` where the kind lives in no
/// namespace. Keys sort as text, so that those of a kind, and of a kind's namespace, lie together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// `resource` is [`apimachinery::kinds::KindInfo::resource`].
    pub fn new(resource: &str, namespace: &str, name: &str) -> Self {
        Self(format!("{resource}/{namespace}/{name}").into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a key's text; `None` when it has not three parts.
    pub fn parse(text: &str) -> Option<Self> {
        (text.split('/').count() == 3).then(|| Self(text.into()))
    }

    /// Kind, namespace and name.
    pub fn parts(&self) -> (&str, &str, &str) {
        let mut parts = self.0.splitn(3, '/');
        (
            parts.next().unwrap_or(""),
            parts.next().unwrap_or(""),
            parts.next().unwrap_or(""),
        )
    }

    /// What the keys of a kind, or of a kind in one namespace, start with.
    pub fn prefix(resource: &str, namespace: Option<&str>) -> String {
        namespace.map_or_else(
            || format!("{resource}/"),
            |namespace| format!("{resource}/{namespace}/"),
        )
    }
}

/// A key sorts as its text does, so that a range of keys can be asked for by a prefix.
impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What must be true for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: last writer wins.
    None,
    /// The key has no value.
    Absent,
    /// The key's last write was at this revision.
    At(Revision),
}

/// Who wrote, what made them, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// A component's name, or a user's.
    pub actor: Arc<str>,
    /// The revision that the writer acted on; 0 when nothing but its own will caused the write.
    pub cause: Revision,
    /// The wall time at the server.
    pub time: Timestamp,
}

/// A write to do.
#[derive(Clone, Debug)]
pub struct Write {
    /// The object.
    pub key: Key,
    /// Its encoded message, without a resourceVersion; `None` removes it.
    pub value: Option<Bytes>,
    /// What must be true.
    pub precondition: Precondition,
    /// Who, why, when.
    pub origin: Origin,
}

impl Write {
    /// Whether the write may happen to a key whose last write was at `current`; `None` when the key has no value.
    /// What is not there cannot be removed.
    pub fn is_allowed(&self, current: Option<Revision>) -> bool {
        let holds = match self.precondition {
            Precondition::None => true,
            Precondition::Absent => current.is_none(),
            Precondition::At(revision) => current == Some(revision),
        };
        holds && (self.value.is_some() || current.is_some())
    }
}

/// A value and the revision that wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The encoded message, without a resourceVersion.
    pub value: Bytes,
    /// The revision of the write.
    pub revision: Revision,
}

/// A write that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The revision that it made.
    pub revision: Revision,
    /// The object.
    pub key: Key,
    /// The value before; `None` for a creation.
    pub before: Option<Versioned>,
    /// The value after; `None` for a removal.
    pub after: Option<Bytes>,
    /// Who, why, when.
    pub origin: Origin,
}

/// A write that was not done: its precondition did not hold, or it would have removed what is not there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key:?} is at revision {current:?}, which the write's precondition does not allow")]
pub struct Conflict {
    /// The object.
    pub key: Key,
    /// The revision of its last write; `None` when it does not exist.
    pub current: Option<Revision>,
}

impl Change {
    /// How many bytes its objects have.
    pub fn bytes(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| before.value.len());
        before + self.after.as_ref().map_or(0, Bytes::len)
    }
}

/// How much of a history is wanted: objects may be large, and a history long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimit {
    /// The most changes.
    pub changes: usize,
    /// The most bytes of objects. The first change comes whatever its size.
    pub bytes: usize,
}

impl HistoryLimit {
    /// Everything that there is.
    pub const NONE: Self = Self {
        changes: usize::MAX,
        bytes: usize::MAX,
    };

    /// Whether the next change still comes; takes it off the limit.
    pub fn admits(&mut self, change: &Change, is_first: bool) -> bool {
        let bytes = change.bytes();
        if self.changes == 0 || (bytes > self.bytes && !is_first) {
            return false;
        }
        self.changes -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

/// The objects under a prefix, all at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision of the store.
    pub revision: Revision,
    /// The oldest revision that [`Store::changes`] can start after.
    pub compacted: Revision,
    /// In key order.
    pub entries: Vec<(Key, Versioned)>,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The revision is compacted away.
    #[error("revision {asked} is gone: the log starts after revision {compacted}")]
    Expired {
        /// What was asked for.
        asked: Revision,
        /// The oldest revision that can be continued from.
        compacted: Revision,
    },
    /// The revision is not yet written.
    #[error("revision {asked} does not exist yet: the newest is {current}")]
    Future {
        /// What was asked for.
        asked: Revision,
        /// The newest revision.
        current: Revision,
    },
    /// More writes wait than the store takes.
    #[error("too many writes are waiting; try again in {retry_after:?}")]
    Overloaded {
        /// When a retry may help.
        retry_after: std::time::Duration,
    },
    /// The disk is full.
    #[error("no space left for the store: {0}")]
    NoSpace(String),
    /// Another process has the data directory open.
    #[error("{0}")]
    Locked(String),
    /// Stored data cannot be trusted; the text says where.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The engine cannot be reached or has stopped.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// The ordered feed of [`Store::changes`].
pub type Changes = BoxStream<'static, Result<Arc<Change>, StoreError>>;

/// A durable, ordered store of objects. See the module's promises.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Does the writes, each under its own precondition and with its own revision, and answers when all are durable.
    /// One that fails does not undo the others. Writes to one key are done in order; the embedded engine does all of
    /// them in order, and in one step that a crash leaves wholly done or not at all. An error leaves open which were
    /// done.
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError>;

    /// The objects whose keys start with `prefix` (all for an empty one).
    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError>;

    /// Every change after `after`: those in the log first, then new ones as they are committed, without end.
    async fn changes(&self, after: Revision) -> Result<Changes, StoreError>;

    /// The change that made a revision.
    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError>;

    /// The changes of one key that the log still holds, newest first, as many as `limit` allows.
    async fn history(&self, key: &Key, limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError>;

    /// Drops the log up to and including `to`. Objects stay. Does nothing when it is compacted further already.
    async fn compact(&self, to: Revision) -> Result<(), StoreError>;

    /// The newest revision that made a change, which every feed comes to, and the one up to which the log is compacted.
    async fn revisions(&self) -> Result<(Revision, Revision), StoreError>;

    /// Does the writes that were taken, and lets go of what the engine holds: files, locks, connections. Every later
    /// call gets [`StoreError::Unavailable`], and so do the feeds. An engine that holds nothing has nothing to do.
    async fn close(&self) {}
}
