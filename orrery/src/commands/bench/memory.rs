//! `bench memory`: what each process holds, in an empty cluster and in a full one.
//!
//! The full cluster is made as users make one: simulated nodes, and Deployments whose pods all run.

use super::Bench;
use super::cluster::{Cluster, Parts};
use super::report::{Report, thousands};
use crate::commands::ps;
use crate::table::Table;
use anyhow::{Context, Result};
use client::Api;
use client::api::ListOptions;
use proto::Kind;
use proto::api::apps::v1::{Deployment, DeploymentSpec};
use proto::api::core::v1::{Container, PodSpec, PodTemplateSpec, ResourceRequirements};
use proto::meta::v1::LabelSelector;
use proto::{Quantity, meta::v1::ObjectMeta};
use serde::Serialize;
use std::time::Duration;

/// The fleet is made of Deployments of this size.
const REPLICAS: u32 = 100;
/// 100 pods a second, on a machine that is busy with other things.
const FULL_WITHIN: Duration = Duration::from_secs(600);
/// How often the Deployments are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What was freed goes back to the system, and queues drain.
const SETTLE: Duration = Duration::from_secs(5);

/// Resident memory of each process, in an empty cluster and in a full one.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Nodes of the full cluster.
    #[arg(long, default_value_t = DEFAULT_NODES)]
    nodes: u32,
    /// Pods of the full cluster, rounded up to hundreds.
    #[arg(long, default_value_t = DEFAULT_PODS)]
    pods: u32,
}

const DEFAULT_NODES: u32 = 1000;
const DEFAULT_PODS: u32 = 10_000;

impl Default for Args {
    fn default() -> Self {
        Self {
            nodes: DEFAULT_NODES,
            pods: DEFAULT_PODS,
        }
    }
}

/// One process.
#[derive(Debug, Serialize)]
struct Row {
    component: &'static str,
    empty_bytes: u64,
    full_bytes: u64,
    nodes: u32,
    pods: u32,
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    bench.progress.begin("bench memory", 3);
    bench.progress.now("an empty cluster".into());
    let cluster = Cluster::start(&bench.common, &bench.clock, Parts::All { nodes: 0 }).await?;
    let empty = resident(bench, &cluster).await?;
    cluster.stop().await?;
    bench.progress.step();

    let cluster = Cluster::start(&bench.common, &bench.clock, Parts::All { nodes: args.nodes }).await?;
    let deployments = args.pods.div_ceil(REPLICAS);
    let pods = deployments * REPLICAS;
    let begin = bench.clock.now();
    fill(bench, &cluster, deployments, pods).await?;
    let filled = (bench.clock.now() - begin).as_secs_f64();
    bench.progress.step();
    bench.progress.now("a full cluster".into());
    let full = resident(bench, &cluster).await?;
    cluster.stop().await?;
    bench.progress.step();

    let rows: Vec<Row> = empty
        .into_iter()
        .zip(full)
        .map(|((component, empty_bytes), (_, full_bytes))| Row {
            component,
            empty_bytes,
            full_bytes,
            nodes: args.nodes,
            pods,
        })
        .collect();
    let title = format!(
        "Resident memory, empty and with {} nodes and {} running pods",
        thousands(args.nodes.into()),
        thousands(pods.into())
    );
    let words = format!(
        "\nAll pods were ready {filled:.1} s after the first Deployment was created: {} pods/s.\n",
        thousands(f64::from(pods) / filled)
    );
    Report::new("memory", &title, &rows, &table(&rows), &words)
}

/// What each process says it holds, once the cluster is quiet.
async fn resident(bench: &Bench, cluster: &Cluster) -> Result<Vec<(&'static str, u64)>> {
    bench.clock.sleep(SETTLE).await;
    let mut resident = Vec::new();
    for (name, address) in &cluster.components {
        let status = ps::status(address).await;
        let status = status.with_context(|| format!("{name} does not answer"))?;
        resident.push((*name, status.resident_bytes));
    }
    Ok(resident)
}

/// Makes the Deployments, and waits until all pods are ready.
async fn fill(bench: &Bench, cluster: &Cluster, deployments: u32, pods: u32) -> Result<()> {
    let api: Api<Deployment> = Api::new(cluster.client()?);
    for index in 0..deployments {
        api.create(&deployment(&format!("fleet-{index}"))).await?;
    }
    let all_ready = bench.clock.timeout(FULL_WITHIN, async {
        loop {
            let list = api.list(ListOptions::default()).await?;
            let ready: i32 = list.items.iter().map(ready_replicas).sum();
            bench.progress.now(format!("{ready} of {pods} pods ready"));
            if i64::from(ready) >= i64::from(pods) {
                return anyhow::Ok(());
            }
            bench.clock.sleep(LOOK_EVERY).await;
        }
    });
    all_ready
        .await
        .with_context(|| format!("not all pods are ready after {FULL_WITHIN:?}"))?
}

fn ready_replicas(deployment: &Deployment) -> i32 {
    deployment
        .status
        .as_ref()
        .map_or(0, |status| status.ready_replicas)
}

fn deployment(name: &str) -> Deployment {
    let labels = [("app".to_owned(), name.to_owned())];
    let requests = [("cpu", "100m"), ("memory", "64Mi")];
    let container = Container {
        name: "web".into(),
        image: "nginx:1.27".into(),
        resources: Some(ResourceRequirements {
            requests: requests
                .map(|(name, amount)| (name.to_owned(), quantity(amount)))
                .into(),
            ..ResourceRequirements::default()
        }),
        ..Container::default()
    };
    let mut deployment = Deployment {
        spec: Some(DeploymentSpec {
            replicas: i32::try_from(REPLICAS).ok(),
            selector: Some(LabelSelector {
                match_labels: labels.clone().into(),
                ..LabelSelector::default()
            }),
            template: Some(PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: labels.into(),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![container],
                    ..PodSpec::default()
                }),
            }),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    let meta = deployment.metadata_mut();
    (meta.namespace, meta.name) = ("default".into(), name.into());
    deployment
}

fn quantity(amount: &str) -> Quantity {
    Quantity {
        string: amount.to_owned(),
    }
}

fn table(rows: &[Row]) -> Table {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut table = Table::new(["COMPONENT", "EMPTY", "FULL"]);
    for row in rows {
        table.row([
            row.component.to_owned(),
            megabytes(row.empty_bytes),
            megabytes(row.full_bytes),
        ]);
    }
    table
}
