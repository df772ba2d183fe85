//! `bench writes`: durable writes through gRPC, by the number of clients.
//!
//! Each client has a connection of its own unless `--share` says otherwise, and replaces values of its own one after the other. A write counts when it
//! is acknowledged, which in both systems is after an fsync.

use super::report::{Report, millis};
use super::subject::{Connection, Subject, System, VALUE_BYTES, per_second, ratio};
use super::{Bench, load};
use crate::table::Table;
use anyhow::Result;
use serde::Serialize;
use std::num::NonZeroUsize;

/// Keys of each client: enough that both systems look them up and not only the last one.
const SLOTS: usize = 16;

/// Durable writes per second through gRPC.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many clients write at a time; a row each.
    #[arg(long, value_delimiter = ',', default_values_t = DEFAULT_CLIENTS)]
    clients: Vec<usize>,
    /// How many clients share a connection, as the tasks of one process do; the same for both systems.
    #[arg(long, default_value = "1", value_name = "CLIENTS")]
    share: NonZeroUsize,
}

const DEFAULT_CLIENTS: [usize; 4] = [1, 16, 64, 256];

impl Default for Args {
    fn default() -> Self {
        Self {
            clients: DEFAULT_CLIENTS.into(),
            share: NonZeroUsize::MIN,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
struct Row {
    system: System,
    clients: usize,
    writes_per_second: f64,
    p50_micros: u64,
    p99_micros: u64,
    /// Orrery's rate in units of etcd's.
    #[serde(skip_serializing_if = "Option::is_none")]
    times_etcd: Option<f64>,
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    let systems = System::all(bench).await;
    bench
        .progress
        .begin("bench writes", systems.len() * args.clients.len());
    let mut rows = Vec::new();
    for &clients in &args.clients {
        let mut pair = Vec::new();
        for &system in &systems {
            bench
                .progress
                .now(format!("{clients} clients, {}", system.name()));
            pair.push(measure(bench, system, clients, args.share).await?);
            bench.progress.step();
        }
        if let [orrery, etcd] = &mut pair[..] {
            orrery.times_etcd = Some(orrery.writes_per_second / etcd.writes_per_second);
        }
        rows.extend(pair);
    }
    let title = format!(
        "Durable writes of {VALUE_BYTES} bytes through gRPC, {} clients to a connection",
        args.share
    );
    Report::new("writes", &title, &rows, &table(&rows), "")
}

struct Writer {
    connection: Connection,
    first_slot: usize,
    sequence: u64,
}

impl load::Client for Writer {
    async fn once(&mut self) -> Result<()> {
        self.sequence += 1;
        let slot = self.first_slot + (self.sequence as usize) % SLOTS;
        self.connection.put(slot, self.sequence).await?;
        Ok(())
    }
}

async fn measure(bench: &Bench, system: System, clients: usize, share: NonZeroUsize) -> Result<Row> {
    let subject = Subject::start(system, bench).await?;
    let opened = (0..clients.div_ceil(share.get())).map(async |_| subject.connect().await);
    let connections = futures::future::try_join_all(opened).await?;
    let writers = futures::future::try_join_all((0..clients).map(async |client| {
        let mut connection = connections[client / share].clone();
        let first_slot = client * SLOTS;
        for slot in first_slot..first_slot + SLOTS {
            connection.create(slot).await?;
        }
        anyhow::Ok(Writer {
            connection,
            first_slot,
            sequence: 0,
        })
    }));
    let outcome = load::run(writers.await?, bench.common.measured(), &bench.clock).await?;
    subject.stop().await?;
    Ok(Row {
        system,
        clients,
        writes_per_second: outcome.rate,
        p50_micros: outcome.latency.value_at_quantile(0.5),
        p99_micros: outcome.latency.value_at_quantile(0.99),
        times_etcd: None,
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["CLIENTS", "SYSTEM", "WRITES/S", "P50", "P99", "RATIO"]);
    for row in rows {
        table.row([
            row.clients.to_string(),
            row.system.name().to_owned(),
            per_second(row.writes_per_second),
            millis(row.p50_micros),
            millis(row.p99_micros),
            row.times_etcd.map_or_else(|| "-".into(), ratio),
        ]);
    }
    table
}
