//! What the store shows to readers: the newest revision, which keys exist, and the newest changes.
//!
//! In: durable changes, in order. Out: answers that never wait for the disk.
//! Invariant: nothing is in here that a crash could take back.

use super::record::Head;
use crate::store::{Change, Key, Revision, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;

/// Feeds that are at most this many changes behind are served from memory; the others read the log. At 48,000 writes a
/// second it is a third of a second of slack.
const RECENT_CHANGES: usize = 16_384;
/// Objects may be large: the newest changes hold at most this much of them.
const RECENT_BYTES: usize = 32 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest revision that is durable.
    pub(super) revision: Revision,
    /// The log starts after this one.
    pub(super) compacted: Revision,
    /// The last change of every key that exists or whose removal is still in the log.
    pub(super) heads: imbl::OrdMap<Key, Head>,
    /// Set once: why no further write is taken.
    pub(super) stopped: Option<StoreError>,
    recent: VecDeque<Arc<Change>>,
    recent_bytes: usize,
}

impl State {
    /// A store whose log ends where it is compacted.
    pub(super) fn compacted_to(revision: Revision) -> Self {
        Self {
            revision,
            compacted: revision,
            ..Self::default()
        }
    }

    /// Shows a durable change.
    pub(super) fn publish(&mut self, change: Arc<Change>) {
        self.revision = change.revision;
        self.heads.insert(
            change.key.clone(),
            Head {
                revision: change.revision,
                live: change.after.is_some(),
            },
        );
        self.recent_bytes += change.bytes();
        self.recent.push_back(change);
        while self.recent.len() > RECENT_CHANGES || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= oldest.bytes();
        }
    }

    /// A recent change.
    pub(super) fn recent(&self, revision: Revision) -> Option<&Arc<Change>> {
        self.recent.get(self.recent_index(revision)?)
    }

    /// At most `limit` changes that follow `after`; `None` when the first of them is no longer in memory.
    pub(super) fn recent_after(&self, after: Revision, limit: usize) -> Option<VecDeque<Arc<Change>>> {
        let start = self.recent_index(after + 1)?;
        Some(self.recent.iter().skip(start).take(limit).cloned().collect())
    }

    fn recent_index(&self, revision: Revision) -> Option<usize> {
        let index = usize::try_from(revision - self.recent.front()?.revision).ok()?;
        (index < self.recent.len()).then_some(index)
    }

    /// Refuses a revision whose change cannot be in the log.
    pub(super) fn check_in_log(&self, revision: Revision) -> Result<(), StoreError> {
        if revision <= self.compacted {
            return Err(StoreError::Expired {
                asked: revision,
                compacted: self.compacted,
            });
        }
        self.check_written(revision)
    }

    /// Refuses a revision that no feed can continue from.
    pub(super) fn check_continues(&self, after: Revision) -> Result<(), StoreError> {
        if after < self.compacted {
            return Err(StoreError::Expired {
                asked: after,
                compacted: self.compacted,
            });
        }
        self.check_written(after)
    }

    fn check_written(&self, revision: Revision) -> Result<(), StoreError> {
        if revision > self.revision {
            return Err(StoreError::Future {
                asked: revision,
                current: self.revision,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Origin;
    use bytes::Bytes;

    fn change(revision: Revision, bytes: usize) -> Arc<Change> {
        Arc::new(Change {
            revision,
            key: Key::new("pods", "default", "web"),
            before: None,
            after: Some(Bytes::from(vec![0; bytes])),
            origin: Origin {
                actor: "test".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        })
    }

    #[test]
    fn the_newest_changes_are_kept_by_count_and_by_size() {
        let mut state = State::default();
        for revision in 1..=RECENT_CHANGES as Revision + 10 {
            state.publish(change(revision, 1));
        }
        assert!(state.recent(10).is_none());
        assert_eq!(state.recent(11).unwrap().revision, 11);
        assert!(state.recent_after(9, 5).is_none());
        let some: Vec<_> = state
            .recent_after(10, 5)
            .unwrap()
            .iter()
            .map(|c| c.revision)
            .collect();
        assert_eq!(some, [11, 12, 13, 14, 15]);
        let next = state.revision + 1;
        state.publish(change(next, RECENT_BYTES));
        assert_eq!(state.recent(next).unwrap().revision, next);
        assert!(state.recent(next - 1).is_none());
    }
}
