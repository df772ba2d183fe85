//! [`WorkQueue`]: which keys to work on, in what order, and when.
//!
//! As client-go's workqueue: a key that is added many times is worked on once; a key that is added while it is worked
//! on is worked on again after; a key that fails comes back later and later. Keys of several lanes (one a controller)
//! take turns, so that a busy controller never starves another. Plain data on a clock that the caller reads, so that a
//! test needs no time to pass.
//!
//! ```text
//!            add                    pop                     done
//!   (idle) ──────────> queued ─────────────> processing ──────────────> (idle)
//!      │                  ^                   │      ^ │                   ^
//!      │ add_after        │ when due       add│      │ │ done, was added   │
//!      └────> delayed ────┘                   v      │ └───────────> queued
//!                                        processing, dirty
//! ```
//!
//! Bounded by the number of distinct keys: a key is queued at most once, delayed at most once and processed at most
//! once. Invariant: no key is processed twice at a time.

use crate::backoff::Policy;
use component_base::clock::Instant;
use component_base::rng::Rng;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Which lane of the queue a key is in.
pub type Lane = usize;

/// Keys to work on. See the module.
#[derive(Debug)]
pub struct WorkQueue<K> {
    lanes: Vec<VecDeque<K>>,
    turn: Lane,
    items: HashMap<(Lane, K), Item>,
    /// Moment, order of adding, key: so that equal moments keep their order.
    delayed: BTreeSet<(Instant, u64, Lane, K)>,
    added: u64,
    policy: Policy,
    rng: Rng,
}

/// What is known of a key. A key of which nothing is known has no item.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    /// Wants to be worked on.
    dirty: bool,
    /// Is being worked on.
    processing: bool,
    /// When it becomes dirty by itself, and its order among equal moments.
    due: Option<(Instant, u64)>,
    /// Failures in a row.
    failures: u32,
}

impl Item {
    fn is_idle(self) -> bool {
        !self.dirty && !self.processing && self.due.is_none() && self.failures == 0
    }
}

impl<K: Clone + Ord + Hash> WorkQueue<K> {
    /// An empty queue of so many lanes.
    pub fn new(lanes: usize, policy: Policy, rng: Rng) -> Self {
        Self {
            lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
            turn: 0,
            items: HashMap::new(),
            delayed: BTreeSet::new(),
            added: 0,
            policy,
            rng,
        }
    }

    /// Wants `key` to be worked on as soon as its turn comes.
    pub fn add(&mut self, lane: Lane, key: K) {
        let item = self.items.entry((lane, key.clone())).or_default();
        if !std::mem::replace(&mut item.dirty, true) && !item.processing {
            self.lanes[lane].push_back(key);
        }
    }

    /// Wants `key` to be worked on at `due`; the earliest of several moments counts.
    pub fn add_at(&mut self, lane: Lane, key: K, due: Instant) {
        let item = self.items.entry((lane, key.clone())).or_default();
        if let Some((known, order)) = item.due {
            if known <= due {
                return;
            }
            self.delayed.remove(&(known, order, lane, key.clone()));
        }
        self.added += 1;
        item.due = Some((due, self.added));
        self.delayed.insert((due, self.added, lane, key));
    }

    /// Wants `key` to be worked on after one more failure: later each time. Gives how much later.
    pub fn add_failed(&mut self, lane: Lane, key: K, now: Instant) -> Duration {
        let item = self.items.entry((lane, key.clone())).or_default();
        item.failures = item.failures.saturating_add(1);
        let delay = self.policy.delay(item.failures, &mut self.rng);
        self.add_at(lane, key, now + delay);
        delay
    }

    /// The work on `key` succeeded: its next failure is the first.
    pub fn forget(&mut self, lane: Lane, key: &K) {
        let place = (lane, key.clone());
        if let Some(item) = self.items.get_mut(&place) {
            item.failures = 0;
            if item.is_idle() {
                self.items.remove(&place);
            }
        }
    }

    /// The next key to work on. Until [`WorkQueue::done`] is called for it, it is not given again.
    pub fn pop(&mut self, now: Instant) -> Option<(Lane, K)> {
        self.wake(now);
        let lanes = self.lanes.len();
        for step in 0..lanes {
            let lane = (self.turn + step) % lanes;
            if let Some(key) = self.lanes[lane].pop_front() {
                self.turn = (lane + 1) % lanes;
                let item = self.items.entry((lane, key.clone())).or_default();
                item.dirty = false;
                item.processing = true;
                return Some((lane, key));
            }
        }
        None
    }

    /// The work on `key` has ended. When it was added meanwhile, it is queued again.
    pub fn done(&mut self, lane: Lane, key: &K) {
        let place = (lane, key.clone());
        let Some(item) = self.items.get_mut(&place) else {
            return;
        };
        item.processing = false;
        if item.dirty {
            self.lanes[lane].push_back(key.clone());
        } else if item.is_idle() {
            self.items.remove(&place);
        }
    }

    /// When the next delayed key is due; `None` when none is delayed.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, ..)| *due)
    }

    /// How many keys of a lane wait for their turn.
    pub fn queued(&self, lane: Lane) -> usize {
        self.lanes[lane].len()
    }

    /// How many keys are known: queued, delayed, processed, or with failures.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing is queued, delayed or processed, and no key has failures.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Queues the keys that have become due.
    fn wake(&mut self, now: Instant) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, _, lane, key)) = self.delayed.pop_first() else {
                return;
            };
            if let Some(item) = self.items.get_mut(&(lane, key.clone())) {
                item.due = None;
            }
            self.add(lane, key);
        }
    }
}
