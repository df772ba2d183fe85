//! Serves the API from the store: `orrery.v1.Resources`, `Pods` and `History` on one port.
//!
//! ```text
//! rpc (gRPC)  ─┐
//! http (REST) ─┴▶ registry (Kubernetes' semantics, transport-free) ─▶ storage's watch cache ─▶ embedded engine or etcd
//! ```
//! - [`config`] has the flags.
//! - [`registry`] is what happens to an object, as pure plans, and the requests that run them.
//! - [`custom`] is what CustomResourceDefinitions add.
//! - `admission` has rules that look beyond one object.
//! - `rpc` has one file a gRPC service, `http` one a verb.
//! - `upkeep` is what the server does by itself: first objects, expiry of Events.
//! - [`limits`] names every bound and its reason.

mod admission;
pub mod config;
pub mod custom;
mod http;
pub mod limits;
mod metrics;
pub mod registry;
mod rpc;
mod upkeep;
mod version;

pub use config::Config;

use crate::metrics::{CacheCollector, Metrics};
use crate::registry::{Ledger, Registry};
use component_base::clock::Clock;
use component_base::metrics::Registry as MetricsRegistry;
use component_base::process::Component;
use component_base::ready::Progress;
use component_base::rng::Seed;
use component_base::server::{Limits, Server};
use component_base::shutdown::Shutdown;
use proto::orrery::v1::history_server::HistoryServer;
use proto::orrery::v1::pods_server::PodsServer;
use proto::orrery::v1::resources_server::ResourcesServer;
use std::sync::Arc;
use std::time::Duration;
use storage::cache::{Cache, CacheConfig};
use storage::store::Store;
use tokio::net::TcpListener;

/// This component, for its `main`.
pub const COMPONENT: Component = Component {
    name: "apiserver",
    about: "Serves the Kubernetes API over gRPC from a durable, watchable store",
    default_listen: "127.0.0.1:7443",
};

/// What an apiserver serves, once its store is open.
pub struct Parts {
    /// Where the objects are.
    pub store: Arc<dyn Store>,
    /// Whether other processes write to it too.
    pub shared_store: bool,
    /// How long Events stay.
    pub event_ttl: Duration,
    /// What clients may take.
    pub limits: Limits,
}

/// Runs an apiserver until `shutdown`.
///
/// # Errors
/// The store cannot be opened (it is in use, damaged, out of reach), or it fails later: then the process must end, because
/// what it shows would grow stale.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    seed: Seed,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let store = config::open_store(&config, &clock).await?;
    let parts = Parts {
        store,
        shared_store: config.storage == config::Engine::Etcd,
        event_ttl: config.event_ttl,
        limits: Limits::default(),
    };
    serve(parts, listener, clock, seed, shutdown).await
}

/// Serves a store that is open already.
///
/// # Errors
/// As [`run`].
pub async fn serve(
    parts: Parts,
    listener: TcpListener,
    clock: Clock,
    seed: Seed,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let metrics = MetricsRegistry::new();
    let progress = Progress::new("loading the store");
    let cache_config = CacheConfig {
        shared_store: parts.shared_store,
        ..CacheConfig::default()
    };
    let store = parts.store;
    let ledger = Arc::new(Ledger::default());
    let cache = Cache::open_observed(store.clone(), clock.clone(), cache_config, ledger.clone()).await?;
    metrics.register_collector(CacheCollector(cache.clone()));
    let registry = Arc::new(Registry::new(
        cache.clone(),
        ledger,
        clock.clone(),
        seed,
        Metrics::new(&metrics),
    ));
    upkeep::bootstrap(&registry).await?;
    let upkeep = upkeep::Tasks::start(&registry, &progress, &clock, parts.event_ttl);
    progress.ready();

    // The server ends with its store: nothing true can be served without the cache, and what is on disk after a failed
    // fsync is for the next start to find out. etcd comes back, and is waited for.
    let failed = async {
        tokio::select! {
            error = cache.failed() => error,
            error = registry.store_failed(), if !parts.shared_store => error,
        }
    };
    let serving = shutdown.child();
    let api = http::Api::new(registry.clone(), clock.clone(), seed);
    let server = Server::new(COMPONENT.name, &clock, &metrics, &progress)
        .limits(parts.limits)
        .service(ResourcesServer::new(rpc::ResourcesService(registry.clone())))
        .service(PodsServer::new(rpc::PodsService(registry.clone())))
        .service(HistoryServer::new(rpc::HistoryService(registry.clone())))
        .http(http::routes(api))
        .serve(listener, serving.clone());
    let mut server = std::pin::pin!(server);
    let result = tokio::select! {
        served = &mut server => served.map_err(anyhow::Error::from),
        error = failed => {
            serving.trigger();
            server.await?;
            Err(anyhow::Error::from(error).context("the store failed"))
        }
    };
    drop(upkeep);
    // Gives the directory back before the next process asks for it.
    store.close().await;
    result
}
