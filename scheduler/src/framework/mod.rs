//! The extension points that plugins implement, and what they answer.
//!
//! ```text
//! for a Pod:    PreFilter ──> Filter on every node ──> PreScore ──> Score on every node ──> choice ──> Reserve ──> Permit ──> Bind
//!                   └── no node left ──> PostFilter
//! ```
//! What a plugin works out about a Pod in PreFilter or PreScore is a type of its own, and that type is what judges or
//! scores the nodes: state is typed, borrows from the Pod and the snapshot, and cannot be read by anybody else.
//! Upstream passes it between extension points in an untyped map instead.
//!
//! Two kinds of plugins judge and score. *Class plugins* see what the Pod asks for ([`PodClass`]) and the node, and nothing else of the
//! cluster but what [`Score::basis`] tells: their verdicts and scores are kept by [`crate::cycle`] until the node changes, and serve
//! all Pods of a class. *Pod plugins* see the Pod itself and the whole snapshot: other Pods' labels, volumes, namespaces. They are asked
//! anew for each Pod, for the nodes that the class plugins leave, all nodes in one call.
//!
//! Invariant: no verdict and no score depends on time or chance.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/>

mod event;
mod score;
mod status;

pub use event::{Change, Changed, ClusterEvent, EventSet};
pub use score::{Bounds, MAX_SCORE, Normalize, UNSCORED};
pub use status::{Rejection, Status};

use crate::pod::{PodClass, PodInfo, PodTemplate};
use crate::registry::Plugins;
use crate::snapshot::{Node, Slot, Snapshot};
use client::ObjectKey;
use component_base::rng::Rng;
use proto::orrery::v1::BatchOperation;
use std::sync::Arc;
use std::time::Duration;

/// What every plugin is.
pub trait Plugin: Send + Sync + 'static {
    /// As Kubernetes names it: `NodeAffinity`.
    fn name(&self) -> &'static str;
}

/// When a Pod that a plugin rejected is tried again.
pub trait Requeue: Plugin {
    /// The changes that can help at all.
    fn requeue_on(&self) -> EventSet;

    /// Whether a change, which is one of those, can help a Pod. Upstream's queueing hint. May say yes too often, never no too
    /// often.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, snapshot: &Snapshot) -> bool {
        _ = (pod, change, snapshot);
        true
    }
}

/// Judges nodes for the one Pod that it was made for.
pub trait Filter {
    /// Whether the node may take the Pod.
    fn filter(&self, node: &Node) -> Result<(), Rejection>;

    /// Keeps the nodes that may take the Pod. Must agree with [`Filter::filter`]; may be faster where a slot says enough.
    fn narrow(&self, slots: &mut Vec<Slot>, snapshot: &Snapshot) {
        slots.retain(|slot| self.filter(snapshot.node(*slot)).is_ok());
    }
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

impl<F> PreFiltered<F> {
    fn boxed<'a>(self) -> PreFiltered<Box<dyn Filter + 'a>>
    where
        F: Filter + 'a,
    {
        match self {
            Self::Skip => PreFiltered::Skip,
            Self::Filter(state) => PreFiltered::Filter(Box::new(state)),
            Self::Reject(rejection) => PreFiltered::Reject(rejection),
        }
    }
}

/// PreFilter and Filter of a class plugin.
pub trait PreFilter: Requeue {
    /// What is worked out once for a class.
    type State<'a>: Filter;

    /// Works out what the nodes are judged by.
    fn pre_filter<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Self::State<'a>>;
}

/// PreFilter and Filter of a Pod plugin.
pub trait PodPreFilter: Requeue {
    /// What is worked out once for a Pod.
    type State<'a>: Filter;

    /// Works out what the nodes are judged by.
    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Self::State<'a>>;
}

/// Scores nodes for the one Pod that it was made for.
pub trait Score {
    /// How much the Pod wants the node; [`UNSCORED`] for a node that is not to count.
    fn score(&self, node: &Node) -> i64;

    /// Every node's score, in the order of `slots`. Must agree with [`Score::score`]; may be faster where a slot says enough.
    fn score_all(&self, slots: &[Slot], snapshot: &Snapshot, scores: &mut Vec<i64>) {
        scores.clear();
        scores.extend(slots.iter().map(|slot| self.score(snapshot.node(*slot))));
    }

    /// What becomes of the raw scores.
    fn normalize(&self) -> Normalize {
        Normalize::AsIs
    }

    /// Stands for all that the scores depend on besides the Pod and the node. When it changes, every node is scored anew.
    fn basis(&self) -> u64 {
        0
    }
}

/// PreScore and Score of a class plugin.
pub trait PreScore: Plugin {
    /// What is worked out once for a class.
    type State<'a>: Score;

    /// Works out what the nodes are scored by; `None` when all are the same to this plugin.
    fn pre_score<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Self::State<'a>>;
}

/// PreScore and Score of a Pod plugin.
pub trait PodPreScore: Plugin {
    /// What is worked out once for a Pod.
    type State<'a>: Score;

    /// Works out what the nodes are scored by; `None` when all are the same to this plugin. `feasible` are the nodes that
    /// will be scored; whether there is an opinion does not depend on them.
    fn pre_score<'a>(
        &'a self,
        pod: &'a PodInfo,
        feasible: &'a [Slot],
        snapshot: &'a Snapshot,
    ) -> Option<Self::State<'a>>;
}

/// A Pod that must go so that another gets its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from a later Pod of its name.
    pub uid: Arc<str>,
    /// Its priority.
    pub priority: i32,
    /// Whether a PodDisruptionBudget asks to keep it.
    pub violates_budget: bool,
    /// Whether it is given time to end.
    pub graceful: bool,
}

/// Room that can be made for a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The node.
    pub node: Arc<str>,
    /// Who must go. Never empty.
    pub victims: Vec<Victim>,
    /// Why this node of all that were looked at, for people.
    pub why: String,
}

/// What PostFilter has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostFiltered {
    /// Nothing helps; a sentence to be told after the reasons, which may be empty.
    Nothing(String),
    /// Those Pods must go.
    Room(Room),
    /// Any of these will do, the cheapest first: extenders are to choose.
    Rooms(Vec<Room>),
    /// Room is being made on the node that the Pod is nominated for; nothing more is to be done.
    Wait,
}

/// Asked when no node takes a Pod.
pub trait PostFilter: Plugin {
    /// Looks for help. The snapshot may be changed for dry runs, and is as it was when this returns.
    fn post_filter(
        &mut self,
        pod: &PodInfo,
        plugins: &Plugins,
        snapshot: &mut Snapshot,
        rng: &mut Rng,
    ) -> PostFiltered;
}

/// Sets aside what the snapshot does not count by itself.
pub trait Reserve: Plugin {
    /// Sets it aside for the Pod on the node that was chosen. The Pod is placed there already.
    fn reserve(&mut self, pod: &PodInfo, node: &str, snapshot: &mut Snapshot) -> Result<(), Rejection>;

    /// Gives it back: the Pod is not bound to that node after all. Called also for what was never reserved.
    fn unreserve(&mut self, pod: &ObjectKey, node: &str, snapshot: &mut Snapshot);
}

/// What Permit says of a Pod that has a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Permitted {
    /// It may go on, and so may these others that this plugin told to wait.
    Allow(Vec<ObjectKey>),
    /// It keeps its place and waits, at most so long after it got the place. The writes are sent at once.
    Wait {
        /// How long at most.
        at_most: Duration,
        /// What is to be written meanwhile.
        writes: Vec<BatchOperation>,
    },
    /// It loses its place, and so do these others that were told to wait.
    Reject(Rejection, Vec<ObjectKey>),
}

/// Holds a Pod back between Reserve and Bind: upstream's Permit and PreBind. Plugins are asked in their order, each once those before
/// it let the Pod go on.
pub trait Permit: Plugin {
    /// Whether the Pod may be bound. Asked once it has its place, and again after each change that concerns it.
    fn permit(&mut self, pod: &PodInfo, node: &str, snapshot: &Snapshot) -> Permitted;

    /// Who of those that it holds back is asked about again after a change of `object`.
    fn concerned(&self, events: EventSet, object: &ObjectKey) -> Vec<ObjectKey>;

    /// No node takes a Pod. Tells which others lose their places with that.
    fn unschedulable(&mut self, pod: &PodInfo) -> Vec<ObjectKey> {
        _ = pod;
        Vec::new()
    }

    /// A Pod is no longer waiting: it was bound, or has lost its place (`bound` is false). Tells which others lose theirs with it.
    fn settled(&mut self, pod: &ObjectKey, bound: bool) -> Vec<ObjectKey>;
}

/// Turns a decision into a write.
pub trait Bind: Plugin {
    /// The write that binds the Pod; `None` leaves it to the next plugin.
    fn bind(&self, pod: &PodInfo, node: &str) -> Option<BatchOperation>;
}

/// [`PreFilter`] with its state behind a box, so that plugins of different types stand in one list.
pub trait AnyFilter: Requeue {
    /// [`PreFilter::pre_filter`].
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>>;
}

impl<P: PreFilter> AnyFilter for P {
    fn prepare<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>> {
        self.pre_filter(pod, snapshot).boxed()
    }
}

/// [`PodPreFilter`] with its state behind a box.
pub trait AnyPodFilter: Requeue {
    /// [`PodPreFilter::pre_filter`].
    fn prepare<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>>;
}

impl<P: PodPreFilter> AnyPodFilter for P {
    fn prepare<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Box<dyn Filter + 'a>> {
        self.pre_filter(pod, snapshot).boxed()
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

/// [`PodPreScore`] with its state behind a box.
pub trait AnyPodScore: Plugin {
    /// [`PodPreScore::pre_score`].
    fn prepare<'a>(
        &'a self,
        pod: &'a PodInfo,
        feasible: &'a [Slot],
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn Score + 'a>>;
}

impl<P: PodPreScore> AnyPodScore for P {
    fn prepare<'a>(
        &'a self,
        pod: &'a PodInfo,
        feasible: &'a [Slot],
        snapshot: &'a Snapshot,
    ) -> Option<Box<dyn Score + 'a>> {
        Some(Box::new(self.pre_score(pod, feasible, snapshot)?))
    }
}
