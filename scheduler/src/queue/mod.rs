//! [`Queue`]: the Pods that wait for a node, and which is next.
//!
//! ```text
//!   new Pod ──> active ──pop──> taken ──bound──> gone
//!      │          ^  ^            │ │
//!   gates │  due  │  │ an event   │ └─ a plugin or a write failed ──> backoff
//!      v          │  │ may help   └─── no node would take it ───────> unschedulable
//!    gated    backoff <── an event may help, too soon ─────────────────────┘
//! ```
//! Active Pods go by priority, then in the order in which they came. A Pod that fails waits 1 s before it is tried again,
//! then 2 s, at most 10 s; one that no node would take waits until a cluster event may help it, at most 5 minutes, and is
//! tried at once when that was its first try.
//! Times are handed in, so a test needs no clock. Invariant: every Pod stands in exactly one place.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queueing-hint>

use crate::framework::EventSet;
use crate::pod::PodInfo;
use crate::registry::{PluginSet, Plugins};
use client::ObjectKey;
use component_base::clock::Instant;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a Pod waits after its first failure, as upstream's `podInitialBackoffSeconds`.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// How long a Pod waits after many failures, as upstream's `podMaxBackoffSeconds`.
pub const BACKOFF_LONGEST: Duration = Duration::from_secs(10);
/// How long a Pod waits for an event before it is tried all the same: no event is ever missed here, but a plugin may be
/// wrong about what helps. As upstream.
pub const STALE_AFTER: Duration = Duration::from_secs(5 * 60);

/// A Pod in the queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// Where it stands.
    pub place: Place,
    /// How often it was taken.
    pub attempts: u32,
    /// When it was first seen.
    pub since: Instant,
    /// Until when it must wait after its last failure.
    backoff_until: Instant,
    /// Since when it has stood among the unschedulable ones, if it does.
    waiting_since: Instant,
}

/// Where a Pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits for its turn.
    Active,
    /// It failed, and waits.
    Backoff,
    /// No node would take it; these plugins refused.
    Unschedulable(PluginSet),
    /// Its scheduling gates hold it.
    Gated,
    /// It is being decided on, or its binding is on its way.
    Taken,
}

/// How many Pods stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// In [`Place::Active`].
    pub active: usize,
    /// In [`Place::Backoff`].
    pub backoff: usize,
    /// In [`Place::Unschedulable`].
    pub unschedulable: usize,
    /// In [`Place::Gated`].
    pub gated: usize,
}

/// Tells Pods apart that would otherwise stand in one place, in the order in which they came there.
type Ticket = u64;

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    pods: HashMap<ObjectKey, (Queued, Ticket)>,
    active: BTreeMap<(Reverse<i32>, Ticket), ObjectKey>,
    backoff: BTreeMap<(Instant, Ticket), ObjectKey>,
    /// By the plugins that refused, since when. An event asks a few sets of plugins, not thousands of Pods.
    unschedulable: HashMap<PluginSet, BTreeMap<(Instant, Ticket), ObjectKey>>,
    gated: usize,
    last_ticket: Ticket,
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// A Pod without a node is new or has changed. Says whether it is new here, or has come to be gated.
    pub fn upsert(&mut self, pod: PodInfo, now: Instant) -> bool {
        let key = pod.key.clone();
        let Some((old, _)) = self.pods.get(&key) else {
            return self.insert(pod, now);
        };
        if old.pod.uid != pod.uid {
            self.remove(&key);
            return self.insert(pod, now);
        }
        let asks_otherwise = !Arc::ptr_eq(&old.pod.class, &pod.class) || old.pod.priority != pod.priority;
        let gates_changed = old.pod.gated != pod.gated;
        let (place, gated) = (old.place, pod.gated);
        if place == Place::Taken || !(asks_otherwise || gates_changed) {
            if let Some((queued, _)) = self.pods.get_mut(&key) {
                queued.pod = Arc::new(pod);
            }
            return false;
        }
        // It leaves its place under the old priority, and comes back under the new one.
        let Some(mut queued) = self.take_out(&key) else {
            return false;
        };
        queued.pod = Arc::new(pod);
        let place = if gated {
            Place::Gated
        } else {
            ready_place(&queued, now)
        };
        self.put(queued, place, now);
        gated && gates_changed
    }

    fn insert(&mut self, pod: PodInfo, now: Instant) -> bool {
        let place = if pod.gated { Place::Gated } else { Place::Active };
        let queued = Queued {
            pod: Arc::new(pod),
            place,
            attempts: 0,
            since: now,
            backoff_until: now,
            waiting_since: now,
        };
        self.put(queued, place, now);
        true
    }

    /// A Pod is gone, or has a node.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Queued> {
        self.take_out(key)
    }

    /// A Pod, wherever it stands.
    pub fn get(&self, key: &ObjectKey) -> Option<&Queued> {
        self.pods.get(key).map(|(queued, _)| queued)
    }

    /// Takes the next Pod. It stays known until it fails or is removed.
    pub fn pop(&mut self, now: Instant) -> Option<Queued> {
        self.release_due(now);
        let key = self.active.first_key_value()?.1.clone();
        let mut queued = self.take_out(&key)?;
        queued.attempts += 1;
        self.put(queued, Place::Taken, now);
        self.get(&key).cloned()
    }

    /// A Pod that was taken has failed for a reason that may pass by itself.
    pub fn fail(&mut self, key: &ObjectKey, now: Instant) {
        self.fail_to(key, Place::Backoff, now);
    }

    /// No node would take a Pod that was taken.
    pub fn fail_unschedulable(&mut self, key: &ObjectKey, rejected_by: PluginSet, now: Instant) {
        self.fail_to(key, Place::Unschedulable(rejected_by), now);
    }

    fn fail_to(&mut self, key: &ObjectKey, place: Place, now: Instant) {
        if self.get(key).is_none_or(|queued| queued.place != Place::Taken) {
            return;
        }
        let Some(mut queued) = self.take_out(key) else {
            return;
        };
        let failures = match place {
            // Nothing was tried that an event could have told us beforehand: the first one that may help is taken at
            // once. Upstream's idle scheduler does not wait either (`SchedulerPopFromBackoffQ`).
            Place::Unschedulable(_) => queued.attempts.saturating_sub(1),
            _ => queued.attempts,
        };
        queued.backoff_until = now + backoff(failures);
        let place = if queued.pod.gated { Place::Gated } else { place };
        self.put(queued, place, now);
    }

    /// Something happened: the Pods that it may help are tried again.
    pub fn wake(&mut self, events: EventSet, plugins: &Plugins, now: Instant) {
        if events.is_empty() || self.unschedulable.is_empty() {
            return;
        }
        let mut helped: Vec<((Instant, Ticket), ObjectKey)> = Vec::new();
        self.unschedulable.retain(|rejected_by, pods| {
            let helps = plugins.requeue_on(*rejected_by).intersects(events);
            if helps {
                helped.extend(std::mem::take(pods));
            }
            !helps
        });
        // In the order in which they came to wait, not in that of a hash map.
        helped.sort_unstable_by_key(|(place, _)| *place);
        for (_, key) in helped {
            if let Some((queued, _)) = self.pods.remove(&key) {
                let place = ready_place(&queued, now);
                self.put(queued, place, now);
            }
        }
    }

    /// When a Pod becomes active by itself.
    pub fn next_due(&self) -> Option<Instant> {
        let backoff = self.backoff.keys().next().map(|(due, _)| *due);
        let stale = self.unschedulable.values().filter_map(|pods| pods.keys().next());
        let stale = stale.map(|(since, _)| *since + STALE_AFTER);
        backoff.into_iter().chain(stale).min()
    }

    /// Whether a Pod is ready to be taken.
    pub fn is_ready(&self) -> bool {
        !self.active.is_empty()
    }

    /// How many Pods stand where.
    pub fn lengths(&self) -> Lengths {
        Lengths {
            active: self.active.len(),
            backoff: self.backoff.len(),
            unschedulable: self.unschedulable.values().map(BTreeMap::len).sum(),
            gated: self.gated,
        }
    }

    /// Makes active what has waited long enough.
    fn release_due(&mut self, now: Instant) {
        let due = |place: Option<(&(Instant, Ticket), &ObjectKey)>, wait: Duration| {
            place.and_then(|((at, _), key)| (*at + wait <= now).then(|| key.clone()))
        };
        while let Some(key) = due(self.backoff.first_key_value(), Duration::ZERO) {
            self.move_to(&key, Place::Active, now);
        }
        let mut stale: Vec<PluginSet> = self.unschedulable.keys().copied().collect();
        stale.sort_unstable();
        for rejected_by in stale {
            while let Some(key) = self
                .unschedulable
                .get(&rejected_by)
                .and_then(|pods| due(pods.first_key_value(), STALE_AFTER))
            {
                self.move_to(&key, Place::Active, now);
            }
        }
    }

    fn move_to(&mut self, key: &ObjectKey, place: Place, now: Instant) {
        if let Some(queued) = self.take_out(key) {
            self.put(queued, place, now);
        }
    }

    fn put(&mut self, mut queued: Queued, place: Place, now: Instant) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let key = queued.pod.key.clone();
        queued.place = place;
        match place {
            Place::Active => {
                let order = (Reverse(queued.pod.priority), ticket);
                self.active.insert(order, key.clone());
            }
            Place::Backoff => {
                self.backoff.insert((queued.backoff_until, ticket), key.clone());
            }
            Place::Unschedulable(rejected_by) => {
                queued.waiting_since = now;
                let pods = self.unschedulable.entry(rejected_by).or_default();
                pods.insert((now, ticket), key.clone());
            }
            Place::Gated => self.gated += 1,
            Place::Taken => {}
        }
        self.pods.insert(key, (queued, ticket));
    }

    fn take_out(&mut self, key: &ObjectKey) -> Option<Queued> {
        let (queued, ticket) = self.pods.remove(key)?;
        match queued.place {
            Place::Active => _ = self.active.remove(&(Reverse(queued.pod.priority), ticket)),
            Place::Backoff => _ = self.backoff.remove(&(queued.backoff_until, ticket)),
            Place::Unschedulable(rejected_by) => {
                if let Some(pods) = self.unschedulable.get_mut(&rejected_by) {
                    pods.remove(&(queued.waiting_since, ticket));
                    if pods.is_empty() {
                        self.unschedulable.remove(&rejected_by);
                    }
                }
            }
            Place::Gated => self.gated -= 1,
            Place::Taken => {}
        }
        Some(queued)
    }
}

/// Where a Pod goes that may be tried again: to the active ones, unless it failed a moment ago.
fn ready_place(queued: &Queued, now: Instant) -> Place {
    if queued.backoff_until <= now {
        Place::Active
    } else {
        Place::Backoff
    }
}

/// How long a Pod waits after so many failures that count.
fn backoff(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_LONGEST)
}

#[cfg(test)]
mod tests;
