//! `orrery node`: faults for simulated nodes.

use crate::cli::ServerArgs;
use crate::{session, simulator};
use anyhow::Result;
use clap::{Subcommand, ValueHint};
use component_base::clock::Clock;
use proto::orrery::v1::{RemoveNodeRequest, ResumeHeartbeatsRequest, StopHeartbeatsRequest};

/// Cut a node off, bring it back, or take it out for good.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery node stop node-0     # its heartbeats end: NotReady, then its Pods are replaced\n  \
    orrery node resume node-0\n  orrery node remove node-0"
)]
pub struct Args {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Debug, Subcommand)]
enum Fault {
    /// Stop its heartbeats and its Pods' status updates, as when its network is cut.
    Stop(Which),
    /// Let it speak again.
    Resume(Which),
    /// Take it out, with all that runs on it.
    Remove(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The Nodes' names.
    #[arg(required = true, value_name = "NODE", value_hint = ValueHint::Other)]
    nodes: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let (Fault::Stop(which) | Fault::Resume(which) | Fault::Remove(which)) = &args.fault;
    let client = session::connect(&which.server, &clock).await?;
    for name in &which.nodes {
        // `node/node-0` is what other commands print.
        let node = name.strip_prefix("node/").unwrap_or(name).to_owned();
        let mut simulator = simulator::of_node(&client, &node).await?;
        let told = format!("node/{node}");
        let (answer, done) = match &args.fault {
            Fault::Stop(_) => (
                simulator
                    .stop_heartbeats(StopHeartbeatsRequest { node })
                    .await
                    .map(|_| ()),
                "stopped",
            ),
            Fault::Resume(_) => (
                simulator
                    .resume_heartbeats(ResumeHeartbeatsRequest { node })
                    .await
                    .map(|_| ()),
                "resumed",
            ),
            Fault::Remove(_) => (
                simulator
                    .remove_node(RemoveNodeRequest { node })
                    .await
                    .map(|_| ()),
                "removed",
            ),
        };
        answer.map_err(|status| simulator::refused(&status))?;
        println!("{told} {done}");
    }
    Ok(())
}
