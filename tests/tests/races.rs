//! Two schedulers of one name over one apiserver, all of them killed in the middle of a thousand binds. Checked over every revision that
//! there ever was: a Pod gets a node once, and no node ever holds more than it has.

use anyhow::{Context, Result, bail, ensure};
use client::Client;
use client::client::ClientConfig;
use component_base::clock::Clock;
use component_base::rng::Seed;
use futures::StreamExt;
use proto::api::core::v1::{Container, Node, Pod, PodSpec};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, CreateRequest, ListRequest, WatchRequest, WatchTarget};
use proto::{EventType, Kind, Object, Quantity};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tests::cluster::program;
use tokio::process::{Child, Command};

/// The longest that anything may take. A busy machine is slow; only a broken cluster needs so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How soon the API is asked again while it is away.
const ASK_EVERY: Duration = Duration::from_millis(20);

const NODES: usize = 20;
/// What each node has, in tenths of a core; every Pod takes one.
const ROOM: usize = 40;
/// More than there is room for.
const PODS: usize = 1000;
/// The Pods come in so many parts, and something is killed in the middle of each.
const PARTS: usize = 5;

/// The processes. They end with it.
struct Field {
    program: PathBuf,
    files: tempfile::TempDir,
    api: String,
    clock: Clock,
    client: Client,
    apiserver: Child,
    schedulers: Vec<Child>,
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(program: &Path, args: &[&str]) -> Result<Child> {
    let mut command = Command::new(program);
    let command = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

impl Field {
    async fn start(program: &Path) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let api = format!("127.0.0.1:{}", free_port()?);
        let clock = Clock::system();
        let config = ClientConfig::new(format!("http://{api}"), "tests");
        let apiserver = apiserver(program, &api, files.path())?;
        let mut field = Self {
            program: program.to_owned(),
            client: Client::new(&config, clock.clone(), Seed::from_entropy())?,
            files,
            api,
            clock,
            apiserver,
            schedulers: Vec::new(),
        };
        for _ in 0..2 {
            let scheduler = field.scheduler()?;
            field.schedulers.push(scheduler);
        }
        Ok(field)
    }

    fn scheduler(&self) -> Result<Child> {
        let server = format!("http://{}", self.api);
        start(
            &self.program,
            &["scheduler", "--server", &server, "--listen", "127.0.0.1:0"],
        )
    }

    async fn kill_scheduler(&mut self, place: usize) -> Result<()> {
        self.schedulers[place].kill().await?;
        self.schedulers[place] = self.scheduler()?;
        Ok(())
    }

    async fn kill_apiserver(&mut self) -> Result<()> {
        self.apiserver.kill().await?;
        self.apiserver = apiserver(&self.program, &self.api, self.files.path())?;
        Ok(())
    }

    /// Creates objects, however often the API goes away meanwhile.
    async fn create(&self, objects: Vec<Object>) -> Result<()> {
        let mut waiting = objects;
        while !waiting.is_empty() {
            let operations = waiting.iter().map(|object| BatchOperation {
                operation: Some(Operation::Create(CreateRequest {
                    object: Some(object.clone()),
                    ..CreateRequest::default()
                })),
                cause: 0,
            });
            let results = self.client.batch(operations.collect()).await;
            let mut again = Vec::new();
            for (object, result) in waiting.into_iter().zip(results) {
                match result {
                    Ok(_) => {}
                    // An answer was lost.
                    Err(error)
                        if error
                            .status()
                            .is_some_and(|status| status.reason == "AlreadyExists") => {}
                    Err(error) if error.status().is_none() || error.retryable() => again.push(object),
                    Err(error) => return Err(error.into()),
                }
            }
            waiting = again;
            if !waiting.is_empty() {
                self.clock.sleep(ASK_EVERY).await;
            }
        }
        Ok(())
    }

    /// The Pods, and the revision that this is of.
    async fn pods(&self) -> Result<(Vec<Pod>, i64)> {
        let request = ListRequest {
            kind: "pods".into(),
            ..ListRequest::default()
        };
        let list = self.client.list(request).await?;
        let pods = list.items.iter().map(Object::decode_as).collect::<Result<_, _>>();
        Ok((pods?, list.revision))
    }

    /// Waits until so many Pods have a node; gives the revision.
    async fn wait_for_bound(&self, count: usize) -> Result<i64> {
        let waited = self.clock.timeout(PATIENCE, async {
            loop {
                if let Ok((pods, revision)) = self.pods().await
                    && pods.iter().filter(|pod| !node_of(pod).is_empty()).count() >= count
                {
                    return revision;
                }
                self.clock.sleep(ASK_EVERY).await;
            }
        });
        waited
            .await
            .with_context(|| format!("it never came that {count} pods were bound"))
    }
}

fn apiserver(program: &Path, api: &str, files: &Path) -> Result<Child> {
    let data = files.join("store");
    let data = data.to_str().context("a path in UTF-8")?;
    start(program, &["apiserver", "--listen", api, "--data-dir", data])
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().map_or("", |spec| &spec.node_name)
}

fn quantity(text: &str) -> Quantity {
    Quantity { string: text.into() }
}

fn node(number: usize) -> Object {
    let mut node = Node::default();
    node.metadata_mut().name = format!("node-{number}");
    let allocatable = &mut node.status.get_or_insert_default().allocatable;
    allocatable.insert("cpu".into(), quantity(&format!("{}m", ROOM * 100)));
    allocatable.insert("pods".into(), quantity("1000"));
    Object::encode_from(&node)
}

fn pod(number: usize) -> Object {
    let mut container = Container {
        name: "web".into(),
        image: "nginx:1.27".into(),
        ..Container::default()
    };
    let requests = &mut container.resources.get_or_insert_default().requests;
    requests.insert("cpu".into(), quantity("100m"));
    let mut pod = Pod {
        spec: Some(PodSpec {
            containers: vec![container],
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    pod.metadata_mut().name = format!("pod-{number}");
    Object::encode_from(&pod)
}

/// Follows the history from its beginning to a revision, and checks what must hold at each.
async fn check_history(field: &Field, until: i64) -> Result<usize> {
    let request = WatchRequest {
        targets: vec![WatchTarget {
            kind: "pods".into(),
            ..WatchTarget::default()
        }],
        after_revision: 1,
        bookmarks: true,
    };
    let mut events = field.client.watch(request).await?;
    let mut nodes: BTreeMap<String, String> = BTreeMap::new();
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let event = events.next().await.context("the watch ended")??.event()?;
        if event.r#type() == EventType::Bookmark && event.revision >= until {
            return Ok(nodes.len());
        }
        let Some(object) = event.object.as_ref() else {
            continue;
        };
        let pod: Pod = object.decode_as()?;
        let (uid, node) = (pod.uid().to_owned(), node_of(&pod).to_owned());
        if node.is_empty() {
            let before = nodes.get(&uid);
            ensure!(
                before.is_none(),
                "revision {}: {} has lost its node {before:?}",
                event.revision,
                pod.name()
            );
            continue;
        }
        if let Some(before) = nodes.get(&uid) {
            ensure!(
                *before == node,
                "revision {}: {} went from {before} to {node}",
                event.revision,
                pod.name()
            );
            continue;
        }
        let count = held.entry(node.clone()).or_default();
        *count += 1;
        ensure!(
            *count <= ROOM,
            "revision {}: {node} holds {count} pods and has room for {ROOM}",
            event.revision
        );
        nodes.insert(uid, node);
    }
}

#[tokio::test]
async fn two_schedulers_and_kills_in_the_middle_of_a_thousand_binds_neither_overcommit_nor_bind_twice()
-> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut field = Field::start(&program).await?;
    field.create((0..NODES).map(node).collect()).await?;
    let a_part = PODS / PARTS;
    for part in 0..PARTS {
        let pods: Vec<Object> = (part * a_part..(part + 1) * a_part).map(pod).collect();
        field.create(pods).await?;
        // The schedulers are at it; whoever is killed is in the middle of something.
        match part {
            0 => field.kill_scheduler(0).await?,
            1 | 3 => field.kill_apiserver().await?,
            2 => field.kill_scheduler(1).await?,
            _ => {
                field.kill_apiserver().await?;
                field.kill_scheduler(0).await?;
                field.kill_scheduler(1).await?;
            }
        }
    }
    let revision = field.wait_for_bound(NODES * ROOM).await?;
    let bound = field
        .clock
        .timeout(PATIENCE, check_history(&field, revision))
        .await;
    let bound = match bound {
        Ok(bound) => bound?,
        Err(_) => bail!("the history does not end"),
    };
    assert_eq!(bound, NODES * ROOM, "every place is taken, and no more");
    Ok(())
}
