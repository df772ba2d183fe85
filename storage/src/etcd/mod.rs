//! The engine for several apiservers and several machines: an etcd cluster, version 3.4 or later.
//!
//! ```text
//! commit ─► a transaction for each write ─► etcd ─► one watch for each feed ─► changes
//! ```
//! - Revisions are etcd's: they rise, with gaps where somebody else wrote, or where we tidied up. A revision in a gap is
//!   never given out: it would be waited for in vain.
//! - Writes of one call to one key are done in order; those to different keys at the same time, so that their revisions
//!   may come in another order.
//! - A value lies in an envelope with its origin, and a removal writes its origin beside: see `layout`. So `why` works
//!   on etcd too.

mod client;
mod events;
mod feed;
mod layout;
mod txn;

use crate::store::{
    Change, Changes, Conflict, HistoryLimit, Key, Revision, Snapshot, Store, StoreError, Write,
};
use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, PAGE_OBJECTS};
use component_base::clock::Clock;
use feed::Feed;
use futures::{StreamExt, TryStreamExt};
use layout::{Envelope, Layout, Place, decode_revision, encode_revision, revision_of, versioned};
use proto::etcd::etcdserverpb::RangeRequest;
use proto::etcd::mvccpb::KeyValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Writes that may wait for etcd at a time, over all calls.
const WAITING_WRITES: usize = 8192;
/// Transactions of one call that are under way at a time: etcd groups them into few fsyncs.
const CONCURRENT_WRITES: usize = 128;
/// A full queue is worked off in about this time.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A list that takes longer than the log is kept starts again.
const LOAD_TRIES: usize = 3;

/// Which etcd, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The members' client addresses, such as `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// What all keys start with; another Orrery in the same etcd has another.
    pub prefix: String,
    /// How much of the log to keep. It is compacted as often, as Kubernetes' apiserver does.
    pub keep_age: Duration,
}

/// Half an hour, as the embedded engine keeps.
const KEEP_AGE: Duration = Duration::from_secs(30 * 60);

impl Config {
    /// The defaults, for an etcd.
    pub fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        Self {
            endpoints: endpoints.into_iter().collect(),
            prefix: "/orrery".into(),
            keep_age: KEEP_AGE,
        }
    }
}

/// A store in etcd. See the module.
pub struct Etcd {
    shared: Arc<Shared>,
    clock: Clock,
    waiting: Semaphore,
    closed: CancellationToken,
    _compaction: AbortOnDropHandle<()>,
}

struct Shared {
    client: Client,
    layout: Layout,
}

/// Where the store stands, read in one step.
struct Marks {
    /// The newest change.
    head: Revision,
    /// How far the log is compacted.
    compacted: Revision,
    /// The revision that wrote so; 0 when none did yet.
    noted: Revision,
    /// etcd's own revision: none between `head` and this one is a change of ours.
    now: Revision,
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Etcd {
    /// Connects. Fails when no member answers.
    pub async fn connect(config: Config, clock: Clock) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            client: Client::new(&config.endpoints, clock.clone())?,
            layout: Layout::new(&config.prefix),
        });
        shared.begin().await?;
        let Marks { head, compacted, .. } = shared.marks().await?;
        tracing::info!(head, compacted, endpoints = ?config.endpoints, "connected to etcd");
        let compaction = tokio::spawn(keep(shared.clone(), config.keep_age, clock.clone()));
        Ok(Self {
            shared,
            clock,
            waiting: Semaphore::new(WAITING_WRITES),
            closed: CancellationToken::new(),
            _compaction: AbortOnDropHandle::new(compaction),
        })
    }

    fn open(&self) -> Result<&Arc<Shared>, StoreError> {
        if self.closed.is_cancelled() {
            return Err(closed());
        }
        Ok(&self.shared)
    }
}

/// Compacts to where the store was `age` ago, again and again.
async fn keep(shared: Arc<Shared>, age: Duration, clock: Clock) {
    let mut to = None;
    loop {
        if let Some(to) = to
            && let Err(error) = shared.compact(to).await
        {
            tracing::warn!(%error, to, "could not compact etcd; trying again later");
        }
        to = shared.marks().await.ok().map(|marks| marks.head);
        clock.sleep(age).await;
    }
}

impl Shared {
    async fn write(&self, write: Write) -> Result<Result<Arc<Change>, Conflict>, StoreError> {
        let response = self.client.txn(txn::request(&self.layout, &write)).await?;
        txn::answer(write, response)
    }

    /// Gives a new store its head.
    async fn begin(&self) -> Result<(), StoreError> {
        let head = txn::put_at(self.layout.head(), Bytes::new(), 0);
        self.client.txn(head).await.map(drop)
    }

    async fn marks(&self) -> Result<Marks, StoreError> {
        let read = txn::read([self.layout.head(), self.layout.compacted()]);
        let (found, now) = txn::found(self.client.txn(read).await?)?;
        let [head, compacted] = <[_; 2]>::try_from(found).map_err(|_| txn::unexpected())?;
        Ok(Marks {
            head: revision_of(head.as_ref()),
            compacted: decode_revision(compacted.as_ref()),
            noted: revision_of(compacted.as_ref()),
            now,
        })
    }

    /// An object's record as it was at a revision.
    async fn object(&self, key: &Key, at: Revision) -> Result<Option<KeyValue>, StoreError> {
        // etcd reads revision 0 as "now", and wrote nothing before 2.
        if at < 1 {
            return Ok(None);
        }
        self.client.get(self.layout.object(key), at).await
    }

    /// The key that a revision changed, if it changed one.
    async fn changed_by(&self, revision: Revision) -> Result<Option<Key>, StoreError> {
        let head = self.client.get(self.layout.head(), revision).await?;
        let head = head.filter(|kv| kv.mod_revision == revision);
        Ok(head.and_then(|kv| Key::parse(std::str::from_utf8(&kv.value).ok()?)))
    }

    async fn check_written(&self, asked: Revision) -> Result<Revision, StoreError> {
        let Marks { head, compacted, .. } = self.marks().await?;
        if asked > head {
            return Err(StoreError::Future { asked, current: head });
        }
        Ok(compacted)
    }

    async fn page(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        let Marks {
            head, compacted, now, ..
        } = self.marks().await?;
        let (mut key, range_end) = self.layout.objects(prefix);
        let mut snapshot = Snapshot {
            revision: head,
            compacted,
            entries: Vec::new(),
        };
        loop {
            let response = self
                .client
                .range(RangeRequest {
                    key,
                    range_end: range_end.clone(),
                    limit: PAGE_OBJECTS,
                    revision: now,
                    ..RangeRequest::default()
                })
                .await?;
            for kv in &response.kvs {
                if let Place::Object(key) = self.layout.place(&kv.key) {
                    snapshot.entries.push((key, versioned(kv)?));
                }
            }
            match response.kvs.last() {
                Some(last) if response.more => {
                    // The first key behind the last one.
                    key = [&last.key[..], &[0]].concat().into();
                }
                _ => return Ok(snapshot),
            }
        }
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        let Marks {
            head,
            compacted,
            noted,
            ..
        } = self.marks().await?;
        if to > head {
            return Err(StoreError::Future {
                asked: to,
                current: head,
            });
        }
        if to <= compacted {
            return Ok(());
        }
        let note = txn::put_at(self.layout.compacted(), encode_revision(to), noted);
        if !self.client.txn(note).await?.succeeded {
            // Another apiserver compacts now.
            return Ok(());
        }
        match self.client.compact(to).await {
            // It is compacted further.
            Ok(()) | Err(StoreError::Expired { .. }) => {}
            Err(error) => return Err(error),
        }
        self.forget_removals(to).await
    }

    /// Deletes the notes on removals that are compacted.
    async fn forget_removals(&self, to: Revision) -> Result<(), StoreError> {
        loop {
            let (key, range_end) = self.layout.removals();
            let notes = self
                .client
                .range(RangeRequest {
                    key,
                    range_end,
                    limit: PAGE_OBJECTS,
                    keys_only: true,
                    max_mod_revision: to,
                    ..RangeRequest::default()
                })
                .await?
                .kvs;
            if notes.is_empty() {
                return Ok(());
            }
            futures::stream::iter(notes.into_iter().map(Ok))
                .try_for_each_concurrent(CONCURRENT_WRITES, |kv| async move {
                    let delete = txn::delete_at(kv.key, kv.mod_revision);
                    self.client.txn(delete).await.map(|_| ())
                })
                .await?;
        }
    }

    /// The change that wrote `record`, an object's or a removal's, and what the object was before.
    async fn change_of(
        &self,
        key: &Key,
        record: &KeyValue,
        removed: bool,
    ) -> Result<(Arc<Change>, Option<KeyValue>), StoreError> {
        let revision = record.mod_revision;
        let before = self.object(key, revision - 1).await?;
        let envelope = Envelope::read(record)?;
        let change = Arc::new(Change {
            revision,
            key: key.clone(),
            before: before.as_ref().map(versioned).transpose()?,
            origin: envelope.origin(),
            after: (!removed).then_some(envelope.value),
        });
        Ok((change, before))
    }

    async fn history(&self, key: &Key, mut limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        let mut changes = Vec::new();
        let read = txn::read([self.layout.object(key)]);
        let (mut found, mut at) = txn::found(self.client.txn(read).await?)?;
        let mut record = found.pop().flatten();
        loop {
            match self.step_back(key, record.take(), at).await {
                Ok(Some((change, before))) => {
                    if !limit.admits(&change, changes.is_empty()) {
                        break;
                    }
                    at = change.revision - 1;
                    record = before;
                    changes.push(change);
                }
                Ok(None) | Err(StoreError::Expired { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(changes)
    }

    /// The newest change of a key up to `at`, when `record` is what it has then, and what it had before.
    async fn step_back(
        &self,
        key: &Key,
        record: Option<KeyValue>,
        at: Revision,
    ) -> Result<Option<(Arc<Change>, Option<KeyValue>)>, StoreError> {
        if let Some(record) = record {
            return self.change_of(key, &record, false).await.map(Some);
        }
        if at < 1 {
            return Ok(None);
        }
        match self.client.get(self.layout.removal(key), at).await? {
            Some(note) => self.change_of(key, &note, true).await.map(Some),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Store for Etcd {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError> {
        let shared = self.open()?;
        let permits = u32::try_from(writes.len().min(WAITING_WRITES)).unwrap_or(u32::MAX);
        let Ok(_waiting) = self.waiting.try_acquire_many(permits) else {
            return Err(StoreError::Overloaded {
                retry_after: RETRY_AFTER,
            });
        };
        let count = writes.len();
        let mut by_key: BTreeMap<Key, Vec<(usize, Write)>> = BTreeMap::new();
        for (index, write) in writes.into_iter().enumerate() {
            by_key.entry(write.key.clone()).or_default().push((index, write));
        }
        // All are seen through, even when one fails: what was sent may be done.
        let done: Vec<_> = futures::stream::iter(by_key.into_values())
            .map(|writes| async move {
                let mut results = Vec::with_capacity(writes.len());
                for (index, write) in writes {
                    results.push((index, shared.write(write).await?));
                }
                Ok::<_, StoreError>(results)
            })
            .buffer_unordered(CONCURRENT_WRITES)
            .collect()
            .await;
        let mut results = Vec::with_capacity(count);
        for of_key in done {
            results.extend(of_key?);
        }
        results.sort_unstable_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        let shared = self.open()?;
        let mut tries = 0;
        loop {
            match shared.page(prefix).await {
                Err(StoreError::Expired { .. }) if tries < LOAD_TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn changes(&self, after: Revision) -> Result<Changes, StoreError> {
        let shared = self.open()?;
        let compacted = shared.check_written(after).await?;
        if after < compacted {
            return Err(StoreError::Expired {
                asked: after,
                compacted,
            });
        }
        let (clock, closed) = (self.clock.clone(), self.closed.clone());
        Ok(Feed::new(shared.clone(), clock, closed, after).into_changes())
    }

    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        let shared = self.open()?;
        let compacted = shared.check_written(revision).await?;
        let expired = StoreError::Expired {
            asked: revision,
            compacted,
        };
        if revision <= compacted.max(1) {
            return Err(expired);
        }
        // A revision in a gap was never a change of ours.
        let Some(key) = shared.changed_by(revision).await? else {
            return Err(expired);
        };
        let record = shared.object(&key, revision).await?;
        let record = record.filter(|kv| kv.mod_revision == revision);
        let done = shared.step_back(&key, record, revision).await?;
        done.map(|(change, _)| change).ok_or(expired)
    }

    async fn history(&self, key: &Key, limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        self.open()?.history(key, limit).await
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        self.open()?.compact(to).await
    }

    async fn revisions(&self) -> Result<(Revision, Revision), StoreError> {
        let Marks { head, compacted, .. } = self.open()?.marks().await?;
        Ok((head, compacted))
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}
