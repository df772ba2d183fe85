//! `bench watch`: one change, delivered to many streams.
//!
//! Writers replace values while every stream follows all of them. Two phases a row, each with streams of its own:
//! first as fast as the slowest stream keeps up, which gives events per second; then at half of that, which gives how
//! long after its commit a change arrives. A system at its limit has no such time: its queues only grow.
//!
//! The commit is taken to be when the writer hears of it, and what arrives sooner counts as 0. That flatters a system
//! whose answers are late, so the time since the write was sent is told too.

use super::report::{Report, histogram, micros, millis};
use super::subject::{Connection, Revisions, Subject, System, per_second, ratio};
use super::{Bench, load};
use crate::table::Table;
use anyhow::{Context, Result};
use component_base::clock::{Clock, Instant};
use futures::StreamExt;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// Clients that write, on a connection each. Enough for group commit; more would take the cores from the streams.
const WRITERS: usize = 32;
/// Writes that the slowest stream may be behind before the writers wait for it: some batches on their way.
const WINDOW: i64 = 64;
/// How often the writers are let on.
const PACE: Duration = Duration::from_millis(1);
/// A component has one stream and one connection; a thousand connections would measure the kernel.
const STREAMS_PER_CONNECTION: usize = 100;
/// How long the last events may take to arrive.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Watch fan-out: events per second, and how late they arrive.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many streams follow every change; a row each.
    #[arg(long, value_delimiter = ',', default_values_t = DEFAULT_STREAMS)]
    streams: Vec<usize>,
}

const DEFAULT_STREAMS: [usize; 3] = [1, 100, 1000];

impl Default for Args {
    fn default() -> Self {
        Self {
            streams: DEFAULT_STREAMS.into(),
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) system: System,
    pub(super) streams: usize,
    /// At its limit.
    pub(super) events_per_second: f64,
    /// At half of its limit, from here on.
    half_load_events_per_second: f64,
    /// From the commit to the delivery.
    pub(super) p50_micros: u64,
    pub(super) p99_micros: u64,
    /// From when the write was sent to the delivery.
    p99_since_sent_micros: u64,
    /// Orrery's events per second in units of etcd's.
    #[serde(skip_serializing_if = "Option::is_none")]
    times_etcd: Option<f64>,
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    let systems = System::all(bench).await;
    bench
        .progress
        .begin("bench watch", systems.len() * args.streams.len());
    let mut rows = Vec::new();
    for &streams in &args.streams {
        let mut pair = Vec::new();
        for &system in &systems {
            bench
                .progress
                .now(format!("{streams} streams, {}", system.name()));
            pair.push(measure(bench, system, streams).await?);
            bench.progress.step();
        }
        if let [orrery, etcd] = &mut pair[..] {
            orrery.times_etcd = Some(orrery.events_per_second / etcd.events_per_second);
        }
        rows.extend(pair);
    }
    let title = "Watch fan-out of 1 KB objects: the most events/s, and at half of them the time from commit to delivery";
    Report::new("watch", title, &rows, &table(&rows), "")
}

pub(super) async fn measure(bench: &Bench, system: System, streams: usize) -> Result<Row> {
    let subject = Subject::start(system, bench).await?;
    let full = phase(bench, &subject, streams, Pace::KeepUp).await?;
    let half = phase(bench, &subject, streams, Pace::Rate(full.writes_per_second / 2.0)).await?;
    subject.stop().await?;
    Ok(Row {
        system,
        streams,
        events_per_second: full.events_per_second,
        half_load_events_per_second: half.events_per_second,
        p50_micros: half.latency.since_commit.value_at_quantile(0.5),
        p99_micros: half.latency.since_commit.value_at_quantile(0.99),
        p99_since_sent_micros: half.latency.since_sent.value_at_quantile(0.99),
        times_etcd: None,
    })
}

/// How fast the writers may go.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As fast as the slowest stream.
    KeepUp,
    /// So many writes per second, but never further ahead of the slowest stream than its window.
    Rate(f64),
}

struct Phase {
    writes_per_second: f64,
    events_per_second: f64,
    latency: Latency,
}

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Written {
    revision: i64,
    sent: Instant,
    acknowledged: Instant,
}

/// An event that a stream was given.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    revision: i64,
    at: Instant,
}

async fn phase(bench: &Bench, subject: &Subject, streams: usize, pace: Pace) -> Result<Phase> {
    let clock = &bench.clock;
    let mut writers = Vec::new();
    let mut base = 0;
    for slot in 0..WRITERS {
        let mut connection = subject.connect().await?;
        base = match connection.create(slot).await {
            Ok(revision) => revision,
            // Made by the phase before.
            Err(_) => connection.put(slot, 0).await?,
        };
        writers.push(connection);
    }

    let mut followers = Vec::new();
    let mut connection = subject.connect().await?;
    for stream in 0..streams {
        if stream > 0 && stream % STREAMS_PER_CONNECTION == 0 {
            connection = subject.connect().await?;
        }
        let events = connection.watch(base).await?;
        followers.push(Follower::spawn(events, base, clock.clone()));
    }

    let begin = clock.now() + load::WARM_UP;
    let end = begin + bench.common.measured();
    let permits = Arc::new(Semaphore::new(0));
    let mut tasks = JoinSet::new();
    for (slot, connection) in writers.into_iter().enumerate() {
        tasks.spawn(write(connection, slot, permits.clone(), clock.clone()));
    }
    let reached: Vec<_> = followers
        .iter()
        .map(|follower| follower.reached.clone())
        .collect();
    let slowest = || {
        let slowest = reached
            .iter()
            .map(|reached| reached.load(Ordering::Relaxed))
            .min();
        slowest.unwrap_or(base)
    };
    let paced_from = clock.now();
    let mut let_on = 0;
    while clock.now() < end {
        let arrived = slowest() - base;
        let room = match pace {
            Pace::KeepUp => arrived + WINDOW,
            Pace::Rate(rate) => {
                ((clock.now() - paced_from).as_secs_f64() * rate).min((arrived + WINDOW) as f64) as i64
            }
        };
        if let Ok(more @ 1..) = usize::try_from(room - let_on) {
            permits.add_permits(more);
            let_on = room;
        }
        clock.sleep(PACE).await;
    }
    permits.close();

    let mut written = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        written.extend(ended.context("a writer broke")??);
    }
    written.sort_unstable_by_key(|write| write.revision);
    let last = written.last().map_or(base, |write| write.revision);
    let drained = clock.timeout(DRAIN_WITHIN, async {
        while slowest() < last {
            clock.sleep(PACE).await;
        }
    });
    drained.await.with_context(|| {
        format!("a stream has not seen revision {last} {DRAIN_WITHIN:?} after it was written")
    })?;

    let mut latency = Latency::new();
    let mut events = 0_u64;
    for follower in followers {
        for delivered in follower.stop().await? {
            if (begin..end).contains(&delivered.at) {
                events += 1;
                latency.record(&written, delivered)?;
            }
        }
    }
    let seconds = bench.common.measured().as_secs_f64();
    let writes = written
        .iter()
        .filter(|write| (begin..end).contains(&write.acknowledged))
        .count();
    Ok(Phase {
        writes_per_second: writes as f64 / seconds,
        events_per_second: events as f64 / seconds,
        latency,
    })
}

/// Replaces one slot's value as often as it is let, until the semaphore is closed.
async fn write(
    mut connection: Connection,
    slot: usize,
    permits: Arc<Semaphore>,
    clock: Clock,
) -> Result<Vec<Written>> {
    let mut written = Vec::new();
    while let Ok(permit) = permits.acquire().await {
        permit.forget();
        let sent = clock.now();
        let revision = connection.put(slot, written.len() as u64 + 1).await?;
        written.push(Written {
            revision,
            sent,
            acknowledged: clock.now(),
        });
    }
    Ok(written)
}

/// One stream, read on a task of its own.
struct Follower {
    /// The last revision that arrived.
    reached: Arc<AtomicI64>,
    stop: tokio::sync::oneshot::Sender<()>,
    task: AbortOnDropHandle<Result<Vec<Delivered>>>,
}

impl Follower {
    fn spawn(mut events: Revisions, base: i64, clock: Clock) -> Self {
        let reached = Arc::new(AtomicI64::new(base));
        let seen = reached.clone();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut deliveries = Vec::new();
            loop {
                let revisions = tokio::select! {
                    _ = &mut stopped => return Ok(deliveries),
                    revisions = events.next() => revisions.context("the server ended a stream")??,
                };
                let at = clock.now();
                for revision in revisions {
                    deliveries.push(Delivered { revision, at });
                    seen.store(revision, Ordering::Relaxed);
                }
            }
        });
        Self {
            reached,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }

    async fn stop(self) -> Result<Vec<Delivered>> {
        // A task that has ended by itself has an error to tell.
        let _ = self.stop.send(());
        self.task.await.context("a stream's reader broke")?
    }
}

struct Latency {
    since_commit: hdrhistogram::Histogram<u64>,
    since_sent: hdrhistogram::Histogram<u64>,
}

impl Latency {
    fn new() -> Self {
        Self {
            since_commit: histogram(),
            since_sent: histogram(),
        }
    }

    /// `written` is in the order of revisions. What was not written by this phase is not counted.
    fn record(&mut self, written: &[Written], delivered: Delivered) -> Result<()> {
        if let Ok(index) = written.binary_search_by_key(&delivered.revision, |write| write.revision) {
            let write = &written[index];
            let since = |moment| micros(delivered.at.saturating_duration_since(moment));
            self.since_commit.record(since(write.acknowledged))?;
            self.since_sent.record(since(write.sent))?;
        }
        Ok(())
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "STREAMS",
        "SYSTEM",
        "EVENTS/S",
        "AT HALF LOAD",
        "P50",
        "P99",
        "P99 SINCE SENT",
        "RATIO",
    ]);
    for row in rows {
        table.row([
            row.streams.to_string(),
            row.system.name().to_owned(),
            per_second(row.events_per_second),
            per_second(row.half_load_events_per_second),
            millis(row.p50_micros),
            millis(row.p99_micros),
            millis(row.p99_since_sent_micros),
            row.times_etcd.map_or_else(|| "-".into(), ratio),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_event_that_comes_before_its_acknowledgement_is_not_late() {
        let start = Clock::system().now();
        let after = |millis| start + Duration::from_millis(millis);
        let written = [(5, 0, 10), (8, 2, 4)].map(|(revision, sent, acknowledged)| Written {
            revision,
            sent: after(sent),
            acknowledged: after(acknowledged),
        });
        let mut latency = Latency::new();
        // The first arrives before its writer hears of it, the third was written by somebody else.
        for (revision, at) in [(5, 7), (8, 9), (6, 9)] {
            let at = after(at);
            latency.record(&written, Delivered { revision, at }).unwrap();
        }
        let counted = |histogram: &hdrhistogram::Histogram<u64>| {
            histogram
                .iter_recorded()
                .map(|value| value.value_iterated_to() / 1000)
                .collect::<Vec<_>>()
        };
        assert_eq!(counted(&latency.since_commit), [0, 5]);
        assert_eq!(latency.since_sent.len(), 2);
        assert_eq!(counted(&latency.since_sent), [7]);
    }
}
