//! `orrery health`: asks a process whether it is ready. For health checks in images that have no shell.

use crate::commands::ps;
use anyhow::{Context, Result, bail};
use component_base::clock::Clock;
use std::time::Duration;

/// Ask a component whether it is ready; the exit code is 0 if so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The component's address.
    #[arg(default_value = "127.0.0.1:7443")]
    address: String,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let status = clock
        .timeout(Duration::from_secs(2), ps::status(&args.address))
        .await
        .with_context(|| format!("{} does not answer", args.address))?
        .with_context(|| format!("{} cannot be reached", args.address))?;
    if !status.ready {
        bail!("{} is not ready: {}", status.name, status.reason);
    }
    println!("{} is ready at revision {}", status.name, status.revision);
    Ok(())
}
