//! A server in the same process, over in-memory streams: a [`World`] behind `Resources`, and every fault that a test
//! may want.

use apimachinery::kinds;
use apimachinery::status::{Reason, failure};
use client::controller::{DeleteAction, PatchAction};
use client::testing::World;
use client::{Action, Client, ClientConfig, ObjectKey};
use component_base::clock::Clock;
use component_base::grpc::{Caller, to_tonic};
use component_base::rng::Seed;
use futures::FutureExt;
use hyper_util::rt::TokioIo;
use proto::meta::v1::Status;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::pods_server::{Pods, PodsServer};
use proto::orrery::v1::resources_server::{Resources, ResourcesServer};
use proto::orrery::v1::{self as api, batch_result};
use proto::{Event, EventFrame, EventType, Kind, Object};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response};

/// How often an idle watch says where it is.
const BOOKMARKS: Duration = Duration::from_secs(1);

/// What becomes of a Batch call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Refused before anything is done.
    Refuse,
    /// Done, but the answer is lost.
    LoseAnswer,
    /// Never answered.
    Hang,
}

/// Cheap to clone; all clones are one server.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    connections: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    pub(crate) clock: Clock,
}

pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) log: Vec<Event>,
    /// The faults of the next Batch calls.
    pub(crate) faults: VecDeque<Fault>,
    /// So many evictions are refused, as by a disruption budget.
    pub(crate) protected: usize,
    /// Connections are refused.
    pub(crate) down: bool,
    /// Watches say nothing, not even bookmarks.
    pub(crate) frozen: bool,
    /// Watches tell changes so much later.
    pub(crate) lag: Duration,
    pub(crate) compacted: i64,
    /// `after_revision` of every watch that was opened.
    pub(crate) watches: Vec<i64>,
    /// The sizes of the batches that came.
    pub(crate) batches: Vec<usize>,
    /// Watches of an older generation end.
    generation: u64,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let (connections, incoming) = mpsc::unbounded_channel();
        let state = State {
            world: World::new([]),
            log: Vec::new(),
            faults: VecDeque::new(),
            protected: 0,
            down: false,
            frozen: false,
            lag: Duration::ZERO,
            compacted: 0,
            watches: Vec::new(),
            batches: Vec::new(),
            generation: 0,
        };
        let fake = Self {
            state: Arc::new(Mutex::new(state)),
            changed: Arc::default(),
            connections,
            clock: Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        let (resources, pods) = (ResourcesServer::new(fake.clone()), PodsServer::new(fake.clone()));
        let incoming = tokio_stream::wrappers::UnboundedReceiverStream::new(incoming);
        let server = tonic::transport::Server::builder()
            .add_service(resources)
            .add_service(pods);
        tokio::spawn(server.serve_with_incoming(incoming));
        fake
    }

    /// A client of this server.
    pub(crate) fn client(&self, actor: &str) -> Client {
        let config = ClientConfig::new("http://fake", actor);
        let fake = self.clone();
        let connect = move |_| {
            let connected = if fake.state().down {
                Err(io::Error::from(io::ErrorKind::ConnectionRefused))
            } else {
                let (ours, theirs) = tokio::io::duplex(1 << 20);
                fake.connections
                    .send(Ok(theirs))
                    .map(|()| TokioIo::new(ours))
                    .map_err(io::Error::other)
            };
            std::future::ready(connected)
        };
        let channel = config
            .endpoint()
            .unwrap()
            .connect_with_connector_lazy(tower::service_fn(connect));
        Client::with_channel(channel, &config, self.clock.clone(), Seed(7))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends every watch.
    pub(crate) fn disconnect(&self) {
        self.state().generation += 1;
        self.changed.notify_waiters();
    }

    /// Writes as a user.
    pub(crate) fn write(&self, action: &Action) -> Object {
        self.apply(action, "user", 0).unwrap()
    }

    fn apply(&self, action: &Action, actor: &str, cause: i64) -> Result<Object, Box<Status>> {
        let mut state = self.state();
        let before = state.world.cache().revision();
        let was = key_of(action).and_then(|key| state.world.object(&key).cloned());
        let key = state.world.apply(action)?;
        let is = state.world.object(&key).cloned();
        let revision = state.world.cache().revision();
        let r#type = match (&was, &is) {
            (None, _) => EventType::Added,
            (Some(_), Some(_)) => EventType::Modified,
            (Some(_), None) => EventType::Deleted,
        };
        let object = is.or(was).unwrap_or_default();
        if revision > before {
            let time = Some(client::time::micro_time(self.clock.wall()));
            state.log.push(Event {
                r#type: r#type.into(),
                revision,
                object: Some(object.clone()),
                actor: actor.into(),
                cause,
                time,
            });
            self.changed.notify_waiters();
        }
        Ok(object)
    }

    /// What a watch tells next, from `position`; `None` when it ends.
    fn told(&self, position: &mut i64, generation: u64, kinds: &[u32]) -> Option<Vec<Event>> {
        let state = self.state();
        if state.generation != generation {
            return None;
        }
        let seen = self.clock.wall() - jiff::SignedDuration::try_from(state.lag).unwrap();
        let is_due = |event: &&Event| client::time::timestamp(event.time.as_ref().unwrap()) <= seen;
        let due: Vec<Event> = state
            .log
            .iter()
            .filter(|e| e.revision > *position && !state.frozen)
            .take_while(is_due)
            .cloned()
            .collect();
        *position = due.last().map_or(*position, |event| event.revision);
        Some(
            due.into_iter()
                .filter(|e| kinds.contains(&e.object.as_ref().unwrap().number))
                .collect(),
        )
    }

    /// Feeds one watch until it or the reader ends.
    async fn feed(self, mut position: i64, kinds: Vec<u32>, generation: u64, sender: mpsc::Sender<Answer>) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let Some(mut events) = self.told(&mut position, generation, &kinds) else {
                return;
            };
            if events.is_empty() {
                // Fine enough for a lag; a bookmark comes when nothing else does.
                futures::select_biased! {
                    () = changed.fuse() => {}
                    () = self.clock.sleep(BOOKMARKS).fuse() => {}
                }
                let Some(later) = self.told(&mut position, generation, &kinds) else {
                    return;
                };
                events = later;
                if events.is_empty() && !self.state().frozen {
                    events.push(mark(EventType::Bookmark, position));
                }
            }
            for event in events {
                if sender.send(Ok(EventFrame::new(&event))).await.is_err() {
                    return;
                }
            }
        }
    }
}

type Answer = Result<EventFrame, tonic::Status>;

fn mark(r#type: EventType, revision: i64) -> Event {
    Event {
        r#type: r#type.into(),
        revision,
        ..Event::default()
    }
}

fn key_of(action: &Action) -> Option<ObjectKey> {
    match action {
        Action::Create(_) | Action::RecordEvent(_) => None,
        Action::Update(object) | Action::UpdateStatus(object) => ObjectKey::read(object).ok(),
        Action::Patch(patch) => Some(patch.key.clone()),
        Action::Delete(delete) | Action::Evict(delete) => Some(delete.key.clone()),
    }
}

fn key(kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::of_kind(kinds::lookup(kind).unwrap().number, namespace, name)
}

fn action(operation: Operation) -> Action {
    match operation {
        Operation::Create(create) => Action::Create(create.object.unwrap()),
        Operation::Update(update) if update.subresource == "status" => {
            Action::UpdateStatus(update.object.unwrap())
        }
        Operation::Update(update) => Action::Update(update.object.unwrap()),
        Operation::Patch(patch) => Action::Patch(PatchAction {
            key: key(&patch.kind, &patch.namespace, &patch.name),
            subresource: if patch.subresource == "status" {
                "status"
            } else {
                ""
            },
            r#type: patch.r#type(),
            patch: patch.patch,
        }),
        Operation::Delete(delete) => Action::Delete(DeleteAction {
            key: key(&delete.kind, &delete.namespace, &delete.name),
            options: delete.options.unwrap_or_default(),
        }),
        Operation::Bind(_) => panic!("nobody binds in these tests"),
    }
}

type Reply<T> = Result<Response<T>, tonic::Status>;

fn reply(result: Result<Object, Box<Status>>) -> Reply<Object> {
    result.map(Response::new).map_err(|status| to_tonic(*status))
}

#[tonic::async_trait]
impl Resources for Fake {
    type WatchStream = ReceiverStream<Answer>;

    async fn get(&self, request: Request<api::GetRequest>) -> Reply<Object> {
        let request = request.into_inner();
        let key = key(&request.kind, &request.namespace, &request.name);
        let found = self.state().world.object(&key).cloned();
        reply(found.ok_or_else(|| Box::new(failure(Reason::NotFound, format!("{key} not found")))))
    }

    async fn list(&self, request: Request<api::ListRequest>) -> Reply<api::ListResponse> {
        let request = request.into_inner();
        let state = self.state();
        let number = kinds::lookup(&request.kind).unwrap().number;
        let after = request.r#continue.parse().unwrap_or(0);
        let limit = if request.limit == 0 {
            2
        } else {
            request.limit as usize
        };
        let all: Vec<_> = state
            .world
            .objects()
            .filter(|(key, _)| key.kind == number)
            .collect();
        let items: Vec<_> = all
            .iter()
            .skip(after)
            .take(limit)
            .map(|(_, object)| (*object).clone())
            .collect();
        let shown = after + items.len();
        Ok(Response::new(api::ListResponse {
            items,
            revision: state.world.cache().revision(),
            r#continue: if shown < all.len() {
                shown.to_string()
            } else {
                String::new()
            },
            remaining: (all.len() - shown) as i64,
        }))
    }

    async fn watch(&self, request: Request<api::WatchRequest>) -> Reply<Self::WatchStream> {
        let request = request.into_inner();
        let kinds: Vec<u32> = request
            .targets
            .iter()
            .map(|target| kinds::lookup(&target.kind).unwrap().number)
            .collect();
        let (sender, receiver) = mpsc::channel(16);
        let (generation, mut first, mut position) = {
            let mut state = self.state();
            state.watches.push(request.after_revision);
            if request.after_revision != 0 && request.after_revision < state.compacted {
                return Err(to_tonic(failure(Reason::Expired, "too old")));
            }
            (state.generation, Vec::new(), request.after_revision)
        };
        if position == 0 {
            let state = self.state();
            position = state.world.cache().revision();
            let objects = state.world.objects().filter(|(key, _)| kinds.contains(&key.kind));
            for (_, object) in objects {
                let revision = apimachinery::wire::MetaView::parse(&object.bytes)
                    .unwrap()
                    .revision();
                first.push(Event {
                    object: Some(object.clone()),
                    ..mark(EventType::Added, revision)
                });
            }
            first.push(mark(EventType::Synced, position));
        }
        let fake = self.clone();
        tokio::spawn(async move {
            for event in first {
                if sender.send(Ok(EventFrame::new(&event))).await.is_err() {
                    return;
                }
            }
            fake.feed(position, kinds, generation, sender).await;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn create(&self, request: Request<api::CreateRequest>) -> Reply<Object> {
        let caller = Caller::from_metadata(request.metadata())?;
        let action = action(Operation::Create(request.into_inner()));
        reply(self.apply(&action, &caller.actor, caller.cause))
    }

    async fn update(&self, request: Request<api::UpdateRequest>) -> Reply<Object> {
        let caller = Caller::from_metadata(request.metadata())?;
        let action = action(Operation::Update(request.into_inner()));
        reply(self.apply(&action, &caller.actor, caller.cause))
    }

    async fn patch(&self, request: Request<api::PatchRequest>) -> Reply<Object> {
        let caller = Caller::from_metadata(request.metadata())?;
        let action = action(Operation::Patch(request.into_inner()));
        reply(self.apply(&action, &caller.actor, caller.cause))
    }

    async fn delete(&self, request: Request<api::DeleteRequest>) -> Reply<api::DeleteResponse> {
        let caller = Caller::from_metadata(request.metadata())?;
        let action = action(Operation::Delete(request.into_inner()));
        let object = self
            .apply(&action, &caller.actor, caller.cause)
            .map_err(|status| to_tonic(*status))?;
        let gone = key_of(&action).is_none_or(|key| self.state().world.object(&key).is_none());
        Ok(Response::new(api::DeleteResponse {
            object: Some(object),
            gone,
        }))
    }

    async fn delete_collection(
        &self,
        _: Request<api::DeleteCollectionRequest>,
    ) -> Reply<api::DeleteCollectionResponse> {
        Err(to_tonic(failure(Reason::MethodNotAllowed, "not in these tests")))
    }

    async fn batch(&self, request: Request<api::BatchRequest>) -> Reply<api::BatchResponse> {
        let caller = Caller::from_metadata(request.metadata())?;
        let operations = request.into_inner().operations;
        let fault = {
            let mut state = self.state();
            state.batches.push(operations.len());
            state.faults.pop_front()
        };
        match fault {
            Some(Fault::Refuse) => return Err(tonic::Status::unavailable("refused")),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::LoseAnswer) | None => {}
        }
        let results = operations.into_iter().map(|operation| {
            let cause = operation.cause;
            let result = self.apply(&action(operation.operation.unwrap()), &caller.actor, cause);
            let result = match result {
                Ok(object) => batch_result::Result::Object(object),
                Err(status) => batch_result::Result::Error(*status),
            };
            api::BatchResult { result: Some(result) }
        });
        let results = results.collect();
        match fault {
            Some(_) => Err(tonic::Status::unavailable("the connection broke")),
            None => Ok(Response::new(api::BatchResponse { results })),
        }
    }
}

#[tonic::async_trait]
impl Pods for Fake {
    async fn bind(&self, _: Request<api::BindRequest>) -> Reply<Object> {
        Err(to_tonic(failure(Reason::MethodNotAllowed, "not in these tests")))
    }

    async fn evict(&self, request: Request<api::EvictRequest>) -> Reply<api::EvictResponse> {
        let caller = Caller::from_metadata(request.metadata())?;
        let request = request.into_inner();
        {
            let mut state = self.state();
            if state.protected > 0 {
                state.protected -= 1;
                return Err(to_tonic(failure(
                    Reason::TooManyRequests,
                    "the budget is used up",
                )));
            }
        }
        let key = key("pods", &request.namespace, &request.name);
        let options = request.options.unwrap_or_default();
        let action = Action::Evict(DeleteAction { key, options });
        let pod = self
            .apply(&action, &caller.actor, caller.cause)
            .map_err(|status| to_tonic(*status))?;
        Ok(Response::new(api::EvictResponse { pod: Some(pod) }))
    }
}

/// All objects of a kind at the server.
pub(crate) fn stored<K: Kind>(fake: &Fake) -> Vec<K> {
    fake.state().world.list()
}
