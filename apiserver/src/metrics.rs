//! What `/metrics` tells of the apiserver beside what every component tells: requests by verb and kind, watches, commits.
//!
//! Labels come from fixed sets (verbs, the kinds' registry, reasons), never from what a client sends.

use apimachinery::kinds::KindInfo;
use apimachinery::status::Reason;
use component_base::metrics::{Counter, Family, Gauge, Histogram, Registry, latency_buckets};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use proto::meta::v1::Status;
use std::sync::Arc;
use std::time::Duration;
use storage::cache::Cache;

/// What a request does, as Kubernetes' metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Get.
    Get,
    /// List.
    List,
    /// Watch.
    Watch,
    /// Create.
    Create,
    /// Update, of a subresource too.
    Update,
    /// Patch, of a subresource too.
    Patch,
    /// Delete.
    Delete,
    /// DeleteCollection.
    DeleteCollection,
    /// Bind.
    Bind,
    /// Evict.
    Evict,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Bind => "bind",
            Self::Evict => "evict",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    resource: &'static str,
    code: i32,
    reason: &'static str,
}

/// The apiserver's own metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    commits: Histogram,
    writes: Counter,
    watches: Gauge,
    events: Counter,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn new(registry: &Registry) -> Self {
        let registry = registry.sub("apiserver");
        Self {
            requests: registry.register(
                "requests",
                "Requests and operations of batches, by verb, resource and outcome",
                Family::default(),
            ),
            commits: registry.register(
                "commit_seconds",
                "Time from a planned write to its acknowledgement, fsync included",
                Histogram::new(latency_buckets()),
            ),
            writes: registry.register("writes", "Writes that made a revision", Counter::default()),
            watches: registry.register("watch_streams", "Open watches", Gauge::default()),
            events: registry.register("watch_events", "Events handed to watches", Counter::default()),
        }
    }

    /// A request has ended. `info` is `None` when it named no kind.
    pub(crate) fn requested<T>(
        &self,
        verb: Verb,
        info: Option<&'static KindInfo>,
        result: &Result<T, Box<Status>>,
    ) {
        let (code, reason) = match result {
            Ok(_) => (200, ""),
            Err(status) => (status.code, Reason::of(status).map_or("Unknown", Reason::as_str)),
        };
        let labels = RequestLabels {
            verb: verb.as_str(),
            resource: info.map_or("", |info| info.plural),
            code,
            reason,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// A commit of so many revisions took so long.
    pub(crate) fn committed(&self, writes: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        self.writes.inc_by(writes as u64);
    }

    /// A watch has begun; it ends when the guard is dropped.
    pub(crate) fn watching(&self) -> Watching {
        self.watches.inc();
        Watching {
            watches: self.watches.clone(),
            events: self.events.clone(),
        }
    }
}

/// Counts one open watch and its events.
#[derive(Debug)]
pub(crate) struct Watching {
    watches: Gauge,
    events: Counter,
}

impl Watching {
    /// One more event is handed to the stream.
    pub(crate) fn sent(&self) {
        self.events.inc();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watches.dec();
    }
}

/// The revision and the number of objects, read from the cache at each scrape.
#[derive(Debug)]
pub(crate) struct CacheCollector(pub(crate) Arc<Cache>);

impl Collector for CacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let revision = ConstGauge::new(self.0.revision());
        let help = "The newest revision that every read sees";
        revision.encode(encoder.encode_descriptor(
            "apiserver_revision",
            help,
            None,
            revision.metric_type(),
        )?)?;
        let help = "Objects by resource";
        let gauge = ConstGauge::new(0i64);
        let mut family = encoder.encode_descriptor("apiserver_objects", help, None, gauge.metric_type())?;
        for info in apimachinery::kinds::all() {
            let count = ConstGauge::new(self.0.count(info) as i64);
            count.encode(family.encode_family(&[("resource", info.plural)])?)?;
        }
        Ok(())
    }
}
