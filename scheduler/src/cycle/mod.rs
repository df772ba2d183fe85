//! The decision: `(snapshot, pod) -> node`.
//!
//! ```text
//!   Evaluation: class plugins, kept for a class ──> feasible nodes ──> Pod plugins narrow them ──> all scores ──> a best one
//! ```
//! All nodes are always considered; upstream's sampling (`percentageOfNodesToScore`) is not needed for speed. A Pod that no Pod
//! plugin has an opinion of, and whose scores need no normalizing, gets the first of a ranking that is kept up to date.
//!
//! Reasons are not kept, as almost nobody asks; [`Cycle::diagnose`] and [`Appraisal`] ask the plugins again.

mod appraisal;
mod evaluation;
mod prepared;
mod ranking;

pub use appraisal::{Appraisal, Appraised, Scored};
pub use prepared::{NO_PROMISES, Promises, Refusal, promises};

use crate::diagnosis::{Diagnosis, Histogram};
use crate::framework::Rejection;
use crate::pod::{PodClass, PodInfo};
use crate::registry::Plugins;
use crate::snapshot::{Node, Slot, Snapshot};
use component_base::rng::Rng;
use evaluation::Evaluation;
use prepared::{PodPrepared, Prepared, PreparedScore, pod_scores};
use ranking::any_of;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many classes' evaluations are kept. A cluster rolls out a few templates at a time; each takes about 20 bytes a
/// node.
const EVALUATIONS: usize = 64;

/// How many nodes' verdicts are kept in all evaluations together, so that they take no more than about 64 MB.
const VERDICTS: usize = 3_000_000;

/// Decides for one profile's plugins. What it keeps only saves time: a new one decides the same.
#[derive(Debug, Default)]
pub struct Cycle {
    /// The one used last stands first. The class is held, so that its address stays its own.
    kept: VecDeque<(Arc<PodClass>, Evaluation)>,
    slots: Vec<Slot>,
    totals: Vec<i64>,
    scores: Vec<i64>,
}

impl Cycle {
    /// The class's evaluation over the snapshot as it is now.
    fn refreshed(
        &mut self,
        plugins: &Plugins,
        class: &Arc<PodClass>,
        snapshot: &Snapshot,
    ) -> &mut Evaluation {
        let place = self.kept.iter().position(|(kept, _)| Arc::ptr_eq(kept, class));
        let mut entry = place
            .and_then(|place| self.kept.remove(place))
            .unwrap_or_else(|| (class.clone(), Evaluation::default()));
        entry.1.refresh(plugins, class, snapshot);
        self.kept.push_front(entry);
        let room = VERDICTS / snapshot.slots().len().max(1);
        self.kept.truncate(room.clamp(2, EVALUATIONS));
        &mut self.kept[0].1
    }

    /// The best node for a Pod; chance decides among equals, so that two Pods do not crowd the first node of a list. `None` when
    /// no node takes it.
    pub fn decide(
        &mut self,
        plugins: &Plugins,
        pod: &PodInfo,
        snapshot: &mut Snapshot,
        rng: &mut Rng,
    ) -> Option<Slot> {
        snapshot.know(&pod.template, &plugins.spreading);
        let promises = promises(plugins, pod, snapshot);
        let snapshot = &*snapshot;
        if let Some(slot) = snapshot.nomination(&pod.uid)
            && snapshot.node(slot).present
            && Judge::new(plugins, pod, snapshot, &promises)
                .all(snapshot.node(slot), &pod.uid)
                .is_ok()
        {
            return Some(slot);
        }
        if let Some(names) = &pod.class().named {
            let named = names.iter().filter_map(|name| snapshot.slot_named(name));
            return self.decide_among(plugins, pod, (snapshot, &promises), named.collect(), |_| 0, rng);
        }
        if self.refreshed(plugins, pod.class(), snapshot).feasible() == 0 {
            return None;
        }
        let evaluation = &self.kept[0].1;
        let prepared = PodPrepared::new(plugins, pod, snapshot, &promises);
        if prepared.rejected.is_some() {
            return None;
        }
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        if !evaluation.normalizes() && pod_scores(plugins, pod, &[], snapshot).is_empty() {
            if prepared.is_empty() {
                self.slots = slots;
                return evaluation.ranking.best(rng);
            }
            // The ranking is the order of the totals: the first that Pod plugins take is a best one.
            for equals in evaluation.ranking.falling() {
                slots.clear();
                slots.extend_from_slice(equals);
                prepared.narrow(&mut slots, snapshot);
                if !slots.is_empty() {
                    break;
                }
            }
            let best = any_of(&slots, rng);
            self.slots = slots;
            return best;
        }
        slots.extend(evaluation.ranking.slots());
        prepared.narrow(&mut slots, snapshot);
        let mut totals = std::mem::take(&mut self.totals);
        evaluation.totals(plugins, &slots, &mut totals);
        let scores = pod_scores(plugins, pod, &slots, snapshot);
        add_scores(&scores, &slots, snapshot, &mut self.scores, &mut totals);
        drop(scores);
        let best = best(&mut slots, &totals, rng);
        (self.slots, self.totals) = (slots, totals);
        best
    }

    /// As [`Cycle::decide`], of the nodes that extenders have left, with what they add to the scores.
    pub fn decide_offered(
        &mut self,
        plugins: &Plugins,
        pod: &PodInfo,
        snapshot: &mut Snapshot,
        offered: &BTreeMap<Slot, i64>,
        rng: &mut Rng,
    ) -> Option<Slot> {
        snapshot.know(&pod.template, &plugins.spreading);
        let promises = promises(plugins, pod, snapshot);
        let slots = offered.keys().copied().collect();
        let extra = |slot| offered.get(&slot).copied().unwrap_or(0);
        self.decide_among(plugins, pod, (snapshot, &promises), slots, extra, rng)
    }

    /// As [`Cycle::decide`], for a Pod that can only go to a few nodes: nothing is kept.
    fn decide_among(
        &mut self,
        plugins: &Plugins,
        pod: &PodInfo,
        (snapshot, promises): (&Snapshot, &Promises),
        mut slots: Vec<Slot>,
        extra: impl Fn(Slot) -> i64,
        rng: &mut Rng,
    ) -> Option<Slot> {
        let prepared = Prepared::new(plugins, pod.class(), snapshot);
        slots.retain(|slot| prepared.judge(snapshot.node(*slot), &pod.uid).is_ok());
        if slots.is_empty() {
            return None;
        }
        PodPrepared::new(plugins, pod, snapshot, promises).narrow(&mut slots, snapshot);
        if slots.len() < 2 {
            return slots.pop();
        }
        let mut totals: Vec<i64> = slots.iter().map(|slot| extra(*slot)).collect();
        add_scores(&prepared.scores, &slots, snapshot, &mut self.scores, &mut totals);
        let scores = pod_scores(plugins, pod, &slots, snapshot);
        add_scores(&scores, &slots, snapshot, &mut self.scores, &mut totals);
        drop(scores);
        best(&mut slots, &totals, rng)
    }

    /// Why no node takes a Pod. `refused` is what extenders have said of the nodes that plugins left, if they were asked.
    pub fn diagnose(
        &mut self,
        plugins: &Plugins,
        pod: &PodInfo,
        snapshot: &mut Snapshot,
        refused: Option<&[Rejection]>,
    ) -> Arc<Diagnosis> {
        snapshot.know(&pod.template, &plugins.spreading);
        let promises = promises(plugins, pod, snapshot);
        let snapshot = &*snapshot;
        let of_pod = PodPrepared::new(plugins, pod, snapshot, &promises);
        if of_pod.is_empty() && snapshot.nomination(&pod.uid).is_none() && refused.is_none() {
            let evaluation = self.refreshed(plugins, pod.class(), snapshot);
            return evaluation.diagnose(plugins, pod.class(), snapshot);
        }
        let of_class = Prepared::new(plugins, pod.class(), snapshot);
        let judge = Judge { of_class, of_pod };
        let mut histogram = Histogram::default();
        for node in snapshot.slots().iter().filter(|node| node.present) {
            if let Err((place, rejection)) = judge.all(node, &pod.uid) {
                histogram.add(place, &rejection, 1);
            }
        }
        if let Some(refused) = refused {
            histogram.add_foreign(refused);
        }
        let whole = judge.of_class.rejected.or(judge.of_pod.rejected);
        let whole = whole.map(|(_, rejection)| rejection);
        Arc::new(histogram.diagnosis(snapshot.node_count(), whole.as_ref()))
    }
}

/// What a Pod's plugins say of single nodes.
pub struct Judge<'a> {
    of_class: Prepared<'a>,
    of_pod: PodPrepared<'a>,
}

impl<'a> Judge<'a> {
    /// For a Pod that the snapshot knows, and the [`promises`] that speak against it.
    pub fn new(
        plugins: &'a Plugins,
        pod: &'a PodInfo,
        snapshot: &'a Snapshot,
        promises: &'a Promises,
    ) -> Self {
        Self {
            of_class: Prepared::new(plugins, pod.class(), snapshot),
            of_pod: PodPrepared::new(plugins, pod, snapshot, promises),
        }
    }

    /// Whether no Pod plugin has an opinion, so that the node alone decides.
    pub fn is_by_class(&self) -> bool {
        self.of_pod.is_empty()
    }

    /// Whether all nodes are refused at once, and no eviction can help.
    pub fn is_hopeless(&self) -> bool {
        let rejected = self.of_class.rejected.iter().chain(&self.of_pod.rejected);
        { rejected }.any(|(_, rejection)| !rejection.is_resolvable())
    }

    /// A copy of a node, with what is promised to others than `uid` taken.
    pub fn copy(&self, node: &Node, uid: &str) -> Node {
        let mut node = self.of_class.with_nominated(node, uid).into_owned();
        node.nominated.clear();
        node
    }

    /// What the class plugins say of a node, which may be a copy. Room that is promised to others than `uid` counts.
    ///
    /// # Errors
    /// The first refusal.
    pub fn class(&self, node: &Node, uid: &str) -> Result<(), Refusal> {
        self.of_class.judge(node, uid)
    }

    /// What all plugins say of a node.
    ///
    /// # Errors
    /// The first refusal.
    pub fn all(&self, node: &Node, uid: &str) -> Result<(), Refusal> {
        self.of_class
            .judge(node, uid)
            .and_then(|()| self.of_pod.judge(node))
    }
}

impl Judge<'_> {
    /// Every plugin's refusal of a node; none when it takes the Pod.
    pub fn refusals(&self, node: &Node, uid: &str) -> Vec<Refusal> {
        let promised = self.of_pod.promised(node.slot);
        let whole = self
            .of_class
            .rejected
            .iter()
            .chain(&self.of_pod.rejected)
            .cloned();
        let node = self.of_class.with_nominated(node, uid);
        let filters = self.of_class.filters.iter().chain(&self.of_pod.filters);
        let refused = filters.filter_map(|(place, filter)| Some((*place, filter.filter(&node).err()?)));
        whole.chain(refused).chain(promised).collect()
    }
}

/// The nodes that no plugin refuses; of one that room was promised on, that alone if it is among them.
pub fn feasible(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot) -> Vec<Slot> {
    snapshot.know(&pod.template, &plugins.spreading);
    let promises = promises(plugins, pod, snapshot);
    let judge = Judge::new(plugins, pod, snapshot, &promises);
    let takes = |node: &&Node| node.present && judge.all(node, &pod.uid).is_ok();
    let promised = snapshot.nomination(&pod.uid);
    if let Some(slot) = promised.filter(|slot| takes(&snapshot.node(*slot))) {
        return vec![slot];
    }
    let nodes = snapshot.slots().iter().filter(takes);
    nodes.map(|node| node.slot).collect()
}

/// What all plugins say of one node.
///
/// # Errors
/// The first refusal.
pub fn judge(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot, slot: Slot) -> Result<(), Refusal> {
    snapshot.know(&pod.template, &plugins.spreading);
    Judge::new(plugins, pod, snapshot, &NO_PROMISES).all(snapshot.node(slot), &pod.uid)
}

/// Adds scores, normalized among the nodes in question.
fn add_scores(
    scores: &[PreparedScore<'_>],
    slots: &[Slot],
    snapshot: &Snapshot,
    raw: &mut Vec<i64>,
    totals: &mut [i64],
) {
    for scoring in scores {
        scoring.score.score_all(slots, snapshot, raw);
        let bounds = crate::framework::Bounds::of(raw.iter().copied());
        for (total, raw) in totals.iter_mut().zip(raw.iter()) {
            *total += scoring.weight * scoring.normalize.apply(*raw, bounds);
        }
    }
}

/// One of the nodes of the highest total. Leaves those in `slots`.
fn best(slots: &mut Vec<Slot>, totals: &[i64], rng: &mut Rng) -> Option<Slot> {
    let highest = *totals.iter().max()?;
    let mut totals = totals.iter();
    slots.retain(|_| totals.next() == Some(&highest));
    any_of(slots, rng)
}

#[cfg(test)]
mod tests;
