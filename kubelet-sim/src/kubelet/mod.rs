//! All nodes of the process and their pods, without I/O.
//!
//! In: deltas from the API, the time, results of writes, faults. Out: batches of writes, things to tell, the next
//! deadline. The shell around it (`run`) only carries these to and fro.
//! Invariant: everything that matters later is in the API; a new `Kubelet` fed with the same objects goes on the same.

mod faults;
mod logs;
mod outbox;
mod record;
#[cfg(test)]
mod tests;
mod writes;

use crate::node::object::{self, Endpoints};
use crate::node::{NodeState, Presence};
use crate::pod::{Condition, Context, PodState, Programs, Told, advance, foreign, images, recover};
use apimachinery::selector::fields;
use apimachinery::wire::MetaView;
use client::controller::{EventAction, EventKind};
use client::{Delta, ObjectKey};
use jiff::Timestamp;
use outbox::{Item, Outbox};
use proto::api::core::v1 as core;
use proto::{Kind, Object};
use record::{PodRecord, deletion};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use faults::{FaultError, NodeSummary};
pub use logs::LogError;
pub use writes::{Batch, Counts};

/// How often a node renews its lease.
const LEASE_PERIOD: Duration = Duration::from_secs(10);
/// Into how many batches the leases of a period are spread: small ones, far enough apart to cost few syncs.
const LEASE_SLOTS: usize = 20;
/// How often a node reports its status although nothing has changed.
const REPORT_PERIOD: Duration = Duration::from_secs(300);

/// An event to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The event.
    pub event: EventAction,
    /// The revision that it tells of.
    pub cause: i64,
}

/// The process' nodes and their pods.
#[derive(Debug)]
pub struct Kubelet {
    nodes: Vec<NodeState>,
    by_name: HashMap<Arc<str>, usize>,
    /// What an adopted Node's metadata lacks, as merge patches, by node.
    patches: HashMap<usize, String>,
    pods: HashMap<ObjectKey, PodRecord>,
    due: BTreeSet<(Timestamp, ObjectKey)>,
    programs: Programs,
    outbox: Outbox,
    /// Where the process is reached.
    endpoints: Endpoints,
    /// Whether the state of the cluster was seen once.
    synced: bool,
    /// When the next slot of leases is due.
    lease_at: Timestamp,
    lease_slot: usize,
    /// No writes before: the server does not answer, or asked for patience.
    pause_until: Option<Timestamp>,
    notices: Vec<Notice>,
    counts: Counts,
}

impl Kubelet {
    /// A process that knows nothing of the cluster yet.
    pub fn new(nodes: Vec<NodeState>, endpoints: Endpoints, now: Timestamp) -> Self {
        let by_name = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.name.clone(), index))
            .collect();
        Self {
            nodes,
            by_name,
            patches: HashMap::new(),
            pods: HashMap::new(),
            due: BTreeSet::new(),
            programs: Programs::default(),
            outbox: Outbox::default(),
            endpoints,
            synced: false,
            lease_at: now,
            lease_slot: 0,
            pause_until: None,
            notices: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Takes in what the API tells. Returns whether the kubelet has just come to know the whole cluster.
    pub fn apply(&mut self, delta: Delta, now: Timestamp) -> bool {
        match delta {
            Delta::Restarted | Delta::Bookmark(_) => {}
            Delta::Synced(_) => return self.synced(now),
            Delta::Upsert {
                key,
                object,
                revision,
                ..
            } if key.is::<core::Pod>() => {
                self.observe_pod(key, &object, revision, now);
            }
            Delta::Upsert { key, object, .. } if key.is::<core::Node>() => {
                if let Some(index) = self.by_name.get(&key.name).copied() {
                    self.observe_node(index, &object, now);
                }
            }
            Delta::Delete { key, .. } if key.is::<core::Pod>() => self.forget(&key),
            Delta::Delete { key, .. } if key.is::<core::Node>() => {
                if let Some(index) = self.by_name.get(&key.name).copied()
                    && self.nodes[index].presence == Presence::Registered
                {
                    tracing::warn!(
                        node = &*key.name,
                        "somebody deleted a node; it stays away until the next start"
                    );
                    self.nodes[index].presence = Presence::Deleted;
                }
            }
            Delta::Upsert { .. } | Delta::Delete { .. } => {}
        }
        false
    }

    /// The first time that the whole cluster is known: what was found goes on, what is missing is made.
    fn synced(&mut self, now: Timestamp) -> bool {
        if std::mem::replace(&mut self.synced, true) {
            return false;
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].presence == Presence::Unknown {
                self.outbox.push(Item::Register(index));
            }
        }
        let mut keys: Vec<ObjectKey> = self.pods.keys().cloned().collect();
        // Who came first keeps its place, whatever order a map has.
        keys.sort_unstable();
        for key in &keys {
            if let Some(record) = self.pods.get_mut(key).filter(|record| record.is_active()) {
                claim(&mut self.nodes[record.node], record);
            }
        }
        for key in &keys {
            self.process(key, now);
        }
        true
    }

    fn observe_node(&mut self, index: usize, object: &Object, now: Timestamp) {
        let Ok(node) = object.decode_as::<core::Node>() else {
            tracing::error!(node = &*self.nodes[index].name, "a Node that does not decode");
            return;
        };
        let state = &mut self.nodes[index];
        let first = state.presence == Presence::Unknown;
        state.observe(&node);
        if !state.is_alive() {
            return;
        }
        if first {
            if let Some(patch) = object::metadata_patch(&node, state, &self.endpoints) {
                self.patches.insert(index, patch.to_string());
                self.outbox.push(Item::Metadata(index));
            }
            if object::is_outdated(&node, state) {
                self.outbox.push(Item::Status(index));
            }
            self.begin_heartbeats(index, now);
        }
        if object::ready(&node).is_none() {
            self.nodes[index].ready_since = now;
            self.outbox.push(Item::Status(index));
        }
    }

    /// The answer to a registration. It may hold no more than names and UID: the watch brings the rest.
    fn registered(&mut self, index: usize, object: &Object, now: Timestamp) {
        let node = &mut self.nodes[index];
        if node.presence == Presence::Unknown
            && let Ok(meta) = MetaView::parse(&object.bytes)
        {
            node.presence = Presence::Registered;
            meta.uid.clone_into(&mut node.uid);
            self.begin_heartbeats(index, now);
        }
    }

    /// From now on the node renews its lease and reports.
    fn begin_heartbeats(&mut self, index: usize, now: Timestamp) {
        // Spread over the period from the start, so that a fleet does not report at once for ever.
        let share = REPORT_PERIOD.mul_f64((index + 1) as f64 / self.nodes.len() as f64);
        let node = &mut self.nodes[index];
        node.report_at = crate::pod::after(now, share);
        // A Node that is seen before the first sync was there before this process, and so was its Lease.
        node.lease_known = !self.synced;
        self.outbox.push(Item::Lease(index));
    }

    fn observe_pod(&mut self, key: ObjectKey, object: &Object, revision: i64, now: Timestamp) {
        // Most events are the echo of an own write.
        if self
            .pods
            .get(&key)
            .is_some_and(|record| record.revision >= revision)
        {
            return;
        }
        let name = fields::read(core::Pod::NUMBER, &object.bytes, "spec.nodeName").unwrap_or_default();
        let Some(node) = self.by_name.get(&*name).copied() else {
            return;
        };
        let Ok(mut pod) = object.decode_as::<core::Pod>() else {
            tracing::error!(pod = %key, "a Pod that does not decode");
            return;
        };
        let status = pod.status.take().unwrap_or_default();
        let program = self.programs.get(&mut pod);
        let meta = pod.metadata.unwrap_or_default();
        if self.pods.get(&key).is_some_and(|record| *record.uid != *meta.uid) {
            self.forget(&key);
        }
        if let Some(record) = self.pods.get_mut(&key) {
            record.revision = revision;
            record.deletion = deletion(&meta);
            record.generation = meta.generation;
            if !Arc::ptr_eq(&record.program, &program)
                && record.program.containers.len() == program.containers.len()
            {
                record.program = program;
                record.dirty |= record.is_active();
            }
            let others = foreign(&status);
            let ended = matches!(status.phase.as_str(), "Succeeded" | "Failed");
            if ended && record.is_active() {
                // Somebody else declared it ended, as the pod garbage collector does with pods of lost nodes.
                vacate(&mut self.nodes[node], record);
                record.state = recover(&status, &record.program);
                record.dirty = false;
            } else if let Some(state) = &mut record.state {
                state.foreign = others;
                // The node lifecycle controller takes Ready from pods of nodes that seem lost.
                record.dirty |= !record.dirty && !record.in_flight && !is_shown(state, &status);
            } else {
                record.early = others;
            }
        } else {
            let state = recover(&status, &program);
            let record = PodRecord {
                uid: meta.uid.as_str().into(),
                node,
                revision,
                generation: meta.generation,
                deletion: deletion(&meta),
                found: state.is_some(),
                early: if state.is_none() {
                    foreign(&status)
                } else {
                    Vec::new()
                },
                program,
                state,
                due: None,
                dirty: false,
                in_flight: false,
                let_go: false,
            };
            self.nodes[node].images.extend(images(&status));
            self.pods.insert(key.clone(), record);
        }
        self.process(&key, now);
    }

    /// Takes a pod as far as it has come.
    fn process(&mut self, key: &ObjectKey, now: Timestamp) {
        let Some(record) = self.pods.get_mut(key) else {
            return;
        };
        let node = &mut self.nodes[record.node];
        if let Some(due) = record.due.take() {
            self.due.remove(&(due, key.clone()));
        }
        if !self.synced || !node.is_alive() {
            return;
        }
        let mut told = Vec::new();
        if record.state.is_none() && record.deletion.is_none() {
            admit(node, record, now, &mut told);
        }
        let seed = record.seed(node);
        if let Some(state) = &mut record.state {
            let was_active = state.end().is_none();
            let mut cx = Context {
                program: &record.program,
                seed,
                now,
                deletion: record.deletion,
                images: &mut node.images,
            };
            let step = advance(state, &mut cx);
            let found = std::mem::take(&mut record.found);
            // What a container waits for was told before the restart.
            told.extend(
                step.told
                    .into_iter()
                    .filter(|told| !(found && matches!(told.reason, "Pulling" | "Pulled"))),
            );
            self.counts.restarts += u64::from(step.restarts);
            record.dirty |= step.changed;
            record.due = step.next;
            if was_active && !record.is_active() {
                vacate(node, record);
            }
        }
        for told in told {
            self.notices.push(notice(key, record, told));
        }
        if let Some(due) = record.due {
            self.due.insert((due, key.clone()));
        }
        if record.dirty || record.is_to_go() {
            self.outbox.push(Item::Pod(key.clone()));
        }
    }

    /// A pod that is gone from the API has nothing left here.
    fn forget(&mut self, key: &ObjectKey) {
        let Some(mut record) = self.pods.remove(key) else {
            return;
        };
        if let Some(due) = record.due {
            self.due.remove(&(due, key.clone()));
        }
        if record.is_active() && self.synced {
            vacate(&mut self.nodes[record.node], &mut record);
        }
    }

    /// Does what is due by now: pods that come to their next stage, leases, reports.
    pub fn tick(&mut self, now: Timestamp) {
        self.pause_until = self.pause_until.filter(|until| *until > now);
        if !self.synced {
            return;
        }
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            self.process(&key, now);
            // A pod that is due again at once would starve the others; `advance` never asks for that.
            debug_assert!(
                self.due
                    .first()
                    .is_none_or(|(next, first)| (*next, first) != (at, &key))
            );
        }
        while self.lease_at <= now {
            self.renew_slot(now);
        }
    }

    fn slots(&self) -> usize {
        self.nodes.len().clamp(1, LEASE_SLOTS)
    }

    fn renew_slot(&mut self, now: Timestamp) {
        let slots = self.slots();
        for index in (self.lease_slot..self.nodes.len()).step_by(slots) {
            let node = &self.nodes[index];
            match node.presence {
                Presence::Unknown => self.outbox.push(Item::Register(index)),
                Presence::Registered if node.is_alive() => {
                    self.outbox.push(Item::Lease(index));
                    if node.report_at <= now {
                        self.outbox.push(Item::Status(index));
                    }
                }
                Presence::Registered | Presence::Deleted | Presence::Removed => {}
            }
        }
        self.lease_slot = (self.lease_slot + 1) % slots;
        // A process that was stopped for long renews at once, and then in step again.
        let late = crate::pod::after(self.lease_at, LEASE_PERIOD);
        let from = if late < now { now } else { self.lease_at };
        self.lease_at = crate::pod::after(from, LEASE_PERIOD / u32::try_from(slots).unwrap_or(1));
    }

    /// The next moment at which [`Kubelet::tick`] or [`Kubelet::batch`] has something to do.
    pub fn deadline(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(at, _)| *at);
        let lease = self.synced.then_some(self.lease_at);
        let pause = self.pause_until.filter(|_| self.outbox.len() > 0);
        [due, lease, pause].into_iter().flatten().min()
    }

    /// What has happened since the last call, to be recorded as Events.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// How many pods are in each phase.
    pub fn phases(&self) -> HashMap<&'static str, i64> {
        let mut phases = HashMap::from(["Pending", "Running", "Succeeded", "Failed"].map(|phase| (phase, 0)));
        for record in self.pods.values() {
            let phase = record
                .state
                .as_ref()
                .map_or("Pending", |state| state.phase(&record.program));
            *phases.entry(phase).or_default() += 1;
        }
        phases
    }
}

/// Whether a status shows the kubelet's conditions as they are.
fn is_shown(state: &PodState, status: &core::PodStatus) -> bool {
    Condition::ALL.into_iter().all(|condition| {
        let shown = status.conditions.iter().find(|c| c.r#type == condition.as_str());
        shown.is_some_and(|shown| (shown.status == "True") == state.holds(condition))
    })
}

/// A pod that was here before the process: its address and resources are taken.
fn claim(node: &mut NodeState, record: &PodRecord) {
    node.occupy(&record.program);
    let address = record.state.as_ref().and_then(|state| state.ip);
    if let (Some(IpAddr::V4(address)), false) = (address, record.program.host_network)
        && !node.addresses.claim(address)
    {
        tracing::warn!(node = &*node.name, %address, "a pod's address is taken twice, or is not of its node's block");
    }
}

/// A pod that runs no more frees what it had.
fn vacate(node: &mut NodeState, record: &mut PodRecord) {
    node.vacate(&record.program);
    let address = record.state.as_ref().and_then(|state| state.ip);
    if let (Some(IpAddr::V4(address)), false) = (address, record.program.host_network) {
        node.addresses.release(address);
    }
}

/// Takes a new pod, or refuses it.
fn admit(node: &mut NodeState, record: &mut PodRecord, now: Timestamp, told: &mut Vec<Told>) {
    let program = &record.program;
    let refusal = node.admit(program).err();
    let refusal = refusal.map(|refusal| (refusal.reason, refusal.message));
    let address = match (&refusal, program.host_network) {
        (Some(_), _) => None,
        (None, true) => Some(node.address),
        (None, false) => node.addresses.take(),
    };
    let warning = |reason, message| Told {
        reason,
        warning: true,
        container: None,
        message,
    };
    record.dirty = true;
    let early = std::mem::take(&mut record.early);
    let Some(address) = address else {
        let no_address = || {
            (
                "OutOfpods".to_owned(),
                "the node has no free address for the pod".to_owned(),
            )
        };
        let (reason, message) = refusal.unwrap_or_else(no_address);
        record.state = Some(PodState::reject(program, now, early, &reason, &message));
        told.push(warning("FailedAdmission", format!("{reason}: {message}")));
        return;
    };
    node.occupy(program);
    told.extend(
        program
            .faults
            .iter()
            .map(|fault| warning("InvalidAnnotation", fault.to_string())),
    );
    record.state = Some(PodState::accept(program, IpAddr::V4(address), now, early));
}

/// An Event about a pod.
fn notice(key: &ObjectKey, record: &PodRecord, told: Told) -> Notice {
    let path = told.container.map(|index| {
        let cp = &record.program.containers[index];
        let list = if index < record.program.init {
            "initContainers"
        } else {
            "containers"
        };
        format!("spec.{list}{{{}}}", cp.name)
    });
    let regarding = core::ObjectReference {
        kind: core::Pod::NAME.to_owned(),
        api_version: "v1".to_owned(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        uid: record.uid.to_string(),
        resource_version: record.revision.to_string(),
        field_path: path.unwrap_or_default(),
    };
    Notice {
        event: EventAction {
            regarding,
            r#type: if told.warning {
                EventKind::Warning
            } else {
                EventKind::Normal
            },
            reason: told.reason.to_owned(),
            message: told.message,
        },
        cause: record.revision,
    }
}
