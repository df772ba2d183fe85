//! [`Engine`]: the scheduler without its I/O: changes in, decisions out.
//!
//! ```text
//!   deltas ──> Snapshot, Queue ──> Evaluation ──> Decision ──> assumed in the Snapshot ──> Binding, to be sent
//!                   ^                                                                          │
//!                   └──────────────── bound / lost ────────────────────────────────────────────┘
//! ```
//! Invariants:
//! - A Pod that was decided on counts on its node from that moment, until the stream shows it elsewhere or gone, or until
//!   the API has been seen to hold it without a node after the binding was refused.
//! - What is known of a Pod never goes back to an earlier revision.
//! - Nothing is kept that the API does not hold: a new engine over the same cluster decides the same.

use crate::cycle::Evaluations;
use crate::diagnosis::Diagnosis;
use crate::framework::{ClusterEvent, Rejection};
use crate::pod::{Classes, PodInfo};
use crate::queue::{Place, Queue, Queued};
use crate::registry::Plugins;
use crate::report::{self, Report};
use crate::snapshot::{Placement, Snapshot};
use client::{Delta, ObjectKey};
use component_base::clock::Instant;
use component_base::rng::Rng;
use jiff::Timestamp;
use prost::DecodeError;
use proto::api::core::v1::{Node, Pod};
use proto::orrery::v1::BatchOperation;
use proto::{Kind, Object};
use std::sync::Arc;

/// A decision that is to be written.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// The node's name.
    pub node: Arc<str>,
    /// The write.
    pub operation: BatchOperation,
}

/// What the API holds after a binding was refused.
#[derive(Clone, Debug)]
pub enum Found {
    /// The Pod, as it is.
    Pod(Box<Pod>),
    /// No Pod of that name.
    Gone,
}

/// What came of one turn.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A node was found; send this.
    Bind(Box<Binding>),
    /// No node takes the Pod.
    Unschedulable,
    /// A plugin failed.
    Error,
}

/// See the module.
pub struct Engine {
    pub(crate) plugins: Plugins,
    pub(crate) snapshot: Snapshot,
    pub(crate) queue: Queue,
    pub(crate) evaluations: Evaluations,
    classes: Classes,
    scheduler_name: String,
    rng: Rng,
    reports: Vec<Report>,
    synced: bool,
    revision: i64,
}

impl Engine {
    /// Knows nothing yet. Places the Pods whose `spec.schedulerName` is `scheduler_name`; ties are broken by `rng`.
    pub fn new(plugins: Plugins, scheduler_name: impl Into<String>, rng: Rng) -> Self {
        Self {
            plugins,
            snapshot: Snapshot::new(),
            queue: Queue::new(),
            evaluations: Evaluations::default(),
            classes: Classes::default(),
            scheduler_name: scheduler_name.into(),
            rng,
            reports: Vec::new(),
            synced: false,
            revision: 0,
        }
    }

    /// Whether the cluster is known as it was at one revision. No decision is made before.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// The revision up to which changes are known.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The nodes and what is on them.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The Pods that wait.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What people are to be told, since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Takes a change in.
    ///
    /// # Errors
    /// An object does not decode; what was known of it stays.
    pub fn apply(&mut self, delta: &Delta, now: Instant, wall: Timestamp) -> Result<(), DecodeError> {
        match delta {
            Delta::Restarted => self.synced = false,
            Delta::Synced(revision) => {
                self.synced = true;
                self.revision = *revision;
            }
            Delta::Bookmark(revision) => self.revision = *revision,
            Delta::Upsert {
                key,
                object,
                revision,
                ..
            } => {
                self.upsert(key, object, *revision, now, wall)?;
                self.reach(*revision);
            }
            Delta::Delete {
                key,
                object,
                revision,
                ..
            } => {
                if key.is::<Node>() {
                    self.snapshot.remove_node(&key.name);
                } else if key.is::<Pod>() {
                    let uid = match object {
                        Some(object) => object.decode_as::<Pod>()?.uid().to_owned(),
                        None => String::new(),
                    };
                    self.pod_gone(key, &uid, now);
                }
                self.reach(*revision);
            }
        }
        Ok(())
    }

    /// Between [`Delta::Restarted`] and [`Delta::Synced`], no single revision is known.
    fn reach(&mut self, revision: i64) {
        if self.synced {
            self.revision = revision;
        }
    }

    fn upsert(
        &mut self,
        key: &ObjectKey,
        object: &Object,
        revision: i64,
        now: Instant,
        wall: Timestamp,
    ) -> Result<(), DecodeError> {
        if key.is::<Node>() {
            let events = self.snapshot.set_node(&object.decode_as::<Node>()?);
            self.queue.wake(events, &self.plugins, now);
        } else if key.is::<Pod>() {
            self.pod_is(key, &object.decode_as::<Pod>()?, revision, now, wall);
        }
        Ok(())
    }

    /// A Pod is so at a revision.
    fn pod_is(&mut self, key: &ObjectKey, pod: &Pod, revision: i64, now: Instant, wall: Timestamp) {
        let placed = self
            .snapshot
            .pod(key)
            .map(|placed| (placed.uid.clone(), placed.revision));
        let queued = self
            .queue
            .get(key)
            .map(|queued| (queued.pod.uid.clone(), queued.pod.revision));
        for (uid, known) in [placed, queued].into_iter().flatten() {
            if *uid != *pod.uid() {
                self.pod_gone(key, &uid, now);
            } else if self.synced && revision < known {
                // The API was asked in between. A new list counts, though: its store may have been replaced.
                return;
            }
        }
        let phase = pod.status.as_ref().map_or("", |status| status.phase.as_str());
        if phase == "Succeeded" || phase == "Failed" {
            self.pod_gone(key, pod.uid(), now);
            return;
        }
        let spec = pod.spec.as_ref();
        let node = spec.map_or("", |spec| spec.node_name.as_str());
        if !node.is_empty() {
            let info = PodInfo::of(pod, revision, &mut self.classes);
            self.queue.remove(key);
            self.snapshot.place(&info, node, Placement::Bound);
            return;
        }
        let is_ours = spec.is_some_and(|spec| spec.scheduler_name == self.scheduler_name);
        let is_going = pod.meta().deletion_timestamp.is_some();
        let is_assumed = self.snapshot.pod(key).is_some();
        // While a binding is on its way, only its answer says what becomes of the Pod.
        if !is_assumed && (!is_ours || is_going) {
            self.queue.remove(key);
            return;
        }
        let info = PodInfo::of(pod, revision, &mut self.classes);
        let newly_gated = self.queue.upsert(info, now);
        if newly_gated
            && let Some(queued) = self.queue.get(key)
            && queued.place == Place::Gated
        {
            self.reports.extend(report::gated(&queued.pod, wall));
        }
    }

    /// A Pod is gone or has run to its end. An empty `uid` stands for any.
    fn pod_gone(&mut self, key: &ObjectKey, uid: &str, now: Instant) {
        let is_it = |known: &str| uid.is_empty() || uid == known;
        if self.queue.get(key).is_some_and(|queued| is_it(&queued.pod.uid)) {
            self.queue.remove(key);
        }
        if let Some(placed) = self.snapshot.pod(key).filter(|placed| is_it(&placed.uid)) {
            let was_assumed = placed.placement == Placement::Assumed;
            let node = self.snapshot.node(placed.slot).name.clone();
            self.snapshot.remove_pod(key);
            if was_assumed {
                self.unreserve(key, &node);
            }
            self.queue
                .wake(ClusterEvent::AssignedPodDeleted.into(), &self.plugins, now);
        }
    }

    /// Decides on the next Pod; `None` when none is ready, or the cluster is not known.
    pub fn step(&mut self, now: Instant, wall: Timestamp) -> Option<Outcome> {
        if !self.synced {
            return None;
        }
        let queued = self.queue.pop(now)?;
        let pod = queued.pod.clone();
        let evaluation = self
            .evaluations
            .refreshed(&self.plugins, &pod.class, &self.snapshot);
        let decision = evaluation.choose(&self.plugins, &mut self.rng);
        let Some(slot) = decision.node else {
            let help = self.plugins.post_filters.iter();
            let mut help = help.filter_map(|plugin| plugin.post_filter(&pod, &decision, &self.snapshot));
            let help = help.next();
            let diagnosis = evaluation.diagnose(&self.plugins, &pod.class, &self.snapshot);
            return Some(self.unschedulable(&pod, &diagnosis, help, now, wall));
        };
        let node = self.snapshot.node(slot).name.clone();
        self.snapshot.place(&pod, &node, Placement::Assumed);
        match self.reserve(&pod, &node) {
            Ok(operation) => Some(Outcome::Bind(Box::new(Binding { pod, node, operation }))),
            Err(rejection) => {
                self.forget(&pod, &node);
                self.queue.fail(&pod.key, now);
                let message = rejection.reasons.join(", ");
                self.reports.extend(report::failed(&pod, &message, true, wall));
                Some(Outcome::Error)
            }
        }
    }

    fn reserve(&mut self, pod: &PodInfo, node: &str) -> Result<BatchOperation, Rejection> {
        if let Some(held) = self.snapshot.node_named(node) {
            for plugin in &mut self.plugins.reserves {
                plugin.reserve(pod, held)?;
            }
        }
        let mut writes = self
            .plugins
            .binds
            .iter()
            .filter_map(|plugin| plugin.bind(pod, node));
        writes
            .next()
            .ok_or_else(|| Rejection::error("no plugin knows how to bind the pod"))
    }

    fn unreserve(&mut self, pod: &ObjectKey, node: &str) {
        for plugin in self.plugins.reserves.iter_mut().rev() {
            plugin.unreserve(pod, node);
        }
    }

    fn forget(&mut self, pod: &PodInfo, node: &str) {
        self.snapshot.remove_pod(&pod.key);
        self.unreserve(&pod.key, node);
    }

    fn unschedulable(
        &mut self,
        pod: &PodInfo,
        diagnosis: &Diagnosis,
        help: Option<String>,
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        let message = match help {
            Some(help) => format!("{} {help}", diagnosis.message),
            None => diagnosis.message.clone(),
        };
        self.reports
            .extend(report::failed(pod, &message, diagnosis.is_error, wall));
        if diagnosis.is_error {
            self.queue.fail(&pod.key, now);
            return Outcome::Error;
        }
        self.queue
            .fail_unschedulable(&pod.key, diagnosis.rejected_by, now);
        Outcome::Unschedulable
    }

    /// The API took a binding. The Pod counts on its node already; the stream will show it. Gives the Pod's time in
    /// the queue.
    pub fn bound(&mut self, binding: &Binding) -> Option<Queued> {
        let key = &binding.pod.key;
        self.reports.push(report::scheduled(&binding.pod, &binding.node));
        let is_it = |queued: &Queued| queued.pod.uid == binding.pod.uid;
        if self.queue.get(key).is_some_and(is_it) {
            return self.queue.remove(key);
        }
        None
    }

    /// The API refused a binding, and was then asked for the Pod.
    pub fn lost(&mut self, binding: &Binding, found: Found, now: Instant, wall: Timestamp) {
        let pod = &binding.pod;
        let is_assumed = self
            .snapshot
            .pod(&pod.key)
            .is_some_and(|placed| placed.uid == pod.uid && placed.placement == Placement::Assumed);
        let has_node = |found: &Pod| {
            *found.uid() == *pod.uid && found.spec.as_ref().is_some_and(|s| !s.node_name.is_empty())
        };
        match found {
            Found::Pod(found) if has_node(&found) => {
                // Bound after all: by an earlier try whose answer was lost, or by another scheduler.
                self.pod_is(&pod.key, &found, found.revision(), now, wall);
            }
            Found::Pod(found) => {
                if is_assumed {
                    self.forget(pod, &binding.node);
                }
                self.queue.fail(&pod.key, now);
                self.pod_is(&pod.key, &found, found.revision(), now, wall);
                self.queue
                    .wake(ClusterEvent::AssignedPodDeleted.into(), &self.plugins, now);
            }
            Found::Gone => self.pod_gone(&pod.key, &pod.uid, now),
        }
    }
}

#[cfg(test)]
mod tests;
