//! The command tree.

use crate::commands::{health, kill, ps};
use crate::components;
use crate::up;
use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use component_base::clock::Clock;
use std::process::ExitCode;

/// A working model of Kubernetes: real API, real controllers, simulated nodes.
#[derive(Debug, Parser)]
#[command(
    name = "orrery",
    version,
    after_help = "Start here:\n  orrery up                              # a cluster, in this terminal\n  \
        orrery apply -f examples/nginx.yaml    # in another: three replicas\n  \
        orrery get pods\n  orrery kill scheduler                  # and watch it come back"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the API is. Every command that speaks to it has this flag.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// The apiserver's address.
    #[arg(
        long,
        env = "ORRERY_SERVER",
        default_value = "127.0.0.1:7443",
        value_name = "ADDR"
    )]
    pub server: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Ps(ps::Args),
    Kill(kill::Args),
    Health(health::Args),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let matches = components::add_to(Cli::command()).get_matches();
    if let Some(code) = components::run(&matches) {
        return code;
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let clock = Clock::system();
    runtime.block_on(async move {
        match command {
            Command::Up(args) => up::run(args, clock).await,
            Command::Ps(args) => ps::run(args, clock).await,
            Command::Kill(args) => kill::run(&args),
            Command::Health(args) => health::run(args, clock).await,
        }
    })
}
