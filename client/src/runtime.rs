//! Drives controllers: one stream of changes → one cache → keys → plans → batches of writes.
//!
//! ```text
//!   Informer ──deltas──> Engine { Cache, WorkQueue, waiting keys } ──plans──> Batch RPCs ──results──┐
//!                          ^                                                                        │
//!                          └────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The engine decides and knows no I/O; this file moves deltas in and batches out. Invariants:
//! - A key is reconciled only while the cache shows the cluster at one revision, and never by two at a time.
//! - After a key's writes, it is not reconciled before the cache shows them. So no controller acts twice on one
//!   observation, which is what client-go's *expectations* are for.
//! - When the answer to a write is lost, the key waits until the cache is as new as the server was after the loss.

mod engine;
mod flight;
mod metrics;

use crate::backoff::{Backoff, Policy};
use crate::cache::{Cache, Watch};
use crate::client::Client;
use crate::controller::{Action, Controller};
use crate::events::EventRecorder;
use crate::informer::{Informer, target_of};
use crate::limits::{
    BATCHES_IN_FLIGHT, DELTAS, DRAIN_LIMIT, FLIGHT_ACTIONS, FLIGHT_BYTES, RECONCILES_A_TURN,
};
use component_base::metrics::Registry;
use component_base::ready::Progress;
use component_base::shutdown::{Shutdown, drain};
use engine::{Engine, Job, Step};
use flight::{Flown, Results};
use metrics::RuntimeMetrics;
use std::time::Duration;
use tokio::task::JoinSet;

/// Runs controllers until shutdown. `projections` ([`Watch::projected`]) drop fields that no controller here reads.
/// Time and chance are the client's. Must be called on a tokio runtime.
pub async fn run_controllers(
    client: Client,
    controllers: Vec<Box<dyn Controller>>,
    projections: Vec<Watch>,
    metrics: &Registry,
    progress: &Progress,
    shutdown: &Shutdown,
) {
    let watches = controllers.iter().flat_map(|controller| controller.watches());
    let cache = Cache::new(watches.chain(projections));
    let informer = Informer::spawn(&client, cache.kinds().map(target_of).collect());
    let seed = client.seed().child("runtime");
    let mut runtime = Runtime {
        recorder: EventRecorder::spawn(&client),
        metrics: RuntimeMetrics::register(metrics, &controllers),
        engine: Engine::new(cache, controllers, seed.fork("workqueue")),
        flights: JoinSet::new(),
        batches: 0,
        fences: Backoff::new(Policy::RECONNECT, seed.fork("fence")),
        progress: progress.clone(),
        client,
    };
    runtime.run(informer, shutdown).await;
}

/// What the loop holds.
struct Runtime {
    client: Client,
    engine: Engine,
    recorder: EventRecorder,
    flights: JoinSet<Flown>,
    /// How many of the flights are batches.
    batches: usize,
    fences: Backoff,
    metrics: RuntimeMetrics,
    progress: Progress,
}

impl Runtime {
    async fn run(&mut self, mut informer: Informer, shutdown: &Shutdown) {
        let clock = self.client.clock().clone();
        loop {
            for _ in 0..DELTAS {
                let Some(delta) = informer.try_next() else { break };
                self.engine.apply(&delta);
            }
            self.report();
            let busy = self.launch();
            let due = self
                .engine
                .next_due()
                .filter(|_| self.batches < BATCHES_IN_FLIGHT);
            tokio::select! {
                // In this order always, so that a run can be repeated.
                biased;
                () = shutdown.cancelled() => break,
                Some(flown) = self.flights.join_next(), if !self.flights.is_empty() => match flown {
                    Ok(flown) => self.land(flown),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                delta = informer.next() => match delta {
                    Some(delta) => self.engine.apply(&delta),
                    None => break,
                },
                () = clock.sleep_until(due.unwrap_or_else(|| clock.now())), if due.is_some() => {}
                () = tokio::task::yield_now(), if busy => {}
            }
        }
        let cut_off = drain(&clock, DRAIN_LIMIT, &mut self.flights).await;
        if cut_off > 0 {
            tracing::warn!(cut_off, "ended before the last writes were answered");
        }
    }

    /// Reconciles what is ready and sends the plans off. True when there is more to do at once.
    fn launch(&mut self) -> bool {
        if self.engine.ask_fence() {
            let delay = self.fences.fail();
            self.flights.spawn(flight::fence(self.client.clone(), delay));
        }
        if self.batches >= BATCHES_IN_FLIGHT {
            return false;
        }
        let clock = self.client.clock().clone();
        let (mut jobs, mut actions, mut bytes) = (Vec::new(), 0, 0);
        let mut idle = false;
        for _ in 0..RECONCILES_A_TURN {
            let start = clock.now();
            let step = self.engine.step(start, clock.wall());
            let Step::Reconciled { lane, job } = step else {
                idle = true;
                break;
            };
            self.metrics.reconciled(lane, clock.now() - start);
            let Some(job) = job else { continue };
            actions += job.plan.actions.len();
            bytes += job.plan.actions.iter().map(flight::weight).sum::<usize>();
            jobs.push(job);
            if actions >= FLIGHT_ACTIONS || bytes >= FLIGHT_BYTES {
                break;
            }
        }
        if !jobs.is_empty() {
            self.batches += 1;
            self.flights.spawn(flight::batch(self.client.clone(), jobs));
        }
        !idle
    }

    /// Takes in what came back.
    fn land(&mut self, flown: Flown) {
        match flown {
            Flown::Fence(Ok(revision)) => {
                self.fences.reset();
                self.engine.fence(Some(revision));
            }
            Flown::Fence(Err(error)) => {
                tracing::warn!(%error, "cannot ask for the newest revision; keys whose writes were not answered wait");
                self.engine.fence(None);
            }
            Flown::Batch(done) => {
                self.batches -= 1;
                for (job, results) in done {
                    self.finish(job, &results);
                }
            }
        }
    }

    fn finish(&mut self, job: Job, results: &Results) {
        let mut written = Some(String::new());
        for (action, result) in job.plan.actions.iter().zip(results) {
            match (action, result) {
                (Action::RecordEvent(event), _) => {
                    if let Some(name) = &written {
                        self.recorder
                            .record(event.about_written(name), job.cause.revision);
                    }
                }
                (_, Some(result)) => {
                    self.metrics.wrote(job.lane, action, result.is_ok());
                    written = result.as_ref().ok().map(flight::name_of);
                }
                (_, None) => {}
            }
        }
        self.engine.finish(job, results, self.client.clock().now());
    }

    fn report(&self) {
        let cache = self.engine.cache();
        self.progress.shows(cache.synced(), cache.revision());
        self.metrics.report(&self.engine);
    }
}

/// How long a duration is in seconds, for histograms.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
