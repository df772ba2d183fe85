//! `bench start`: from nothing to the first running pod.
//!
//! Each repeat has a fresh data directory. The clock starts before the first process does, and stops when a watch shows
//! the pod Running, with everything in its default: start latency of the simulated container, fsync, events.

use super::Bench;
use super::cluster::{Cluster, Parts};
use super::report::{Report, histogram, micros, millis};
use crate::table::Table;
use anyhow::{Context, Result};
use client::Client;
use component_base::clock::Instant;
use futures::StreamExt;
use proto::api::core::v1::{Container, Pod, PodSpec};
use proto::orrery::v1::{CreateRequest, WatchRequest, WatchTarget};
use proto::{Kind, Object};
use serde::Serialize;
use std::time::Duration;

/// A start that takes this long has failed.
const RUNNING_WITHIN: Duration = Duration::from_secs(30);
/// How soon the API is tried again while it does not listen yet.
const TRY_EVERY: Duration = Duration::from_millis(1);

/// Cold start: time from process start to the first pod Running.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many nodes the cluster has.
    #[arg(long, default_value_t = DEFAULT_NODES)]
    nodes: u32,
    /// How many times to start.
    #[arg(long, default_value_t = DEFAULT_REPEATS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: u32,
}

const DEFAULT_NODES: u32 = 10;
const DEFAULT_REPEATS: u32 = 20;

impl Default for Args {
    fn default() -> Self {
        Self {
            nodes: DEFAULT_NODES,
            repeats: DEFAULT_REPEATS,
        }
    }
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "what has happened to whom")]
enum Milestone {
    PodCreated,
    PodScheduled,
    PodRunning,
}

impl Milestone {
    const ALL: [Self; 3] = [Self::PodCreated, Self::PodScheduled, Self::PodRunning];

    fn name(self) -> &'static str {
        match self {
            Self::PodCreated => "API has taken the pod",
            Self::PodScheduled => "pod has a node",
            Self::PodRunning => "pod is Running",
        }
    }
}

/// All repeats' time to one milestone.
#[derive(Debug, Serialize)]
struct Row {
    milestone: Milestone,
    nodes: u32,
    repeats: u64,
    min_micros: u64,
    median_micros: u64,
    max_micros: u64,
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    bench.progress.begin("bench start", args.repeats as usize);
    let mut times = Milestone::ALL.map(|_| histogram());
    for _ in 0..args.repeats {
        let cluster = Cluster::spawn(&bench.common, &bench.clock, Parts::All { nodes: args.nodes })?;
        let reached = bench.clock.timeout(RUNNING_WITHIN, first_pod(bench, &cluster));
        let reached = reached.await.context("the first pod does not run")??;
        for (times, moment) in times.iter_mut().zip(reached) {
            times.record(micros(moment - cluster.started))?;
        }
        cluster.stop().await?;
        bench.progress.step();
    }
    let rows: Vec<Row> = Milestone::ALL
        .into_iter()
        .zip(&times)
        .map(|(milestone, times)| Row {
            milestone,
            nodes: args.nodes,
            repeats: times.len(),
            min_micros: times.min(),
            median_micros: times.value_at_quantile(0.5),
            max_micros: times.max(),
        })
        .collect();
    let title = format!(
        "Cold start in a fresh directory, {} nodes, {} times: since the first process was started",
        args.nodes, args.repeats
    );
    Report::new("start", &title, &rows, &table(&rows), "")
}

/// When each milestone was reached, in their order.
async fn first_pod(bench: &Bench, cluster: &Cluster) -> Result<[Instant; 3]> {
    let client = cluster.client()?;
    let created = create(bench, &client).await?;
    let request = WatchRequest {
        targets: vec![WatchTarget {
            kind: "pods".into(),
            ..WatchTarget::default()
        }],
        ..WatchRequest::default()
    };
    let mut events = client.watch(request).await?;
    let mut scheduled = None;
    loop {
        let frame = events.next().await.context("the watch ended")??;
        let Some(object) = frame.event()?.object else {
            continue;
        };
        let pod: Pod = object.decode_as()?;
        let now = bench.clock.now();
        if scheduled.is_none() && pod.spec.is_some_and(|spec| !spec.node_name.is_empty()) {
            scheduled = Some(now);
        }
        if pod.status.is_some_and(|status| status.phase == "Running") {
            return Ok([created, scheduled.unwrap_or(now), now]);
        }
    }
}

/// Creates the pod as soon as there is an API, as an impatient user would.
async fn create(bench: &Bench, client: &Client) -> Result<Instant> {
    let mut pod = Pod {
        spec: Some(PodSpec {
            containers: vec![Container {
                name: "web".into(),
                image: "nginx:1.27".into(),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    pod.metadata_mut().name = "first".into();
    let request = CreateRequest {
        object: Some(Object::encode_from(&pod)),
        ..CreateRequest::default()
    };
    loop {
        match client.create(request.clone()).await {
            Ok(_) => return Ok(bench.clock.now()),
            Err(error) if error.retryable() => bench.clock.sleep(TRY_EVERY).await,
            Err(error) => return Err(error.into()),
        }
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["UNTIL", "MIN", "MEDIAN", "MAX"]);
    for row in rows {
        table.row([
            row.milestone.name().to_owned(),
            millis(row.min_micros),
            millis(row.median_micros),
            millis(row.max_micros),
        ]);
    }
    table
}
