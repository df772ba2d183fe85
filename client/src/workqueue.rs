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

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::clock::Clock;
    use component_base::rng::Seed;
    use proptest::prelude::*;

    fn queue(lanes: usize) -> WorkQueue<u8> {
        WorkQueue::new(lanes, Policy::REQUEUE, Seed(1).fork("test"))
    }

    #[test]
    fn a_key_added_while_it_is_worked_on_comes_again_after() {
        let (mut queue, now) = (queue(1), Clock::system().now());
        queue.add(0, 7);
        queue.add(0, 7);
        assert_eq!(queue.pop(now), Some((0, 7)));
        queue.add(0, 7);
        assert_eq!(queue.pop(now), None);
        queue.done(0, &7);
        assert_eq!(queue.pop(now), Some((0, 7)));
        queue.done(0, &7);
        assert!(queue.is_empty());
    }

    #[test]
    fn lanes_take_turns_however_long_they_are() {
        let (mut queue, now) = (queue(2), Clock::system().now());
        (0..4).for_each(|key| queue.add(0, key));
        queue.add(1, 9);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, [(0, 0), (1, 9), (0, 1), (0, 2), (0, 3)]);
    }

    #[test]
    fn a_key_that_fails_waits_longer_until_it_is_forgotten() {
        let (mut queue, now) = (queue(1), Clock::system().now());
        let delays: Vec<_> = (0..30)
            .map(|_| {
                let delay = queue.add_failed(0, 7, now);
                assert_eq!(queue.pop(now + delay), Some((0, 7)));
                queue.done(0, &7);
                delay
            })
            .collect();
        assert_eq!(delays[0], Policy::REQUEUE.first);
        assert!(delays[29] >= Policy::REQUEUE.longest / 2);
        queue.forget(0, &7);
        assert!(queue.is_empty());
        assert_eq!(queue.add_failed(0, 7, now), Policy::REQUEUE.first);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(Lane, u8),
        AddIn(Lane, u8, u64),
        Pop,
        Done(usize),
        Pass(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..2usize, 0..4u8).prop_map(|(lane, key)| Op::Add(lane, key)),
            (0..2usize, 0..4u8, 0..20u64).prop_map(|(lane, key, ms)| Op::AddIn(lane, key, ms)),
            Just(Op::Pop),
            (0..8usize).prop_map(Op::Done),
            (0..20u64).prop_map(Op::Pass),
        ]
    }

    /// The obvious queue: lists, searched from end to end.
    #[derive(Default)]
    struct Model {
        queued: [Vec<u8>; 2],
        again: Vec<(Lane, u8)>,
        processing: Vec<(Lane, u8)>,
        delayed: Vec<(u64, Lane, u8)>,
        turn: Lane,
    }

    impl Model {
        fn add(&mut self, lane: Lane, key: u8) {
            if self.processing.contains(&(lane, key)) {
                if !self.again.contains(&(lane, key)) {
                    self.again.push((lane, key));
                }
            } else if !self.queued[lane].contains(&key) {
                self.queued[lane].push(key);
            }
        }

        fn add_at(&mut self, lane: Lane, key: u8, due: u64) {
            if self
                .delayed
                .iter()
                .any(|&(known, l, k)| (l, k) == (lane, key) && known <= due)
            {
                return;
            }
            self.delayed.retain(|&(_, l, k)| (l, k) != (lane, key));
            self.delayed.push((due, lane, key));
        }

        fn pop(&mut self, now: u64) -> Option<(Lane, u8)> {
            self.delayed.sort_by_key(|&(due, ..)| due);
            for (due, lane, key) in std::mem::take(&mut self.delayed) {
                if due <= now {
                    self.add(lane, key);
                } else {
                    self.delayed.push((due, lane, key));
                }
            }
            let lane = [self.turn, 1 - self.turn]
                .into_iter()
                .find(|&lane| !self.queued[lane].is_empty())?;
            self.turn = 1 - lane;
            let key = self.queued[lane].remove(0);
            self.processing.push((lane, key));
            Some((lane, key))
        }

        fn done(&mut self, lane: Lane, key: u8) {
            self.processing.retain(|&place| place != (lane, key));
            if self.again.contains(&(lane, key)) {
                self.again.retain(|&place| place != (lane, key));
                self.queued[lane].push(key);
            }
        }
    }

    proptest! {
        #[test]
        fn the_queue_gives_what_the_obvious_queue_gives(ops in prop::collection::vec(op(), 0..80)) {
            let start = Clock::system().now();
            let (mut queue, mut model, mut ms) = (queue(2), Model::default(), 0);
            for op in ops {
                match op {
                    Op::Add(lane, key) => {
                        queue.add(lane, key);
                        model.add(lane, key);
                    }
                    Op::AddIn(lane, key, delay) => {
                        queue.add_at(lane, key, start + Duration::from_millis(ms + delay));
                        model.add_at(lane, key, ms + delay);
                    }
                    Op::Pop => {
                        prop_assert_eq!(queue.pop(start + Duration::from_millis(ms)), model.pop(ms));
                    }
                    Op::Done(nth) if nth < model.processing.len() => {
                        let (lane, key) = model.processing[nth];
                        queue.done(lane, &key);
                        model.done(lane, key);
                    }
                    Op::Done(_) => {}
                    Op::Pass(more) => ms += more,
                }
                prop_assert_eq!(queue.queued(0), model.queued[0].len());
                prop_assert_eq!(queue.queued(1), model.queued[1].len());
            }
            for (lane, key) in model.processing.clone() {
                queue.done(lane, &key);
                model.done(lane, key);
            }
            // Nothing that was added is lost, and nothing is kept that is done.
            let end = ms + 1000;
            while let Some((lane, key)) = model.pop(end) {
                prop_assert_eq!(queue.pop(start + Duration::from_millis(end)), Some((lane, key)));
                queue.done(lane, &key);
                model.done(lane, key);
            }
            prop_assert!(queue.is_empty());
        }
    }
}
