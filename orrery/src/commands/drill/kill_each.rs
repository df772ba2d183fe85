//! `orrery drill kill-each`: kills each component in turn under a steady load.
//!
//! ```text
//!  load runs ──▶ SIGKILL ──▶ load goes on ──▶ load is held ──▶ converged ──▶ quiet ──▶ list, check ──┐
//!     ▲                                                                                              │
//!     └──────────────────────────────── the next component ──────────────────────────────────────────┘
//! ```
//! In the end the same steps are done on a second cluster without faults, and both ends are compared.

use super::cluster::Cluster;
use super::convergence::{Want, missing};
use super::load::{Load, Until, make_namespace, make_own_namespace};
use super::recorder::{Recorder, list_everything};
use super::report::{Limits, Report, Row};
use super::script::{NAMESPACE, Script, deployment};
use crate::invariants::history::{History, Listing, Settled, State};
use crate::invariants::{Violation, check_all, same_end};
use anyhow::{Context, Result, anyhow, bail};
use apimachinery::json::{Unknown, from_value};
use clap::ValueEnum;
use client::Client;
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use proto::Object;
use proto::orrery::v1::CreateRequest;
use serde_json::json;
use std::time::Duration;

/// How long the load runs before each kill: every lane gets to write, rollouts are under way.
const LOAD_BEFORE: Duration = Duration::from_millis(1500);
/// How long the load goes on after the kill at least, so that writes meet the fault.
const LOAD_THROUGH: Duration = Duration::from_millis(300);
/// How long the cluster must stand still after it has converged: several times what any requeue takes.
const QUIET: Duration = Duration::from_millis(1000);
/// How long convergence is waited for before the drill gives up. Far beyond the limit that is judged by.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// The same for the pods that are stored before the drill.
const STORED_WITHIN: Duration = Duration::from_secs(1800);
/// How often at most the state is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The most pods of one of the Deployments that store pods.
const STORED_EACH: u32 = 1000;
/// Where the stored pods live.
const STORED_NAMESPACE: &str = "stored";
/// Whom the log names for the load.
const ACTOR: &str = "drill";

/// Kill each component in turn by SIGKILL under a steady load of scaling and rolling updates, and check after each that
/// nothing acknowledged is lost and every invariant holds. Uses a cluster of its own, on free ports.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery drill kill-each                # every component five times\n  \
    orrery drill kill-each --rounds 1 --output json\n  \
    orrery drill kill-each --stored-nodes 1000 --stored-pods 10000   # in a large cluster"
)]
pub(super) struct Args {
    /// How often each component is killed.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How many nodes the cluster has.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..))]
    nodes: u32,
    /// Have at least so many nodes.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    stored_nodes: u32,
    /// Run so many pods besides the load's before the first kill.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    stored_pods: u32,
    /// Within how many seconds of its start the apiserver must serve again.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    serve_within: f64,
    /// Within how many seconds of the kill the cluster must have converged.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    converge_within: f64,
    /// Where the load's chance comes from; the same seed asks for the same. Drawn and printed when not given.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Runs the command; an error when anything did not hold.
pub(super) async fn run(args: Args, clock: Clock) -> Result<()> {
    let shutdown = Shutdown::on_signals().context("cannot listen for Ctrl-C")?;
    let drilled = shutdown.unless_triggered(Box::pin(drill(&args, &clock))).await;
    let report = drilled.context("interrupted")??;
    match args.output {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    if !report.passed() {
        bail!("the drill has failed");
    }
    Ok(())
}

async fn drill(args: &Args, clock: &Clock) -> Result<Report> {
    let limit = |seconds| Duration::try_from_secs_f64(seconds).context("a limit must be a time in seconds");
    let limits = Limits {
        serve: limit(args.serve_within)?,
        converge: limit(args.converge_within)?,
    };
    let seed = args.seed.map_or_else(Seed::from_entropy, Seed);
    let nodes = args.nodes.max(args.stored_nodes);
    let mut report = Report {
        seed: seed.0,
        nodes,
        stored_pods: args.stored_pods,
        ..Report::default()
    };
    let script = Script::new(seed, nodes);
    let mut cluster = Cluster::start(nodes, seed, clock).await?;
    let mut run = Run::start(&cluster, script, nodes).await?;
    run.store_pods(args.stored_pods).await?;
    say(&format!("{nodes} nodes are ready; seed {}", seed.0));
    let stop = Shutdown::new();
    let mut load = Load::start(run.client.clone(), script, &Until::Stopped(stop.clone()));
    'rounds: for round in 1..=args.rounds {
        for name in cluster.names() {
            let mut row = run.fault(&mut cluster, &load, round, name).await?;
            row.judge(limits);
            row.problems.extend(load.failure());
            let outcome = match row.recovered_ms {
                Some(recovered) => format!("recovered after {recovered} ms"),
                None => "has NOT recovered".to_owned(),
            };
            say(&format!(
                "round {round}: {name} killed, back after {} ms, {outcome}; {} writes acknowledged, {} violations",
                row.back_ms,
                row.acknowledged,
                row.violations.len()
            ));
            let lost = row.recovered_ms.is_none();
            report.faults.push(row);
            if lost {
                break 'rounds;
            }
        }
    }
    let held = load.hold().await;
    stop.trigger();
    drop(held);
    match load.finish().await {
        Ok(ledger) if report.faults.iter().all(|row| row.recovered_ms.is_some()) => {
            let want = run.want(&ledger.done);
            let converged = run.converge(&want).await;
            report.problems.extend(converged.err());
            let end = run.state_after(ledger.newest).await?;
            report.against_no_faults =
                Some(without_faults(&run, &end, Until::Done(ledger.done), clock).await?);
        }
        Ok(_) => {}
        Err(why) => report.problems.push(format!("the load has stopped: {why}")),
    }
    report.problems.extend(cluster.unasked_deaths().iter().cloned());
    drop(run);
    if let Some(kept) = cluster.stop(!report.passed()).await? {
        say(&format!(
            "the cluster's logs and store are kept in {}",
            kept.display()
        ));
    }
    Ok(report)
}

/// The same steps on a cluster in which nothing is killed; gives how its end differs from `end`.
async fn without_faults(run: &Run, end: &State, until: Until, clock: &Clock) -> Result<Vec<Violation>> {
    say("the same load without faults …");
    let cluster = Cluster::start(run.nodes, run.script.seed, clock).await?;
    let other = Run::start(&cluster, run.script, run.nodes).await?;
    let load = Load::start(other.client.clone(), run.script, &until);
    let ledger = load
        .finish()
        .await
        .map_err(|why| anyhow!("the load without faults: {why}"))?;
    let converged = other.converge(&other.want(&ledger.done)).await;
    converged.map_err(|why| anyhow!("the cluster without faults does not converge: {why}"))?;
    let end_without = other.state_after(ledger.newest).await?;
    let differences = same_end::compare(end, &end_without, NAMESPACE);
    drop(other);
    cluster.stop(false).await?;
    Ok(differences)
}

/// A cluster under observation.
struct Run {
    client: Client,
    recorder: Recorder,
    script: Script,
    nodes: u32,
    listings: Vec<Listing>,
    settled: Vec<Settled>,
    /// What was found after earlier faults.
    found: Vec<Violation>,
    /// How many writes were acknowledged up to the last fault.
    acknowledged: usize,
}

impl Run {
    /// Starts to record, and waits for the nodes.
    async fn start(cluster: &Cluster, script: Script, nodes: u32) -> Result<Self> {
        let client = cluster.client(ACTOR)?;
        let run = Self {
            recorder: Recorder::start(cluster.client("drill-recorder")?),
            client,
            script,
            nodes,
            listings: Vec::new(),
            settled: Vec::new(),
            found: Vec::new(),
            acknowledged: 0,
        };
        let ready = run.converge(&run.want(&Default::default())).await;
        ready.map_err(|why| anyhow!("the cluster does not come up: {why}"))?;
        make_own_namespace(&run.client).await?;
        Ok(run)
    }

    fn want(&self, done: &std::collections::BTreeMap<super::script::Lane, u64>) -> Want {
        Want {
            nodes: self.nodes as usize,
            deployments: self.script.wanted(done),
        }
    }

    async fn converge(&self, want: &Want) -> Result<(), String> {
        self.converge_within(want, GIVE_UP_AFTER).await
    }

    async fn converge_within(&self, want: &Want, limit: Duration) -> Result<(), String> {
        let look = |state: &State| missing(state, want);
        self.recorder
            .wait_until(&self.client, LOOK_EVERY, limit, look)
            .await
    }

    /// Has so many pods run before the drill begins.
    async fn store_pods(&self, pods: u32) -> Result<()> {
        if pods == 0 {
            return Ok(());
        }
        say(&format!("starting {pods} pods to be stored …"));
        make_namespace(&self.client, STORED_NAMESPACE).await?;
        for index in 0..pods.div_ceil(STORED_EACH) {
            let replicas = STORED_EACH.min(pods - index * STORED_EACH);
            let mut object = deployment(&format!("stored-{index}"), replicas, "drill.example/stored:v1", 0);
            object["metadata"]["namespace"] = json!(STORED_NAMESPACE);
            let decoded = from_value(&object, Unknown::Strict).map_err(|faults| anyhow!("{faults}"))?;
            let request = CreateRequest {
                object: Some(Object {
                    number: decoded.number,
                    bytes: decoded.bytes,
                }),
                ..CreateRequest::default()
            };
            self.client.create(request).await?;
        }
        // What was created last must have been seen before "nothing is missing" means anything.
        let all = |state: &State| {
            let deployments = state.objects.values().filter_map(|facts| facts.deployment());
            let asked: i64 = deployments.map(|deployment| deployment.replicas).sum();
            (asked < i64::from(pods)).then(|| format!("{asked} of {pods} pods are asked for"))
        };
        let want = self.want(&Default::default());
        let look = |state: &State| all(state).or_else(|| missing(state, &want));
        let stored = self
            .recorder
            .wait_until(&self.client, LOOK_EVERY, STORED_WITHIN, look)
            .await;
        stored.map_err(|why| anyhow!("the stored pods do not come up: {why}"))
    }

    /// The state once it shows every acknowledged write: what has converged may still lack the last of the notes.
    async fn state_after(&self, newest: i64) -> Result<State> {
        self.client
            .clock()
            .timeout(GIVE_UP_AFTER, self.recorder.wait_for(newest))
            .await
            .with_context(|| format!("the watch does not reach revision {newest}"))??;
        Ok(self.recorder.state())
    }

    /// One fault, from the load before it to the checks after it.
    async fn fault(&mut self, cluster: &mut Cluster, load: &Load, round: u32, name: &str) -> Result<Row> {
        let clock = self.client.clock().clone();
        clock.sleep(LOAD_BEFORE).await;
        let pid = cluster.kill(name)?;
        let killed = clock.now();
        let started = cluster.wait_started_again(name).await?;
        let back = cluster.wait_ready(name).await?;
        clock.sleep_until(killed + LOAD_THROUGH).await;
        let held = load.hold().await;
        let ledger = load.ledger();
        let mut row = Row {
            round,
            component: name.to_owned(),
            pid,
            back_ms: millis(back - started),
            acknowledged: ledger.acknowledged.len() - self.acknowledged,
            ..Row::default()
        };
        self.acknowledged = ledger.acknowledged.len();
        match self.converge(&self.want(&ledger.done)).await {
            Ok(()) => {
                row.recovered_ms = Some(millis(clock.now() - killed));
                let from = self.recorder.revision();
                clock.sleep(QUIET).await;
                let to = self.recorder.revision();
                self.settled.push(Settled { from, to });
            }
            Err(why) => row.problems.push(format!("the cluster does not converge: {why}")),
        }
        let state = list_everything(&self.client).await?;
        let reached = self.recorder.wait_for(state.revision);
        match clock.timeout(GIVE_UP_AFTER, reached).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => row.problems.push(error.to_string()),
            Err(_) => row
                .problems
                .push(format!("the watch does not reach revision {}", state.revision)),
        }
        let acknowledged = ledger.acknowledged.len();
        self.listings.push(Listing { acknowledged, state });
        let history = History {
            acknowledged: ledger.acknowledged,
            releases: ledger.releases,
            listings: self.listings.clone(),
            settled: self.settled.clone(),
            ..self.recorder.history()
        };
        // The checkers go through the whole history: too long for a thread that also reads streams.
        let mut violations = tokio::task::spawn_blocking(move || check_all(&history)).await?;
        violations.retain(|violation| !self.found.contains(violation));
        self.found.extend(violations.iter().cloned());
        row.violations = violations;
        row.problems.extend(cluster.unasked_deaths().iter().cloned());
        drop(held);
        Ok(row)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Progress goes beside the result, which may be read by a program.
fn say(text: &str) {
    eprintln!("drill: {text}");
}
