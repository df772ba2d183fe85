//! `orrery up`: a whole cluster in one terminal.
//!
//! Starts the four components as child processes, keeps them running, and shows how the cluster is: a live view on a
//! terminal, plain lines elsewhere.

mod ports;
pub mod supervisor;
mod view;

use crate::data_dir::{Component, DataDir};
use crate::kubeconfig;
use anyhow::{Context, Result};
use component_base::clock::Clock;
use component_base::shutdown::Shutdown;
use std::net::SocketAddr;
use std::path::PathBuf;
use supervisor::{Notice, Spec};
use tokio::sync::mpsc;

/// Start a cluster: apiserver, controller-manager, scheduler and simulated nodes. Ctrl-C stops it; its state stays.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery up                       # 10 nodes, state kept from run to run\n  \
    orrery up --nodes 1000 --fresh  # a large and empty cluster\n  \
    orrery up --data-dir /tmp/lab --listen 127.0.0.1:8443"
)]
pub struct Args {
    /// How many nodes to simulate.
    #[arg(long, default_value_t = 10)]
    pub nodes: u32,
    /// Where the state is kept; by default `orrery` under the user's data directory.
    #[arg(long, env = "ORRERY_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the API listens. The other components take the three ports after it; port 0 takes any free ones.
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Forget the state of earlier runs first.
    #[arg(long)]
    pub fresh: bool,
    /// Where all chance in the simulated nodes comes from.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How the scheduler places Pods: a KubeSchedulerConfiguration.
    #[arg(long, value_name = "FILE")]
    pub scheduler_config: Option<PathBuf>,
}

/// Runs the command until Ctrl-C.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let dir = DataDir::new(args.data_dir.clone())?;
    let lock = dir.lock()?;
    if args.fresh {
        dir.clear(&lock)?;
    }
    let specs = specs(&args, &dir)?;
    let api = specs[0].address.clone();
    let shutdown = Shutdown::on_signals().context("cannot listen for Ctrl-C")?;
    let (notices, heard) = mpsc::channel(supervisor::NOTICES_WAITING);
    println!("orrery: API on {api}, state in {}", dir.path().display());
    let kubeconfig = dir.write_kubeconfig(&api)?;
    let kubeconfig = kubeconfig::quoted(&kubeconfig.to_string_lossy());
    println!("orrery: for kubectl, export KUBECONFIG={kubeconfig}");
    let components = specs.iter().map(Component::down).collect();
    let supervisor = tokio::spawn(supervisor::supervise(
        specs,
        dir,
        clock.clone(),
        notices,
        shutdown.clone(),
    ));
    let shown = view::show(&api, components, heard, &clock).await;
    // However the view ended, the cluster ends with it.
    shutdown.trigger();
    supervisor.await.context("the supervisor broke")??;
    println!("orrery: stopped");
    shown
}

/// What to run, apiserver first.
pub fn specs(args: &Args, dir: &DataDir) -> Result<Vec<Spec>> {
    let [api, controllers, scheduler, kubelets] =
        ports::four(args.listen)?.map(|address| address.to_string());
    let server = format!("http://{api}");
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let store = dir.store();
    let store = store.to_str().context("the data directory's name is not UTF-8")?;
    let mut kubelet_args = text(&[
        "--server",
        &server,
        "--listen",
        &kubelets,
        "--nodes",
        &args.nodes.to_string(),
    ]);
    if let Some(seed) = args.seed {
        kubelet_args.extend(text(&["--seed", &seed.to_string()]));
    }
    let mut scheduler_args = text(&["--server", &server, "--listen", &scheduler]);
    if let Some(config) = &args.scheduler_config {
        // The child starts elsewhere, perhaps; and a name that is wrong is told now.
        let config = config.canonicalize();
        let config = config.with_context(|| format!("--scheduler-config: {:?}", args.scheduler_config))?;
        let config = config
            .to_str()
            .context("--scheduler-config: the name is not UTF-8")?;
        scheduler_args.extend(text(&["--config", config]));
    }
    Ok(vec![
        Spec {
            name: "apiserver",
            args: text(&["--listen", &api, "--data-dir", store]),
            address: api,
        },
        Spec {
            name: "controller-manager",
            args: text(&["--server", &server, "--listen", &controllers]),
            address: controllers,
        },
        Spec {
            name: "scheduler",
            args: scheduler_args,
            address: scheduler,
        },
        Spec {
            name: "kubelet-sim",
            args: kubelet_args,
            address: kubelets,
        },
    ])
}

/// A notice as a plain line.
fn line(notice: &Notice) -> String {
    match notice {
        Notice::Started {
            name,
            pid,
            again: false,
        } => format!("{name} started (pid {pid})"),
        Notice::Started {
            name,
            pid,
            again: true,
        } => format!("{name} started again (pid {pid})"),
        Notice::Died { name, how, delay } if delay.is_zero() => format!("{name} died: {how}"),
        Notice::Died { name, how, delay } => format!("{name} died: {how}; starting it again in {delay:?}"),
        Notice::Failed { name, why, delay } => {
            format!("{name} does not start: {why}; trying again in {delay:?}")
        }
    }
}
