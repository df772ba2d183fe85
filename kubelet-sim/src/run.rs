//! The shell around [`Kubelet`]: one task that owns it, and carries to it what happens.

use crate::config::{Config, Events};
use crate::faults;
use crate::kubelet::{Batch, Kubelet, Notice};
use crate::logs;
use crate::metrics::Metrics;
use crate::node::object::Endpoints;
use crate::node::state;
use client::controller::EventKind;
use client::events::EventRecorder;
use client::informer::{Informer, target};
use client::{Client, ClientConfig, Error};
use component_base::clock::Clock;
use component_base::metrics::Registry;
use component_base::process::Component;
use component_base::ready::Progress;
use component_base::rng::Seed;
use component_base::server::Server;
use component_base::shutdown::Shutdown;
use jiff::Timestamp;
use proto::Object;
use proto::api::core::v1::{Node, Pod};
use proto::orrery::v1::WatchTarget;
use proto::orrery::v1::kubelet_server::KubeletServer;
use proto::orrery::v1::simulator_server::SimulatorServer;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// This component, for its `main`.
pub const COMPONENT: Component = Component {
    name: "kubelet-sim",
    about: "Stands for any number of simulated nodes and runs the pods bound to them",
    default_listen: "127.0.0.1:7446",
};

/// Batches on their way at one time: while one is being synced to disk, the next ones travel.
const IN_FLIGHT: usize = 4;
/// Deltas taken in before writes are sent and deadlines looked at: a large cluster's first list must not delay leases.
const DELTAS_A_TURN: usize = 256;
/// How often the metrics are brought up to date: scrapers come every few seconds.
const METRICS_PERIOD: Duration = Duration::from_secs(1);
/// How long the shell sleeps at most: it also notices a wall clock that was set.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Runs the nodes until `shutdown`.
///
/// # Errors
/// The flags contradict themselves, or the port cannot be served. An apiserver that is away is waited for.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    seed: Seed,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let simulator = match &config.advertise {
        Some(endpoint) => endpoint.clone(),
        None => listener.local_addr()?.to_string(),
    };
    let kubelet = config.advertise_kubelet.clone();
    let endpoints = Endpoints {
        kubelet: kubelet.unwrap_or_else(|| simulator.clone()),
        simulator,
    };
    let nodes = state::build(&config.groups()?, config.blocks(), seed, clock.wall())?;
    tracing::info!(
        nodes = nodes.len(),
        server = config.server,
        endpoint = endpoints.simulator,
        "standing for nodes"
    );
    let client = Client::new(
        &ClientConfig::new(&config.server, COMPONENT.name),
        clock.clone(),
        seed,
    )?;
    let registry = Registry::new();
    let progress = Progress::new("waiting for the apiserver");
    let (service, commands) = faults::Service::new();
    let (logs, questions) = logs::Service::new(clock.clone());
    let server = Server::new(COMPONENT.name, &clock, &registry, &progress)
        .service(SimulatorServer::new(service))
        .service(KubeletServer::new(logs));
    let shell = Shell {
        kubelet: Kubelet::new(nodes, endpoints, clock.wall()),
        informer: Informer::spawn(&client, targets()),
        recorder: EventRecorder::spawn(&client),
        metrics: Metrics::new(&registry),
        flights: JoinSet::new(),
        events: config.events,
        client,
        clock,
        progress,
    };
    let served = server.serve(listener, shutdown.clone());
    let (served, ()) = tokio::join!(served, shell.run(commands, questions, shutdown));
    Ok(served?)
}

/// All Nodes, for somebody else's changes to ours, and all Pods that have a node.
fn targets() -> Vec<WatchTarget> {
    let bound = WatchTarget {
        field_selector: "spec.nodeName!=".to_owned(),
        ..target::<Pod>()
    };
    vec![target::<Node>(), bound]
}

/// A batch that came back.
type Landed = (Batch, Vec<Result<Object, Error>>);

struct Shell {
    kubelet: Kubelet,
    informer: Informer,
    recorder: EventRecorder,
    metrics: Metrics,
    flights: JoinSet<Landed>,
    events: Events,
    client: Client,
    clock: Clock,
    progress: Progress,
}

impl Shell {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<faults::Command>,
        mut questions: mpsc::Receiver<logs::Question>,
        shutdown: Shutdown,
    ) {
        let mut metrics_at = self.clock.now();
        loop {
            let now = self.clock.wall();
            self.kubelet.tick(now);
            for notice in self.kubelet.take_notices() {
                self.record(notice);
            }
            self.send(now);
            if metrics_at <= self.clock.now() {
                self.metrics.update(&self.kubelet);
                metrics_at = self.clock.now() + METRICS_PERIOD;
            }
            let rest = self.rest();
            tokio::select! {
                // In this order always, so that a run can be repeated.
                biased;
                () = shutdown.cancelled() => return,
                Some(command) = commands.recv() => command.run(&mut self.kubelet, self.clock.wall()),
                Some(question) = questions.recv() => question.answer(&mut self.kubelet, self.clock.wall()),
                Some(landed) = self.flights.join_next(), if !self.flights.is_empty() => self.land(landed),
                delta = self.informer.next() => match delta {
                    Some(delta) => self.apply(delta),
                    None => return,
                },
                () = self.clock.sleep(rest) => {}
            }
        }
    }

    /// How long nothing is due.
    fn rest(&self) -> Duration {
        let Some(deadline) = self.kubelet.deadline() else {
            return LONGEST_SLEEP;
        };
        // What is late now has been tried; it waits for a batch to come back.
        let left = deadline.duration_since(self.clock.wall());
        Duration::try_from(left)
            .unwrap_or(Duration::ZERO)
            .min(LONGEST_SLEEP)
    }

    /// Takes in a delta and those that are here already.
    fn apply(&mut self, first: client::Delta) {
        let mut next = Some(first);
        for _ in 0..DELTAS_A_TURN {
            let Some(delta) = next.take().or_else(|| self.informer.try_next()) else {
                return;
            };
            match &delta {
                client::Delta::Synced(revision) | client::Delta::Bookmark(revision) => {
                    self.progress.reach(*revision);
                }
                client::Delta::Upsert { revision, .. } => self.progress.reach(*revision),
                client::Delta::Restarted | client::Delta::Delete { .. } => {}
            }
            if self.kubelet.apply(delta, self.clock.wall()) {
                tracing::info!("the cluster is known");
                self.progress.ready();
            }
        }
    }

    fn record(&self, notice: Notice) {
        let wanted = match self.events {
            Events::All => true,
            Events::Warnings => notice.event.r#type == EventKind::Warning,
            Events::None => false,
        };
        if wanted {
            self.recorder.record(notice.event, notice.cause);
        }
    }

    fn send(&mut self, now: Timestamp) {
        while self.flights.len() < IN_FLIGHT
            && let Some(mut batch) = self.kubelet.batch(now)
        {
            let client = self.client.clone();
            self.flights.spawn(async move {
                let results = client.batch(std::mem::take(&mut batch.operations)).await;
                (batch, results)
            });
        }
    }

    fn land(&mut self, landed: Result<Landed, tokio::task::JoinError>) {
        match landed {
            Ok((batch, results)) => self.kubelet.settle(batch, results, self.clock.wall()),
            // Its writes would stay in flight for ever: better to start anew, which loses nothing.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
