//! A store that fails on demand: what the cache and its watches make of it.

use crate::world::*;
use async_trait::async_trait;
use component_base::clock::Clock;
use futures::{StreamExt, stream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use storage::cache::{Cache, CacheConfig};
use storage::memory::MemoryStore;
use storage::store::*;
use storage::watch::WatchOptions;
use tokio::sync::Notify;

/// Counts commits, and breaks its feeds when told to.
#[derive(Clone, Default)]
pub(crate) struct CountingStore {
    inner: MemoryStore,
    commits: Arc<AtomicUsize>,
    fault: Arc<Mutex<Option<StoreError>>>,
    breaks: Arc<Notify>,
}

impl CountingStore {
    pub(crate) async fn open(&self, config: CacheConfig) -> Arc<Cache> {
        Cache::open(Arc::new(self.clone()), Clock::system(), config)
            .await
            .unwrap()
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    /// Ends all feeds with an error.
    fn break_feeds(&self, error: StoreError) {
        *self.fault.lock().unwrap() = Some(error);
        self.breaks.notify_waiters();
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.inner.commit(writes).await
    }

    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        self.inner.load(prefix).await
    }

    async fn changes(&self, after: Revision) -> Result<Changes, StoreError> {
        let (breaks, fault) = (Arc::clone(&self.breaks), Arc::clone(&self.fault));
        let mut broken = Box::pin(async move { breaks.notified().await });
        // Registered before the feed begins, so that no break is missed.
        let _ = futures::poll!(&mut broken);
        let feed = self.inner.changes(after).await?.take_until(broken);
        let end =
            stream::once(async move { Err(fault.lock().unwrap().clone().expect("set before it breaks")) });
        Ok(feed.chain(end).boxed())
    }

    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        self.inner.change(revision).await
    }

    async fn history(&self, key: &Key, limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        self.inner.history(key, limit).await
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        self.inner.compact(to).await
    }

    async fn revisions(&self) -> Result<(Revision, Revision), StoreError> {
        self.inner.revisions().await
    }
}

fn put(i: usize) -> Vec<Write> {
    let value = Some(pod("a", &i.to_string(), ""));
    vec![Write {
        key: pod_key("a"),
        value,
        precondition: Precondition::None,
        origin: origin(),
    }]
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_cut_is_taken_up_again_where_it_was() {
    let store = CountingStore::default();
    let cache = store.open(CacheConfig::default()).await;
    let options = WatchOptions {
        targets: vec![pods()],
        after: Some(0),
        bookmarks: true,
    };
    let mut reader = Reader {
        events: cache.watch(options).await.unwrap(),
    };
    for i in 1..=10 {
        cache.commit(put(i)).await.unwrap();
        store.break_feeds(StoreError::Unavailable("cut".into()));
    }
    let seen: Vec<Revision> = reader
        .until(10)
        .await
        .iter()
        .map(|event| event.revision)
        .collect();
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_store_ends_writes_and_watches_with_its_error_after_all_that_was_good() {
    let store = CountingStore::default();
    let cache = store.open(CacheConfig::default()).await;
    let options = WatchOptions {
        targets: vec![pods()],
        after: Some(0),
        bookmarks: true,
    };
    let mut reader = Reader {
        events: cache.watch(options).await.unwrap(),
    };
    cache.commit(put(1)).await.unwrap();
    store.break_feeds(StoreError::Corrupt("bad sector".into()));
    assert!(matches!(cache.failed().await, StoreError::Corrupt(_)));
    assert_eq!(reader.next().await.unwrap().revision, 1);
    assert!(matches!(reader.next().await, Err(StoreError::Corrupt(_))));
    assert!(matches!(cache.commit(put(2)).await, Err(StoreError::Corrupt(_))));
    assert!(cache.get(&pod_key("a")).is_some(), "what was read stays readable");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_waits_hears_of_the_failure_at_once() {
    let store = CountingStore::default();
    let cache = store.open(CacheConfig::default()).await;
    let options = WatchOptions {
        targets: vec![pods()],
        after: None,
        bookmarks: false,
    };
    let mut reader = Reader {
        events: cache.watch(options).await.unwrap(),
    };
    reader.next().await.unwrap();
    let waiting = tokio::spawn(async move { reader.next().await });
    tokio::task::yield_now().await;
    store.break_feeds(StoreError::Corrupt("bad sector".into()));
    assert!(matches!(waiting.await.unwrap(), Err(StoreError::Corrupt(_))));
}

#[tokio::test(start_paused = true)]
async fn what_another_process_wrote_is_seen_after_catching_up() {
    let store = CountingStore::default();
    let cache = store
        .open(CacheConfig {
            shared_store: true,
            ..CacheConfig::default()
        })
        .await;
    for i in 1..=100 {
        store.inner.commit(put(i)).await.unwrap();
    }
    cache.catch_up().await.unwrap();
    assert_eq!(cache.revision(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_cache_opened_on_a_store_that_holds_something_shows_it_and_watches_from_before_it_was_open() {
    let store = CountingStore::default();
    for i in 1..=10 {
        store.inner.commit(put(i)).await.unwrap();
    }
    let cache = store.open(CacheConfig::default()).await;
    assert_eq!(cache.get(&pod_key("a")).map(|object| object.revision), Some(10));
    let options = WatchOptions {
        targets: vec![pods()],
        after: Some(3),
        bookmarks: true,
    };
    let mut reader = Reader {
        events: cache.watch(options).await.unwrap(),
    };
    assert_eq!(reader.until(10).await.len(), 7);
}
