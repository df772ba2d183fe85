//! [`Engine`]: the scheduler without its I/O: changes in, decisions out.
//!
//! ```text
//!   deltas ──> Snapshot, Queue ──> Cycle ──> assumed in the Snapshot ──> permitted ──> Binding, to be sent
//!                   ^                                                                          │
//!                   └──────────────── bound / lost ────────────────────────────────────────────┘
//! ```
//! Invariants:
//! - A Pod that was decided on counts on its node from that moment, until the stream shows it elsewhere or gone, or until
//!   the API has been seen to hold it without a node after the binding was refused.
//! - What is known of a Pod never goes back to an earlier revision.
//! - Nothing is kept that the API does not hold: a new engine over the same cluster decides the same.

mod attempts;
mod consult;
mod eviction;
mod permit;

pub use attempts::{Attempt, Attempts, Result as AttemptResult};
pub use eviction::Preemption;

use crate::cycle::Cycle;
use crate::diagnosis::Diagnosis;
use crate::extender::{About, Question};
use crate::framework::{Change, Changed, ClusterEvent, PostFiltered, Rejection};
use crate::pod::{Classes, PodInfo};
use crate::queue::{BackoffBounds, Place, Queue, Queued};
use crate::registry::Plugins;
use crate::report::{self, Report};
use crate::snapshot::{Placement, Slot, Snapshot};
use client::{Delta, ObjectKey};
use component_base::clock::Instant;
use component_base::rng::Rng;
use jiff::Timestamp;
use prost::DecodeError;
use proto::api::core::v1::{Node, Pod};
use proto::orrery::v1::BatchOperation;
use proto::{Kind, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A decision that is to be written.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// The node's name.
    pub node: Arc<str>,
    /// The write; `None` when an extender binds the Pod.
    pub operation: Option<BatchOperation>,
}

/// What the API holds after a binding was refused.
#[derive(Clone, Debug)]
pub enum Found {
    /// The Pod, as it is.
    Pod(Box<Pod>),
    /// No Pod of that name.
    Gone,
}

/// What is said of a Pod that waits for its victims to leave.
const ROOM_IS_MADE: &str = "Room is being made.";

/// What came of one turn.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A node was found; send this.
    Bind(Box<Binding>),
    /// No node takes the Pod.
    Unschedulable,
    /// No node takes the Pod; room can be made for it: send this.
    Preempt(Box<Preemption>),
    /// Extenders have a say about the Pod: ask them this, and pass on what they say by [`Engine::answered`].
    Ask(Box<Question>),
    /// A node was found, and the Pod keeps it while it waits for something.
    Waiting,
    /// A plugin failed.
    Error,
}

/// How the Pods of one `spec.schedulerName` are placed.
pub struct Profile {
    /// By these plugins.
    pub plugins: Plugins,
    pub(crate) cycle: Cycle,
}

impl Profile {
    /// A profile of these plugins.
    pub fn new(plugins: Plugins) -> Self {
        Self {
            plugins,
            cycle: Cycle::default(),
        }
    }
}

/// See the module.
pub struct Engine {
    /// By `spec.schedulerName`.
    pub(crate) profiles: BTreeMap<String, Profile>,
    pub(crate) snapshot: Snapshot,
    pub(crate) queue: Queue,
    classes: Classes,
    rng: Rng,
    reports: Vec<Report>,
    evictions: eviction::Evictions,
    permits: permit::Waiting,
    consultations: consult::Consultations,
    attempts: Attempts,
    synced: bool,
    revision: i64,
}

impl Engine {
    /// Knows nothing yet. Places the Pods whose `spec.schedulerName` is `scheduler_name`; ties are broken by `rng`.
    pub fn new(plugins: Plugins, scheduler_name: impl Into<String>, rng: Rng) -> Self {
        let profiles = [(scheduler_name.into(), Profile::new(plugins))];
        Self::with_profiles(profiles.into(), BackoffBounds::default(), rng)
    }

    /// Knows nothing yet. Places the Pods whose `spec.schedulerName` has a profile; ties are broken by `rng`.
    pub fn with_profiles(profiles: BTreeMap<String, Profile>, backoff: BackoffBounds, rng: Rng) -> Self {
        Self {
            profiles,
            snapshot: Snapshot::new(),
            queue: Queue::new(backoff),
            classes: Classes::default(),
            rng,
            reports: Vec::new(),
            evictions: eviction::Evictions::default(),
            permits: permit::Waiting::default(),
            consultations: consult::Consultations::default(),
            attempts: Attempts::default(),
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

    /// The last decisions.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    fn note(&mut self, pod: &PodInfo, result: AttemptResult, wall: Timestamp) {
        self.attempts.note(Attempt {
            key: pod.key.clone(),
            uid: pod.uid.clone(),
            revision: self.revision,
            time: wall,
            result,
        });
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
                } else if !key.is::<Pod>() {
                    self.object_is(key, None, now)?;
                } else {
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
            if let Some(node) = self.snapshot.node_named(&key.name) {
                let change = Change::new(events, Changed::Node(node));
                wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
            }
        } else if key.is::<Pod>() {
            self.pod_is(key, &object.decode_as::<Pod>()?, revision, now, wall);
        } else {
            self.object_is(key, Some(object), now)?;
        }
        Ok(())
    }

    /// Another object is so, or is gone.
    fn object_is(
        &mut self,
        key: &ObjectKey,
        object: Option<&Object>,
        now: Instant,
    ) -> Result<(), DecodeError> {
        let events = self.snapshot.set_object(key, object)?;
        let change = Change::new(events, Changed::Object(key));
        wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
        self.permits.ask_again(events, key, &self.profiles);
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
            self.joins(&info, now);
            self.queue.remove(key);
            self.evictions.settled(key);
            self.placed(&info, node, now);
            return;
        }
        let is_ours = spec.is_some_and(|spec| self.profiles.contains_key(&spec.scheduler_name));
        let is_going = pod.meta().deletion_timestamp.is_some();
        let is_assumed = self.snapshot.pod(key).is_some();
        // While a binding is on its way, only its answer says what becomes of the Pod.
        if !is_assumed && (!is_ours || is_going) {
            self.snapshot.leaves(key);
            if let Some(queued) = self.queue.remove(key) {
                self.withdraw(&queued.pod, now);
            }
            return;
        }
        let info = PodInfo::of(pod, revision, &mut self.classes);
        self.joins(&info, now);
        if !is_assumed {
            self.promised(&info, now);
        } else if self.queue.get(key).is_none() {
            // The API has taken its binding; this is news from before, and its place stays its own.
            return;
        }
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
        if self.queue.get(key).is_some_and(|queued| is_it(&queued.pod.uid))
            && let Some(queued) = self.queue.remove(key)
        {
            self.withdraw(&queued.pod, now);
        }
        if let Some(placed) = self.snapshot.pod(key).filter(|placed| is_it(&placed.uid)) {
            let was_assumed = placed.placement == Placement::Assumed;
            let node = self.snapshot.node(placed.slot).name.clone();
            if was_assumed {
                self.unreserve(key, &node);
            }
            self.left(key, now);
        }
        let known = self.queue.get(key).is_some() || self.snapshot.pod(key).is_some();
        if !known && self.snapshot.leaves(key) {
            self.permits
                .ask_again(ClusterEvent::PodGroup.into(), key, &self.profiles);
        }
        for preemptor in self.evictions.gone(key) {
            self.queue.activate(&preemptor, now);
        }
    }

    /// A Pod is there; its group may be complete now.
    fn joins(&mut self, info: &PodInfo, now: Instant) {
        if self.snapshot.joins(info) {
            let change = Change::new(ClusterEvent::PodGroup, Changed::Other);
            wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
        }
    }

    /// What the API says of the room that is made for a Pod counts when it is new: after a restart, or where another has written it.
    /// Else the engine knows better, whose own word may still be on its way.
    fn promised(&mut self, info: &PodInfo, now: Instant) {
        let known = self
            .queue
            .get(&info.key)
            .map(|queued| queued.pod.nominated.clone());
        if known.as_ref() == Some(&info.nominated) {
            return;
        }
        match &info.nominated {
            Some(node) => self.snapshot.nominate(info, Some(node)),
            None if known.is_some() => self.withdraw(info, now),
            None => {}
        }
    }

    /// A Pod has a node, by the API's word.
    fn placed(&mut self, info: &PodInfo, node: &str, now: Instant) {
        let before = self.snapshot.pod(&info.key).map(|placed| placed.template.clone());
        self.snapshot.place(info, node, Placement::Bound);
        let event = match before {
            None => ClusterEvent::AssignedPodAdded,
            Some(template) if template.id != info.template.id => ClusterEvent::AssignedPodUpdated,
            Some(_) => return,
        };
        self.changed(&info.key, event, now);
    }

    /// A placed Pod is new there, or has changed.
    fn changed(&mut self, key: &ObjectKey, event: ClusterEvent, now: Instant) {
        if let Some(placed) = self.snapshot.pod(key) {
            let what = Changed::Placed(placed, self.snapshot.node(placed.slot));
            let change = Change::new(event, what);
            wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
        }
    }

    /// A placed Pod is no longer there.
    fn left(&mut self, key: &ObjectKey, now: Instant) {
        if let Some(placed) = self.snapshot.remove_pod(key) {
            let what = Changed::Left(&placed, self.snapshot.node(placed.slot));
            let change = Change::new(ClusterEvent::AssignedPodDeleted, what);
            wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
        }
    }

    /// A Pod that waited is gone, and with it the room that was to be made for it.
    fn withdraw(&mut self, pod: &PodInfo, now: Instant) {
        self.evictions.settled(&pod.key);
        if let Some(slot) = self.snapshot.nomination(&pod.uid) {
            self.snapshot.nominate(pod, None);
            let change = Change::new(
                ClusterEvent::AssignedPodDeleted,
                Changed::Node(self.snapshot.node(slot)),
            );
            wake(&mut self.queue, &self.profiles, &self.snapshot, &change, now);
        }
    }

    /// Decides on the next Pod; `None` when none is ready, or the cluster is not known.
    pub fn step(&mut self, now: Instant, wall: Timestamp) -> Option<Outcome> {
        if !self.synced {
            return None;
        }
        if let Some(outcome) = self.permitted(now, wall) {
            return Some(outcome);
        }
        if let Some(outcome) = self.heard(now, wall) {
            return Some(outcome);
        }
        let pod = self.next_pod(now)?;
        if self.asks_about(&pod) {
            return Some(self.consult(&pod, now, wall));
        }
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            self.queue.remove(&pod.key);
            return Some(Outcome::Error);
        };
        let found = profile
            .cycle
            .decide(&profile.plugins, &pod, &mut self.snapshot, &mut self.rng);
        Some(match found {
            Some(slot) => self.take_place(pod, slot, now, wall),
            None => self.find_room(&pod, None, now, wall),
        })
    }

    /// A Pod gets its place.
    fn take_place(&mut self, pod: Arc<PodInfo>, slot: Slot, now: Instant, wall: Timestamp) -> Outcome {
        let node = self.snapshot.node(slot).name.clone();
        self.snapshot.place(&pod, &node, Placement::Assumed);
        if let Err(rejection) = self.reserve(&pod, &node) {
            self.forget(&pod, &node, now);
            return self.failed(&pod, &rejection, now, wall);
        }
        self.changed(&pod.key, ClusterEvent::AssignedPodAdded, now);
        self.ask_permission(pod, node, now, wall)
    }

    /// A plugin failed for a Pod that was taken.
    fn failed(&mut self, pod: &PodInfo, rejection: &Rejection, now: Instant, wall: Timestamp) -> Outcome {
        self.queue.fail(&pod.key, now);
        let message = rejection.reasons.join(", ");
        self.note(pod, AttemptResult::Failed(message.as_str().into()), wall);
        self.reports.extend(report::failed(pod, &message, true, wall));
        Outcome::Error
    }

    /// No node takes a Pod: asks whether anything helps. `refused` is what extenders have said of nodes that plugins left.
    fn find_room(
        &mut self,
        pod: &Arc<PodInfo>,
        refused: Option<&[Rejection]>,
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            return Outcome::Error;
        };
        let diagnosis = { &mut profile.cycle }.diagnose(&profile.plugins, pod, &mut self.snapshot, refused);
        let mut post_filters = std::mem::take(&mut profile.plugins.post_filters);
        // Who is on the way out for it is not yet seen to be; to look again would send others away.
        let is_waiting = self.evictions.is_expected(&pod.key);
        let mut found = if is_waiting {
            PostFiltered::Wait
        } else {
            PostFiltered::Nothing(String::new())
        };
        for plugin in post_filters.iter_mut().filter(|_| !is_waiting) {
            found = plugin.post_filter(pod, &profile.plugins, &mut self.snapshot, &mut self.rng);
            if !matches!(&found, PostFiltered::Nothing(text) if text.is_empty()) {
                break;
            }
        }
        profile.plugins.post_filters = post_filters;
        self.found(pod, diagnosis, found, now, wall)
    }

    /// What comes of the look for room.
    fn found(
        &mut self,
        pod: &Arc<PodInfo>,
        diagnosis: Arc<Diagnosis>,
        found: PostFiltered,
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        match found {
            PostFiltered::Rooms(rooms) => self.ask_extenders(pod, About::Rooms(rooms, diagnosis)),
            PostFiltered::Nothing(help) => {
                // Where room was promised there is none after all.
                if self.snapshot.nomination(&pod.uid).is_some() {
                    self.withdraw(pod, now);
                    self.reports.extend(report::nominated(pod, ""));
                }
                let waited_for = self.lose_places_with(pod);
                let noted = AttemptResult::Unschedulable(diagnosis.clone(), help.as_str().into());
                self.note(pod, noted, wall);
                if waited_for {
                    // Its group is tried again together, after a while. What the others give back would wake it at once, and it would
                    // keep a place alone.
                    let message = format!("{} {help}", diagnosis.message);
                    self.reports
                        .extend(report::failed(pod, message.trim_end(), false, wall));
                    self.queue.fail(&pod.key, now);
                    return Outcome::Unschedulable;
                }
                self.unschedulable(pod, &diagnosis, &help, now, wall)
            }
            PostFiltered::Wait => {
                let noted = AttemptResult::Unschedulable(diagnosis.clone(), ROOM_IS_MADE.into());
                self.note(pod, noted, wall);
                self.queue.fail_making_room(&pod.key, diagnosis.rejected_by, now);
                Outcome::Unschedulable
            }
            PostFiltered::Room(room) => {
                let victims = room.victims.iter().map(|victim| victim.key.clone());
                self.evictions.expect(&pod.key, victims);
                self.snapshot.nominate(pod, Some(&room.node));
                self.outbid(pod, now);
                let message = diagnosis.message.clone();
                self.reports
                    .extend(report::making_room(pod, message, &room.node, wall));
                self.queue.fail_making_room(&pod.key, diagnosis.rejected_by, now);
                let room = Arc::new(room);
                self.note(pod, AttemptResult::Preempting(diagnosis, room.clone()), wall);
                Outcome::Preempt(Box::new(Preemption {
                    pod: pod.clone(),
                    room,
                }))
            }
        }
    }

    /// Pods of lower priority that the node was promised to look for another.
    fn outbid(&mut self, pod: &PodInfo, now: Instant) {
        let Some(slot) = self.snapshot.nomination(&pod.uid) else {
            return;
        };
        let promised = self.snapshot.node(slot).nominated.iter();
        let lower = promised.filter(|other| other.class().priority < pod.priority());
        let lower: Vec<ObjectKey> = lower.map(|other| other.key.clone()).collect();
        for key in lower {
            let Some(other) = self.queue.get(&key).map(|queued| queued.pod.clone()) else {
                continue;
            };
            self.evictions.settled(&key);
            self.snapshot.nominate(&other, None);
            self.reports.extend(report::nominated(&other, ""));
            self.queue.activate(&key, now);
        }
    }

    /// A victim could not be deleted: who waits for it looks again.
    pub fn not_evicted(&mut self, victim: &ObjectKey, now: Instant) {
        for preemptor in self.evictions.waiting_for(victim) {
            self.evictions.settled(&preemptor);
            self.queue.activate(&preemptor, now);
        }
    }

    fn reserve(&mut self, pod: &PodInfo, node: &str) -> Result<(), Rejection> {
        let Some(profile) = self.profiles.get_mut(&pod.template.spec.scheduler_name) else {
            return Ok(());
        };
        for plugin in &mut profile.plugins.reserves {
            plugin.reserve(pod, node, &mut self.snapshot)?;
        }
        Ok(())
    }

    /// The binding of a Pod that has its place.
    fn binding(&mut self, pod: Arc<PodInfo>, node: Arc<str>, now: Instant, wall: Timestamp) -> Outcome {
        let profile = self.profiles.get(&pod.template.spec.scheduler_name);
        let by_extender = profile.is_some_and(|profile| profile.plugins.extenders.bind(&pod.template));
        let mut plugins = profile.iter().flat_map(|profile| &profile.plugins.binds);
        let operation = if by_extender {
            None
        } else {
            plugins.find_map(|plugin| plugin.bind(&pod, &node))
        };
        if operation.is_none() && !by_extender {
            self.forget(&pod, &node, now);
            let rejection = Rejection::error("no plugin knows how to bind the pod");
            return self.failed(&pod, &rejection, now, wall);
        }
        self.note(&pod, AttemptResult::Scheduled(node.clone()), wall);
        Outcome::Bind(Box::new(Binding { pod, node, operation }))
    }

    /// Gives back what plugins had set aside for a Pod that was assumed.
    fn unreserve(&mut self, pod: &ObjectKey, node: &str) {
        self.settle_permit(pod, false);
        for profile in self.profiles.values_mut() {
            for plugin in profile.plugins.reserves.iter_mut().rev() {
                plugin.unreserve(pod, node, &mut self.snapshot);
            }
        }
    }

    fn forget(&mut self, pod: &PodInfo, node: &str, now: Instant) {
        self.unreserve(&pod.key, node);
        self.left(&pod.key, now);
    }

    fn unschedulable(
        &mut self,
        pod: &PodInfo,
        diagnosis: &Diagnosis,
        help: &str,
        now: Instant,
        wall: Timestamp,
    ) -> Outcome {
        let message = if help.is_empty() {
            diagnosis.message.clone()
        } else {
            format!("{} {help}", diagnosis.message)
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

    /// Room is being made: tells the victims, as upstream words it.
    pub fn preempted(&mut self, preemption: &Preemption) {
        let victims = preemption.room.victims.iter();
        self.reports
            .extend(victims.map(|victim| report::preempted(victim, preemption)));
    }

    /// The API took a binding. The Pod counts on its node already; the stream will show it. Gives the Pod's time in
    /// the queue.
    pub fn bound(&mut self, binding: &Binding) -> Option<Queued> {
        let key = &binding.pod.key;
        self.reports.push(report::scheduled(&binding.pod, &binding.node));
        self.evictions.settled(key);
        _ = self.permits.settled(key, true, &mut self.profiles);
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
                    self.forget(pod, &binding.node, now);
                }
                self.queue.fail(&pod.key, now);
                self.pod_is(&pod.key, &found, found.revision(), now, wall);
            }
            Found::Gone => self.pod_gone(&pod.key, &pod.uid, now),
        }
    }
}

/// Something has happened: the Pods that it may help are tried again.
fn wake(
    queue: &mut Queue,
    profiles: &BTreeMap<String, Profile>,
    snapshot: &Snapshot,
    change: &Change<'_>,
    now: Instant,
) {
    if change.events.is_empty() || queue.none_waits() {
        return;
    }
    let left = matches!(change.what, Changed::Left(..));
    queue.wake(now, |rejected_by, template, making_room| {
        // The engine knows which Pods must leave for those that room is made for, and counts them.
        let profile = profiles.get(&template.spec.scheduler_name);
        let helps = |profile: &Profile| profile.plugins.helps(rejected_by, template, change, snapshot);
        !(making_room && left) && profile.is_some_and(helps)
    });
}

#[cfg(test)]
mod tests;
