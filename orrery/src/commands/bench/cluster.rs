//! A cluster for one run: in a directory of its own, on free ports, gone with the run.
//!
//! In: which components, and how many nodes. Out: their addresses, once they are ready.
//! Invariant: figures of a run in which a component died are refused, since they would hide a restart.

use super::Common;
use crate::commands::ps;
use crate::data_dir::{DataDir, Lock};
use crate::up::supervisor::{NOTICES_WAITING, Notice, supervise};
use crate::up::{self, supervisor};
use anyhow::{Context, Result, bail};
use client::{Client, ClientConfig};
use component_base::clock::{Clock, Instant};
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A cluster that takes this long to start will not.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a component is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Which components to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// The apiserver alone.
    Apiserver,
    /// The apiserver and the scheduler, and perhaps the controller-manager. Nodes are only objects.
    Scheduling {
        /// Whether the controller-manager runs.
        controllers: bool,
    },
    /// All four, with so many nodes.
    All {
        /// Simulated nodes.
        nodes: u32,
    },
}

/// See the module.
pub(super) struct Cluster {
    /// Just before the first process was started.
    pub(super) started: Instant,
    /// Name and address of each component, apiserver first.
    pub(super) components: Vec<(&'static str, String)>,
    clock: Clock,
    notices: mpsc::Receiver<Notice>,
    pids: Vec<(&'static str, u32)>,
    deaths: Vec<String>,
    stop: Shutdown,
    supervisor: JoinHandle<Result<()>>,
    _lock: Lock,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts the processes, and does not wait for them.
    pub(super) fn spawn(common: &Common, clock: &Clock, parts: Parts) -> Result<Self> {
        let directory = common.directory()?;
        let data = DataDir::new(Some(directory.path().into()))?;
        let lock = data.lock()?;
        let args = up::Args {
            nodes: match parts {
                Parts::Apiserver | Parts::Scheduling { .. } => 0,
                Parts::All { nodes } => nodes,
            },
            data_dir: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            fresh: false,
            seed: None,
            scheduler_config: None,
        };
        let mut specs: Vec<supervisor::Spec> = up::specs(&args, &data)?;
        specs.retain(|spec| match parts {
            Parts::Apiserver => spec.name == "apiserver",
            Parts::Scheduling { controllers } => {
                ["apiserver", "scheduler"].contains(&spec.name)
                    || controllers && spec.name == "controller-manager"
            }
            Parts::All { .. } => true,
        });
        let components = specs
            .iter()
            .map(|spec| (spec.name, spec.address.clone()))
            .collect();
        let stop = Shutdown::new();
        let (sender, notices) = mpsc::channel(NOTICES_WAITING);
        let started = clock.now();
        let supervisor = tokio::spawn(supervise(specs, data, clock.clone(), sender, stop.clone()));
        Ok(Self {
            started,
            components,
            clock: clock.clone(),
            notices,
            pids: Vec::new(),
            deaths: Vec::new(),
            stop,
            supervisor,
            _lock: lock,
            _directory: directory,
        })
    }

    /// Starts the processes, and waits until all are ready.
    pub(super) async fn start(common: &Common, clock: &Clock, parts: Parts) -> Result<Self> {
        let this = Self::spawn(common, clock, parts)?;
        let ready = clock.timeout(READY_WITHIN, this.ready()).await;
        ready.context("the cluster does not become ready: does `orrery up` work here?")?;
        Ok(this)
    }

    async fn ready(&self) {
        for (_, address) in &self.components {
            while !ps::status(address).await.is_ok_and(|status| status.ready) {
                self.clock.sleep(ASK_EVERY).await;
            }
        }
    }

    /// The API's address.
    pub(super) fn api(&self) -> &str {
        &self.components[0].1
    }

    /// A client of the API.
    pub(super) fn client(&self) -> Result<Client> {
        let config = ClientConfig::new(self.api(), "orrery-bench");
        Ok(Client::new(&config, self.clock.clone(), Seed::from_entropy())?)
    }

    /// The processes' ids, by component.
    pub(super) fn pids(&mut self) -> Vec<(&'static str, u32)> {
        self.hear();
        self.pids.clone()
    }

    fn hear(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Started { name, pid, .. } => self.pids.push((name, pid)),
                Notice::Died { name, how, .. } => {
                    self.deaths.push(format!("{name} died under the load: {how}"));
                }
                Notice::Failed { name, why, .. } => {
                    self.deaths.push(format!("{name} could not be started: {why}"));
                }
            }
        }
    }

    /// Stops the processes. An error when one of them had died before.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.hear();
        if let Some(death) = self.deaths.first() {
            bail!("{death}");
        }
        self.stop.trigger();
        (&mut self.supervisor).await.context("the supervisor broke")?
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // After an error nobody waits, but the processes still end.
        self.stop.trigger();
    }
}
