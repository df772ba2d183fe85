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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Recorded;
    use crate::store::{Change, Key, Origin};

    /// Empty Pods, written at these revisions.
    fn batch(revisions: std::ops::RangeInclusive<Revision>) -> Arc<Batch> {
        let created = |revision| Change {
            revision,
            key: Key::new("pods", "default", "p"),
            before: None,
            after: Some(bytes::Bytes::new()),
            origin: Origin {
                actor: "test".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        };
        let changes = revisions
            .map(|revision| Recorded::new(&created(revision)).unwrap())
            .collect();
        Arc::new(Batch::new(changes).unwrap())
    }

    /// The revisions after one.
    fn after(recent: &Recent, revision: Revision) -> Option<Vec<Revision>> {
        let batches = recent.after(revision, usize::MAX)?;
        let changes = batches.iter().flat_map(|batch| batch.after(revision));
        Some(changes.map(|slot| slot.revision).collect())
    }

    #[test]
    fn what_is_kept_is_bounded_by_count_and_by_weight() {
        let weight = batch(1..=1).weight;
        for (max_count, max_weight) in [(4, usize::MAX), (usize::MAX, 4 * weight + weight / 2)] {
            let mut recent = Recent::new(0, max_count, max_weight);
            assert_eq!(after(&recent, 0), Some(vec![]));
            assert!(recent.push(batch(1..=2)).is_empty());
            assert!(recent.push(batch(3..=4)).is_empty());
            assert_eq!(after(&recent, 0), Some(vec![1, 2, 3, 4]));
            assert_eq!(recent.push(batch(5..=5)).len(), 1);
            assert_eq!(
                (recent.floor(), after(&recent, 1), after(&recent, 2)),
                (2, None, Some(vec![3, 4, 5]))
            );
            assert_eq!(after(&recent, 4), Some(vec![5]));
            assert_eq!(after(&recent, 5), Some(vec![]));
            // Larger than all that may be kept: a watch that is up to date still finds it.
            assert_eq!(recent.push(batch(6..=20)).len(), 2);
            assert_eq!(
                (recent.floor(), after(&recent, 5).map(|all| all.len())),
                (5, Some(15))
            );
        }
    }

    #[test]
    fn a_reader_takes_no_more_batches_than_it_has_asked_for() {
        let mut recent = Recent::new(0, usize::MAX, usize::MAX);
        for i in 0..10 {
            recent.push(batch(2 * i + 1..=2 * i + 2));
        }
        assert_eq!(recent.after(1, 3).map(|batches| batches.len()), Some(2));
    }
}
