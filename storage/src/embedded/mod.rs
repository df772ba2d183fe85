//! The embedded engine: one process, one directory, no other server.
//!
//! ```text
//! commit ─► committer: queue, preconditions, one batch, one fsync ─► database (fjall): revision → record
//!                                   │ then
//!                                   ▼
//!           state: newest revision, head of every key, newest changes ─► load, changes, change, history
//! ```
//! - The log is the only thing on disk: a record for each change, under its revision. An object's value is the record of
//!   its last change, as in etcd; each record names the one before it of the same key, which makes a key's history a
//!   chain. Which record is a key's last stands in memory, and is read from the log at the start.
//! - [`Compaction`] removes the records that newer ones have replaced.
//! - A torn last batch is cut off at the start. Any other damage is refused with its place: see `journal` and `recovery`.

mod acknowledged;
mod committer;
mod compaction;
mod database;
mod engine;
mod feed;
mod journal;
mod lock;
mod record;
mod recovery;
mod state;

pub use compaction::Compaction;

use crate::store::{
    Change, Changes, Conflict, HistoryLimit, Key, Revision, Snapshot, Store, StoreError, Write,
};
use async_trait::async_trait;
use committer::Queue;
use component_base::clock::Clock;
use component_base::panics::contained;
use engine::Engine;
use lock::DirectoryLock;
use recovery::Recovered;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Where and how to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data directory. Made when it does not exist; used by one process at a time.
    pub directory: PathBuf,
    /// How much of the log to keep.
    pub compaction: Compaction,
    /// Writes are refused with [`StoreError::NoSpace`] while the disk has less than this free.
    pub min_free_bytes: u64,
}

/// Room for the memtables and a compaction to go on with, once writes are refused.
const MIN_FREE_BYTES: u64 = 128 << 20;

impl Config {
    /// The defaults, in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            compaction: Compaction::default(),
            min_free_bytes: MIN_FREE_BYTES,
        }
    }
}

/// A store in a directory of this machine. See the module.
pub struct Embedded {
    /// `None` once it is closed.
    running: Mutex<Option<Running>>,
}

#[derive(Clone)]
struct Handle {
    engine: Arc<Engine>,
    queue: Queue,
}

struct Running {
    handle: Handle,
    /// Ends when nothing uses the engine any longer.
    gone: mpsc::Receiver<Infallible>,
    _compaction: AbortOnDropHandle<()>,
}

impl Embedded {
    /// Opens the data directory. Fails at once when another process has it, and when stored data cannot be trusted.
    pub async fn open(config: Config, clock: Clock) -> Result<Self, StoreError> {
        let policy = config.compaction.clone();
        let (alive, gone) = mpsc::channel(1);
        let opening = {
            let clock = clock.clone();
            tokio::task::spawn_blocking(move || contained(|| open(config, &clock, alive)))
        };
        let unopened = |error: &dyn std::fmt::Display| {
            StoreError::Corrupt(format!("the database could not be opened: {error}"))
        };
        // fjall asserts what it reads of itself; a panic there means that it read something else.
        let opened = opening.await.map_err(|error| unopened(&error))?;
        let engine = opened.map_err(|panicked| unopened(&panicked))??;
        let compaction = tokio::spawn(compaction::run(Arc::downgrade(&engine), policy, clock));
        let queue = Queue::start(engine.clone());
        Ok(Self {
            running: Mutex::new(Some(Running {
                handle: Handle { engine, queue },
                gone,
                _compaction: AbortOnDropHandle::new(compaction),
            })),
        })
    }

    fn handle(&self) -> Result<Handle, StoreError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .as_ref()
            .map(|running| running.handle.clone())
            .ok_or_else(|| StoreError::Unavailable("the store is closed".into()))
    }

    /// Runs what reads the disk on a thread that may wait for it.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let engine = self.handle()?.engine;
        tokio::task::spawn_blocking(move || read(&engine))
            .await
            .map_err(|error| StoreError::Unavailable(format!("a read was broken off: {error}")))?
    }
}

fn open(config: Config, clock: &Clock, alive: mpsc::Sender<Infallible>) -> Result<Arc<Engine>, StoreError> {
    std::fs::create_dir_all(&config.directory).map_err(|error| {
        StoreError::Unavailable(format!("cannot make {}: {error}", config.directory.display()))
    })?;
    let lock = DirectoryLock::take(&config.directory, clock)?;
    let Recovered {
        database,
        acknowledged,
        state,
        compacted,
    } = recovery::recover(&config.directory)?;
    tracing::info!(
        directory = %config.directory.display(),
        revision = state.revision,
        compacted = state.compacted,
        keys = state.heads.len(),
        "opened the store"
    );
    Ok(Arc::new(Engine::new(
        database,
        acknowledged,
        state,
        compacted,
        config,
        lock,
        alive,
    )))
}

#[async_trait]
impl Store for Embedded {
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Arc<Change>, Conflict>>, StoreError> {
        self.handle()?.queue.commit(writes).await
    }

    async fn load(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |engine| engine.load(&prefix)).await
    }

    async fn changes(&self, after: Revision) -> Result<Changes, StoreError> {
        let engine = self.handle()?.engine;
        engine.state().check_continues(after)?;
        Ok(feed::feed(&engine, after))
    }

    async fn change(&self, revision: Revision) -> Result<Arc<Change>, StoreError> {
        self.read(move |engine| engine.change(revision)).await
    }

    async fn history(&self, key: &Key, limit: HistoryLimit) -> Result<Vec<Arc<Change>>, StoreError> {
        let key = key.clone();
        self.read(move |engine| engine.history(&key, limit)).await
    }

    async fn compact(&self, to: Revision) -> Result<(), StoreError> {
        compaction::compact(self.handle()?.engine, to).await
    }

    async fn revisions(&self) -> Result<(Revision, Revision), StoreError> {
        let engine = self.handle()?.engine;
        let state = engine.state();
        Ok((state.revision, state.compacted))
    }

    async fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running {
            handle,
            mut gone,
            _compaction: compaction,
        }) = running
        {
            drop((handle, compaction));
            gone.recv().await;
        }
    }
}
