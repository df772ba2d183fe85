//! The extension points that plugins implement, and what they answer.
//!
//! ```text
//! for a Pod:    PreFilter ──> Filter on every node ──> PreScore ──> Score on every node ──> choice ──> Reserve ──> Bind
//!                   └── no node left ──> PostFilter
//! ```
//! What a plugin works out about a Pod in PreFilter or PreScore is a type of its own, and that type is what judges or
//! scores the nodes: state is typed, borrows from the Pod and the snapshot, and cannot be read by anybody else.
//! Upstream passes it between extension points in an untyped map instead.
//!
//! Invariant: a verdict or a score depends on the Pod's [`PodClass`], the node, and what the snapshot says of the cluster
//! as a whole; never on time or chance. That is why [`crate::cycle`] may keep it until the node changes.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/>

mod event;
mod status;

pub use event::{ClusterEvent, EventSet};
pub use status::{Rejection, Status};

use crate::cycle::Decision;
use crate::pod::{PodClass, PodInfo};
use crate::snapshot::{Node, Snapshot};
use client::ObjectKey;
use proto::orrery::v1::BatchOperation;

/// The highest score after normalizing, as upstream's `MaxNodeScore`.
pub const MAX_SCORE: i64 = 100;

/// What every plugin is.
pub trait Plugin: Send + Sync + 'static {
    /// As Kubernetes names it: `NodeAffinity`.
    fn name(&self) -> &'static str;
}

/// Judges nodes for the one Pod that it was made for.
pub trait Filter {
    /// Whether the node may take the Pod.
    fn filter(&self, node: &Node) -> Result<(), Rejection>;
}

/// What PreFilter says of a Pod.
pub enum PreFiltered<F> {
    /// Any node will do, as far as this plugin is concerned.
    Skip,
    /// Every node is to be judged.
    Filter(F),
    /// No node will do.
    Reject(Rejection),
}

/// PreFilter and Filter.
pub trait PreFilter: Plugin {
    /// What is worked out once for a Pod.
    type State<'a>: Filter;

    /// Works out what the nodes are judged by.
    fn pre_filter<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Self::State<'a>>;

    /// The changes that can help a Pod which this plugin rejected.
    fn requeue_on(&self) -> EventSet;
}

/// How raw scores become scores from 0 to [`MAX_SCORE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalize {
    /// They are so already.
    AsIs,
    /// In proportion to the highest, which becomes [`MAX_SCORE`].
    HighestBest,
    /// In proportion to the highest, which becomes 0.
    LowestBest,
}

impl Normalize {
    /// The score of a node with a raw score of `raw`, where the highest among the feasible nodes is `highest`.
    pub fn apply(self, raw: i64, highest: i64) -> i64 {
        let share = if highest == 0 {
            0
        } else {
            raw * MAX_SCORE / highest
        };
        match self {
            Self::AsIs => raw,
            Self::HighestBest => share,
            Self::LowestBest => MAX_SCORE - share,
        }
    }
}

/// Scores nodes for the one Pod that it was made for.
pub trait Score {
    /// How much the Pod wants the node. Never negative.
    fn score(&self, node: &Node) -> i64;

    /// What becomes of the raw scores.
    fn normalize(&self) -> Normalize {
        Normalize::AsIs
    }
}

/// PreScore and Score.
pub trait PreScore: Plugin {
    /// What is worked out once for a Pod.
    type State<'a>: Score;

    /// Works out what the nodes are scored by; `None` when all are the same to this plugin.
    fn pre_score<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Self::State<'a>>;
}

/// Asked when no node takes a Pod.
pub trait PostFilter: Plugin {
    /// What was done about it, to be told after the reasons; `None` when nothing can be done.
    fn post_filter(&self, pod: &PodInfo, decision: &Decision<'_>, snapshot: &Snapshot) -> Option<String>;
}

/// Sets aside what the snapshot does not count by itself.
pub trait Reserve: Plugin {
    /// Sets it aside for the Pod on the node that was chosen.
    fn reserve(&mut self, pod: &PodInfo, node: &Node) -> Result<(), Rejection>;

    /// Gives it back: the Pod is not bound to that node after all. Called also for what was never reserved.
    fn unreserve(&mut self, pod: &ObjectKey, node: &str);
}

/// Turns a decision into a write.
pub trait Bind: Plugin {
    /// The write that binds the Pod; `None` leaves it to the next plugin.
    fn bind(&self, pod: &PodInfo, node: &str) -> Option<BatchOperation>;
}

/// [`PreFilter`] with its state behind a box, so that plugins of different types stand in one list.
pub trait AnyFilter: Plugin {
    /// [`PreFilter::pre_filter`].
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>>;
    /// [`PreFilter::requeue_on`].
    fn requeue_on(&self) -> EventSet;
}

impl<P: PreFilter> AnyFilter for P {
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>> {
        match self.pre_filter(pod, snapshot) {
            PreFiltered::Skip => PreFiltered::Skip,
            PreFiltered::Filter(state) => PreFiltered::Filter(Box::new(state)),
            PreFiltered::Reject(rejection) => PreFiltered::Reject(rejection),
        }
    }

    fn requeue_on(&self) -> EventSet {
        PreFilter::requeue_on(self)
    }
}

/// [`PreScore`] with its state behind a box.
pub trait AnyScore: Plugin {
    /// [`PreScore::pre_score`].
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Box<dyn Score + 'a>>;
}

impl<P: PreScore> AnyScore for P {
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Box<dyn Score + 'a>> {
        Some(Box::new(self.pre_score(pod, snapshot)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_normalized_in_proportion_to_the_highest() {
        for (how, raw, highest, expected) in [
            (Normalize::AsIs, 70, 90, 70),
            (Normalize::HighestBest, 5, 10, 50),
            (Normalize::HighestBest, 10, 10, 100),
            (Normalize::HighestBest, 0, 0, 0),
            (Normalize::LowestBest, 1, 3, 67),
            (Normalize::LowestBest, 3, 3, 0),
            (Normalize::LowestBest, 0, 0, 100),
        ] {
            assert_eq!(how.apply(raw, highest), expected, "{how:?} {raw}/{highest}");
        }
    }
}
