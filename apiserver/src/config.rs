//! The apiserver's flags, and the store that they choose.

use anyhow::Context;
use component_base::clock::Clock;
use component_base::flag::duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::embedded::{self, Compaction, Embedded};
use storage::etcd::{self, Etcd};
use storage::store::Store;

/// What an apiserver can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Where the embedded store keeps its files; one process at a time
    #[arg(
        long,
        env = "ORRERY_DATA_DIR",
        value_name = "DIR",
        default_value = "apiserver.data"
    )]
    pub data_dir: PathBuf,

    /// What stores the objects: `embedded` needs nothing else, `etcd` lets several apiservers share them
    #[arg(long, env = "ORRERY_STORAGE", value_enum, default_value = "embedded")]
    pub storage: Engine,

    /// Where etcd answers, without TLS
    #[arg(
        long,
        env = "ORRERY_ETCD_ENDPOINTS",
        value_name = "URL,…",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379"
    )]
    pub etcd_endpoints: Vec<String>,

    /// What every key in etcd starts with, so that several clusters can share one etcd
    #[arg(
        long,
        env = "ORRERY_ETCD_PREFIX",
        value_name = "PREFIX",
        default_value = "/orrery"
    )]
    pub etcd_prefix: String,

    /// How long an Event is kept after it was last seen
    #[arg(long, env = "ORRERY_EVENT_TTL", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub event_ttl: Duration,

    /// The most changes that the embedded store's log keeps, for watches that resume and for `orrery why`
    #[arg(
        long,
        env = "ORRERY_RETAIN_CHANGES",
        value_name = "COUNT",
        default_value_t = 200_000
    )]
    pub retain_changes: u64,

    /// How long the log keeps a change, if there are not too many
    #[arg(long, env = "ORRERY_RETAIN_AGE", value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub retain_age: Duration,
}

/// An implementation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Files in `--data-dir`.
    Embedded,
    /// An etcd cluster at `--etcd-endpoints`.
    Etcd,
}

/// How often the log is looked at for changes that need not be kept.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(10);

/// Opens the store that the flags choose.
pub(crate) async fn open_store(config: &Config, clock: &Clock) -> anyhow::Result<Arc<dyn Store>> {
    let compaction = Compaction {
        keep_changes: config.retain_changes,
        keep_age: config.retain_age,
        every: COMPACTION_INTERVAL,
    };
    match config.storage {
        Engine::Embedded => {
            let directory = &config.data_dir;
            let config = embedded::Config {
                compaction,
                ..embedded::Config::new(directory)
            };
            let store = Embedded::open(config, clock.clone())
                .await
                .with_context(|| format!("opening the store in {}", directory.display()))?;
            Ok(Arc::new(store))
        }
        Engine::Etcd => {
            let config = etcd::Config {
                prefix: config.etcd_prefix.clone(),
                keep_age: config.retain_age,
                ..etcd::Config::new(config.etcd_endpoints.iter().cloned())
            };
            let endpoints = config.endpoints.join(", ");
            let store = Etcd::connect(config, clock.clone())
                .await
                .with_context(|| format!("connecting to etcd at {endpoints}"))?;
            Ok(Arc::new(store))
        }
    }
}
