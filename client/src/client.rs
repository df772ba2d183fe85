//! [`Client`]: one lazy, reconnecting connection to the apiserver, and its requests by kind name.
//!
//! Requests and answers are the protocol's own messages, with objects as encoded [`Object`]s; [`Api`](crate::api::Api)
//! puts types over them. Every request says who asks (`orrery-actor`) and why (`orrery-cause`), and has a deadline. The
//! client never retries by itself: whoever asks knows whether doing it twice is safe.

use crate::error::Error;
use crate::limits::{
    BATCH_BYTES, BATCH_OPERATIONS, CONNECT_TIMEOUT, CONNECTION_WINDOW, DEADLINE, KEEPALIVE_INTERVAL,
    KEEPALIVE_TIMEOUT, MAX_RECEIVED, STREAM_WINDOW,
};
use component_base::clock::Clock;
use component_base::grpc::Caller;
use component_base::rng::Seed;
use prost::Message;
use proto::orrery::v1::history_client::HistoryClient;
use proto::orrery::v1::pods_client::PodsClient;
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{self as api, batch_result};
use proto::{EventFrame, Object};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Streaming};

/// Where the apiserver is, and who asks.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `http://127.0.0.1:7443`; the scheme may be left out.
    pub server: String,
    /// The component's name, or the user's.
    pub actor: String,
    /// How long a request may take, watches excepted.
    pub deadline: Duration,
}

impl ClientConfig {
    /// The default deadline.
    pub fn new(server: impl Into<String>, actor: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            actor: actor.into(),
            deadline: DEADLINE,
        }
    }

    /// The server's address with the client's connection settings, for a test that brings its own connector.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        let url = if self.server.contains("://") {
            self.server.clone()
        } else {
            format!("http://{}", self.server)
        };
        let wrong = |error| {
            Error::Config(format!(
                "server {:?} is no address like 127.0.0.1:7443: {error}",
                self.server
            ))
        };
        Ok(Endpoint::from_shared(url)
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW))
    }
}

/// The apiserver, as seen by one caller. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    caller: Caller,
}

struct Shared {
    channel: Channel,
    server: String,
    deadline: Duration,
    clock: Clock,
    seed: Seed,
}

/// All pages of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectList {
    /// The objects, in order of namespace and name.
    pub items: Vec<Object>,
    /// The revision that the list shows.
    pub revision: i64,
}

impl Client {
    /// A client that connects when it is first used, and again whenever the connection is lost. Must be called on a
    /// tokio runtime.
    pub fn new(config: &ClientConfig, clock: Clock, seed: Seed) -> Result<Self, Error> {
        Ok(Self::with_channel(
            config.endpoint()?.connect_lazy(),
            config,
            clock,
            seed,
        ))
    }

    /// A client over a channel that the caller made: a test's network, a stream inside the process.
    pub fn with_channel(channel: Channel, config: &ClientConfig, clock: Clock, seed: Seed) -> Self {
        let shared = Shared {
            channel,
            server: config.server.clone(),
            deadline: config.deadline,
            clock,
            seed,
        };
        Self {
            shared: Arc::new(shared),
            caller: Caller::new(&config.actor),
        }
    }

    /// The same client, whose writes name `revision` as what made them.
    pub fn with_cause(&self, revision: i64) -> Self {
        Self {
            shared: self.shared.clone(),
            caller: self.caller.because_of(revision),
        }
    }

    /// Who asks.
    pub fn actor(&self) -> &str {
        &self.caller.actor
    }

    /// Where the server is.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// The clock that deadlines are measured on.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Where the randomness of what uses this client comes from.
    pub fn seed(&self) -> Seed {
        self.shared.seed
    }

    /// The connection, for services that this client does not know.
    pub fn channel(&self) -> Channel {
        self.shared.channel.clone()
    }

    /// One object.
    pub async fn get(&self, request: api::GetRequest) -> Result<Object, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.get(request).await)
            .await
    }

    /// One page of a list.
    pub async fn list_page(&self, request: api::ListRequest) -> Result<api::ListResponse, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.list(request).await)
            .await
    }

    /// All pages of a list; every page shows one revision. `request.limit` bounds a page, not the list.
    pub async fn list(&self, mut request: api::ListRequest) -> Result<ObjectList, Error> {
        let mut list = ObjectList::default();
        loop {
            let page = self.list_page(request.clone()).await?;
            list.items.extend(page.items);
            list.revision = page.revision;
            if page.r#continue.is_empty() {
                return Ok(list);
            }
            request.r#continue = page.r#continue;
        }
    }

    /// A stream of changes, as the server sends it. It ends with the connection: see
    /// [`Informer`](crate::informer::Informer) for one that does not.
    pub async fn watch(&self, request: api::WatchRequest) -> Result<Streaming<EventFrame>, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.watch(request).await)
            .await
    }

    /// Creates an object.
    pub async fn create(&self, request: api::CreateRequest) -> Result<Object, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.create(request).await)
            .await
    }

    /// Replaces an object, its status or its scale.
    pub async fn update(&self, request: api::UpdateRequest) -> Result<Object, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.update(request).await)
            .await
    }

    /// Changes a part of an object.
    pub async fn patch(&self, request: api::PatchRequest) -> Result<Object, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.patch(request).await)
            .await
    }

    /// Deletes an object, or marks it for deletion.
    pub async fn delete(&self, request: api::DeleteRequest) -> Result<api::DeleteResponse, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| resources.delete(request).await)
            .await
    }

    /// Deletes all objects of a kind that match.
    pub async fn delete_collection(
        &self,
        request: api::DeleteCollectionRequest,
    ) -> Result<api::DeleteCollectionResponse, Error> {
        let mut resources = self.resources();
        self.ask(request, async |request| {
            resources.delete_collection(request).await
        })
        .await
    }

    /// Binds a Pod to a Node.
    pub async fn bind(&self, request: api::BindRequest) -> Result<Object, Error> {
        let mut pods = self.pods();
        self.ask(request, async |request| pods.bind(request).await).await
    }

    /// Asks for a Pod's deletion; a PodDisruptionBudget may refuse with reason `TooManyRequests`.
    pub async fn evict(&self, request: api::EvictRequest) -> Result<api::EvictResponse, Error> {
        let mut pods = self.pods();
        self.ask(request, async |request| pods.evict(request).await).await
    }

    /// The write that made a revision.
    pub async fn change(&self, revision: i64) -> Result<api::Change, Error> {
        let mut history = self.history();
        self.ask(api::GetChangeRequest { revision }, async |request| {
            history.get_change(request).await
        })
        .await
    }

    /// The writes to one object, newest first.
    pub async fn changes(&self, request: api::ListChangesRequest) -> Result<api::ListChangesResponse, Error> {
        let mut history = self.history();
        self.ask(request, async |request| history.list_changes(request).await)
            .await
    }

    /// Does many writes and gives each one's result, in order. More than one call's worth is sent in several calls,
    /// one after the other; when one of them breaks, its writes all get its error and the rest are still sent.
    pub async fn batch(&self, operations: Vec<api::BatchOperation>) -> Vec<Result<Object, Error>> {
        let mut results = Vec::with_capacity(operations.len());
        for part in split(operations) {
            let count = part.len();
            let before = results.len();
            match self.batch_once(part).await {
                Ok(response) => results.extend(response.results.into_iter().map(result)),
                Err(error) => results.extend(std::iter::repeat_n(Err(error), count)),
            }
            // A server that answers too little or too much must not shift the answers of the next call.
            let missing = || {
                Err(Error::Config(
                    "the server gave a batch fewer results than operations".into(),
                ))
            };
            results.resize_with(before + count, missing);
        }
        results
    }

    async fn batch_once(&self, operations: Vec<api::BatchOperation>) -> Result<api::BatchResponse, Error> {
        let mut resources = self.resources();
        self.ask(api::BatchRequest { operations }, async |request| {
            resources.batch(request).await
        })
        .await
    }

    fn resources(&self) -> ResourcesClient<Channel> {
        ResourcesClient::new(self.channel()).max_decoding_message_size(MAX_RECEIVED)
    }

    fn pods(&self) -> PodsClient<Channel> {
        PodsClient::new(self.channel()).max_decoding_message_size(MAX_RECEIVED)
    }

    fn history(&self) -> HistoryClient<Channel> {
        HistoryClient::new(self.channel()).max_decoding_message_size(MAX_RECEIVED)
    }

    /// Sends one request with the caller's metadata, and waits for the answer as long as the deadline allows.
    async fn ask<Q, A, F>(&self, message: Q, send: impl FnOnce(Request<Q>) -> F) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, tonic::Status>>,
    {
        let mut request = Request::new(message);
        self.caller.apply(request.metadata_mut());
        let deadline = self.shared.deadline;
        match self.shared.clock.timeout(deadline, send(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Error::from_tonic(&self.shared.server, status)),
            Err(_) => Err(Error::deadline(&self.shared.server, deadline)),
        }
    }
}

/// One write's result as a `Result`.
fn result(result: api::BatchResult) -> Result<Object, Error> {
    match result.result {
        Some(batch_result::Result::Object(object)) => Ok(object),
        Some(batch_result::Result::Error(status)) => Err(Error::Api(Box::new(status))),
        None => Err(Error::Config("the server left a batch result empty".into())),
    }
}

/// Cuts a batch into calls that keep to the limits; the order stays.
fn split(operations: Vec<api::BatchOperation>) -> Vec<Vec<api::BatchOperation>> {
    let mut parts: Vec<Vec<api::BatchOperation>> = Vec::new();
    let mut bytes = 0;
    for operation in operations {
        let len = operation.encoded_len();
        match parts.last_mut() {
            Some(part) if part.len() < BATCH_OPERATIONS && bytes + len <= BATCH_BYTES => {
                bytes += len;
                part.push(operation);
            }
            _ => {
                bytes = len;
                parts.push(vec![operation]);
            }
        }
    }
    parts
}
