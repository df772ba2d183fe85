//! The watch cache: every live object in memory as encoded bytes, one step behind the disk and never ahead of it.
//!
//! Input: a [`Store`]. The cache loads it once, then follows its feed of changes; nothing else ever changes the cache.
//! Output: reads ([`Cache::get`], [`Cache::list`]), writes ([`Cache::commit`], [`Cache::update`]), watches
//! ([`Cache::watch`]). Objects are handed out with `metadata.resourceVersion`, which the store does not keep.
//!
//! Invariants:
//! - The cache shows exactly the state of the store at [`Cache::revision`], which only rises.
//! - A write returns only when the cache has reached its revision: acknowledged means visible to every later read.
//! - Readers share persistent maps and batches of changes; none of them holds up the follower for longer than it takes
//!   to clone a pointer.
//!
//! ```text
//! commit ──> Store ──changes()──> follower: encode once ──> objects, recent ──> bells ──> watches pull from recent
//! ```

use crate::event::{Draft, Stored};
use crate::hub::Bells;
use crate::list::Snapshots;
use crate::objects::Objects;
use crate::recent::Recent;
use crate::store::{Changes, Key, Revision, Store, StoreError};
use apimachinery::kinds::KindInfo;
use component_base::clock::Clock;
use futures::StreamExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How much history the cache keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig {
    /// The most recent changes kept.
    pub recent_changes: usize,
    /// The most bytes that their events may take. The objects before them take as much again at worst.
    pub recent_bytes: usize,
    /// Whether other processes write to the same store. Reads then need [`Cache::catch_up`] first.
    pub shared_store: bool,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            // Ten seconds of the writes that one machine sustains: a watch that reconnects is served from memory.
            recent_changes: 1 << 16,
            // A change of a Pod weighs 2 KB; this holds the 65,536 of Leases, and half as many of Pods.
            recent_bytes: 64 << 20,
            shared_store: false,
        }
    }
}

/// The most changes applied under one lock: readers wait no longer than for these.
const APPLY_CHUNK: usize = 256;
/// How long the follower waits before it asks an unavailable store again.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// Told of every object at the start and of every change after it, in order, before anybody can see it. What is worked out of all
/// objects can so be kept as current as the objects are. Called on the follower's task: it must be quick.
pub trait Observer: Send + Sync {
    /// An object of a kind, by the kind's number, is so, or is gone.
    fn sees(&self, number: u32, key: &Key, after: Option<&Stored>);
}

/// Looks away.
impl Observer for () {
    fn sees(&self, _: u32, _: &Key, _: Option<&Stored>) {}
}

/// The watch cache. See the module's invariants. Shared as an `Arc`; the follower ends with the last one.
pub struct Cache {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    shared_store: bool,
    _follower: AbortOnDropHandle<()>,
}

/// What the follower writes and everybody reads.
pub(crate) struct Shared {
    state: RwLock<State>,
    progress: watch::Sender<Progress>,
    pub(crate) bells: Arc<Bells>,
    snapshots: Mutex<Snapshots>,
    observer: Arc<dyn Observer>,
}

/// Objects and recent changes, always at the same revision.
pub(crate) struct State {
    pub(crate) objects: Objects,
    pub(crate) recent: Recent,
}

/// How far the follower has come.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) revision: Revision,
    /// Set once, when the follower cannot go on.
    pub(crate) failure: Option<StoreError>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Loads the store and starts to follow it. Must be called on a tokio runtime.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Clock,
        config: CacheConfig,
    ) -> Result<Arc<Self>, StoreError> {
        Self::open_observed(store, clock, config, Arc::new(())).await
    }

    /// As [`Cache::open`], with somebody who is told of everything.
    pub async fn open_observed(
        store: Arc<dyn Store>,
        clock: Clock,
        config: CacheConfig,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, StoreError> {
        let objects = Objects::load(store.load("").await?)?;
        for (number, key, object) in objects.all() {
            observer.sees(number, key, Some(object));
        }
        let revision = objects.revision;
        let changes = store.changes(revision).await?;
        let recent = Recent::new(revision, config.recent_changes, config.recent_bytes);
        let shared = Arc::new(Shared {
            state: RwLock::new(State { objects, recent }),
            progress: watch::Sender::new(Progress {
                revision,
                failure: None,
            }),
            bells: Arc::new(Bells::new(revision)),
            snapshots: Mutex::default(),
            observer,
        });
        let follower = follow(Arc::clone(&shared), Arc::clone(&store), clock.clone(), changes);
        Ok(Arc::new(Self {
            shared,
            store,
            clock,
            shared_store: config.shared_store,
            _follower: AbortOnDropHandle::new(tokio::spawn(follower)),
        }))
    }

    /// The store underneath: for its log (`change`, `history`) and compaction.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The revision that the cache shows.
    pub fn revision(&self) -> Revision {
        self.shared.progress.borrow().revision
    }

    /// Waits until the cache shows a revision or a later one.
    pub async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.revision >= revision || progress.failure.is_some())
            .await
            .map_err(|_| stopped())?;
        match &reached.failure {
            Some(error) if reached.revision < revision => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Waits until the cache shows what any process had acknowledged before the call. Costs nothing when this process
    /// alone writes to the store.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        if self.shared_store {
            self.wait_for_store().await
        } else {
            Ok(())
        }
    }

    /// Waits until the cache shows the store's newest revision.
    pub(crate) async fn wait_for_store(&self) -> Result<(), StoreError> {
        let (newest, _) = self.store.revisions().await?;
        self.wait_for(newest).await
    }

    /// Returns when the cache cannot follow the store any more, with the reason. The process should then end: reads
    /// would grow stale in silence.
    pub async fn failed(&self) -> StoreError {
        let mut progress = self.shared.progress.subscribe();
        let failed = progress.wait_for(|progress| progress.failure.is_some()).await;
        failed
            .ok()
            .and_then(|progress| progress.failure.clone())
            .unwrap_or_else(stopped)
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: &KindInfo) -> usize {
        self.shared.read().objects.kind(kind.number).objects.len()
    }

    /// The revision of the last change of any object of a kind; never less than it was.
    pub fn last_change(&self, kind: &KindInfo) -> Revision {
        self.shared.read().objects.kind_at(kind.number)
    }

    /// The objects of a kind of which there are few, and the revision of the last change of any of them.
    pub fn all(&self, kind: &KindInfo) -> (Vec<Stored>, Revision) {
        let objects = self.shared.read().objects.kind(kind.number);
        (objects.objects.values().cloned().collect(), objects.changed)
    }

    /// The object as it is now.
    pub fn get(&self, key: &Key) -> Option<Stored> {
        self.shared.read().objects.get(key).cloned()
    }
}

pub(crate) fn stopped() -> StoreError {
    StoreError::Unavailable("the watch cache has stopped".into())
}

impl Shared {
    /// Nothing slow may be done under this lock.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while applying ends the follower, and with it `progress`; what was applied is consistent.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshots(&self) -> MutexGuard<'_, Snapshots> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.progress.borrow().failure.clone()
    }

    /// Encodes, applies, tells.
    fn apply(&self, changes: impl Iterator<Item = Result<Draft, StoreError>>) -> Result<(), StoreError> {
        let mut failed = Ok(());
        // What came before an error is applied all the same.
        let drafts = changes
            .map_while(|draft| match draft {
                Ok(draft) => Some(draft),
                Err(error) => {
                    failed = Err(error);
                    None
                }
            })
            .collect();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let Some(batch) = state.objects.apply(drafts)? else {
            return failed;
        };
        let batch = Arc::new(batch);
        let fallen_out = state.recent.push(Arc::clone(&batch));
        drop(state);
        drop(fallen_out);
        for slot in &batch.changes {
            let change = &slot.change;
            self.observer
                .sees(slot.number, &change.key, change.after.as_ref());
        }
        // Writers first: their answer is on its way while the watches are woken.
        self.progress
            .send_modify(|progress| progress.revision = batch.last());
        self.bells.ring(&batch);
        failed
    }

    fn fail(&self, error: StoreError) {
        tracing::error!(%error, "the watch cache cannot follow the store");
        self.progress
            .send_modify(|progress| progress.failure = Some(error));
        self.bells.ring_all();
    }
}

/// The only writer of the cache: takes what the feed has ready, and applies it in one step.
async fn follow(shared: Arc<Shared>, store: Arc<dyn Store>, clock: Clock, changes: Changes) {
    let mut changes = changes.ready_chunks(APPLY_CHUNK);
    loop {
        let result = match changes.next().await {
            Some(chunk) => {
                let drafts = chunk
                    .into_iter()
                    .map(|change| change.and_then(|change| Draft::new(&change)));
                shared.snapshots().expire(clock.now());
                shared.apply(drafts)
            }
            None => Err(StoreError::Unavailable("the feed of changes has ended".into())),
        };
        match result {
            Ok(()) => {}
            Err(StoreError::Unavailable(reason)) => {
                tracing::warn!(reason, "the store is not available; asking again");
                changes = loop {
                    clock.sleep(RECONNECT_DELAY).await;
                    let revision = shared.progress.borrow().revision;
                    match store.changes(revision).await {
                        Ok(changes) => break changes.ready_chunks(APPLY_CHUNK),
                        Err(StoreError::Unavailable(_)) => {}
                        Err(error) => return shared.fail(error),
                    }
                };
            }
            Err(error) => return shared.fail(error),
        }
    }
}
