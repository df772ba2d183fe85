//! The decision: `(snapshot, pod) -> node`, with every node's verdict and score.
//!
//! An [`Evaluation`] holds one verdict and one score a node for one [`PodClass`]. Pods of a class share it, and between two
//! of them only the nodes that changed are judged again; so after the first Pod of a template each further one costs a few
//! nodes' judgement and one pass over the scores. [`Evaluation::refresh`] is pure: what it leaves is what a new
//! evaluation over the same snapshot would hold (a property test shows it). All nodes are always considered; upstream's
//! sampling (`percentageOfNodesToScore`) is not needed for speed.
//!
//! Reasons are not kept, as almost nobody asks; [`Evaluation::diagnose`] and `crate::explain` ask the plugins again.

use crate::diagnosis::{Diagnosis, Histogram};
use crate::framework::{Filter, Normalize, PreFiltered, Rejection, Score};
use crate::pod::PodClass;
use crate::registry::{PluginSet, Plugins};
use crate::snapshot::{Node, Seen, Slot, Snapshot};
use component_base::rng::Rng;
use rand::RngExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one node is to a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No node is in this slot.
    Absent,
    /// It may take the Pod.
    Feasible,
    /// The filter plugin in this place refused it.
    RejectedBy(u8),
}

/// The total of a node that cannot be chosen.
const NEVER: i64 = i64::MIN;

/// Every node's verdict and score for one class of Pods.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// Up to where the snapshot's changes are in here; `None` before the first.
    seen: Option<Seen>,
    active: Active,
    /// By slot.
    verdicts: Vec<Verdict>,
    /// By slot: the weighted sum of the scores that need no normalizing; [`NEVER`] where the node is not feasible.
    sums: Vec<i64>,
    /// By scoring plugin and slot: the raw scores of the plugins that normalize, for feasible nodes; else empty.
    raw: Vec<Vec<i64>>,
    feasible: usize,
    diagnosis: Option<Arc<Diagnosis>>,
}

/// The choice for one Pod.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The verdicts and scores that it follows from.
    pub evaluation: &'a Evaluation,
    /// The node; `None` when none is feasible.
    pub node: Option<Slot>,
}

/// Which plugins have an opinion. It may change with the snapshot, as the first soft taint wakes a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Active {
    filters: PluginSet,
    scores: Vec<(usize, Normalize)>,
    rejected: bool,
}

/// The plugins' states for one class: they judge and score.
pub(crate) struct Prepared<'a> {
    pub(crate) filters: Vec<(usize, Box<dyn Filter + 'a>)>,
    pub(crate) scores: Vec<PreparedScore<'a>>,
    /// The plugin that refused all nodes.
    pub(crate) rejected: Option<(usize, Rejection)>,
}

/// A scoring plugin's state.
pub(crate) struct PreparedScore<'a> {
    pub(crate) place: usize,
    pub(crate) weight: i64,
    pub(crate) normalize: Normalize,
    pub(crate) score: Box<dyn Score + 'a>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(plugins: &'a Plugins, class: &'a PodClass, snapshot: &'a Snapshot) -> Self {
        let mut prepared = Self {
            filters: Vec::with_capacity(plugins.filters.len()),
            scores: Vec::with_capacity(plugins.scores.len()),
            rejected: None,
        };
        for (place, plugin) in plugins.filters.iter().enumerate() {
            match plugin.prepare(class, snapshot) {
                PreFiltered::Skip => {}
                PreFiltered::Filter(filter) => prepared.filters.push((place, filter)),
                PreFiltered::Reject(rejection) => {
                    prepared.rejected = Some((place, rejection));
                    break;
                }
            }
        }
        for (place, weighted) in plugins.scores.iter().enumerate() {
            if let Some(score) = weighted.plugin.prepare(class, snapshot) {
                prepared.scores.push(PreparedScore {
                    place,
                    weight: weighted.weight,
                    normalize: score.normalize(),
                    score,
                });
            }
        }
        prepared
    }

    fn active(&self) -> Active {
        let mut filters = PluginSet::default();
        for (place, _) in &self.filters {
            filters.insert(*place);
        }
        Active {
            filters,
            scores: self
                .scores
                .iter()
                .map(|score| (score.place, score.normalize))
                .collect(),
            rejected: self.rejected.is_some(),
        }
    }

    /// The first refusal, and the place of the plugin that it comes from.
    pub(crate) fn judge(&self, node: &Node) -> Result<(), (usize, Rejection)> {
        if let Some((place, rejection)) = &self.rejected {
            return Err((*place, rejection.clone()));
        }
        for (place, filter) in &self.filters {
            filter.filter(node).map_err(|rejection| (*place, rejection))?;
        }
        Ok(())
    }
}

impl Evaluation {
    /// Takes in what changed since the last time; all of the snapshot the first time. Always the same class.
    pub fn refresh(&mut self, plugins: &Plugins, class: &PodClass, snapshot: &Snapshot) {
        let prepared = Prepared::new(plugins, class, snapshot);
        let active = prepared.active();
        // What PreFilter refused may be refused for another reason now.
        let same = self.active == active && !active.rejected;
        let seen = self.seen.filter(|_| same);
        let slots = snapshot.slots();
        self.verdicts.resize(slots.len(), Verdict::Absent);
        self.sums.resize(slots.len(), NEVER);
        self.raw.resize_with(plugins.scores.len(), Vec::new);
        for score in &prepared.scores {
            if score.normalize != Normalize::AsIs {
                self.raw[score.place].resize(slots.len(), 0);
            }
        }
        if seen == Some(snapshot.seen()) {
            return;
        }
        self.diagnosis = None;
        match seen.and_then(|seen| snapshot.changed_since(seen)) {
            Some(changed) => {
                for slot in changed {
                    self.judge(&prepared, slot as usize, snapshot.node(slot));
                }
            }
            None => {
                for (slot, node) in slots.iter().enumerate() {
                    self.judge(&prepared, slot, node);
                }
            }
        }
        self.active = active;
        self.seen = Some(snapshot.seen());
    }

    fn judge(&mut self, prepared: &Prepared<'_>, slot: usize, node: &Node) {
        let verdict = if node.present {
            match prepared.judge(node) {
                Ok(()) => Verdict::Feasible,
                Err((place, _)) => Verdict::RejectedBy(place as u8),
            }
        } else {
            Verdict::Absent
        };
        let before = std::mem::replace(&mut self.verdicts[slot], verdict);
        self.feasible -= usize::from(before == Verdict::Feasible);
        if verdict != Verdict::Feasible {
            self.sums[slot] = NEVER;
            return;
        }
        self.feasible += 1;
        let mut sum = 0;
        for score in &prepared.scores {
            let raw = score.score.score(node);
            if score.normalize == Normalize::AsIs {
                sum += score.weight * raw;
            } else {
                self.raw[score.place][slot] = raw;
            }
        }
        self.sums[slot] = sum;
    }

    /// The best node; chance decides among equals, so that two Pods do not crowd the first node of a list.
    pub fn choose(&self, plugins: &Plugins, rng: &mut Rng) -> Decision<'_> {
        let node = match self.normalized(plugins) {
            None => best(&self.sums, rng),
            Some(totals) => best(&totals, rng),
        };
        Decision {
            evaluation: self,
            node,
        }
    }

    /// The totals by slot; `None` when the sums say it all.
    fn normalized(&self, plugins: &Plugins) -> Option<Vec<i64>> {
        let mut totals: Option<Vec<i64>> = None;
        for &(place, normalize) in &self.active.scores {
            let highest = self.highest(place);
            // Equal scores decide nothing. Those that need no normalizing have no raw scores, as they are in the sums.
            if highest == 0 {
                continue;
            }
            let weight = plugins.scores[place].weight;
            let totals = totals.get_or_insert_with(|| self.sums.clone());
            let feasible = totals
                .iter_mut()
                .zip(&self.raw[place])
                .filter(|(total, _)| **total != NEVER);
            for (total, raw) in feasible {
                *total += weight * normalize.apply(*raw, highest);
            }
        }
        totals
    }

    /// The highest raw score that a plugin which normalizes gives a feasible node.
    pub(crate) fn highest(&self, place: usize) -> i64 {
        let feasible = self.raw[place]
            .iter()
            .zip(&self.sums)
            .filter(|(_, sum)| **sum != NEVER);
        feasible.map(|(raw, _)| *raw).max().unwrap_or(0)
    }

    /// The verdicts, by slot.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// How many nodes may take the Pod.
    pub fn feasible(&self) -> usize {
        self.feasible
    }

    /// Why no node takes the Pod. Right after [`Evaluation::refresh`], with the same arguments.
    pub fn diagnose(&mut self, plugins: &Plugins, class: &PodClass, snapshot: &Snapshot) -> Arc<Diagnosis> {
        if let Some(diagnosis) = &self.diagnosis {
            return diagnosis.clone();
        }
        let prepared = Prepared::new(plugins, class, snapshot);
        let mut histogram = Histogram::default();
        let present = snapshot.slots().iter().filter(|node| node.present);
        for node in present {
            if let Err((place, rejection)) = prepared.judge(node) {
                histogram.add(place, &rejection);
            }
        }
        let whole = prepared.rejected.map(|(_, rejection)| rejection);
        let diagnosis = Arc::new(histogram.diagnosis(snapshot.node_count(), whole.as_ref()));
        self.diagnosis = Some(diagnosis.clone());
        diagnosis
    }
}

/// The place of the highest total; one of several by chance.
fn best(totals: &[i64], rng: &mut Rng) -> Option<Slot> {
    let highest = *totals.iter().max()?;
    if highest == NEVER {
        return None;
    }
    let ties = totals.iter().filter(|total| **total == highest).count();
    let chosen = if ties == 1 { 0 } else { rng.random_range(0..ties) };
    let mut equals = (0..).zip(totals).filter(|(_, total)| **total == highest);
    equals.nth(chosen).map(|(slot, _)| slot)
}

/// How many classes' evaluations are kept. A cluster rolls out a few templates at a time; each takes about 10 bytes a
/// node.
const EVALUATIONS: usize = 64;

/// The evaluations of the classes that were asked for last.
#[derive(Debug, Default)]
pub struct Evaluations {
    /// The one used last stands first. The class is held, so that its address stays its own.
    kept: VecDeque<(Arc<PodClass>, Evaluation)>,
}

impl Evaluations {
    /// The class's evaluation over the snapshot as it is now.
    pub fn refreshed(
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
        self.kept.truncate(EVALUATIONS);
        &mut self.kept[0].1
    }
}

#[cfg(test)]
mod tests;
