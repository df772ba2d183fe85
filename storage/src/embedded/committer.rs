//! The one writer: group commit without a timer.
//!
//! In: calls that wait in a bounded queue. Out: for each, its changes and conflicts, once they are on disk.
//! It takes all that waits, checks the preconditions in order, writes one batch, waits for one fsync, shows the changes
//! to readers, and answers. While that fsync runs the next calls gather, so the busier the store, the larger its batches.
//! Invariant: after a write to disk has failed, nothing is written or acknowledged again.

use super::engine::Engine;
use super::record::{Head, Record, value_in};
use crate::store::{Change, Conflict, Key, Revision, StoreError, Versioned, Write};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Calls that may wait. A call waits for two fsyncs at most, so this many stand for a client each.
const QUEUED_CALLS: usize = 4096;
/// Objects that may wait, in bytes.
const QUEUED_BYTES: usize = 64 << 20;
/// One batch: a few milliseconds of work, so that latency stays low under load. A larger call is written by itself.
const BATCH_WRITES: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;
/// About as long as it takes to hand a batch to another thread, on an idle machine.
const LINGER_YIELDS: usize = 50;
/// A full queue is worked off in about this time.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a call is answered.
pub(super) type Results = Vec<Result<Arc<Change>, Conflict>>;

struct Call {
    writes: Vec<Write>,
    bytes: usize,
    answer: oneshot::Sender<Result<Results, StoreError>>,
    /// The call's share of [`QUEUED_BYTES`], given back when it is answered.
    _permit: OwnedSemaphorePermit,
}

impl Call {
    fn only_removes(&self) -> bool {
        self.writes.iter().all(|write| write.value.is_none())
    }

    fn answer(self, answer: Result<Results, StoreError>) {
        // A caller that has gone away does not undo its write.
        let _ = self.answer.send(answer);
    }
}

/// Where calls wait. Dropping it ends the committer once all of them are answered.
#[derive(Clone)]
pub(super) struct Queue {
    calls: mpsc::Sender<Call>,
    bytes: Arc<Semaphore>,
}

impl Queue {
    /// Starts the committer. Must be called on a tokio runtime.
    pub(super) fn start(engine: Arc<Engine>) -> Self {
        let (calls, waiting) = mpsc::channel(QUEUED_CALLS);
        let bytes = Arc::new(Semaphore::new(QUEUED_BYTES));
        tokio::spawn(run(engine, waiting));
        Self { calls, bytes }
    }

    /// Has the writes done.
    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<Results, StoreError> {
        let bytes = writes.iter().map(weight).sum::<usize>();
        let overloaded = StoreError::Overloaded {
            retry_after: RETRY_AFTER,
        };
        let permits = u32::try_from(bytes.min(QUEUED_BYTES)).unwrap_or(u32::MAX);
        let Ok(permit) = self.bytes.clone().try_acquire_many_owned(permits) else {
            return Err(overloaded);
        };
        let (answer, answered) = oneshot::channel();
        let call = Call {
            writes,
            bytes,
            answer,
            _permit: permit,
        };
        self.calls.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

fn weight(write: &Write) -> usize {
    write.key.as_str().len() + write.origin.actor.len() + write.value.as_ref().map_or(0, Bytes::len)
}

/// Waits without a thread while the store is idle, and stays on one that may block while it is busy.
async fn run(engine: Arc<Engine>, mut waiting: mpsc::Receiver<Call>) {
    while let Some(first) = waiting.recv().await {
        let engine = engine.clone();
        let busy = tokio::task::spawn_blocking(move || {
            let mut next = Some(first);
            while let Some(first) = next {
                commit(&engine, drain(first, &mut waiting));
                next = linger(&mut waiting);
            }
            waiting
        });
        match busy.await {
            Ok(still_waiting) => waiting = still_waiting,
            // The runtime is shutting down: callers find their answer's sender gone.
            Err(_) => return,
        }
    }
    // fjall waits for its workers when it is dropped.
    let _ = tokio::task::spawn_blocking(move || {
        if let Err(error) = engine.acknowledged.sync() {
            tracing::warn!(%error, "could not bring the acknowledged revision to disk");
        }
        drop(engine);
    })
    .await;
}

/// The next call, if it comes at once. Those that were just answered often have another, and giving the thread back
/// costs more than letting them run.
fn linger(waiting: &mut mpsc::Receiver<Call>) -> Option<Call> {
    (0..LINGER_YIELDS).find_map(|_| {
        let call = waiting.try_recv().ok();
        if call.is_none() {
            std::thread::yield_now();
        }
        call
    })
}

fn drain(first: Call, waiting: &mut mpsc::Receiver<Call>) -> Vec<Call> {
    let (mut writes, mut bytes) = (first.writes.len(), first.bytes);
    let mut calls = vec![first];
    while writes < BATCH_WRITES && bytes < BATCH_BYTES {
        let Ok(call) = waiting.try_recv() else { break };
        writes += call.writes.len();
        bytes += call.bytes;
        calls.push(call);
    }
    calls
}

/// Does the calls and answers each.
fn commit(engine: &Engine, calls: Vec<Call>) {
    let calls = match engine.check_space() {
        Ok(()) => calls,
        Err(full) => {
            let (removals, others) = calls.into_iter().partition::<Vec<_>, _>(Call::only_removes);
            for call in others {
                call.answer(Err(full.clone()));
            }
            removals
        }
    };
    let stopped = engine.state().stopped.clone();
    let (writes, calls): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .map(|mut call| (std::mem::take(&mut call.writes), call))
        .unzip();
    let done = match stopped {
        Some(why) => Err(why),
        None => Batch::prepare(engine, writes).and_then(|batch| batch.write(engine)),
    };
    match done {
        Ok(results) => {
            for (call, results) in calls.into_iter().zip(results) {
                call.answer(Ok(results));
            }
        }
        Err(error) => {
            for call in calls {
                call.answer(Err(error.clone()));
            }
        }
    }
}

/// Writes that have passed their preconditions, numbered and encoded.
struct Batch {
    results: Vec<Results>,
    records: Vec<(Revision, Bytes)>,
    changes: Vec<Arc<Change>>,
}

impl Batch {
    fn prepare(engine: &Engine, calls: Vec<Vec<Write>>) -> Result<Self, StoreError> {
        let mut batch = Self {
            results: Vec::with_capacity(calls.len()),
            records: Vec::new(),
            changes: Vec::new(),
        };
        let mut earlier: HashMap<Key, Arc<Change>> = HashMap::new();
        let mut revision = engine.state().revision;
        for writes in calls {
            let mut results = Vec::with_capacity(writes.len());
            for write in writes {
                results.push(match check(engine, &earlier, &write)? {
                    Err(conflict) => Err(conflict),
                    Ok((previous, before)) => {
                        revision += 1;
                        let change = batch.add(revision, write, previous, before);
                        earlier.insert(change.key.clone(), change.clone());
                        Ok(change)
                    }
                });
            }
            batch.results.push(results);
        }
        Ok(batch)
    }

    fn add(
        &mut self,
        revision: Revision,
        write: Write,
        previous: Option<Head>,
        before: Option<Versioned>,
    ) -> Arc<Change> {
        let record = Record {
            key: write.key,
            previous,
            value: write.value,
            origin: write.origin,
        };
        let bytes = record.encode(revision);
        let change = Arc::new(Change {
            revision,
            key: record.key,
            before,
            // The record's memory, not the caller's, whose buffer may hold a whole request.
            after: record.value.map(|value| value_in(&bytes, value.len())),
            origin: record.origin,
        });
        self.records.push((revision, bytes));
        self.changes.push(change.clone());
        change
    }

    fn write(self, engine: &Engine) -> Result<Vec<Results>, StoreError> {
        let Some(last) = self.changes.last().map(|change| change.revision) else {
            return Ok(self.results);
        };
        let written = engine
            .database
            .append(self.records)
            .and_then(|()| engine.acknowledged.store(last));
        if let Err(error) = written {
            engine.stop(&error);
            return Err(error);
        }
        let mut state = engine.state();
        for change in self.changes {
            state.publish(change);
        }
        drop(state);
        engine.published.send_replace(last);
        Ok(self.results)
    }
}

/// What the write follows, or why it may not happen. The outer error ends the batch.
fn check(
    engine: &Engine,
    earlier: &HashMap<Key, Arc<Change>>,
    write: &Write,
) -> Result<Result<(Option<Head>, Option<Versioned>), Conflict>, StoreError> {
    let written = earlier.get(&write.key);
    let head = match written {
        Some(change) => Some(Head {
            revision: change.revision,
            live: change.after.is_some(),
        }),
        None => engine.state().heads.get(&write.key).copied(),
    };
    let current = head.filter(|head| head.live).map(|head| head.revision);
    if !write.is_allowed(current) {
        return Ok(Err(Conflict {
            key: write.key.clone(),
            current,
        }));
    }
    let before = match (written, head) {
        (Some(change), _) => change.after.clone().map(|value| Versioned {
            value,
            revision: change.revision,
        }),
        (None, Some(head)) => engine.value(head)?,
        (None, None) => None,
    };
    Ok(Ok((head, before)))
}

impl Engine {
    /// Refuses writes while there is still room for what must go on: flushing, compacting, and the removals that free
    /// space.
    fn check_space(&self) -> Result<(), StoreError> {
        let Ok(disk) = rustix::fs::statvfs(&self.directory) else {
            return Ok(());
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.min_free_bytes {
            return Err(StoreError::NoSpace(format!(
                "{} has {} MiB free, and writes need {} MiB; free some",
                self.directory.display(),
                free >> 20,
                self.min_free_bytes >> 20
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::acknowledged::Acknowledged;
    use super::super::lock::DirectoryLock;
    use super::super::{Config, compaction, feed, recovery};
    use super::*;
    use crate::store::{Origin, Precondition};
    use component_base::clock::Clock;
    use futures::StreamExt;

    fn put(name: &str) -> Vec<Write> {
        vec![Write {
            key: Key::new("pods", "default", name),
            value: Some(Bytes::from_static(b"a pod")),
            precondition: Precondition::None,
            origin: Origin {
                actor: "test".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        }]
    }

    fn engine(directory: &std::path::Path, break_it: bool) -> Arc<Engine> {
        let lock = DirectoryLock::take(directory, &Clock::system()).unwrap();
        let recovered = recovery::recover(directory).unwrap();
        let acknowledged = if break_it {
            Acknowledged::failing()
        } else {
            recovered.acknowledged
        };
        Arc::new(Engine::new(
            recovered.database,
            acknowledged,
            recovered.state,
            recovered.compacted,
            Config::new(directory),
            lock,
            mpsc::channel(1).0,
        ))
    }

    #[tokio::test]
    async fn after_a_failed_write_to_disk_nothing_is_acknowledged_or_shown() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path(), true);
        let queue = Queue::start(engine.clone());
        let mut feed = feed::feed(&engine, 0);
        queue.commit(put("web")).await.unwrap_err();
        assert!(engine.load("").unwrap().entries.is_empty());
        let error = feed.next().await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        // The disk works again: that does not help.
        let error = queue.commit(put("web")).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert_eq!(engine.state().revision, 0);
    }

    #[tokio::test]
    async fn a_store_that_has_stopped_is_not_compacted_either() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path(), false);
        let queue = Queue::start(engine.clone());
        queue.commit(put("web")).await.unwrap();
        engine.stop(&StoreError::Unavailable("an fsync failed".into()));
        let error = compaction::compact(engine.clone(), 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert_eq!(engine.state().compacted, 0);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let engine = engine(directory.path(), false);
        let queue = Queue::start(engine.clone());
        let mut writes = put("web");
        writes[0].value = Some(vec![0; QUEUED_BYTES / 2].into());
        // On a runtime with one thread, nobody takes from the queue before these have been polled.
        let (first, second) = tokio::join!(queue.commit(writes.clone()), queue.commit(writes));
        assert!(first.is_ok());
        assert!(matches!(second, Err(StoreError::Overloaded { .. })));
        assert!(queue.commit(put("web")).await.is_ok());
    }
}
