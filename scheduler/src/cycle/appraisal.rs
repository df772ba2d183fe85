//! [`Appraisal`]: everything that the plugins say of every node for one Pod. For explanations: it costs a look at every node.

use super::prepared::{PodPrepared, Prepared, PreparedScore, Refusal, pod_scores, promises};
use crate::framework::{Bounds, UNSCORED};
use crate::pod::PodInfo;
use crate::registry::Plugins;
use crate::snapshot::{Slot, Snapshot};

/// What one plugin gives a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scored {
    /// The plugin's place in [`Plugins::scores`].
    pub place: usize,
    /// As the plugin counts; 0 where it does not count the node.
    pub raw: i64,
    /// From 0 to 100.
    pub score: i64,
    /// What it is multiplied by.
    pub weight: i64,
}

/// What one node is to a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraised {
    /// The node.
    pub slot: Slot,
    /// The first refusal, or what each plugin gives it.
    pub verdict: Result<Vec<Scored>, Refusal>,
}

impl Appraised {
    /// The sum of the scores times their weights; `None` for a node that was refused.
    pub fn total(&self) -> Option<i64> {
        let scores = self.verdict.as_ref().ok()?;
        Some(scores.iter().map(|scored| scored.weight * scored.score).sum())
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraisal {
    /// Every node that is present, in the order of slots.
    pub nodes: Vec<Appraised>,
}

impl Appraisal {
    /// Asks every plugin.
    pub fn of(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot) -> Self {
        snapshot.know(&pod.template, &plugins.spreading);
        let promises = promises(plugins, pod, snapshot);
        let snapshot = &*snapshot;
        let of_class = Prepared::new(plugins, pod.class(), snapshot);
        let of_pod = PodPrepared::new(plugins, pod, snapshot, &promises);
        let present = snapshot.slots().iter().filter(|node| node.present);
        let mut nodes: Vec<Appraised> = present
            .map(|node| Appraised {
                slot: node.slot,
                verdict: of_class
                    .judge(node, &pod.uid)
                    .and_then(|()| of_pod.judge(node))
                    .map(|()| Vec::new()),
            })
            .collect();
        let feasible: Vec<Slot> = nodes
            .iter()
            .filter(|node| node.verdict.is_ok())
            .map(|node| node.slot)
            .collect();
        let mut scores = of_class.scores;
        scores.extend(pod_scores(plugins, pod, &feasible, snapshot));
        scores.sort_by_key(|scoring| scoring.place);
        for scoring in &scores {
            add(scoring, &feasible, snapshot, &mut nodes);
        }
        Self { nodes }
    }

    /// How many nodes take the Pod.
    pub fn feasible(&self) -> usize {
        self.nodes.iter().filter(|node| node.verdict.is_ok()).count()
    }
}

fn add(scoring: &PreparedScore<'_>, feasible: &[Slot], snapshot: &Snapshot, nodes: &mut [Appraised]) {
    let mut raw = Vec::new();
    scoring.score.score_all(feasible, snapshot, &mut raw);
    let bounds = Bounds::of(raw.iter().copied());
    let verdicts = nodes.iter_mut().filter_map(|node| node.verdict.as_mut().ok());
    for (verdict, raw) in verdicts.zip(raw) {
        verdict.push(Scored {
            place: scoring.place,
            raw: if raw == UNSCORED { 0 } else { raw },
            score: scoring.normalize.apply(raw, bounds),
            weight: scoring.weight,
        });
    }
}
