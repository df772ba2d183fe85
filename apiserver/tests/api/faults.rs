//! What clients get when the store cannot do what it should, and that a server without a store ends.

use super::harness::{Server, pod};
use async_trait::async_trait;
use component_base::clock::Clock;
use component_base::grpc::from_tonic;
use futures::StreamExt;
use proto::Object;
use proto::orrery::v1::CreateRequest;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::memory::MemoryStore;
use storage::store::{
    Change, Changes, Conflict, HistoryLimit, Key, Revision, Snapshot, Store, StoreError, Write,
};
use tokio::sync::watch;
use tonic::Code;

/// A store that can be told to fail, and that others write to.
pub(crate) struct Faulty {
    pub(crate) store: MemoryStore,
    /// What another server writes just before the next commit.
    pub(crate) intruder: Mutex<Vec<Write>>,
    /// How long a change takes to come to the feed.
    lag: Duration,
    /// What writes fail with.
    commit: Mutex<Option<StoreError>>,
    /// What the feed of changes fails with.
    feed: watch::Sender<Option<StoreError>>,
}

impl Faulty {
    fn new() -> Arc<Self> {
        Self::lagging(MemoryStore::new(), Duration::ZERO)
    }

    /// A store whose feed is late, as that of a busy network.
    pub(crate) fn lagging(store: MemoryStore, lag: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            intruder: Mutex::default(),
            lag,
            commit: Mutex::default(),
            feed: watch::Sender::new(None),
        })
    }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError> {
        let before = std::mem::take(&mut *self.intruder.lock().unwrap());
        self.store.commit(before).await?;
        let fault = self.commit.lock().unwrap().clone();
        match fault {
            Some(error) => Err(error),
            None => self.store.commit(writes).await,
        }
    }

    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        self.store.load(prefix).await
    }

    async fn changes(&self, after: Revision) -> Result<Changes, StoreError> {
        let mut feed = self.feed.subscribe();
        let fault = async move {
            let fault = feed.wait_for(Option::is_some).await.unwrap().clone();
            Err(fault.unwrap())
        };
        let lag = self.lag;
        let late = move |change| async move {
            Clock::system().sleep(lag).await;
            change
        };
        let changes = self.store.changes(after).await?.then(late);
        Ok(futures::stream::select(changes, futures::stream::once(fault)).boxed())
    }

    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        self.store.change(revision).await
    }

    async fn history(&self, key: &Key, limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        self.store.history(key, limit).await
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        self.store.compact(to).await
    }

    async fn revisions(&self) -> Result<(Revision, Revision), StoreError> {
        self.store.revisions().await
    }
}

#[tokio::test]
async fn a_store_that_takes_no_writes_says_why_and_reads_go_on() {
    let store = Faulty::new();
    // Shared, as etcd is: it may come back.
    let mut server = Server::sharing(store.clone()).await;
    server.create(&pod("kept")).await.unwrap();
    let busy = Duration::from_secs(3);
    let rows = [
        (
            StoreError::NoSpace("full".into()),
            Code::ResourceExhausted,
            "NoSpace",
            507,
            0,
        ),
        (
            StoreError::Overloaded { retry_after: busy },
            Code::ResourceExhausted,
            "TooManyRequests",
            429,
            3,
        ),
        (
            StoreError::Unavailable("gone".into()),
            Code::Unavailable,
            "ServiceUnavailable",
            503,
            1,
        ),
        (
            StoreError::Corrupt("at 7".into()),
            Code::DataLoss,
            "DataLoss",
            500,
            0,
        ),
    ];
    for (fault, code, reason, http, retry) in rows {
        *store.commit.lock().unwrap() = Some(fault);
        let request = CreateRequest {
            object: Some(Object::encode_from(&pod("lost"))),
            ..CreateRequest::default()
        };
        let error = server.resources.create(request).await.unwrap_err();
        let status = from_tonic(&error);
        assert_eq!(
            (error.code(), status.reason.as_str(), status.code),
            (code, reason, http)
        );
        assert_eq!(
            status.details.map_or(0, |details| details.retry_after_seconds),
            retry,
            "{reason}"
        );
        server
            .get::<proto::api::core::v1::Pod>("default", "kept")
            .await
            .unwrap();
    }
    *store.commit.lock().unwrap() = None;
    server.create(&pod("lost")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_follow_its_store_ends_and_says_why() {
    let store = Faulty::new();
    let mut server = Server::over(store.clone()).await;
    server.create(&pod("web")).await.unwrap();
    store
        .feed
        .send_replace(Some(StoreError::Corrupt("record 7".into())));
    let error = server.ended().await.unwrap_err();
    assert!(format!("{error:#}").contains("record 7"), "{error:#}");
}

#[tokio::test]
async fn a_server_whose_own_store_fails_a_write_for_good_answers_and_ends() {
    let store = Faulty::new();
    let mut server = Server::over(store.clone()).await;
    *store.commit.lock().unwrap() = Some(StoreError::Unavailable("fsync failed".into()));
    let refused = server.create(&pod("web")).await.unwrap_err();
    assert_eq!(refused.reason, "ServiceUnavailable");
    let error = server.ended().await.unwrap_err();
    assert!(format!("{error:#}").contains("fsync failed"), "{error:#}");
}
