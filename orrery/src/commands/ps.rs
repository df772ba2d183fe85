//! `orrery ps`: the components that `orrery up` started, and how they are.

use crate::data_dir::{Component, DataDir};
use crate::table::Table;
use anyhow::Result;
use clap::ValueEnum;
use component_base::clock::Clock;
use proto::orrery::v1::component_client::ComponentClient;
use proto::orrery::v1::{ComponentStatus, GetStatusRequest};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// A component that does not answer within this time is shown as silent.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// Show the components that `orrery up` started: process, address, health, and the revision that each has reached.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data directory of the `orrery up` to look at.
    #[arg(long, env = "ORRERY_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// A component with what it says of itself.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    component: Component,
    health: &'static str,
    reason: String,
    revision: Option<i64>,
    resident_bytes: Option<u64>,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let running = DataDir::new(args.data_dir)?.read_running()?;
    let rows = ask_all(running.components, &clock).await;
    match args.output {
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows)?),
        Format::Table => print!("{}", table(&rows)),
    }
    Ok(())
}

/// Asks all components at once how they are.
pub async fn ask_all(components: Vec<Component>, clock: &Clock) -> Vec<Row> {
    futures::future::join_all(components.into_iter().map(|component| ask(component, clock))).await
}

async fn ask(component: Component, clock: &Clock) -> Row {
    let answer = match component.pid {
        Some(_) => clock
            .timeout(ANSWER_WITHIN, status(&component.address))
            .await
            .ok()
            .and_then(Result::ok),
        None => None,
    };
    let (health, reason) = match (&answer, component.pid) {
        (Some(status), _) if status.ready => ("Ready", String::new()),
        (Some(status), _) => ("NotReady", status.reason.clone()),
        (None, Some(_)) => (
            "Silent",
            "does not answer: stopped, or not listening yet".to_owned(),
        ),
        (None, None) => ("Down", String::new()),
    };
    Row {
        component,
        health,
        reason,
        revision: answer.as_ref().map(|status| status.revision),
        resident_bytes: answer.as_ref().map(|status| status.resident_bytes),
    }
}

/// What the process at `address` says of itself.
pub async fn status(address: &str) -> Result<ComponentStatus> {
    let mut component = ComponentClient::connect(format!("http://{address}")).await?;
    Ok(component.get_status(GetStatusRequest {}).await?.into_inner())
}

/// The rows as a table.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "NAME", "PID", "ADDRESS", "HEALTH", "REVISION", "RESTARTS", "MEMORY",
    ]);
    for row in rows {
        let health = if row.reason.is_empty() {
            row.health.to_owned()
        } else {
            format!("{} ({})", row.health, row.reason)
        };
        table.row([
            row.component.name.clone(),
            row.component.pid.map_or_else(String::new, |pid| pid.to_string()),
            row.component.address.clone(),
            health,
            row.revision
                .map_or_else(String::new, |revision| revision.to_string()),
            row.component.restarts.to_string(),
            row.resident_bytes
                .map_or_else(String::new, |bytes| format!("{:.1} MB", bytes as f64 / 1e6)),
        ]);
    }
    table
}
