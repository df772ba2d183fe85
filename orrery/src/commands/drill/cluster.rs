//! A cluster of the drill's own: four processes on free ports over a temporary directory, as `orrery up` runs them.

use crate::commands::{kill, ps};
use crate::data_dir::{DataDir, Lock};
use crate::up::supervisor::{NOTICES_WAITING, Notice, Spec, supervise};
use crate::up::{self, specs};
use anyhow::{Context, Result, bail};
use client::Client;
use client::client::ClientConfig;
use component_base::clock::{Clock, Instant};
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use proto::orrery::v1::ListRequest;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How often a process that is coming up is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long one such question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long a process may take to come up: far more than it should, as the drill tells how long it took.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// The deadline of the drill's own requests. Shorter than a client's own, so that a request that a crash has swallowed
/// is sent again soon.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running cluster. [`Cluster::stop`] ends it; should the drill itself end, its processes end with it.
pub(super) struct Cluster {
    files: TempDir,
    dir: DataDir,
    _lock: Lock,
    specs: Vec<Spec>,
    clock: Clock,
    seed: Seed,
    notices: mpsc::Receiver<Notice>,
    shutdown: Shutdown,
    supervisor: JoinHandle<Result<()>>,
    /// Deaths that nobody asked for.
    unasked: Vec<String>,
}

impl Cluster {
    /// Starts a cluster, and waits until each process is ready.
    pub(super) async fn start(nodes: u32, seed: Seed, clock: &Clock) -> Result<Self> {
        let files = tempfile::Builder::new().prefix("orrery-drill-").tempdir()?;
        let dir = DataDir::new(Some(files.path().to_owned()))?;
        let lock = dir.lock()?;
        let args = up::Args {
            nodes,
            data_dir: None,
            listen: ([127, 0, 0, 1], 0).into(),
            fresh: false,
            seed: Some(seed.0),
            scheduler_config: None,
        };
        let specs = specs(&args, &dir)?;
        let (tell, notices) = mpsc::channel(NOTICES_WAITING);
        let shutdown = Shutdown::new();
        let supervisor = supervise(specs.clone(), dir.clone(), clock.clone(), tell, shutdown.clone());
        let cluster = Self {
            files,
            dir,
            _lock: lock,
            specs,
            clock: clock.clone(),
            seed,
            notices,
            shutdown,
            supervisor: tokio::spawn(supervisor),
            unasked: Vec::new(),
        };
        for name in cluster.names() {
            cluster.wait_ready(name).await?;
        }
        Ok(cluster)
    }

    /// The components, apiserver first.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.specs.iter().map(|spec| spec.name).collect()
    }

    /// A client that writes in this name.
    pub(super) fn client(&self, actor: &str) -> Result<Client> {
        let mut config = ClientConfig::new(self.specs[0].address.clone(), actor);
        config.deadline = DEADLINE;
        Ok(Client::new(&config, self.clock.clone(), self.seed.child(actor))?)
    }

    /// Kills a component; gives its process id.
    pub(super) fn kill(&self, name: &str) -> Result<u32> {
        kill::kill(&self.dir, name, kill::Which::Kill)
    }

    /// Waits until a component that was killed runs again; gives the moment at which it was started.
    pub(super) async fn wait_started_again(&mut self, name: &str) -> Result<Instant> {
        let clock = self.clock.clone();
        let mut died = false;
        let started = clock.timeout(UP_WITHIN, async {
            loop {
                match self.notices.recv().await {
                    Some(Notice::Died { name: who, .. }) if who == name => died = true,
                    Some(Notice::Started { name: who, .. }) if died && who == name => {
                        return Some(clock.now());
                    }
                    Some(notice) => self.note(&notice),
                    None => return None,
                }
            }
        });
        let started = started
            .await
            .with_context(|| format!("{name} was not started again"))?;
        started.with_context(|| format!("the supervisor ended before it had started {name} again"))
    }

    /// Waits until a component does its work; gives the moment at which it said so. The apiserver does when it answers
    /// a read over a new connection.
    pub(super) async fn wait_ready(&self, name: &str) -> Result<Instant> {
        let spec = self.specs.iter().find(|spec| spec.name == name);
        let spec = spec.with_context(|| format!("there is no component {name}"))?;
        let deadline = self.clock.now() + UP_WITHIN;
        loop {
            let answer = self.clock.timeout(ANSWER_WITHIN, self.ask(spec)).await;
            let why = match answer {
                Ok(Ok(())) => return Ok(self.clock.now()),
                Ok(Err(error)) => error,
                Err(elapsed) => elapsed.into(),
            };
            if self.clock.now() >= deadline {
                return Err(why.context(format!(
                    "{name} does not come up; its log: {}",
                    self.log(name).display()
                )));
            }
            self.clock.sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self, spec: &Spec) -> Result<()> {
        let status = ps::status(&spec.address).await?;
        if !status.ready {
            bail!("{} is not ready: {}", spec.name, status.reason);
        }
        if spec.name == self.specs[0].name {
            let request = ListRequest {
                kind: "nodes".into(),
                limit: 1,
                ..ListRequest::default()
            };
            self.client("drill-probe")?.list_page(request).await?;
        }
        Ok(())
    }

    /// Deaths that nobody asked for, so far.
    pub(super) fn unasked_deaths(&mut self) -> &[String] {
        while let Ok(notice) = self.notices.try_recv() {
            self.note(&notice);
        }
        &self.unasked
    }

    fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Died { name, how, .. } => self.unasked.push(format!("{name} died unasked: {how}")),
            Notice::Failed { name, why, .. } => self.unasked.push(format!("{name} does not start: {why}")),
            Notice::Started { .. } => {}
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.log(name)
    }

    /// Stops the cluster. Its files go too, unless somebody should look at them: then it gives their place.
    pub(super) async fn stop(self, keep: bool) -> Result<Option<PathBuf>> {
        self.shutdown.trigger();
        self.supervisor.await.context("the supervisor broke")??;
        Ok(keep.then(|| self.files.keep()))
    }
}
