//! The newest changes in memory: what watches are fed from, and what takes a list back to an earlier revision.
//!
//! Batches are shared, never copied: a reader takes a few pointers under the lock and works on them outside it.
//! Bounded by count and by bytes; what falls out is still in the store's log.

use crate::event::Batch;
use crate::store::Revision;
use std::collections::VecDeque;
use std::sync::Arc;

/// The changes after `floor`, as far as the cache has come.
#[derive(Debug)]
pub(crate) struct Recent {
    batches: VecDeque<Arc<Batch>>,
    /// Every change after this revision is here.
    floor: Revision,
    count: usize,
    weight: usize,
    max_count: usize,
    max_weight: usize,
}

impl Recent {
    /// Empty, at a revision.
    pub(crate) fn new(floor: Revision, max_count: usize, max_weight: usize) -> Self {
        Self {
            batches: VecDeque::new(),
            floor,
            count: 0,
            weight: 0,
            max_count,
            max_weight,
        }
    }

    /// The revision after which every change is here.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Adds the newest batch. Gives back what fell out, so that it can be freed outside the lock.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) -> Vec<Arc<Batch>> {
        self.count += batch.changes.len();
        self.weight += batch.weight;
        self.batches.push_back(batch);
        let mut out = Vec::new();
        // The newest batch stays whatever its size: a watch that is up to date must find it.
        while self.batches.len() > 1 && (self.count > self.max_count || self.weight > self.max_weight) {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.count -= oldest.changes.len();
            self.weight -= oldest.weight;
            self.floor = oldest.last();
            out.push(oldest);
        }
        out
    }

    /// The batches that hold the changes after a revision, oldest first, until they hold `enough` changes. `None` when
    /// some of them have fallen out.
    pub(crate) fn after(&self, revision: Revision, enough: usize) -> Option<Vec<Arc<Batch>>> {
        if revision < self.floor {
            return None;
        }
        let start = self.batches.partition_point(|batch| batch.last() <= revision);
        let mut found = Vec::new();
        let mut count = 0;
        for batch in self.batches.range(start..) {
            if count >= enough {
                break;
            }
            count += batch.changes.len();
            found.push(Arc::clone(batch));
        }
        Some(found)
    }
}
