//! [`Consultations`]: the Pods that extenders have a say about.

use super::{Engine, Outcome};
use crate::extender::{About, Answer, Question, Said};
use crate::framework::{PostFiltered, Rejection};
use crate::pod::PodInfo;
use crate::queue::Place;
use crate::snapshot::Slot;
use client::ObjectKey;
use component_base::clock::Instant;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Consultations {
    /// Whether a question is on its way. There is one at a time, as upstream.
    asking: bool,
    /// Those that are to be asked about next, by priority and the order in which they came.
    aside: BTreeMap<(Reverse<i32>, u64), ObjectKey>,
    last: u64,
    answers: VecDeque<Answer>,
}

impl Consultations {
    pub(super) fn is_ready(&self) -> bool {
        !self.answers.is_empty() || !self.asking && !self.aside.is_empty()
    }
}

impl Engine {
    /// The next Pod to decide on.
    pub(super) fn next_pod(&mut self, now: Instant) -> Option<Arc<PodInfo>> {
        while !self.consultations.asking
            && let Some((_, key)) = self.consultations.aside.pop_first()
        {
            if let Some(pod) = self.taken(&key) {
                return Some(pod);
            }
        }
        loop {
            let pod = self.queue.pop(now)?.pod;
            if !self.consultations.asking || !self.asks_about(&pod) {
                return Some(pod);
            }
            self.consultations.last += 1;
            let place = (Reverse(pod.priority()), self.consultations.last);
            self.consultations.aside.insert(place, pod.key.clone());
        }
    }

    /// A Pod that is still to be decided on.
    fn taken(&self, key: &ObjectKey) -> Option<Arc<PodInfo>> {
        let queued = self.queue.get(key)?;
        let is_placed = self.snapshot.pod(key).is_some();
        (queued.place == Place::Taken && !is_placed).then(|| queued.pod.clone())
    }

    /// Whether an extender has a say about which node a Pod gets.
    pub(super) fn asks_about(&self, pod: &PodInfo) -> bool {
        let profile = self.profiles.get(&pod.template.spec.scheduler_name);
        profile.is_some_and(|profile| profile.plugins.extenders.choose_nodes(&pod.template))
    }

    /// Asks about a Pod that was taken, unless no node is left to ask about.
    pub(super) fn consult(&mut self, pod: &Arc<PodInfo>, now: Instant, wall: Timestamp) -> Outcome {
        let Some(profile) = self.profiles.get(&pod.template.spec.scheduler_name) else {
            return Outcome::Error;
        };
        let feasible = crate::cycle::feasible(&profile.plugins, pod, &mut self.snapshot);
        if feasible.is_empty() {
            return self.find_room(pod, None, now, wall);
        }
        let nodes = feasible.iter().map(|slot| self.snapshot.node(*slot).name.clone());
        let nodes = nodes.collect();
        self.ask_extenders(pod, About::Nodes(nodes))
    }

    pub(super) fn ask_extenders(&mut self, pod: &Arc<PodInfo>, about: About) -> Outcome {
        self.consultations.asking = true;
        Outcome::Ask(Box::new(Question {
            pod: pod.clone(),
            about,
        }))
    }

    /// Extenders have answered; [`Engine::step`] takes it from there.
    pub fn answered(&mut self, answer: Answer) {
        self.consultations.asking = false;
        self.consultations.answers.push_back(answer);
    }

    /// What comes of an answer; `None` when there is none.
    pub(super) fn heard(&mut self, now: Instant, wall: Timestamp) -> Option<Outcome> {
        loop {
            let answer = self.consultations.answers.pop_front()?;
            // It may have gone meanwhile, or got a node from another scheduler.
            let Some(pod) = self
                .taken(&answer.pod.key)
                .filter(|pod| pod.uid == answer.pod.uid)
            else {
                continue;
            };
            return Some(match answer.said {
                Err(why) => self.failed(&pod, &Rejection::error(why), now, wall),
                Ok(Said::Nodes(nodes, refused)) => self.offered(&pod, &nodes, &refused, now, wall),
                Ok(Said::Rooms(rooms, diagnosis)) => {
                    let found = match rooms.into_iter().next() {
                        Some(room) => PostFiltered::Room(room),
                        None => PostFiltered::Nothing(String::new()),
                    };
                    self.found(&pod, diagnosis, found, now, wall)
                }
            });
        }
    }

    /// Extenders leave these nodes, of which some may take the Pod no longer.
    fn offered(
        &mut self,
        pod: &Arc<PodInfo>,
        nodes: &[(Arc<str>, i64)],
        refused: &[Rejection],
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            return Outcome::Error;
        };
        let there = nodes
            .iter()
            .filter_map(|(name, extra)| Some((self.snapshot.slot_named(name)?, *extra)));
        let there: BTreeMap<Slot, i64> = there.collect();
        let found = { &mut profile.cycle }.decide_offered(
            &profile.plugins,
            pod,
            &mut self.snapshot,
            &there,
            &mut self.rng,
        );
        match found {
            Some(slot) => self.take_place(pod.clone(), slot, now, wall),
            None => self.find_room(pod, Some(refused), now, wall),
        }
    }
}
