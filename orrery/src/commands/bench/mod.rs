//! `orrery bench`: the figures that this project promises, measured on this machine.
//!
//! In: which benchmark, and for how long. Out: a table, or JSON with the same rows. Every benchmark starts processes of
//! its own in a temporary directory and stops them again; an etcd that is on the `PATH` goes through the same load in
//! the same run, so that a slow disk or a busy machine slows both.
//!
//! - `writes`, `watch`: the API under load, beside etcd.
//! - `http`: the API over HTTP, beside gRPC.
//! - `start`, `memory`: whole clusters.
//! - `scheduling`: Pods that get their nodes, in the shapes of upstream's scheduler_perf. Not part of `all`: it takes long.
//! - `cluster`, `subject`, `http_client`, `load`, `report`: what they share.

mod cluster;
mod etcd;
mod http;
mod http_client;
mod load;
mod memory;
mod report;
mod scheduling;
mod start;
mod subject;
mod watch;
mod writes;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use component_base::clock::Clock;
use report::Progress;
use std::path::PathBuf;
use std::time::Duration;

/// Measure this machine: durable writes, watch fan-out, HTTP, cold start, memory, scheduling; beside etcd where it is installed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Build with --release: a debug build measures the compiler.\n\nExamples:\n  \
    orrery bench all                       # everything, in a few minutes\n  \
    orrery bench writes --clients 64       # one row\n  \
    orrery bench watch --output json > watch.json"
)]
pub struct Args {
    #[command(subcommand)]
    which: Which,
    #[command(flatten)]
    common: Common,
}

/// What every benchmark can be told.
#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// How long each row is measured, in seconds, after a second to warm up.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Leave etcd out.
    #[arg(long, global = true)]
    no_etcd: bool,
    /// Where the data goes for the time of the run: choose a directory on the disk that matters.
    #[arg(long, global = true, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    output: Format,
}

impl Common {
    fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// A new directory for one run.
    fn directory(&self) -> Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("orrery-bench-");
        Ok(match &self.scratch {
            Some(scratch) => builder.tempdir_in(scratch)?,
            None => builder.tempdir()?,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Which {
    Writes(writes::Args),
    Watch(watch::Args),
    Http(http::Args),
    Start(start::Args),
    Memory(memory::Args),
    Scheduling(scheduling::Args),
    /// All but scheduling, which takes long, one after the other.
    All,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let common = args.common;
    let bench = Bench {
        progress: Progress::new(),
        common: common.clone(),
        clock,
    };
    let reports = match args.which {
        Which::Writes(args) => vec![writes::run(&bench, &args).await?],
        Which::Watch(args) => vec![watch::run(&bench, &args).await?],
        Which::Http(args) => vec![http::run(&bench, &args).await?],
        Which::Start(args) => vec![start::run(&bench, &args).await?],
        Which::Memory(args) => vec![memory::run(&bench, &args).await?],
        Which::Scheduling(args) => vec![scheduling::run(&bench, &args).await?],
        Which::All => vec![
            writes::run(&bench, &writes::Args::default()).await?,
            watch::run(&bench, &watch::Args::default()).await?,
            http::run(&bench, &http::Args::default()).await?,
            start::run(&bench, &start::Args::default()).await?,
            memory::run(&bench, &memory::Args::default()).await?,
        ],
    };
    bench.progress.done();
    match common.output {
        Format::Json => println!("{}", report::json(&reports)?),
        Format::Table => reports.iter().for_each(|report| println!("{}", report.text)),
    }
    Ok(())
}

/// What every benchmark is handed.
struct Bench {
    common: Common,
    clock: Clock,
    progress: Progress,
}
