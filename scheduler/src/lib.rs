//! Places Pods on Nodes: one stream of changes in, batches of bindings out.
//!
//! From the core outwards:
//! - [`framework`]: the extension points; [`plugins`]: what implements them; [`registry`]: which are in use.
//! - [`snapshot`] and [`pod`]: the few fields of nodes and Pods that decisions are made by.
//! - [`cycle`]: `(snapshot, pod) -> decision`; [`diagnosis`]: why there is none.
//! - [`queue`]: which Pod is next.
//! - [`config`]: a KubeSchedulerConfiguration, which says what plugins there are and what is on.
//! - [`engine`]: all of this together, without I/O. The rest moves bytes.

pub mod config;
pub mod cycle;
pub mod diagnosis;
pub mod engine;
mod explain;
pub mod extender;
mod flight;
pub mod framework;
mod limits;
mod metrics;
pub mod plugins;
pub mod pod;
pub mod queue;
pub mod registry;
pub mod report;
mod run;
pub mod snapshot;
#[cfg(test)]
mod testing;

use anyhow::{Context, Result};
use client::client::{Client, ClientConfig};
use component_base::clock::Clock;
use component_base::metrics::Registry;
use component_base::process::Component;
use component_base::ready::Progress;
use component_base::rng::Seed;
use component_base::server::Server;
use component_base::shutdown::Shutdown;
use config::Scheduling;
use engine::Engine;
use explain::ExplainService;
use proto::orrery::v1::scheduler_server::SchedulerServer;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// What tells this component from others.
pub const COMPONENT: Component = Component {
    name: "scheduler",
    about: "Places Pods on Nodes, and explains why",
    default_listen: "127.0.0.1:7445",
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

    /// Which Pods to place: those whose spec.schedulerName is this. Pods that name none get default-scheduler
    #[arg(
        long,
        env = "ORRERY_SCHEDULER_NAME",
        default_value = "default-scheduler",
        value_name = "NAME"
    )]
    pub scheduler_name: String,

    /// A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles, plugins, weights, arguments. Its profiles name the
    /// Pods that are placed, so --scheduler-name has no say then
    #[arg(
        long,
        env = "ORRERY_SCHEDULER_CONFIG",
        value_name = "FILE",
        conflicts_with = "scheduler_name"
    )]
    pub config: Option<PathBuf>,
}

impl Config {
    /// What the flags say about scheduling.
    ///
    /// # Errors
    /// The configuration cannot be read, or says something that is not known.
    fn scheduling(&self) -> Result<Scheduling> {
        let Some(path) = &self.config else {
            return Ok(Scheduling::of_one(&self.scheduler_name));
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("--config: cannot read {name}"))?;
        let scheduling = config::parse(&name, &text)?;
        for note in &scheduling.notes {
            tracing::warn!(file = name, "{note}");
        }
        Ok(scheduling)
    }
}

/// Runs the scheduler, and serves explanations, health and metrics on `listener`, until `shutdown`.
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
    let (explanations, asked) = ExplainService::new();
    let server = Server::new(COMPONENT.name, &clock, &registry, &progress)
        .service(SchedulerServer::new(explanations))
        .serve(listener, shutdown.clone());
    let Scheduling {
        profiles,
        backoff,
        extenders,
        ..
    } = config.scheduling()?;
    let engine = Engine::with_profiles(profiles, backoff, seed.fork("ties"));
    let scheduling = run::Loop::new(client, engine, extenders, &registry, &progress).run(asked, &shutdown);
    let (served, ()) = tokio::join!(server, scheduling);
    Ok(served?)
}
