//! [`Cluster`]: the `orrery` program as a user runs it, and what the cluster is like while it does.
//!
//! Processes are real, and so are kills. Nothing here waits for a time: every wait is for a condition on the cluster's
//! state, seen through one watch, with a bound that only a broken cluster reaches.
#![allow(clippy::print_stderr, reason = "a test that skips says so to whoever runs it")]

use anyhow::{Context, Result, bail, ensure};
use client::client::ClientConfig;
use client::{Cache, Client, Informer, Watch, informer};
use component_base::clock::Clock;
use component_base::rng::Seed;
use orrery::data_dir::DataDir;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The longest that anything may take. A busy machine is slow; only a broken cluster needs so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The `orrery` program beside the tests, or `None` with a word to whoever runs them when nobody has built it.
pub fn program() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    // target/debug/deps/end_to_end-0123: the program lies beside deps.
    let program = test.parent()?.parent()?.join("orrery");
    if program.is_file() {
        return Some(program);
    }
    eprintln!(
        "skipped: there is no {}; `cargo build --bin orrery` makes it",
        program.display()
    );
    None
}

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A cluster that `orrery up` runs, with a view of it. Its processes end with it.
pub struct Cluster {
    program: PathBuf,
    data: DataDir,
    _files: TempDir,
    up: Child,
    clock: Clock,
    client: Client,
    informer: Informer,
    cache: Cache,
}

impl Cluster {
    /// Starts a cluster of three nodes and waits until they are ready.
    pub async fn start(program: &Path) -> Result<Self> {
        Self::start_with(program, &[]).await
    }

    /// As [`Cluster::start`], with further flags of `orrery up`.
    pub async fn start_with(program: &Path, flags: &[&str]) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let data = DataDir::new(Some(files.path().to_owned()))?;
        let (up, server) = up(program, &data, flags).await?;
        let clock = Clock::system();
        let (client, informer) = watch(&server, &clock)?;
        let mut cluster = Self {
            program: program.to_owned(),
            data,
            _files: files,
            up,
            clock,
            client,
            informer,
            cache: cache(),
        };
        cluster.wait_for_nodes().await?;
        Ok(cluster)
    }

    /// Kills `orrery up` itself without a word, and starts it again over the same data.
    pub async fn kill_up_and_start_again(&mut self) -> Result<()> {
        self.up.kill().await?;
        // Its components end by themselves; until then the new ones find the store in use, and are started again.
        let (up, server) = up(&self.program, &self.data, &[]).await?;
        self.up = up;
        (self.client, self.informer) = watch(&server, &self.clock)?;
        self.cache = cache();
        self.wait_for_nodes().await
    }

    async fn wait_for_nodes(&mut self) -> Result<()> {
        self.wait_until("three nodes are ready", |cache| {
            let ready = |node: &&std::sync::Arc<Node>| {
                let status = node.status.as_ref();
                status
                    .is_some_and(|status| apimachinery::meta::is_condition_true(&status.conditions, "Ready"))
            };
            cache.list::<Node>(None).filter(ready).count() == 3
        })
        .await
    }

    /// Waits until the cluster is as `holds` says.
    pub async fn wait_until(&mut self, what: &str, holds: impl Fn(&Cache) -> bool) -> Result<()> {
        let clock = self.clock.clone();
        let waited = clock.timeout(PATIENCE, async {
            while !(self.cache.synced() && holds(&self.cache)) {
                let delta = self.informer.next().await.context("the informer ended")?;
                self.cache.apply(&delta)?;
            }
            anyhow::Ok(())
        });
        match waited.await {
            Ok(waited) => waited,
            Err(_) => bail!("it never came that {what}; the pods are {:#?}", self.pods("")),
        }
    }

    /// What is known of the cluster as of the last wait.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// A client of this cluster.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The pods whose label `app` is this, in words; all pods for the empty one.
    pub fn pods(&self, app: &str) -> Vec<PodView> {
        pods(&self.cache, app)
    }

    /// Runs a command of the `orrery` program against this cluster; gives what it printed.
    pub async fn orrery(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        let command = command
            .args(args)
            .env("ORRERY_SERVER", self.client.server())
            .env("ORRERY_DATA_DIR", self.data.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let done = self.clock.timeout(PATIENCE, command.output()).await;
        text(
            args,
            done.with_context(|| format!("orrery {} does not end", args.join(" ")))??,
        )
    }
}

/// A Pod as these tests look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodView {
    /// Its UID.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The node it is bound to.
    pub node: String,
    /// Its phase.
    pub phase: String,
    /// Whether it is ready and not being deleted.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: i32,
}

/// The pods of an app; all pods for the empty one.
pub fn pods(cache: &Cache, app: &str) -> Vec<PodView> {
    let wanted = |meta: &proto::meta::v1::ObjectMeta| {
        app.is_empty() || meta.labels.get("app").is_some_and(|label| label == app)
    };
    let view = |pod: &std::sync::Arc<Pod>| {
        let meta = pod.metadata.clone().unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        wanted(&meta).then(|| PodView {
            ready: apimachinery::meta::is_condition_true(&status.conditions, "Ready")
                && meta.deletion_timestamp.is_none(),
            uid: meta.uid,
            name: meta.name,
            node: pod
                .spec
                .as_ref()
                .map(|spec| spec.node_name.clone())
                .unwrap_or_default(),
            phase: status.phase,
            restarts: status
                .container_statuses
                .iter()
                .map(|status| status.restart_count)
                .sum(),
        })
    };
    let mut pods: Vec<_> = cache.list::<Pod>(None).filter_map(view).collect();
    pods.sort();
    pods
}

/// Whether an app has exactly so many pods, all ready.
pub fn all_ready(cache: &Cache, app: &str, count: usize) -> bool {
    let pods = pods(cache, app);
    pods.len() == count && pods.iter().all(|pod| pod.ready)
}

fn cache() -> Cache {
    Cache::new([
        Watch::of::<Pod>(),
        Watch::of::<Node>(),
        Watch::of::<Deployment>(),
        Watch::of::<ReplicaSet>(),
        Watch::of::<PersistentVolume>(),
        Watch::of::<PersistentVolumeClaim>(),
    ])
}

fn watch(server: &str, clock: &Clock) -> Result<(Client, Informer)> {
    let config = ClientConfig::new(server, "tests");
    let client = Client::new(&config, clock.clone(), Seed::from_entropy())?;
    let targets = cache().kinds().map(informer::target_of).collect();
    let informer = Informer::spawn(&client, targets);
    Ok((client, informer))
}

/// Starts `orrery up` on free ports; gives it and the API's address, which is the first thing that it says.
async fn up(program: &Path, data: &DataDir, flags: &[&str]) -> Result<(Child, String)> {
    let mut child = Command::new(program)
        .args(["up", "--nodes", "3", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stdout = child.stdout.take().context("stdout is a pipe")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = lines
        .next_line()
        .await?
        .context("`orrery up` ended without a word")?;
    let server = first
        .split_once("API on ")
        .and_then(|(_, rest)| rest.split_once(','));
    let (server, _) = server.with_context(|| format!("no address in {first:?}"))?;
    let server = server.to_owned();
    // Read on, or the program would stop at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, server))
}

fn text(args: &[&str], output: Output) -> Result<String> {
    let stdout = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "orrery {}: {}\n{stdout}{}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}
