//! The command tree.

use crate::commands::{
    annotate, api_resources, apply, bench, crash, delete, describe, drill, events, explain, get, health,
    kill, kubeconfig, logs, node, patch, ps, rollout, scale, set, wait, why,
};
use crate::{components, session, up};
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
    Apply(apply::Args),
    Get(get::Args),
    Describe(describe::Args),
    Delete(delete::Args),
    Scale(scale::Args),
    Rollout(rollout::Args),
    Set(set::Args),
    Label(annotate::LabelArgs),
    Annotate(annotate::Args),
    Patch(patch::Args),
    Logs(logs::Args),
    Events(events::Args),
    Wait(wait::Args),
    Why(why::Args),
    Explain(explain::Args),
    WhatIf(explain::WhatIfArgs),
    Crash(crash::Args),
    Node(node::Args),
    Ps(ps::Args),
    Kill(kill::Args),
    Health(health::Args),
    Kubeconfig(kubeconfig::Args),
    ApiResources(api_resources::Args),
    Drill(drill::Args),
    Bench(bench::Args),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let matches = components::add_to(Cli::command()).get_matches();
    if let Some(code) = components::run(&matches) {
        return code;
    }
    end_with_the_reader();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", session::explain(&error));
            ExitCode::FAILURE
        }
    }
}

/// `orrery get pods | head`: when nobody reads on, the program ends, without a word.
fn end_with_the_reader() {
    let other = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic
            .payload()
            .downcast_ref::<String>()
            .map_or("", String::as_str);
        if message.starts_with("failed printing to std") && message.contains("Broken pipe") {
            std::process::exit(BROKEN_PIPE);
        }
        other(panic);
    }));
}

/// What a shell reports of a program that SIGPIPE ended.
const BROKEN_PIPE: i32 = 141;

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let clock = Clock::system();
    runtime.block_on(async move {
        match command {
            Command::Up(args) => up::run(args, clock).await,
            Command::Apply(args) => apply::run(args, clock).await,
            Command::Get(args) => get::run(args, clock).await,
            Command::Describe(args) => describe::run(args, clock).await,
            Command::Label(args) => annotate::run(args.into(), clock).await,
            Command::Annotate(args) => annotate::run(args, clock).await,
            Command::Patch(args) => patch::run(args, clock).await,
            Command::Delete(args) => delete::run(args, clock).await,
            Command::Scale(args) => scale::run(args, clock).await,
            Command::Rollout(args) => rollout::run(args, clock).await,
            Command::Set(args) => set::run(args, clock).await,
            Command::Logs(args) => logs::run(args, clock).await,
            Command::Explain(args) => explain::run(args, clock).await,
            Command::WhatIf(args) => explain::what_if(args, clock).await,
            Command::Events(args) => events::run(args, clock).await,
            Command::Wait(args) => wait::run(args, clock).await,
            Command::Why(args) => why::run(args, clock).await,
            Command::Crash(args) => crash::run(args, clock).await,
            Command::Node(args) => node::run(args, clock).await,
            Command::Ps(args) => ps::run(args, clock).await,
            Command::Kill(args) => kill::run(&args),
            Command::Health(args) => health::run(args, clock).await,
            Command::Drill(args) => Box::pin(drill::run(args, clock)).await,
            Command::Bench(args) => Box::pin(bench::run(args, clock)).await,
            Command::Kubeconfig(args) => {
                kubeconfig::run(&args);
                Ok(())
            }
            Command::ApiResources(args) => {
                api_resources::run(&args);
                Ok(())
            }
        }
    })
}
