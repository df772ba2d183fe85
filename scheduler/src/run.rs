//! The loop around the [`Engine`]: stream in, batches out, explanations on request. The only file with I/O besides
//! [`crate::flight`]; it decides nothing.

use crate::engine::{Binding, Engine, Outcome, Preemption};
use crate::explain::Asked;
use crate::extender::{Caller, Extenders};
use crate::flight::{self, Eviction, Fate, Flown};
use crate::limits::{
    BATCHES_IN_FLIGHT, BINDINGS_A_BATCH, CHANGES_A_TURN, CONDITIONS_WAITING, DECISIONS_A_TURN, DRAIN_LIMIT,
    EVICTIONS_IN_FLIGHT,
};
use crate::metrics::Metrics;
use crate::report::Report;
use crate::snapshot::Objects;
use client::informer::target;
use client::{Client, Delta, EventRecorder, Informer};
use component_base::clock::Clock;
use component_base::metrics::Registry;
use component_base::ready::Progress;
use component_base::shutdown::{Shutdown, drain};
use proto::api::core::v1::{Node, Pod};
use proto::orrery::v1::BatchOperation;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the loop holds.
pub(crate) struct Loop {
    client: Client,
    caller: Caller,
    clock: Clock,
    engine: Engine,
    recorder: EventRecorder,
    metrics: Metrics,
    progress: Progress,
    flights: JoinSet<Flown>,
    /// How many of the flights are bindings.
    batches: usize,
    /// How many batches were ever sent.
    sent: u64,
    conditions: Vec<BatchOperation>,
    conditions_in_flight: bool,
    /// Bounded by the Pods that wait for them.
    writes: Vec<BatchOperation>,
    writes_in_flight: bool,
    /// Never dropped: there are no more than the Pods that wait for them have.
    evictions: Vec<Eviction>,
    evictions_in_flight: usize,
}

impl Loop {
    pub(crate) fn new(
        client: Client,
        engine: Engine,
        extenders: Extenders,
        registry: &Registry,
        progress: &Progress,
    ) -> Self {
        Self {
            caller: Caller::new(extenders, client.clone()),
            clock: client.clock().clone(),
            recorder: EventRecorder::spawn(&client),
            metrics: Metrics::register(registry),
            progress: progress.clone(),
            flights: JoinSet::new(),
            batches: 0,
            sent: 0,
            conditions: Vec::new(),
            conditions_in_flight: false,
            writes: Vec::new(),
            writes_in_flight: false,
            evictions: Vec::new(),
            evictions_in_flight: 0,
            engine,
            client,
        }
    }

    /// Schedules until shutdown.
    pub(crate) async fn run(mut self, mut asked: mpsc::Receiver<Asked>, shutdown: &Shutdown) {
        let mut targets = vec![target::<Node>(), target::<Pod>()];
        targets.extend(Objects::targets());
        let mut informer = Informer::spawn(&self.client, targets);
        loop {
            for _ in 0..CHANGES_A_TURN {
                let Some(delta) = informer.try_next() else { break };
                self.apply(&delta);
            }
            let busy = self.decide();
            self.report();
            let due = self.engine.next_due().filter(|_| self.engine.synced());
            tokio::select! {
                // In this order always, so that a run can be repeated.
                biased;
                () = shutdown.cancelled() => break,
                Some(question) = asked.recv() => question.answer(&mut self.engine),
                Some(flown) = self.flights.join_next(), if !self.flights.is_empty() => match flown {
                    Ok(flown) => self.land(flown),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                delta = informer.next() => match delta {
                    Some(delta) => self.apply(&delta),
                    None => break,
                },
                () = self.clock.sleep_until(due.unwrap_or_else(|| self.clock.now())), if due.is_some() && self.has_room() => {}
                () = tokio::task::yield_now(), if busy => {}
            }
        }
        let cut_off = drain(&self.clock, DRAIN_LIMIT, &mut self.flights).await;
        if cut_off > 0 {
            tracing::warn!(cut_off, "ended before the last bindings were answered");
        }
    }

    fn has_room(&self) -> bool {
        self.batches < BATCHES_IN_FLIGHT
    }

    fn apply(&mut self, delta: &Delta) {
        if let Err(error) = self.engine.apply(delta, self.clock.now(), self.clock.wall()) {
            // The schema is the server's own, so this is a fault; the rest of the cluster must go on.
            tracing::error!(?delta, %error, "an object does not decode and is left as it was");
        }
    }

    /// Decides on Pods that are ready and sends the bindings off. True when there is more to do at once.
    fn decide(&mut self) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut bindings: Vec<Binding> = Vec::new();
        let mut decisions = 0;
        while decisions < DECISIONS_A_TURN && bindings.len() < BINDINGS_A_BATCH && self.has_room() {
            let start = self.clock.now();
            let Some(outcome) = self.engine.step(start, self.clock.wall()) else {
                break;
            };
            decisions += 1;
            let result = match outcome {
                Outcome::Bind(binding) => {
                    if binding.operation.is_some() {
                        bindings.push(*binding);
                    } else {
                        self.bind_by_extender(*binding);
                    }
                    "scheduled"
                }
                Outcome::Unschedulable => "unschedulable",
                Outcome::Preempt(preemption) => {
                    self.evict(*preemption);
                    "unschedulable"
                }
                Outcome::Ask(question) => {
                    let caller = self.caller.clone();
                    self.flights
                        .spawn(async move { Flown::Answer(caller.ask(*question).await) });
                    "asked"
                }
                Outcome::Waiting => "waiting",
                Outcome::Error => "error",
            };
            self.metrics.decided(result, self.clock.now() - start);
        }
        if !bindings.is_empty() {
            self.batches += 1;
            self.sent += 1;
            let backoff = flight::backoff(&self.client, self.sent);
            self.flights
                .spawn(flight::bind(self.client.clone(), bindings, backoff));
        }
        self.tell();
        self.engine.synced() && self.engine.is_ready() && self.has_room()
    }

    /// As many at a time as extenders are asked about, which is one, and those that waited for something.
    fn bind_by_extender(&mut self, binding: Binding) {
        self.batches += 1;
        self.sent += 1;
        let backoff = flight::backoff(&self.client, self.sent);
        let (client, caller) = (self.client.clone(), self.caller.clone());
        self.flights
            .spawn(flight::bind_by_extender(client, caller, binding, backoff));
    }

    /// Sends the victims away. Those that the API has let go are seen to leave on the stream.
    fn evict(&mut self, preemption: Preemption) {
        self.evictions.extend(flight::evictions(&preemption));
        self.engine.preempted(&preemption);
    }

    /// Takes in what came back.
    fn land(&mut self, flown: Flown) {
        match flown {
            Flown::Conditions => self.conditions_in_flight = false,
            Flown::Writes => self.writes_in_flight = false,
            Flown::Answer(answer) => self.engine.answered(answer),
            Flown::Evictions(refused) => {
                self.evictions_in_flight -= 1;
                for victim in refused {
                    self.engine.not_evicted(&victim, self.clock.now());
                }
            }
            Flown::Bindings(fates) => {
                self.batches -= 1;
                for (binding, fate) in fates {
                    self.settle(&binding, fate);
                }
            }
        }
        self.tell();
    }

    fn settle(&mut self, binding: &Binding, fate: Fate) {
        match fate {
            Fate::Bound => {
                if let Some(queued) = self.engine.bound(binding) {
                    self.metrics
                        .bound(self.clock.now().saturating_duration_since(queued.since));
                }
            }
            Fate::Lost(found) => {
                self.metrics.lost();
                self.engine
                    .lost(binding, found, self.clock.now(), self.clock.wall());
            }
        }
    }

    /// Passes on what people are to be told.
    fn tell(&mut self) {
        for report in self.engine.take_reports() {
            match report {
                Report::Event { event, cause } => self.recorder.record(event, cause),
                Report::Condition(operation) if self.conditions.len() < CONDITIONS_WAITING => {
                    self.conditions.push(operation);
                }
                Report::Condition(_) => tracing::debug!("a pod's condition is dropped"),
                Report::Write(operation) => self.writes.push(operation),
            }
        }
        while self.evictions_in_flight < EVICTIONS_IN_FLIGHT && !self.evictions.is_empty() {
            let count = self.evictions.len().min(BINDINGS_A_BATCH);
            let part: Vec<Eviction> = self.evictions.drain(..count).collect();
            self.evictions_in_flight += 1;
            self.sent += 1;
            let backoff = flight::backoff(&self.client, self.sent);
            self.flights
                .spawn(flight::evict(self.client.clone(), part, backoff));
        }
        if !self.writes_in_flight && !self.writes.is_empty() {
            let count = self.writes.len().min(BINDINGS_A_BATCH);
            let part: Vec<BatchOperation> = self.writes.drain(..count).collect();
            self.writes_in_flight = true;
            self.sent += 1;
            let backoff = flight::backoff(&self.client, self.sent);
            self.flights
                .spawn(flight::write(self.client.clone(), part, backoff));
        }
        if !self.conditions_in_flight && !self.conditions.is_empty() {
            let operations = std::mem::take(&mut self.conditions);
            self.conditions_in_flight = true;
            self.flights
                .spawn(flight::write_conditions(self.client.clone(), operations));
        }
    }

    fn report(&self) {
        self.progress.shows(self.engine.synced(), self.engine.revision());
        self.metrics.report(&self.engine, self.batches);
    }
}
