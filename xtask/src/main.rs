//! What CI runs, and the checks of this house: `cargo xtask ci`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod arrows;
mod ci;
mod codegen;
mod plugins;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "What CI runs, and the checks of this house")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change is merged: format, generated code, arrows, clippy, docs, tests.
    Ci,
    /// Check who depends on whom.
    Arrows,
    /// Check that every plugin of the scheduler has tests and an entry in docs/scheduler.md.
    Plugins,
    /// Generate proto/src/generated from the .proto files.
    Codegen {
        /// Change nothing; fail when what is checked in is not what would be generated.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Ci => ci::run(),
        Command::Arrows => arrows::run(),
        Command::Plugins => plugins::run(),
        Command::Codegen { check } => codegen::run(check),
    }
}
