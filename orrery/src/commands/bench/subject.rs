//! What is measured: an apiserver or an etcd, behind the two operations that both have.
//!
//! A *slot* is a key with a value of [`VALUE_BYTES`]: a ConfigMap here, a plain key there. [`Connection::put`] replaces
//! its value durably, whatever it was; [`Connection::watch`] follows all slots.

use super::cluster::{Cluster, Parts};
use super::etcd::Etcd;
use super::http_client::Http2;
use super::{Bench, report};
use anyhow::{Context, Result};
use client::ClientConfig;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use proto::api::core::v1::ConfigMap;
use proto::etcd::etcdserverpb::kv_client::KvClient;
use proto::etcd::etcdserverpb::watch_client::WatchClient;
use proto::etcd::etcdserverpb::{self as etcdpb, watch_request};
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{CreateRequest, UpdateRequest, WatchRequest, WatchTarget};
use proto::{Kind, Object};
use serde::Serialize;
use tonic::transport::Channel;

/// The value of a slot, without the metadata that a ConfigMap has besides.
pub(super) const VALUE_BYTES: usize = 1024;
/// Where the slots are over HTTP.
pub(super) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// What etcd's keys begin with.
const PREFIX: &str = "/bench/";
/// The first key behind them: '0' follows '/'.
const PREFIX_END: &str = "/bench0";

/// Which system a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum System {
    Orrery,
    /// The same, watched over HTTP as JSON.
    Http,
    Etcd,
}

impl System {
    /// Orrery, and etcd where it is installed and wanted.
    pub(super) async fn all(bench: &Bench) -> Vec<Self> {
        if bench.common.no_etcd {
            return vec![Self::Orrery];
        }
        if !Etcd::is_installed().await {
            eprintln!("There is no etcd on the PATH to compare with (Debian: apt install etcd-server).");
            return vec![Self::Orrery];
        }
        vec![Self::Orrery, Self::Etcd]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Orrery => "orrery",
            Self::Http => "orrery, JSON",
            Self::Etcd => "etcd",
        }
    }
}

/// A system that runs.
pub(super) enum Subject {
    Orrery(Cluster),
    Http(Cluster),
    Etcd(Etcd),
}

impl Subject {
    /// Starts a fresh one.
    pub(super) async fn start(system: System, bench: &Bench) -> Result<Self> {
        Ok(match system {
            System::Orrery => {
                Self::Orrery(Cluster::start(&bench.common, &bench.clock, Parts::Apiserver).await?)
            }
            System::Http => Self::Http(Cluster::start(&bench.common, &bench.clock, Parts::Apiserver).await?),
            System::Etcd => Self::Etcd(Etcd::start(&bench.common, &bench.clock).await?),
        })
    }

    /// A connection of its own, with the same transport settings for both systems.
    pub(super) async fn connect(&self) -> Result<Connection> {
        let address = match self {
            Self::Orrery(cluster) | Self::Http(cluster) => cluster.api(),
            Self::Etcd(etcd) => &etcd.address,
        };
        let endpoint = ClientConfig::new(address, "").endpoint()?;
        let channel = endpoint
            .connect()
            .await
            .with_context(|| format!("connecting to {address}"))?;
        Ok(match self {
            Self::Orrery(_) => Connection::Orrery(ResourcesClient::new(channel)),
            Self::Http(_) => Connection::Http {
                resources: ResourcesClient::new(channel),
                http: Http2::connect(address).await?,
            },
            Self::Etcd(_) => Connection::Etcd {
                kv: KvClient::new(channel.clone()),
                watch: WatchClient::new(channel),
            },
        })
    }

    /// Stops it. An error when it did not survive the load.
    pub(super) async fn stop(self) -> Result<()> {
        match self {
            Self::Orrery(cluster) | Self::Http(cluster) => cluster.stop().await,
            Self::Etcd(_) => Ok(()),
        }
    }
}

/// The revisions of the changes to all slots, in order; several of one message come together.
pub(super) type Revisions = BoxStream<'static, Result<Vec<i64>>>;

/// One client's connection.
#[derive(Clone)]
pub(super) enum Connection {
    Orrery(ResourcesClient<Channel>),
    /// Written through gRPC, and watched over HTTP.
    Http {
        resources: ResourcesClient<Channel>,
        http: Http2,
    },
    Etcd {
        kv: KvClient<Channel>,
        watch: WatchClient<Channel>,
    },
}

impl Connection {
    /// Makes a slot.
    pub(super) async fn create(&mut self, slot: usize) -> Result<i64> {
        match self {
            Self::Orrery(resources) | Self::Http { resources, .. } => {
                let request = CreateRequest {
                    object: Some(object(slot, 0)),
                    ..CreateRequest::default()
                };
                revision_of(&resources.create(request).await?.into_inner())
            }
            Self::Etcd { .. } => self.put(slot, 0).await,
        }
    }

    /// Replaces a slot's value. Another `sequence` is another value: a write that changes nothing would cost nothing.
    /// The revision that it made.
    pub(super) async fn put(&mut self, slot: usize, sequence: u64) -> Result<i64> {
        match self {
            Self::Orrery(resources) | Self::Http { resources, .. } => {
                let request = UpdateRequest {
                    object: Some(object(slot, sequence)),
                    ..UpdateRequest::default()
                };
                revision_of(&resources.update(request).await?.into_inner())
            }
            Self::Etcd { kv, .. } => {
                let request = etcdpb::PutRequest {
                    key: format!("{PREFIX}{}", name(slot)).into(),
                    value: value(sequence).into(),
                    ..etcdpb::PutRequest::default()
                };
                let header = kv.put(request).await?.into_inner().header;
                Ok(header.context("etcd's answer has no header")?.revision)
            }
        }
    }

    /// Follows all slots after a revision. Returns once the server has accepted the watch.
    pub(super) async fn watch(&mut self, after: i64) -> Result<Revisions> {
        match self {
            Self::Orrery(resources) => {
                let request = WatchRequest {
                    targets: vec![WatchTarget {
                        kind: "configmaps".into(),
                        namespace: "default".into(),
                        ..WatchTarget::default()
                    }],
                    after_revision: after,
                    bookmarks: false,
                };
                let frames = resources.watch(request).await?.into_inner();
                let revisions = frames
                    .map_err(anyhow::Error::from)
                    .and_then(async |frame| Ok(vec![frame.event()?.revision]));
                Ok(revisions.boxed())
            }
            Self::Http { http, .. } => {
                let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion={after}");
                Ok(revisions_of_lines(http.get(&path).await?).boxed())
            }
            Self::Etcd { watch, .. } => {
                let create = etcdpb::WatchCreateRequest {
                    key: PREFIX.into(),
                    range_end: PREFIX_END.into(),
                    start_revision: after + 1,
                    ..etcdpb::WatchCreateRequest::default()
                };
                let create = etcdpb::WatchRequest {
                    request_union: Some(watch_request::RequestUnion::CreateRequest(create)),
                };
                // The watch lives as long as its requests.
                let requests = futures::stream::iter([create]).chain(futures::stream::pending());
                let responses = watch.watch(requests).await?.into_inner();
                let revisions = responses
                    .map_err(anyhow::Error::from)
                    .and_then(async |response| Ok(revisions(&response)));
                Ok(revisions.boxed())
            }
        }
    }
}

/// The revisions in the lines of a watch: read as cheaply as gRPC's are, or the reader would be what is measured.
fn revisions_of_lines(body: Incoming) -> impl futures::Stream<Item = Result<Vec<i64>>> {
    const FIELD: &[u8] = b"\"resourceVersion\":\"";
    futures::stream::try_unfold((body, Vec::new()), async |(mut body, mut rest)| {
        let Some(frame) = body.frame().await else {
            return Ok(None);
        };
        let Ok(data) = frame?.into_data() else {
            return Ok(Some((Vec::new(), (body, rest))));
        };
        rest.extend_from_slice(&data);
        let mut revisions = Vec::new();
        let whole = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in rest[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let at = line.windows(FIELD.len()).position(|window| window == FIELD);
            let digits = at.and_then(|at| line[at + FIELD.len()..].split(|byte| *byte == b'"').next());
            let digits = digits.context("an event has no resourceVersion")?;
            revisions.push(std::str::from_utf8(digits)?.parse()?);
        }
        rest.drain(..whole);
        Ok(Some((revisions, (body, rest))))
    })
}

fn revisions(response: &etcdpb::WatchResponse) -> Vec<i64> {
    let kvs = response.events.iter().filter_map(|event| event.kv.as_ref());
    kvs.map(|kv| kv.mod_revision).collect()
}

fn revision_of(object: &Object) -> Result<i64> {
    let object: ConfigMap = object.decode_as()?;
    let text = &object.meta().resource_version;
    text.parse()
        .with_context(|| format!("resourceVersion {text:?} is no revision"))
}

pub(super) fn name(slot: usize) -> String {
    format!("slot-{slot:06}")
}

/// Padded to its size; no two sequences give the same.
pub(super) fn value(sequence: u64) -> String {
    format!("{sequence:0>VALUE_BYTES$}")
}

fn object(slot: usize, sequence: u64) -> Object {
    let mut object = ConfigMap {
        data: [("value".to_owned(), value(sequence))].into(),
        ..ConfigMap::default()
    };
    let meta = object.metadata_mut();
    meta.namespace = "default".into();
    meta.name = name(slot);
    Object::encode_from(&object)
}

/// "1.9x"
pub(super) fn ratio(times: f64) -> String {
    format!("{times:.1}x")
}

/// A rate per second for a table.
pub(super) fn per_second(rate: f64) -> String {
    report::thousands(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_its_size_and_each_sequence_another_value() {
        for (sequence, other) in [(0, 1), (9, 10), (u64::MAX, 0)] {
            assert_eq!(value(sequence).len(), VALUE_BYTES);
            assert_ne!(object(7, sequence), object(7, other));
        }
    }
}
