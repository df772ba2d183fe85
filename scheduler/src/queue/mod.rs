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

use crate::pod::{PodInfo, PodTemplate, TemplateId};
use crate::registry::PluginSet;
use client::ObjectKey;
use component_base::clock::Instant;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long Pods wait after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffBounds {
    /// After the first: upstream's `podInitialBackoffSeconds`.
    pub first: Duration,
    /// After many: upstream's `podMaxBackoffSeconds`.
    pub longest: Duration,
}

impl Default for BackoffBounds {
    /// As upstream.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(10),
        }
    }
}

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
    /// As [`Place::Unschedulable`], and Pods are on their way out to make room for it.
    MakingRoom(PluginSet),
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
    /// In [`Place::Unschedulable`] and [`Place::MakingRoom`].
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
    /// By the plugins that refused and the template, since when. An event asks a few plugins about a few templates, not about
    /// thousands of Pods.
    unschedulable: BTreeMap<Group, Waiting>,
    /// All of those, the one that has waited longest first.
    waiting: BTreeMap<(Instant, Ticket), ObjectKey>,
    gated: usize,
    last_ticket: Ticket,
    bounds: BackoffBounds,
}

/// What Pods have in common that the same events help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    rejected_by: PluginSet,
    template: TemplateId,
    making_room: bool,
}

/// The Pods of a [`Group`].
#[derive(Debug)]
struct Waiting {
    template: Arc<PodTemplate>,
    pods: BTreeSet<(Instant, Ticket)>,
}

impl Queue {
    /// An empty queue.
    pub fn new(bounds: BackoffBounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
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
        let asks_otherwise = !Arc::ptr_eq(&old.pod.template, &pod.template);
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

    /// No node would take a Pod that was taken, and room is being made for it.
    pub fn fail_making_room(&mut self, key: &ObjectKey, rejected_by: PluginSet, now: Instant) {
        self.fail_to(key, Place::MakingRoom(rejected_by), now);
    }

    /// A Pod that no node would take is to be tried again, whatever refused it.
    pub fn activate(&mut self, key: &ObjectKey, now: Instant) {
        let waits = |queued: &Queued| matches!(queued.place, Place::Unschedulable(_) | Place::MakingRoom(_));
        if self.get(key).is_some_and(waits)
            && let Some(queued) = self.take_out(key)
        {
            let place = ready_place(&queued, now);
            self.put(queued, place, now);
        }
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
            Place::Unschedulable(_) | Place::MakingRoom(_) => queued.attempts.saturating_sub(1),
            _ => queued.attempts,
        };
        queued.backoff_until = now + self.bounds.after(failures);
        let place = if queued.pod.gated { Place::Gated } else { place };
        self.put(queued, place, now);
    }

    /// Something happened: the Pods that it may help are tried again. `helps` is asked once for all Pods that the same plugins
    /// refused and that were made from one template; its last argument says whether room is being made for them.
    pub fn wake(&mut self, now: Instant, mut helps: impl FnMut(PluginSet, &PodTemplate, bool) -> bool) {
        let mut helped: Vec<(Instant, Ticket)> = Vec::new();
        self.unschedulable.retain(|group, waiting| {
            let helps = helps(group.rejected_by, &waiting.template, group.making_room);
            if helps {
                helped.extend(std::mem::take(&mut waiting.pods));
            }
            !helps
        });
        // In the order in which they came to wait, not in that of templates.
        helped.sort_unstable();
        for place in helped {
            if let Some(key) = self.waiting.remove(&place)
                && let Some((queued, _)) = self.pods.remove(&key)
            {
                let place = ready_place(&queued, now);
                self.put(queued, place, now);
            }
        }
    }

    /// Whether no Pod waits for an event.
    pub fn none_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When a Pod becomes active by itself.
    pub fn next_due(&self) -> Option<Instant> {
        let backoff = self.backoff.keys().next().map(|(due, _)| *due);
        let stale = self.waiting.keys().next().map(|(since, _)| *since + STALE_AFTER);
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
            unschedulable: self.waiting.len(),
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
        while let Some(key) = due(self.waiting.first_key_value(), STALE_AFTER) {
            self.move_to(&key, Place::Active, now);
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
                let order = (Reverse(queued.pod.priority()), ticket);
                self.active.insert(order, key.clone());
            }
            Place::Backoff => {
                self.backoff.insert((queued.backoff_until, ticket), key.clone());
            }
            Place::Unschedulable(_) | Place::MakingRoom(_) => {
                queued.waiting_since = now;
                if let Some(group) = group(&queued) {
                    let waiting = self.unschedulable.entry(group).or_insert_with(|| Waiting {
                        template: queued.pod.template.clone(),
                        pods: BTreeSet::new(),
                    });
                    waiting.pods.insert((now, ticket));
                    self.waiting.insert((now, ticket), key.clone());
                }
            }
            Place::Gated => self.gated += 1,
            Place::Taken => {}
        }
        self.pods.insert(key, (queued, ticket));
    }

    fn take_out(&mut self, key: &ObjectKey) -> Option<Queued> {
        let (queued, ticket) = self.pods.remove(key)?;
        match queued.place {
            Place::Active => _ = self.active.remove(&(Reverse(queued.pod.priority()), ticket)),
            Place::Backoff => _ = self.backoff.remove(&(queued.backoff_until, ticket)),
            Place::Unschedulable(_) | Place::MakingRoom(_) => {
                if let Some(group) = group(&queued)
                    && let Some(waiting) = self.unschedulable.get_mut(&group)
                {
                    let place = (queued.waiting_since, ticket);
                    waiting.pods.remove(&place);
                    self.waiting.remove(&place);
                    if waiting.pods.is_empty() {
                        self.unschedulable.remove(&group);
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

/// Where a Pod that no node would take stands among those.
fn group(queued: &Queued) -> Option<Group> {
    let (rejected_by, making_room) = match queued.place {
        Place::Unschedulable(rejected_by) => (rejected_by, false),
        Place::MakingRoom(rejected_by) => (rejected_by, true),
        _ => return None,
    };
    Some(Group {
        rejected_by,
        template: queued.pod.template.id,
        making_room,
    })
}

impl BackoffBounds {
    /// How long a Pod waits after so many failures that count.
    fn after(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests;
