//! An apiserver on a free port, and short ways to ask it things.

use apimachinery::status::Reason;
use apiserver::{Parts, serve};
use component_base::clock::Clock;
use component_base::grpc::from_tonic;
use component_base::rng::Seed;
use component_base::server::Limits;
use component_base::shutdown::Shutdown;
use proto::api::core::v1::{Container, Pod};
use proto::meta::v1::{DeleteOptions, Status};
use proto::orrery::v1::history_client::HistoryClient;
use proto::orrery::v1::pods_client::PodsClient;
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{
    CreateRequest, DeleteRequest, DeleteResponse, GetRequest, ListRequest, ListResponse, UpdateRequest,
    WatchRequest, WatchTarget,
};
use proto::{Event, EventFrame, EventType, Kind, Object};
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStore;
use storage::store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// A running apiserver. Stops when dropped.
pub(crate) struct Server {
    pub(crate) resources: ResourcesClient<Channel>,
    pub(crate) pods: PodsClient<Channel>,
    pub(crate) history: HistoryClient<Channel>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) address: String,
    shutdown: Shutdown,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl Server {
    /// Starts one over an empty memory store.
    pub(crate) async fn start() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    /// Starts one over a store.
    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        Self::with(store, false).await
    }

    /// Starts one over a store that others write to, too.
    pub(crate) async fn sharing(store: Arc<dyn Store>) -> Self {
        Self::with(store, true).await
    }

    async fn with(store: Arc<dyn Store>, shared_store: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let parts = Parts {
            store: store.clone(),
            shared_store,
            event_ttl: Duration::from_secs(3600),
            limits: Limits::default(),
        };
        let serving = serve(parts, listener, Clock::system(), Seed(1), shutdown.clone());
        let running = tokio::spawn(serving);
        let channel = Endpoint::from_shared(address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            resources: ResourcesClient::new(channel.clone()).max_decoding_message_size(8 << 20),
            pods: PodsClient::new(channel.clone()),
            history: HistoryClient::new(channel),
            store,
            address,
            shutdown,
            running: Some(running),
        }
    }

    /// Waits for a server that ends by itself.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        self.running.take().expect("it was started").await.unwrap()
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        if let Some(running) = self.running.take() {
            running.await.unwrap().unwrap();
        }
    }

    pub(crate) async fn create<K: Kind>(&mut self, object: &K) -> Result<K, Status> {
        let request = CreateRequest {
            object: Some(Object::encode_from(object)),
            ..CreateRequest::default()
        };
        typed(self.resources.create(request).await)
    }

    pub(crate) async fn get<K: Kind>(&mut self, namespace: &str, name: &str) -> Result<K, Status> {
        let request = GetRequest {
            kind: K::NAME.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..GetRequest::default()
        };
        typed(self.resources.get(request).await)
    }

    pub(crate) async fn update<K: Kind>(&mut self, object: &K, subresource: &str) -> Result<K, Status> {
        let request = UpdateRequest {
            object: Some(Object::encode_from(object)),
            subresource: subresource.into(),
            ..UpdateRequest::default()
        };
        typed(self.resources.update(request).await)
    }

    pub(crate) async fn delete<K: Kind>(
        &mut self,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<DeleteResponse, Status> {
        let request = DeleteRequest {
            kind: K::NAME.into(),
            namespace: namespace.into(),
            name: name.into(),
            options: Some(options),
        };
        plain(self.resources.delete(request).await)
    }

    pub(crate) async fn list(&mut self, request: ListRequest) -> Result<ListResponse, Status> {
        plain(self.resources.list(request).await)
    }

    /// Watches kinds, in all namespaces.
    pub(crate) async fn watch(&mut self, kinds: &[&str], after: i64) -> Watch {
        let target = |kind: &&str| WatchTarget {
            kind: (*kind).into(),
            ..WatchTarget::default()
        };
        self.watch_request(WatchRequest {
            targets: kinds.iter().map(target).collect(),
            after_revision: after,
            bookmarks: false,
        })
        .await
        .unwrap()
    }

    pub(crate) async fn watch_request(&mut self, request: WatchRequest) -> Result<Watch, Status> {
        let frames = plain(self.resources.watch(request).await)?;
        Ok(Watch(frames))
    }
}

/// A watch's stream.
pub(crate) struct Watch(pub(crate) Streaming<EventFrame>);

impl Watch {
    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        self.0
            .message()
            .await
            .unwrap()
            .expect("the stream goes on")
            .event()
            .unwrap()
    }

    /// Everything up to SYNCED: names, in order.
    pub(crate) async fn initial<K: Kind>(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let event = self.next().await;
            match event.r#type() {
                EventType::Added => {
                    let object: K = event.object.unwrap().decode_as().unwrap();
                    names.push(object.name().to_owned());
                }
                EventType::Synced => return names,
                other => panic!("{other:?} before SYNCED"),
            }
        }
    }
}

/// The answer, or the Kubernetes Status of the error.
pub(crate) fn plain<T>(result: Result<tonic::Response<T>, tonic::Status>) -> Result<T, Status> {
    result
        .map(tonic::Response::into_inner)
        .map_err(|status| from_tonic(&status))
}

fn typed<K: Kind>(result: Result<tonic::Response<Object>, tonic::Status>) -> Result<K, Status> {
    plain(result).map(|object| object.decode_as().unwrap())
}

/// Why a request failed.
#[track_caller]
pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> Reason {
    let status = result.expect_err("the request must fail");
    Reason::of(&status).unwrap_or_else(|| panic!("{status:?} has no reason of ours"))
}

/// A Pod as a user writes it.
pub(crate) fn pod(name: &str) -> Pod {
    let mut pod = Pod::default();
    let meta = pod.metadata_mut();
    meta.name = name.into();
    meta.namespace = "default".into();
    meta.labels.insert("app".into(), "web".into());
    pod.spec.get_or_insert_default().containers.push(Container {
        name: "main".into(),
        image: "nginx:1.27".into(),
        ..Container::default()
    });
    pod
}

/// Delete options with a grace.
pub(crate) fn grace(seconds: i64) -> DeleteOptions {
    DeleteOptions {
        grace_period_seconds: Some(seconds),
        ..DeleteOptions::default()
    }
}
