//! `orrery drill`: breaks a cluster of its own on purpose, and checks that everything that must hold still does.

mod cluster;
mod convergence;
mod kill_each;
mod load;
mod recorder;
mod report;
mod script;

use anyhow::Result;
use clap::Subcommand;
use component_base::clock::Clock;

/// Break a cluster of the drill's own on purpose, and check what must always hold.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Debug, Subcommand)]
enum Drill {
    KillEach(kill_each::Args),
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    match args.drill {
        Drill::KillEach(args) => kill_each::run(args, clock).await,
    }
}
