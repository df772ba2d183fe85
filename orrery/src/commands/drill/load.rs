//! Drives the script against the API, and keeps a ledger of what was acknowledged.
//!
//! Each lane is a task that does its steps one after the other. A step whose answer got lost is sent again until it is
//! answered, as a client must; nothing is counted before the API has said yes. While the load is held no write is on
//! its way.

use super::script::{Ask, Lane, NAMESPACE, Script, Step};
use crate::invariants::facts::Facts;
use crate::invariants::history::{Acknowledged, Release, Wrote};
use apimachinery::json::{Unknown, from_value};
use client::{Client, Error, ObjectKey};
use component_base::shutdown::Shutdown;
use proto::Object;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{CreateRequest, DeleteRequest, GetRequest, PatchRequest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;

/// How long to wait before a step is sent again.
const RETRY_DELAY: Duration = Duration::from_millis(20);
/// How long a step may stay unanswered before the load gives up: far more than any restart takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the load has done.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Every acknowledged write.
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Every release of a finalizer that was begun.
    pub(super) releases: Vec<Release>,
    /// How many steps each lane has done.
    pub(super) done: BTreeMap<Lane, u64>,
    /// The newest revision that was acknowledged.
    pub(super) newest: i64,
}

/// How far the lanes go.
#[derive(Clone, Debug)]
pub(super) enum Until {
    /// At their own pace, until they are stopped.
    Stopped(Shutdown),
    /// As fast as they can, until each has done so many steps.
    Done(BTreeMap<Lane, u64>),
}

/// A load that runs.
pub(super) struct Load {
    shared: Shared,
    lanes: JoinSet<Result<(), String>>,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    script: Script,
    ledger: Arc<Mutex<Ledger>>,
    /// Every step holds it for reading.
    gate: Arc<RwLock<()>>,
}

impl Load {
    /// Starts every lane.
    pub(super) fn start(client: Client, script: Script, until: &Until) -> Self {
        let shared = Shared {
            client,
            script,
            ledger: Arc::default(),
            gate: Arc::default(),
        };
        let mut lanes = JoinSet::new();
        for lane in Lane::all() {
            lanes.spawn(shared.clone().run(lane, until.clone()));
        }
        Self { shared, lanes }
    }

    /// Waits until every step that was begun is done, and lets none begin while the guard lives.
    pub(super) async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        self.shared.gate.clone().write_owned().await
    }

    /// What was done so far.
    pub(super) fn ledger(&self) -> Ledger {
        self.shared.lock().clone()
    }

    /// Waits until all lanes have ended; what stopped one of them early is the error.
    pub(super) async fn finish(mut self) -> Result<Ledger, String> {
        while let Some(ended) = self.lanes.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(self.ledger())
    }

    /// What stopped a lane early, if something did.
    pub(super) fn failure(&mut self) -> Option<String> {
        let ended = self.lanes.try_join_next()?;
        match ended {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why),
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Single pushes: a panic elsewhere leaves the ledger whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, lane: Lane, until: Until) -> Result<(), String> {
        let clock = self.client.clock().clone();
        for number in 0.. {
            if let Until::Done(counts) = &until
                && counts.get(&lane).is_none_or(|count| *count <= number)
            {
                return Ok(());
            }
            let gate = self.gate.read().await;
            if let Until::Stopped(stop) = &until
                && stop.is_triggered()
            {
                return Ok(());
            }
            let step = self.script.step(lane, number);
            let done = self.perform(&step).await;
            done.map_err(|error| format!("{:?} of {}: {error}", step.ask, step.key))?;
            self.lock().done.insert(lane, number + 1);
            drop(gate);
            if let Until::Stopped(stop) = &until {
                let _stopped = stop.unless_triggered(clock.sleep(lane.pace())).await;
            }
        }
        Ok(())
    }

    /// Sends one step until it is answered, and enters the answer.
    async fn perform(&self, step: &Step) -> Result<(), Error> {
        let clock = self.client.clock();
        let after = self.lock().newest;
        if step.ask == Ask::Release {
            let key = step.key.clone();
            self.lock().releases.push(Release { key, after });
        }
        let give_up = clock.now() + PATIENCE;
        let mut sent_before = false;
        loop {
            match self.send(step, sent_before).await {
                Ok(answer) => {
                    self.enter(step, after, answer.as_ref());
                    return Ok(());
                }
                Err(error) if error.retryable() && clock.now() < give_up => {
                    sent_before = true;
                    clock.sleep(RETRY_DELAY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends one step once. A repeated step may find that its first sending was done after all; `None` where nothing is
    /// left to tell of it.
    async fn send(&self, step: &Step, sent_before: bool) -> Result<Option<Object>, Error> {
        let key = &step.key;
        let sent = match &step.ask {
            Ask::Create(object) => self.create(object).await,
            Ask::CreateOwned(object, owner) => {
                let owner = self.get(owner).await?;
                let mut object = object.clone();
                object["metadata"]["ownerReferences"] = json!([owner_reference(&owner)?]);
                self.create(&object).await
            }
            Ask::Patch(patch) => self.patch(key, patch).await,
            Ask::Release => self.patch(key, &json!({"metadata": {"finalizers": null}})).await,
            Ask::Delete => {
                let request = DeleteRequest {
                    kind: key.resource(),
                    namespace: key.namespace.to_string(),
                    name: key.name.to_string(),
                    options: None,
                };
                let deleted = self.client.delete(request).await;
                deleted.map(|response| response.object.unwrap_or_default())
            }
        };
        match (&step.ask, sent) {
            (Ask::Create(_) | Ask::CreateOwned(..), Err(error))
                if sent_before && error.is_already_exists() =>
            {
                self.get(key).await.map(Some)
            }
            (Ask::Delete | Ask::Release, Err(error)) if sent_before && error.is_not_found() => Ok(None),
            (_, sent) => sent.map(Some),
        }
    }

    async fn create(&self, object: &Value) -> Result<Object, Error> {
        let decoded =
            from_value(object, Unknown::Strict).map_err(|faults| Error::Config(faults.to_string()))?;
        let request = CreateRequest {
            object: Some(Object {
                number: decoded.number,
                bytes: decoded.bytes,
            }),
            ..CreateRequest::default()
        };
        self.client.create(request).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object, Error> {
        let request = GetRequest {
            kind: key.resource(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            ..GetRequest::default()
        };
        self.client.get(request).await
    }

    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<Object, Error> {
        let request = PatchRequest {
            kind: key.resource(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            r#type: PatchType::Merge.into(),
            patch: patch.to_string(),
            ..PatchRequest::default()
        };
        self.client.patch(request).await
    }

    /// Enters an answer into the ledger.
    fn enter(&self, step: &Step, after: i64, answer: Option<&Object>) {
        let Some(facts) = answer.and_then(|object| Facts::read(object).ok()) else {
            return;
        };
        let wrote = match step.ask {
            // The release of a finalizer ends the deletion that waited for it.
            Ask::Delete | Ask::Release => Wrote::Deleted { uid: facts.uid },
            _ => Wrote::Put {
                revision: facts.revision,
            },
        };
        let mut ledger = self.lock();
        if let Wrote::Put { revision } = wrote {
            ledger.newest = ledger.newest.max(revision);
        }
        let key = step.key.clone();
        ledger.acknowledged.push(Acknowledged { key, after, wrote });
    }
}

fn owner_reference(owner: &Object) -> Result<Value, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::Config(error.to_string());
    let key = ObjectKey::read(owner).map_err(|error| unreadable(&error))?;
    let facts = Facts::read(owner).map_err(|error| unreadable(&error))?;
    let info = key
        .info()
        .ok_or_else(|| unreadable(&"an owner of no known kind"))?;
    Ok(json!({
        "apiVersion": info.api_version(), "kind": info.kind, "name": key.name.as_ref(), "uid": facts.uid,
    }))
}

/// Makes the namespace that the load lives in, or another one.
pub(super) async fn make_namespace(client: &Client, name: &str) -> Result<(), Error> {
    let namespace = proto::api::core::v1::Namespace {
        metadata: Some(proto::meta::v1::ObjectMeta {
            name: name.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    client::Api::new(client.clone())
        .create(&namespace)
        .await
        .map(|_| ())
}

/// Makes the load's own namespace.
pub(super) async fn make_own_namespace(client: &Client) -> Result<(), Error> {
    make_namespace(client, NAMESPACE).await
}
