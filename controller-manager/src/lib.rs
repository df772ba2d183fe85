//! The controllers that ship with the cluster, in one process: each drives the objects of a kind to what their specs
//! ask for.
//!
//! All of them read one cache, fed by one watch stream, which shows the cluster at one revision. Each is a pure function
//! from that cache to a plan; `client`'s runtime does the rest. [`controllers`] lists them.

mod claim;
pub mod controllers;
mod deployment;
mod disruption;
mod ephemeral_volume;
mod garbage_collector;
mod namespace;
mod node_lifecycle;
mod nodes;
mod patch;
mod persistent_volume;
mod pod_gc;
mod pods;
mod projection;
mod replicaset;
mod service_account;
pub mod settings;
mod taint_eviction;
#[cfg(test)]
mod testing;

use anyhow::{Context, Result};
use client::client::{Client, ClientConfig};
use client::runtime::run_controllers;
use component_base::clock::Clock;
use component_base::metrics::Registry;
use component_base::process::Component;
use component_base::ready::Progress;
use component_base::rng::Seed;
use component_base::server::Server;
use component_base::shutdown::Shutdown;
use settings::Settings;
use tokio::net::TcpListener;

/// What tells this component from others.
pub const COMPONENT: Component = Component {
    name: "controller-manager",
    about: "Runs the controllers: Deployments, ReplicaSets, disruption budgets, garbage collection, namespaces, node lifecycle, volumes",
    default_listen: "127.0.0.1:7444",
};

/// The component's flags.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// The apiserver's address
    #[arg(
        long,
        env = "ORRERY_SERVER",
        default_value = "127.0.0.1:7443",
        value_name = "ADDR"
    )]
    pub server: String,

    /// What single controllers are told.
    #[command(flatten)]
    pub settings: Settings,
}

/// Runs the controllers, and serves health and metrics on `listener`, until `shutdown`.
///
/// # Errors
/// The server's address is none, or serving fails. An apiserver that is away is waited for.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    seed: Seed,
    shutdown: Shutdown,
) -> Result<()> {
    let registry = Registry::new();
    let progress = Progress::new("has not seen the cluster yet");
    let client = Client::new(
        &ClientConfig::new(&config.server, COMPONENT.name),
        clock.clone(),
        seed,
    )
    .context("--server is not usable")?;
    let server = Server::new(COMPONENT.name, &clock, &registry, &progress).serve(listener, shutdown.clone());
    let controllers = run_controllers(
        client,
        controllers::all(&config.settings),
        projection::all(),
        &registry,
        &progress,
        &shutdown,
    );
    let (served, ()) = tokio::join!(server, controllers);
    Ok(served?)
}
