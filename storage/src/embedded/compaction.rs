//! Drops the old part of the log, by age and by count.
//!
//! In: how much to keep. Out: fewer records. A change's record stays while it holds a live object's value, whatever its
//! age: compaction to R removes what a change up to R replaced, and the removals up to R themselves.
//! Invariants: readers are told that a revision is gone before its record is. A failed write stops the store, as any.

use super::engine::Engine;
use crate::store::{Revision, StoreError};
use component_base::clock::Clock;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How much of the log to keep. Whatever is dropped is older than both allow: `keep_age` wins up to `keep_changes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// At most this many changes stay.
    pub keep_changes: u64,
    /// A change stays at most this long.
    pub keep_age: Duration,
    /// How often to look.
    pub every: Duration,
}

impl Default for Compaction {
    /// Half an hour, and no more than fills about 200 MB with objects of 1 KB.
    fn default() -> Self {
        Self {
            keep_changes: 200_000,
            keep_age: Duration::from_secs(30 * 60),
            every: Duration::from_secs(10),
        }
    }
}

/// Records looked at in one step: each ends with one small batch, so that writers wait for a millisecond at most.
const STEP_CHANGES: Revision = 1024;

/// Compacts now and then, for as long as the engine lives.
pub(super) async fn run(engine: Weak<Engine>, policy: Compaction, clock: Clock) {
    loop {
        clock.sleep(policy.every).await;
        let Some(engine) = engine.upgrade() else { return };
        let (policy, now) = (policy.clone(), clock.wall().as_second());
        let due = {
            let engine = engine.clone();
            tokio::task::spawn_blocking(move || engine.due(&policy, now)).await
        };
        let Ok(due) = due else { return };
        let done = match due {
            Ok(Some(to)) => compact(engine, to).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(%error, "could not compact the log");
        }
    }
}

/// Compacts up to and including `to`.
pub(super) async fn compact(engine: Arc<Engine>, to: Revision) -> Result<(), StoreError> {
    {
        let state = engine.state();
        if to > state.revision {
            return Err(StoreError::Future {
                asked: to,
                current: state.revision,
            });
        }
    }
    loop {
        let engine = engine.clone();
        let step = tokio::task::spawn_blocking(move || engine.compact_step(to)).await;
        if step.map_err(|_| StoreError::Unavailable("the store is closing".into()))?? {
            return Ok(());
        }
    }
}

impl Engine {
    /// How far to compact now, if at all. `now` is in seconds since 1970.
    fn due(&self, policy: &Compaction, now: i64) -> Result<Option<Revision>, StoreError> {
        let (newest, compacted) = {
            let state = self.state();
            (state.revision, state.compacted)
        };
        let keep = Revision::try_from(policy.keep_changes).unwrap_or(Revision::MAX);
        let by_count = newest.saturating_sub(keep);
        let oldest_kept = now.saturating_sub_unsigned(policy.keep_age.as_secs());
        // Changes are stamped in order, but for small steps of the wall clock: search by halves.
        let (mut old, mut young) = (by_count.max(compacted), newest + 1);
        while young - old > 1 {
            let middle = old + (young - old) / 2;
            match self.change_time(middle)? {
                Some(time) if time >= oldest_kept => young = middle,
                _ => old = middle,
            }
        }
        Ok((old > compacted).then_some(old))
    }

    fn change_time(&self, revision: Revision) -> Result<Option<i64>, StoreError> {
        Ok(self
            .database
            .read(revision)?
            .map(|record| record.origin.time.seconds))
    }

    /// Goes one step towards `to`; true when it is reached.
    fn compact_step(&self, to: Revision) -> Result<bool, StoreError> {
        let mut compacted = self.compacted.blocking_lock();
        if compacted.revision >= to {
            return Ok(true);
        }
        if let Some(why) = self.state().stopped.clone() {
            return Err(why);
        }
        let last = to.min(compacted.revision + STEP_CHANGES);
        let mut next = *compacted;
        let mut gone = Vec::new();
        let mut removed_keys = Vec::new();
        for entry in self.database.range(compacted.revision + 1, last) {
            let (revision, record) = entry?;
            if let Some(previous) = record.previous.filter(|previous| previous.live) {
                gone.push(previous.revision);
                next.kept -= 1;
            }
            if record.value.is_some() {
                next.kept += 1;
            } else {
                gone.push(revision);
                removed_keys.push((record.key, revision));
            }
        }
        next.revision = last;
        self.state().compacted = last;
        self.database
            .remove(&gone, next)
            .inspect_err(|error| self.stop(error))?;
        *compacted = next;
        // A removal is forgotten last: a write that no longer knows of it must follow the batch above in the journal,
        // or a crash could bring the removal back without its successor.
        let mut state = self.state();
        for (key, revision) in removed_keys {
            if state
                .heads
                .get(&key)
                .is_some_and(|head| head.revision == revision)
            {
                state.heads.remove(&key);
            }
        }
        Ok(last == to)
    }
}
