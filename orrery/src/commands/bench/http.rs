//! `bench http`: the API over HTTP, beside the same work through gRPC.
//!
//! Lists of many Pods, read to the end and thrown away; the first one after a change makes the text of every object, later ones
//! share it. Watches of ConfigMaps as in `bench watch`. Merge patches and server-side applies, one object a client.

use super::cluster::{Cluster, Parts};
use super::http_client::Http1;
use super::report::{Report, histogram, micros, millis};
use super::subject::{CONFIG_MAPS, System, name, per_second, ratio, value};
use super::{Bench, load, watch};
use crate::table::Table;
use anyhow::{Context, Result};
use apimachinery::json::{self, Unknown};
use client::ClientConfig;
use proto::Object;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{BatchOperation, BatchRequest, CreateRequest, ListRequest, PatchRequest};
use serde::Serialize;
use serde_json::json;
use tonic::transport::Channel;

/// How often a warm list is read; the median counts.
const WARM_LISTS: usize = 9;
/// Pods created in one request.
const BATCH: usize = 500;
/// A page of gRPC's list, at most what a message holds.
const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// The API over HTTP: lists, watches, patches, beside gRPC.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// How many Pods are listed.
    #[arg(long, default_value_t = 10_000)]
    pods: usize,
    /// How many streams follow every change.
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// How many clients patch at a time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            pods: 10_000,
            streams: 100,
            clients: 64,
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
struct Row {
    what: String,
    /// In `unit`.
    http: f64,
    grpc: f64,
    unit: &'static str,
    /// How much better HTTP is: above 1, it is.
    times_grpc: f64,
}

impl Row {
    /// Less is better.
    fn times(what: String, http_micros: u64, grpc_micros: u64) -> Self {
        Self {
            what,
            http: http_micros as f64,
            grpc: grpc_micros as f64,
            unit: "us",
            times_grpc: grpc_micros as f64 / http_micros as f64,
        }
    }

    /// More is better.
    fn rates(what: String, http: f64, grpc: f64) -> Self {
        Self {
            what,
            http,
            grpc,
            unit: "/s",
            times_grpc: http / grpc,
        }
    }
}

/// Runs the benchmark.
pub(super) async fn run(bench: &Bench, args: &Args) -> Result<Report> {
    bench.progress.begin("bench http", 4);
    let mut rows = lists(bench, args).await?;
    bench.progress.step();
    bench.progress.now(format!("{} streams", args.streams));
    let http = watch::measure(bench, System::Http, args.streams).await?;
    let grpc = watch::measure(bench, System::Orrery, args.streams).await?;
    rows.push(Row::rates(
        format!("events to {} watches", args.streams),
        http.events_per_second,
        grpc.events_per_second,
    ));
    rows.push(Row::times(
        "p99 from commit to delivery at half of that".into(),
        http.p99_micros,
        grpc.p99_micros,
    ));
    bench.progress.step();
    for patch in [Patch::Merge, Patch::Apply] {
        bench
            .progress
            .now(format!("{} clients, {}", args.clients, patch.name()));
        rows.push(patches(bench, args.clients, patch).await?);
        bench.progress.step();
    }
    Report::new("http", "The API over HTTP, beside gRPC", &rows, &table(&rows), "")
}

async fn lists(bench: &Bench, args: &Args) -> Result<Vec<Row>> {
    bench.progress.now(format!("{} Pods", args.pods));
    let cluster = Cluster::start(&bench.common, &bench.clock, Parts::Apiserver).await?;
    let mut resources = connect(cluster.api()).await?;
    for first in (0..args.pods).step_by(BATCH) {
        let operations = (first..args.pods.min(first + BATCH)).map(|i| {
            let create = CreateRequest {
                object: Some(pod(i)?),
                ..CreateRequest::default()
            };
            anyhow::Ok(BatchOperation {
                operation: Some(Operation::Create(create)),
                ..BatchOperation::default()
            })
        });
        let operations = operations.collect::<Result<_>>()?;
        resources.batch(BatchRequest { operations }).await?;
    }
    let mut http = Http1::connect(cluster.api()).await?;
    const PATH: &str = "/api/v1/pods";
    let clock = &bench.clock;
    let mut text_bytes = 0;
    let mut list_json = async || {
        let start = clock.now();
        text_bytes = http.send("GET", PATH, "", String::new()).await?;
        anyhow::Ok(micros(clock.now() - start))
    };
    let cold = list_json().await?;
    let mut warm = histogram();
    for _ in 0..WARM_LISTS {
        warm.record(list_json().await?)?;
    }
    let mut wire_bytes = 0;
    let mut pages = histogram();
    for _ in 0..WARM_LISTS {
        let start = clock.now();
        wire_bytes = list_pages(&mut resources, args.pods).await?;
        pages.record(micros(clock.now() - start))?;
    }
    cluster.stop().await?;
    let grpc = pages.value_at_quantile(0.5);
    let (text, wire) = (megabytes(text_bytes), megabytes(wire_bytes));
    let what = |state: &str| {
        format!(
            "list of {} Pods, {state} ({text} of JSON, {wire} of protobuf)",
            args.pods
        )
    };
    Ok(vec![
        Row::times(what("first"), cold, grpc),
        Row::times(what("again"), warm.value_at_quantile(0.5), grpc),
    ])
}

/// All Pods in pages: how many bytes they had.
async fn list_pages(resources: &mut ResourcesClient<Channel>, expected: usize) -> Result<usize> {
    let (mut request, mut bytes, mut count) = (
        ListRequest {
            kind: "pods".into(),
            ..ListRequest::default()
        },
        0,
        0,
    );
    loop {
        let page = resources.list(request.clone()).await?.into_inner();
        bytes += page.items.iter().map(|item| item.bytes.len()).sum::<usize>();
        count += page.items.len();
        if page.r#continue.is_empty() {
            anyhow::ensure!(count == expected, "{count} of {expected} Pods were listed");
            return Ok(bytes);
        }
        request.r#continue = page.r#continue;
    }
}

/// How an object is changed.
#[derive(Clone, Copy, Debug)]
enum Patch {
    Merge,
    Apply,
}

impl Patch {
    fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge patches",
            Self::Apply => "server-side applies",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    fn kind(self) -> Type {
        match self {
            Self::Merge => Type::Merge,
            Self::Apply => Type::Apply,
        }
    }
}

async fn patches(bench: &Bench, clients: usize, patch: Patch) -> Result<Row> {
    let cluster = Cluster::start(&bench.common, &bench.clock, Parts::Apiserver).await?;
    let mut rates = Vec::new();
    for over_http in [true, false] {
        let patchers = futures::future::try_join_all((0..clients).map(async |slot| {
            let mut resources = connect(cluster.api()).await?;
            let create = CreateRequest {
                object: Some(slot_object(slot)?),
                ..CreateRequest::default()
            };
            // The second round finds them there.
            if over_http {
                resources.create(create).await?;
            }
            let channel = if over_http {
                PatchChannel::Http(Http1::connect(cluster.api()).await?)
            } else {
                PatchChannel::Grpc(resources)
            };
            anyhow::Ok(Patcher {
                channel,
                patch,
                slot,
                sequence: if over_http { 0 } else { 1 << 32 },
            })
        }));
        let outcome = load::run(patchers.await?, bench.common.measured(), &bench.clock).await?;
        rates.push(outcome.rate);
    }
    cluster.stop().await?;
    Ok(Row::rates(
        format!("{}, {clients} clients", patch.name()),
        rates[0],
        rates[1],
    ))
}

struct Patcher {
    channel: PatchChannel,
    patch: Patch,
    slot: usize,
    sequence: u64,
}

enum PatchChannel {
    Http(Http1),
    Grpc(ResourcesClient<Channel>),
}

impl load::Client for Patcher {
    async fn once(&mut self) -> Result<()> {
        self.sequence += 1;
        let data = json!({"value": value(self.sequence)});
        let text = match self.patch {
            Patch::Merge => json!({ "data": data }),
            Patch::Apply => json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name(self.slot), "namespace": "default"},
                "data": data,
            }),
        };
        let text = text.to_string();
        match &mut self.channel {
            PatchChannel::Http(http) => {
                let path = format!(
                    "{CONFIG_MAPS}/{}?fieldManager=orrery-bench&force=true",
                    name(self.slot)
                );
                let path = match self.patch {
                    Patch::Merge => path.trim_end_matches("&force=true"),
                    Patch::Apply => &path,
                };
                http.send("PATCH", path, self.patch.media_type(), text).await?;
            }
            PatchChannel::Grpc(resources) => {
                let request = PatchRequest {
                    kind: "configmaps".into(),
                    namespace: "default".into(),
                    name: name(self.slot),
                    r#type: self.patch.kind().into(),
                    patch: text,
                    field_manager: "orrery-bench".into(),
                    force: matches!(self.patch, Patch::Apply),
                    ..PatchRequest::default()
                };
                resources.patch(request).await?;
            }
        }
        Ok(())
    }
}

async fn connect(address: &str) -> Result<ResourcesClient<Channel>> {
    let channel = ClientConfig::new(address, "orrery-bench")
        .endpoint()?
        .connect()
        .await;
    let channel = channel.with_context(|| format!("connecting to {address}"))?;
    Ok(ResourcesClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

fn slot_object(slot: usize) -> Result<Object> {
    object(&json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name(slot), "namespace": "default"},
        "data": {"value": value(0)},
    }))
}

/// A Pod as a Deployment of a web application makes them.
fn pod(index: usize) -> Result<Object> {
    let labels = json!({
        "app.kubernetes.io/name": "web",
        "app.kubernetes.io/component": "frontend",
        "app.kubernetes.io/part-of": "shop",
        "pod-template-hash": "7d4f9c6b5",
    });
    let probe =
        json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1});
    object(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("web-7d4f9c6b5-{index:05}"),
            "namespace": "default",
            "labels": labels,
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "registry.example.com/shop/web:1.27.4",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [
                    {"name": "LOG_LEVEL", "value": "info"},
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                ],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "livenessProbe": probe.clone(),
                "readinessProbe": probe,
                "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": true}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "web"}}],
            "topologySpreadConstraints": [{
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "web"}},
            }],
        },
    }))
}

fn object(manifest: &serde_json::Value) -> Result<Object> {
    let decoded = json::from_value(manifest, Unknown::Strict)?;
    Ok(Object {
        number: decoded.number,
        bytes: decoded.bytes,
    })
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["WHAT", "HTTP", "GRPC", "RATIO"]);
    for row in rows {
        let shown = |figure: f64| match row.unit {
            "us" => millis(figure as u64),
            _ => format!("{}/s", per_second(figure)),
        };
        table.row([
            row.what.clone(),
            shown(row.http),
            shown(row.grpc),
            ratio(row.times_grpc),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::{ConfigMap, Pod};

    #[test]
    fn what_is_measured_is_what_a_server_would_take() {
        let pod: Pod = pod(7).unwrap().decode_as().unwrap();
        assert_eq!(pod.name(), "web-7d4f9c6b5-00007");
        let slot: ConfigMap = slot_object(3).unwrap().decode_as().unwrap();
        assert_eq!(slot.name(), name(3));
    }

    #[test]
    fn a_ratio_above_one_means_that_http_is_better() {
        assert!(Row::times(String::new(), 10, 20).times_grpc > 1.0);
        assert!(Row::rates(String::new(), 20.0, 10.0).times_grpc > 1.0);
    }
}
