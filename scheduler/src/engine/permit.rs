//! [`Waiting`]: Pods that have their place and wait for leave to be bound.

use super::{Engine, Outcome, Profile};
use crate::framework::{EventSet, Permitted, Rejection};
use crate::pod::PodInfo;
use client::ObjectKey;
use component_base::clock::Instant;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A Pod that waits.
#[derive(Clone, Debug)]
struct Held {
    pod: Arc<PodInfo>,
    node: Arc<str>,
    /// Which of the profile's plugins it waits for.
    at: usize,
    /// Since when it waits for that one.
    since: Instant,
    until: Instant,
    /// Whether people were told that it waits.
    noted: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    held: BTreeMap<ObjectKey, Held>,
    by_deadline: BTreeSet<(Instant, ObjectKey)>,
    /// Those that are to be asked about again.
    ask: BTreeSet<ObjectKey>,
    /// Those that may be bound.
    allowed: BTreeSet<ObjectKey>,
    /// Those that lose their place, and why.
    rejected: BTreeMap<ObjectKey, Rejection>,
}

impl Waiting {
    /// An object has changed, or is gone.
    pub(super) fn ask_again(
        &mut self,
        events: EventSet,
        object: &ObjectKey,
        profiles: &BTreeMap<String, Profile>,
    ) {
        if self.held.is_empty() || events.is_empty() {
            return;
        }
        let permits = profiles.values().flat_map(|profile| &profile.plugins.permits);
        let concerned = permits.flat_map(|plugin| plugin.concerned(events, object));
        let held = concerned.filter(|key| self.held.contains_key(key));
        self.ask.extend(held.collect::<Vec<_>>());
    }

    fn hold(&mut self, held: Held) {
        let key = held.pod.key.clone();
        self.by_deadline.insert((held.until, key.clone()));
        self.held.insert(key, held);
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Held> {
        let held = self.held.remove(key)?;
        self.by_deadline.remove(&(held.until, key.clone()));
        self.ask.remove(key);
        self.allowed.remove(key);
        self.rejected.remove(key);
        Some(held)
    }

    /// A Pod waits no longer. Gives those that lose their place with it.
    pub(super) fn settled(
        &mut self,
        pod: &ObjectKey,
        bound: bool,
        profiles: &mut BTreeMap<String, Profile>,
    ) -> Vec<ObjectKey> {
        self.take(pod);
        let permits = profiles
            .values_mut()
            .flat_map(|profile| &mut profile.plugins.permits);
        permits.flat_map(|plugin| plugin.settled(pod, bound)).collect()
    }

    /// When the next has waited too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(until, _)| *until)
    }

    /// Whether there is something to do now.
    pub(super) fn is_ready(&self) -> bool {
        !(self.ask.is_empty() && self.allowed.is_empty() && self.rejected.is_empty())
    }
}

impl Engine {
    /// A Pod has its place: binds it, unless a plugin tells it to wait.
    pub(super) fn ask_permission(
        &mut self,
        pod: Arc<PodInfo>,
        node: Arc<str>,
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        let held = Held {
            pod,
            node,
            at: 0,
            since: now,
            until: now,
            noted: false,
        };
        self.ask(held, now, wall)
    }

    /// Asks the plugins, from the one that the Pod waits for.
    fn ask(&mut self, mut held: Held, now: Instant, wall: Timestamp) -> Outcome {
        let (pod, node) = (held.pod.clone(), held.node.clone());
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            return Outcome::Error;
        };
        for (place, plugin) in profile.plugins.permits.iter_mut().enumerate().skip(held.at) {
            if place > held.at {
                (held.at, held.since) = (place, now);
            }
            match plugin.permit(&pod, &node, &self.snapshot) {
                Permitted::Allow(others) => {
                    let waiting = others.into_iter().filter(|key| {
                        let held = self.permits.held.get(key);
                        held.is_some_and(|held| held.at == place)
                    });
                    self.permits.allowed.extend(waiting.collect::<Vec<_>>());
                }
                Permitted::Wait { at_most, writes } => {
                    held.until = held.since + at_most;
                    self.reports
                        .extend(writes.into_iter().map(crate::report::Report::Write));
                    if !std::mem::replace(&mut held.noted, true) {
                        self.note(&pod, super::AttemptResult::Waiting(node), wall);
                    }
                    self.permits.hold(held);
                    return Outcome::Waiting;
                }
                Permitted::Reject(rejection, others) => {
                    self.reject_all(others, &rejection);
                    self.forget(&pod, &node, now);
                    return self.refused(&pod, &rejection, now, wall);
                }
            }
        }
        self.binding(pod, node, now, wall)
    }

    fn reject_all(&mut self, pods: Vec<ObjectKey>, rejection: &Rejection) {
        for key in pods {
            if self.permits.held.contains_key(&key) {
                self.permits.rejected.insert(key, rejection.clone());
            }
        }
    }

    /// A Pod that waits, and is no longer to wait: what became of it. `None` when there is none.
    pub(super) fn permitted(&mut self, now: Instant, wall: Timestamp) -> Option<Outcome> {
        if let Some(key) = self.permits.allowed.first().cloned() {
            let mut held = self.permits.take(&key)?;
            (held.at, held.since) = (held.at + 1, now);
            return Some(self.ask(held, now, wall));
        }
        if let Some((key, rejection)) = self.permits.rejected.pop_first() {
            return self.lose_place(&key, &rejection, now, wall);
        }
        if let Some((until, key)) = self.permits.by_deadline.first().cloned()
            && until <= now
        {
            let rejection = Rejection::unschedulable("the pod has waited too long for leave to be bound");
            return self.lose_place(&key, &rejection, now, wall);
        }
        let key = self.permits.ask.pop_first()?;
        let held = self.permits.take(&key)?;
        Some(self.ask(held, now, wall))
    }

    fn lose_place(
        &mut self,
        key: &ObjectKey,
        rejection: &Rejection,
        now: Instant,
        wall: Timestamp,
    ) -> Option<Outcome> {
        let held = self.permits.take(key)?;
        self.forget(&held.pod, &held.node, now);
        Some(self.refused(&held.pod, rejection, now, wall))
    }

    fn refused(&mut self, pod: &PodInfo, rejection: &Rejection, now: Instant, wall: Timestamp) -> Outcome {
        self.failed(pod, rejection, now, wall);
        Outcome::Unschedulable
    }

    /// No node takes a Pod: those that wait for it lose their places. Says whether there are any.
    pub(super) fn lose_places_with(&mut self, pod: &PodInfo) -> bool {
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            return false;
        };
        let permits = profile.plugins.permits.iter_mut();
        let others: Vec<ObjectKey> = permits.flat_map(|plugin| plugin.unschedulable(pod)).collect();
        let rejection = Rejection::unschedulable("another pod that it is placed together with finds no node");
        let any = !others.is_empty();
        self.reject_all(others, &rejection);
        any
    }

    /// A Pod that may have waited waits no longer.
    pub(super) fn settle_permit(&mut self, pod: &ObjectKey, bound: bool) {
        let others = self.permits.settled(pod, bound, &mut self.profiles);
        let rejection =
            Rejection::unschedulable("another pod that it is placed together with has lost its place");
        self.reject_all(others, &rejection);
    }

    /// When something is to be done that no event tells of.
    pub fn next_due(&self) -> Option<Instant> {
        let queue = self.queue.next_due();
        queue.into_iter().chain(self.permits.next_due()).min()
    }

    /// Whether something is to be done now.
    pub fn is_ready(&self) -> bool {
        self.queue.is_ready() || self.permits.is_ready() || self.consultations.is_ready()
    }
}
