//! The runtime without its I/O: what to reconcile when, and what to wait for.
//!
//! In: deltas and the results of writes. Out: [`Job`]s, plans to carry out. A key is in one of these states:
//!
//! ```text
//!   queued ──step──> reconciled ──no actions──> (idle, or queued for later)
//!      ^                 │ actions
//!      │                 v
//!      │             in flight ──finish──> waiting: until the cache shows the writes,
//!      │                                   or is as new as the fence when an answer was lost
//!      └───────────────────────────────────────┘
//! ```

use crate::backoff::Policy;
use crate::cache::{Cache, CacheEvent, Watch};
use crate::controller::{Action, Controller, Plan};
use crate::delta::Delta;
use crate::error::Error;
use crate::key::ObjectKey;
use crate::runtime::flight::Results;
use crate::workqueue::{Lane, WorkQueue};
use apimachinery::kinds;
use apimachinery::status::Reason;
use apimachinery::wire::MetaView;
use component_base::clock::Instant;
use component_base::rng::Rng;
use jiff::Timestamp;
use proto::Object;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A controller's key.
type Place = (Lane, ObjectKey);

/// A plan to carry out.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) lane: Lane,
    pub(super) key: ObjectKey,
    pub(super) cause: Cause,
    pub(super) plan: Plan,
}

/// Which change made a key be reconciled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cause {
    /// The revision of the change.
    pub(super) revision: i64,
    /// Whether somebody asked the key's own object to become something else. Such a change explains more than the
    /// progress of others that came with it.
    pub(super) of_spec: bool,
}

impl Cause {
    /// The one of two that explains more: what was asked, else what came last.
    fn or(self, other: Self) -> Self {
        let weight = |cause: &Self| (cause.of_spec, cause.revision);
        if weight(&other) >= weight(&self) {
            other
        } else {
            self
        }
    }
}

/// What [`Engine::step`] did.
pub(super) enum Step {
    /// Nothing is ready.
    Idle,
    /// A key was reconciled; a plan without actions needs no job.
    Reconciled { lane: Lane, job: Option<Job> },
}

/// What a key waits for after its writes.
#[derive(Debug, Default)]
struct Wait {
    /// The cache must have reached this revision.
    revision: i64,
    /// These UIDs must be gone, or on their way. A removal's revision is not in its answer.
    gone: Vec<(ObjectKey, String)>,
    fence: Fence,
}

/// How to learn up to where the cache must come when an answer was lost: from the server's newest revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fence {
    /// All answers came.
    #[default]
    Unneeded,
    /// The server must be asked.
    Wanted,
    /// The server is being asked.
    Asked,
}

/// See the module.
pub(super) struct Engine {
    cache: Cache,
    controllers: Vec<Box<dyn Controller>>,
    /// The kinds that each controller watches.
    watched: Vec<BTreeSet<u32>>,
    queue: WorkQueue<ObjectKey>,
    causes: HashMap<Place, Cause>,
    waiting: BTreeMap<Place, Wait>,
    /// Changes that came while the cache showed no single revision. Their keys can be told only after.
    held: Vec<CacheEvent>,
    /// Whether what keys wait for may have come since they were last looked at. Looking costs a pass over all of them,
    /// so it is done once before the next step, not for every delta.
    moved: bool,
}

impl Engine {
    pub(super) fn new(cache: Cache, controllers: Vec<Box<dyn Controller>>, rng: Rng) -> Self {
        let kinds = controllers
            .iter()
            .map(|c| c.watches().iter().map(Watch::number).collect());
        Self {
            watched: kinds.collect(),
            queue: WorkQueue::new(controllers.len(), Policy::REQUEUE, rng),
            cache,
            controllers,
            causes: HashMap::new(),
            waiting: BTreeMap::new(),
            held: Vec::new(),
            moved: false,
        }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How many keys of a controller are queued.
    pub(super) fn queued(&self, lane: Lane) -> usize {
        self.queue.queued(lane)
    }

    /// How many keys wait for the cache.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the next delayed key is due; `None` when none is, or while nothing may be reconciled.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due().filter(|_| self.cache.synced())
    }

    /// Takes a delta in.
    pub(super) fn apply(&mut self, delta: &Delta) {
        let before = self.cache.revision();
        match self.cache.apply(delta) {
            Ok(Some(event)) if self.cache.synced() => self.enqueue(&event),
            Ok(Some(event)) => self.held.push(event),
            Ok(None) => {}
            // The schema is the server's own, so this is a fault; the rest of the cluster must go on.
            Err(error) => tracing::error!(?delta, %error, "an object does not decode and is left as it was"),
        }
        if let Delta::Synced(revision) = delta {
            for event in std::mem::take(&mut self.held) {
                self.enqueue(&event);
            }
            if *revision < before {
                tracing::warn!(
                    before,
                    revision,
                    "the server's revision went back: its store was replaced"
                );
                // What was waited for will never come.
                for wait in self.waiting.values_mut() {
                    wait.revision = wait.revision.min(*revision);
                }
            }
        }
        self.moved = true;
    }

    fn enqueue(&mut self, event: &CacheEvent) {
        for (lane, controller) in self.controllers.iter().enumerate() {
            // Who watches custom kinds watches all of them, by the arm that they share.
            if !self.watched[lane].contains(&kinds::arm(event.key.kind)) {
                continue;
            }
            for key in controller.keys(&self.cache, event) {
                let of_spec = key == event.key && event.is_of_spec();
                let cause = Cause {
                    revision: event.revision,
                    of_spec,
                };
                let known = self.causes.entry((lane, key.clone())).or_default();
                *known = known.or(cause);
                self.queue.add(lane, key);
            }
        }
    }

    /// Reconciles the next key that is ready.
    pub(super) fn step(&mut self, now: Instant, wall: Timestamp) -> Step {
        if !self.cache.synced() {
            return Step::Idle;
        }
        if std::mem::take(&mut self.moved) {
            self.release();
        }
        let Some((lane, key)) = self.queue.pop(now) else {
            return Step::Idle;
        };
        let cause = self.causes.remove(&(lane, key.clone())).unwrap_or_default();
        let plan = self.controllers[lane].reconcile(&self.cache, &key, wall);
        let job = Job {
            lane,
            key,
            cause,
            plan,
        };
        if !job.plan.actions.is_empty() {
            return Step::Reconciled { lane, job: Some(job) };
        }
        self.succeed(&job, now);
        self.queue.done(lane, &job.key);
        Step::Reconciled { lane, job: None }
    }

    /// Takes in what a job's writes came to: one result an action, `None` for those that write nothing.
    pub(super) fn finish(&mut self, job: Job, results: &Results, now: Instant) {
        let mut wait = Wait::default();
        let mut again = false;
        let controller = self.controllers[job.lane].name();
        for (action, result) in job.plan.actions.iter().zip(results) {
            match result {
                None => {}
                Some(Ok(object)) => self.note(&mut wait, action, object),
                // It was to be gone, and it is.
                Some(Err(error)) if deletes(action) && error.is_not_found() => {}
                Some(Err(error)) => {
                    again = true;
                    if is_uncertain(error) {
                        wait.fence = Fence::Wanted;
                    }
                    if is_stale(error) {
                        tracing::debug!(controller, key = %job.key, %error, "the plan was overtaken");
                    } else {
                        tracing::warn!(controller, key = %job.key, %error, "a write failed");
                    }
                }
            }
        }
        if again {
            self.remember(&job);
            self.queue.add_failed(job.lane, job.key.clone(), now);
        } else {
            self.succeed(&job, now);
        }
        self.waiting.insert((job.lane, job.key), wait);
        self.moved = true;
    }

    /// Whether the server must be asked for its newest revision; the answer goes to [`Engine::fence`].
    pub(super) fn ask_fence(&mut self) -> bool {
        if self.waiting.values().any(|wait| wait.fence == Fence::Asked) {
            return false;
        }
        self.turn_fences(Fence::Wanted, |wait| wait.fence = Fence::Asked)
    }

    /// The server's newest revision, asked for after [`Engine::ask_fence`]; `None` when it could not be learned.
    pub(super) fn fence(&mut self, newest: Option<i64>) {
        self.turn_fences(Fence::Asked, |wait| match newest {
            Some(revision) => {
                wait.fence = Fence::Unneeded;
                wait.revision = wait.revision.max(revision);
            }
            None => wait.fence = Fence::Wanted,
        });
        self.moved = true;
    }

    fn turn_fences(&mut self, from: Fence, turn: impl Fn(&mut Wait)) -> bool {
        let mut any = false;
        for wait in self.waiting.values_mut().filter(|wait| wait.fence == from) {
            turn(wait);
            any = true;
        }
        any
    }

    /// The job is done: its failures are forgotten, and it comes back when the plan asked for it.
    fn succeed(&mut self, job: &Job, now: Instant) {
        self.queue.forget(job.lane, &job.key);
        if let Some(delay) = job.plan.requeue_after {
            self.remember(job);
            self.queue.add_at(job.lane, job.key.clone(), now + delay);
        }
    }

    /// Keeps the cause for when the key comes back by itself.
    fn remember(&mut self, job: &Job) {
        let known = self.causes.entry((job.lane, job.key.clone())).or_default();
        *known = known.or(job.cause);
    }

    /// What the cache must show after a write. Kinds that it does not hold it never shows.
    fn note(&self, wait: &mut Wait, action: &Action, written: &Object) {
        match action {
            Action::Delete(delete) | Action::Evict(delete) if self.cache.holds(delete.key.kind) => {
                wait.gone.push((delete.key.clone(), delete.uid().to_owned()));
            }
            _ if self.cache.holds(written.number) => {
                let revision = MetaView::parse(&written.bytes).map_or(0, |meta| meta.revision());
                wait.revision = wait.revision.max(revision);
            }
            _ => {}
        }
    }

    /// Lets keys go on for which the cache shows what they waited for.
    fn release(&mut self) {
        let cache = &self.cache;
        let is_over = |wait: &Wait| {
            wait.fence == Fence::Unneeded
                && wait.revision <= cache.revision()
                && wait.gone.iter().all(|(key, uid)| {
                    cache
                        .metadata(key)
                        .is_none_or(|meta| meta.uid != *uid || meta.deletion_timestamp.is_some())
                })
        };
        let over: Vec<Place> = self
            .waiting
            .iter()
            .filter(|(_, wait)| is_over(wait))
            .map(|(place, _)| place.clone())
            .collect();
        for place in over {
            self.waiting.remove(&place);
            self.queue.done(place.0, &place.1);
        }
    }
}

fn deletes(action: &Action) -> bool {
    matches!(action, Action::Delete(_) | Action::Evict(_))
}

/// Whether the write may have been done all the same.
fn is_uncertain(error: &Error) -> bool {
    use Reason::{InternalError, ServiceUnavailable, Timeout};
    match error {
        Error::Api(_) => matches!(
            error.reason(),
            None | Some(InternalError | ServiceUnavailable | Timeout)
        ),
        Error::Transport { .. } | Error::Decode(_) | Error::Config(_) => true,
    }
}

/// Whether the world had moved on when the plan was carried out, or a disruption budget asks for patience. Both are part
/// of normal life.
fn is_stale(error: &Error) -> bool {
    let reason = error.reason();
    matches!(
        reason,
        Some(Reason::Conflict | Reason::NotFound | Reason::AlreadyExists | Reason::TooManyRequests)
    )
}
