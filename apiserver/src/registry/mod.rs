//! The semantics of the API over the watch cache: what Kubernetes does to an object when it is created, updated, patched,
//! deleted, listed, watched. Knows no transport: requests and answers are `orrery.v1` messages, failures are `Status`.
//!
//! - `plan`: a write as a pure function from the present state; `create`, `update`, `patch`, `apply`, `delete`, `pod` make
//!   them, and `tracking` notes who owns which fields afterwards.
//! - `ledger`: how much of each node is taken, so that no bind asks for more than there is.
//! - `write`, `batch`, `collection`, `evict`: run plans against the cache.
//! - `read`, `watch`, `history`: the requests that write nothing.
//!
//! Invariant: nothing but a plan's result is ever written, and a plan has seen the object that it replaces.

mod apply;
mod batch;
mod budget;
mod collection;
mod continuation;
mod create;
mod create_only;
mod delete;
mod deletion;
pub(crate) mod errors;
mod evict;
mod history;
mod ledger;
mod metadata;
mod names;
mod outline;
mod patch;
pub(crate) mod plan;
mod pod;
mod read;
mod request;
mod served;
mod strategy;
mod tracking;
mod update;
mod watch;
mod write;

pub use create_only::create_only;
pub use ledger::Ledger;
pub(crate) use metadata::place;
pub(crate) use read::{Item, Listed};
pub use served::{Resource, Served};
pub use watch::WatchFrames;
pub use write::Written;

use crate::metrics::Metrics;
use apimachinery::wire::without_resource_version;
use component_base::clock::Clock;
use component_base::grpc::Caller;
use component_base::rng::{Rng, Seed};
use errors::Result;
use plan::Prepared;
use proto::Timestamp;
use proto::meta::v1::Status;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use storage::Stored;
use storage::cache::Cache;
use storage::store::{Origin, Revision, Store, StoreError, Versioned};
use storage::write::{Desired, Effect, Outcome, Refused, Update, UpdateError};
use tokio::sync::watch as latest;

/// Everything that the API can do.
pub struct Registry {
    cache: Arc<Cache>,
    clock: Clock,
    rng: Mutex<Rng>,
    metrics: Metrics,
    /// As of the last time that somebody asked.
    served: RwLock<Arc<Served>>,
    /// Held by who writes a CustomResourceDefinition: of two that want one name, the second must see the first.
    definitions: tokio::sync::Mutex<()>,
    ledger: Arc<Ledger>,
    /// What the store said when it failed for good, as far as a write can tell.
    store_failed: latest::Sender<Option<StoreError>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry over `cache`. Names and UIDs come from `seed`, and from how far the store has come: a server that
    /// starts again with the same seed must not give the same UIDs again.
    /// `ledger` has seen all that the cache shows.
    pub(crate) fn new(
        cache: Arc<Cache>,
        ledger: Arc<Ledger>,
        clock: Clock,
        seed: Seed,
        metrics: Metrics,
    ) -> Self {
        Self {
            rng: Mutex::new(seed.fork(&format!("registry at {}", cache.revision()))),
            cache,
            clock,
            metrics,
            served: RwLock::new(Arc::new(Served::built_in())),
            definitions: tokio::sync::Mutex::default(),
            ledger,
            store_failed: latest::Sender::new(None),
        }
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.cache.store()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The wall time.
    fn now(&self) -> Timestamp {
        let now = self.clock.wall();
        Timestamp {
            seconds: now.as_second(),
            nanos: now.subsec_nanosecond(),
        }
    }

    fn with_rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        // A panic while drawing leaves a generator that is as good as any.
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn origin(&self, caller: &Caller, cause: Revision) -> Origin {
        Origin {
            actor: caller.actor.as_str().into(),
            cause: if cause > 0 { cause } else { caller.cause },
            time: self.now(),
        }
    }

    /// Runs one plan, and stores its result unless it is a rehearsal. The cache was caught up with before the plan was
    /// made, which may rest on other objects too.
    async fn run(&self, caller: &Caller, prepared: &Prepared) -> Result<Outcome> {
        if prepared.dry_run {
            return rehearse(prepared, self.cache.get(&prepared.key));
        }
        let origin = self.origin(caller, prepared.cause);
        let start = self.clock.now();
        let result = self
            .cache
            .update(prepared.key.clone(), origin, |current| decide(prepared, current))
            .await;
        let outcome = result.map_err(|error| self.failed(prepared, error))?;
        if outcome.effect != Effect::Unchanged {
            self.metrics.committed(1, self.clock.now() - start);
        }
        Ok(outcome)
    }

    /// Runs many plans, as [`Registry::run`], and stores their results in one durable step.
    async fn run_many(&self, caller: &Caller, prepared: &[Prepared]) -> Vec<Result<Outcome>> {
        let start = self.clock.now();
        let updates = prepared
            .iter()
            .filter(|prepared| !prepared.dry_run)
            .map(|prepared| Update {
                key: prepared.key.clone(),
                origin: self.origin(caller, prepared.cause),
                change: Box::new(move |current: Option<&Stored>| decide(prepared, current)),
            });
        let written = self.cache.update_many(updates.collect()).await;
        let changed =
            |result: &&_| matches!(result, Ok(Outcome { effect, .. }) if *effect != Effect::Unchanged);
        let count = written.iter().filter(changed).count();
        if count > 0 {
            self.metrics.committed(count, self.clock.now() - start);
        }
        let mut written = written.into_iter();
        let results = prepared.iter().map(|prepared| {
            if prepared.dry_run {
                return rehearse(prepared, self.cache.get(&prepared.key));
            }
            let result = written
                .next()
                .ok_or_else(|| errors::internal("a write has no result"))?;
            result.map_err(|error| self.failed(prepared, error))
        });
        results.collect()
    }

    /// Why a write was not done, as the API says it.
    fn failed(&self, prepared: &Prepared, error: UpdateError<Box<Status>>) -> Box<Status> {
        let (_, _, name) = prepared.key.parts();
        match error {
            UpdateError::Rejected(status) => status,
            UpdateError::Refused(Refused::Conflict(_)) => errors::stale(&prepared.info, name),
            UpdateError::Refused(refused) => errors::internal(refused.to_string()),
            UpdateError::Store(error) => {
                if matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_)) {
                    self.store_failed.send_replace(Some(error.clone()));
                }
                errors::store(&error)
            }
        }
    }

    /// Returns when a write found the store out of reach or damaged. A store of this process alone does not come back
    /// from that: after a failed fsync nobody knows what is on disk but the next start.
    pub(crate) async fn store_failed(&self) -> StoreError {
        let mut failed = self.store_failed.subscribe();
        let failure = failed.wait_for(Option::is_some).await;
        failure
            .ok()
            .and_then(|failure| failure.clone())
            .unwrap_or_else(|| StoreError::Unavailable("the registry is gone".into()))
    }

    /// Waits until reads show what other processes on the same store had written before.
    async fn catch_up(&self) -> Result<()> {
        self.cache.catch_up().await.map_err(|error| errors::store(&error))
    }
}

/// Runs the plan on the object as the cache has it.
fn decide(prepared: &Prepared, current: Option<&Stored>) -> Result<Desired> {
    let bare = current.map(bare).transpose()?;
    (prepared.plan)(bare.as_ref())
}

/// The object as it is stored: without its resourceVersion.
fn bare(stored: &Stored) -> Result<Versioned> {
    let value = without_resource_version(&stored.bytes)
        .map_err(|error| errors::internal(format!("a stored object does not decode: {error}")))?;
    Ok(Versioned {
        value,
        revision: stored.revision,
    })
}

/// What a write would come to.
fn rehearse(prepared: &Prepared, current: Option<Stored>) -> Result<Outcome> {
    let revision = current.as_ref().map_or(0, |current| current.revision);
    let (effect, object) = match decide(prepared, current.as_ref())? {
        Desired::Keep => (Effect::Unchanged, current),
        Desired::Delete => (Effect::Deleted, current),
        Desired::Put(bytes) if revision == 0 => (Effect::Created, Some(Stored { bytes, revision })),
        Desired::Put(bytes) => {
            let bytes = apimachinery::wire::with_resource_version(&bytes, revision)
                .map_err(|error| errors::internal(error.to_string()))?;
            (Effect::Updated, Some(Stored { bytes, revision }))
        }
    };
    Ok(Outcome { effect, object })
}
