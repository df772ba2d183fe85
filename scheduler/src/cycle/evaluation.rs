//! [`Evaluation`]: what the class plugins say of every node, for one class of Pods.
//!
//! Pods of a class share it, and between two of them only the nodes that changed are judged again; so after the first Pod of
//! a template each further one costs a few nodes' judgement. [`Evaluation::refresh`] is pure: what it leaves is what a new
//! evaluation over the same snapshot would hold (a property test shows it).

use super::prepared::{Active, Prepared, Refusal};
use super::ranking::{NEVER, Ranking};
use crate::diagnosis::{Diagnosis, Histogram};
use crate::framework::{Bounds, Normalize};
use crate::pod::PodClass;
use crate::registry::Plugins;
use crate::snapshot::{Node, Seen, Slot, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    /// Up to where the snapshot's changes are in here; `None` before the first.
    seen: Option<Seen>,
    active: Active,
    /// The feasible nodes by the weighted sum of the scores that need no normalizing.
    pub(super) ranking: Ranking,
    /// By scoring plugin and slot: the raw scores of the plugins that normalize, for feasible nodes; else empty.
    raw: Vec<Vec<i64>>,
    refusals: Refusals,
    diagnosis: Option<Arc<Diagnosis>>,
}

/// Why nodes are refused, each different refusal once; so that a diagnosis need not ask the plugins about every node again.
#[derive(Debug, Default)]
struct Refusals {
    /// By slot: one of `kinds`, or [`NONE`].
    of: Vec<u32>,
    kinds: Vec<(Refusal, usize)>,
    ids: HashMap<Refusal, u32>,
}

/// The node is not refused.
const NONE: u32 = u32::MAX;

/// How many different refusals are kept; beyond, all nodes are judged anew. Only reasons with numbers in them could be so many.
const KINDS: usize = 1024;

impl Refusals {
    fn set(&mut self, slot: Slot, refusal: Option<Refusal>) {
        let id = refusal.map_or(NONE, |refusal| match self.ids.get(&refusal) {
            Some(id) => *id,
            None => {
                self.kinds.push((refusal.clone(), 0));
                let id = (self.kinds.len() - 1) as u32;
                self.ids.insert(refusal, id);
                id
            }
        });
        let before = std::mem::replace(&mut self.of[slot as usize], id);
        if let Some((_, count)) = self.kinds.get_mut(before as usize) {
            *count -= 1;
        }
        if let Some((_, count)) = self.kinds.get_mut(id as usize) {
            *count += 1;
        }
    }
}

impl Evaluation {
    /// Takes in what changed since the last time; all of the snapshot the first time. Always the same class.
    pub(crate) fn refresh(&mut self, plugins: &Plugins, class: &PodClass, snapshot: &Snapshot) {
        let prepared = Prepared::new(plugins, class, snapshot);
        let active = prepared.active();
        // What PreFilter refused may be refused for another reason now.
        let same = self.active == active && !active.rejected;
        let seen = self.seen.filter(|_| same && self.refusals.kinds.len() < KINDS);
        let slots = snapshot.slots();
        if seen.is_none() {
            self.refusals = Refusals::default();
        }
        self.refusals.of.resize(slots.len(), NONE);
        self.ranking.resize(slots.len());
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
                    self.judge(&prepared, slot, snapshot.node(slot));
                }
            }
            None => {
                for (slot, node) in (0..).zip(slots) {
                    self.judge(&prepared, slot, node);
                }
            }
        }
        self.active = active;
        self.seen = Some(snapshot.seen());
    }

    fn judge(&mut self, prepared: &Prepared<'_>, slot: Slot, node: &Node) {
        let refusal = if node.present {
            prepared.judge(node, "").err()
        } else {
            None
        };
        let is_refused = refusal.is_some() || !node.present;
        self.refusals.set(slot, refusal);
        if is_refused {
            self.ranking.set(slot, NEVER);
            return;
        }
        let mut sum = 0;
        for score in &prepared.scores {
            let raw = score.score.score(node);
            if score.normalize == Normalize::AsIs {
                sum += score.weight * raw;
            } else {
                self.raw[score.place][slot as usize] = raw;
            }
        }
        self.ranking.set(slot, sum);
    }

    /// How many nodes may take the Pod, as far as class plugins are concerned.
    pub(crate) fn feasible(&self) -> usize {
        self.ranking.len()
    }

    /// Whether a score has to be normalized that is not the same for all feasible nodes.
    pub(super) fn normalizes(&self) -> bool {
        let mut normalizing = self.active.scores.iter();
        normalizing.any(|&(place, how, _)| {
            how != Normalize::AsIs && !how.is_flat(Bounds::of(self.raw_of(place, self.ranking.slots())))
        })
    }

    fn raw_of(&self, place: usize, slots: impl Iterator<Item = Slot>) -> impl Iterator<Item = i64> {
        let raw = &self.raw[place];
        slots.map(|slot| raw[slot as usize])
    }

    /// The totals of some feasible nodes, which the others have no part in.
    pub(super) fn totals(&self, plugins: &Plugins, slots: &[Slot], totals: &mut Vec<i64>) {
        totals.clear();
        totals.extend(slots.iter().map(|slot| self.ranking.score(*slot)));
        for &(place, how, _) in &self.active.scores {
            if how == Normalize::AsIs {
                continue;
            }
            let bounds = Bounds::of(self.raw_of(place, slots.iter().copied()));
            // Equal scores decide nothing.
            if how.is_flat(bounds) {
                continue;
            }
            let weight = plugins.scores[place].weight;
            for (total, slot) in totals.iter_mut().zip(slots) {
                *total += weight * how.apply(self.raw[place][*slot as usize], bounds);
            }
        }
    }

    /// Why no node takes a Pod that no Pod plugin looks at. Right after [`Evaluation::refresh`], with the same arguments.
    pub(crate) fn diagnose(
        &mut self,
        plugins: &Plugins,
        class: &PodClass,
        snapshot: &Snapshot,
    ) -> Arc<Diagnosis> {
        if let Some(diagnosis) = &self.diagnosis {
            return diagnosis.clone();
        }
        let mut histogram = Histogram::default();
        for ((place, rejection), count) in self.refusals.kinds.iter().filter(|(_, count)| *count > 0) {
            histogram.add(*place, rejection, *count);
        }
        // What refuses all nodes at once is told once.
        let prepared = Prepared::new(plugins, class, snapshot);
        let whole = prepared.rejected.map(|(_, rejection)| rejection);
        let diagnosis = Arc::new(histogram.diagnosis(snapshot.node_count(), whole.as_ref()));
        self.diagnosis = Some(diagnosis.clone());
        diagnosis
    }
}
