//! `bench scheduling`: how many Pods a second get their node, in the shapes of upstream's scheduler_perf.
//!
//! Each workload has processes of its own: an apiserver that syncs every write to disk, and a scheduler; the nodes are objects, no
//! kubelet runs. Measured is from the first to the last bind of the Pods in question, as a watch of the API shows them.

mod play;
mod seen;
mod usage;
mod workload;

use super::Bench;
use super::report::{Report, thousands};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::PathBuf;
use usage::Used;
use workload::Workload;

/// Pods that get their nodes: pods/s, latency, CPU and memory, in the shapes of upstream's scheduler_perf.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  orrery bench scheduling --list\n  \
    orrery bench scheduling --workload SchedulingBasic/5000/5000/50000\n  \
    orrery bench scheduling --workload Preemption      # all whose name has that in it\n  \
    orrery bench scheduling --config mine.yaml         # workloads of your own; bench/scheduling/ has examples")]
pub(super) struct Args {
    /// Which workloads: part of a name. Repeat it for several. Without it, all.
    #[arg(long, value_name = "NAME")]
    workload: Vec<String>,
    /// Take the workloads from this file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say which workloads there are.
    #[arg(long)]
    list: bool,
    /// Give up on a workload after this many seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    limit: u64,
}

/// What one workload came to.
#[derive(Debug, Serialize)]
struct Row {
    workload: String,
    pods: usize,
    seconds: f64,
    pods_per_second: f64,
    /// From when the first was sent to be created: what a user waits for.
    pods_per_second_from_create: f64,
    /// Of one-second windows; 0 where there was no whole one.
    windows: Windows,
    /// From the answer to the create until the bind was seen.
    latency_p50_micros: u64,
    latency_p99_micros: u64,
    goal: Option<f64>,
    upstream: Option<f64>,
    /// Of 100: all nodes are always filtered and scored.
    percentage_of_nodes_scored: u32,
    processes: Vec<Used>,
    /// CPU seconds of the scheduler in ten idle seconds, where the workload looked.
    idle_cpu_seconds: Option<f64>,
}

/// Pods bound in each whole second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Windows {
    mean: f64,
    p50: f64,
    p90: f64,
    p95: f64,
    p99: f64,
}

impl Windows {
    /// `counts` are the whole seconds' Pods.
    fn of(mut counts: Vec<u64>) -> Self {
        counts.sort_unstable();
        let at = |share: f64| {
            let place = ((counts.len() as f64 * share).ceil() as usize).clamp(1, counts.len());
            counts[place - 1] as f64
        };
        if counts.is_empty() {
            return Self::default();
        }
        Self {
            mean: counts.iter().sum::<u64>() as f64 / counts.len() as f64,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    let all = match &args.config {
        None => workload::embedded()?,
        Some(path) => {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
            workload::parse(&file, &text)?
        }
    };
    if args.list {
        return list(&all);
    }
    let wanted = |workload: &&Workload| {
        args.workload.is_empty()
            || args
                .workload
                .iter()
                .any(|part| workload.name.contains(part.as_str()))
    };
    let chosen: Vec<&Workload> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let asked = args.workload.join(", ");
        bail!("no workload is called {asked}; `orrery bench scheduling --list` says which there are");
    }
    bench.progress.begin("bench scheduling", chosen.len());
    let mut rows = Vec::new();
    for workload in chosen {
        let row = play::play(bench, workload, args.limit).await;
        rows.push(row.with_context(|| format!("workload {}", workload.name))?);
        bench.progress.step();
    }
    let title = "Scheduling, every write synced to disk; every process and the load share this machine's cores; \
                 all nodes are filtered and scored (percentageOfNodesToScore 100)";
    let words = "\nPODS/S is from the first to the last bind; FROM CREATE counts from when the first pod was sent to be created. Latency is from the answer to the create until the bind was seen. GOAL is this project's, UPSTREAM the floor of \
                 kube-scheduler's own CI, both in pods/s. CPU is of the whole workload, memory the highest, both of \
                 the apiserver and the scheduler (and the controller-manager, where it takes part).\n";
    let idle = rows
        .iter()
        .filter_map(|row| Some((&row.workload, row.idle_cpu_seconds?)));
    let idle: String = idle
        .map(|(workload, seconds)| {
            format!("{workload}: the scheduler took {seconds:.2} s of CPU while nothing happened.\n")
        })
        .collect();
    let words = format!("{words}{idle}");
    Report::new("scheduling", title, &rows, &table(&rows), &words)
}

fn list(all: &[Workload]) -> Result<Report> {
    let mut table = Table::new(["WORKLOAD", "GOAL", "UPSTREAM"]);
    let shown = |rate: Option<f64>| rate.map_or_else(String::new, thousands);
    for workload in all {
        table.row([
            workload.name.clone(),
            shown(workload.goal),
            shown(workload.upstream),
        ]);
    }
    let names: Vec<&str> = all.iter().map(|workload| workload.name.as_str()).collect();
    Report::new(
        "scheduling",
        "Workloads: shape/nodes/pods before/pods measured",
        &names,
        &table,
        "",
    )
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "WORKLOAD",
        "PODS/S",
        "FROM CREATE",
        "GOAL",
        "UPSTREAM",
        "1 s: MEAN",
        "P50",
        "P99",
        "LATENCY P50",
        "P99",
        "CPU s",
        "MEMORY",
    ]);
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, thousands);
    for row in rows {
        let each = |show: fn(&Used) -> String| row.processes.iter().map(show).collect::<Vec<_>>().join(" + ");
        table.row([
            row.workload.clone(),
            thousands(row.pods_per_second),
            thousands(row.pods_per_second_from_create),
            rate(row.goal),
            rate(row.upstream),
            thousands(row.windows.mean),
            thousands(row.windows.p50),
            thousands(row.windows.p99),
            super::report::millis(row.latency_p50_micros),
            super::report::millis(row.latency_p99_micros),
            each(|used| format!("{:.1}", used.cpu_seconds)),
            each(|used| format!("{:.0} MB", used.peak_bytes as f64 / 1e6)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_ranked() {
        let windows = Windows::of((1..=100).rev().collect());
        let all = [windows.mean, windows.p50, windows.p90, windows.p95, windows.p99];
        assert_eq!(all, [50.5, 50.0, 90.0, 95.0, 99.0]);
        assert_eq!(Windows::of(vec![]).mean, 0.0);
    }
}
