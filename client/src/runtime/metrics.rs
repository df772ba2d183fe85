//! What the runtime tells Prometheus. Labels are controllers' names and kinds of actions: few, and fixed at start.

use super::engine::Engine;
use super::seconds;
use crate::controller::{Action, Controller};
use crate::workqueue::Lane;
use component_base::metrics::{Counter, Family, Gauge, Histogram, Registry, latency_buckets};
use prometheus_client::encoding::EncodeLabelSet;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    controller: &'static str,
    action: &'static str,
    result: &'static str,
}

/// See the module.
pub(super) struct RuntimeMetrics {
    names: Vec<&'static str>,
    depth: Family<Name, Gauge>,
    seconds: Family<Name, Histogram, fn() -> Histogram>,
    writes: Family<Write, Counter>,
    waiting: Gauge,
    revision: Gauge,
    objects: Gauge,
}

impl RuntimeMetrics {
    pub(super) fn register(registry: &Registry, controllers: &[Box<dyn Controller>]) -> Self {
        let registry = registry.sub("controller");
        let buckets: fn() -> Histogram = || Histogram::new(latency_buckets());
        Self {
            names: controllers.iter().map(|controller| controller.name()).collect(),
            depth: registry.register("queue_depth", "Keys that wait for their turn", Family::default()),
            seconds: registry.register(
                "reconcile_seconds",
                "How long reconciles take, writes excepted",
                Family::new_with_constructor(buckets),
            ),
            writes: registry.register(
                "writes",
                "Writes, and whether the server took them",
                Family::default(),
            ),
            waiting: registry.register(
                "waiting_keys",
                "Keys that wait until the cache shows their own writes",
                Gauge::default(),
            ),
            revision: registry.register(
                "cache_revision",
                "The revision that the cache shows",
                Gauge::default(),
            ),
            objects: registry.register("cache_objects", "Objects in the cache", Gauge::default()),
        }
    }

    pub(super) fn reconciled(&self, lane: Lane, took: Duration) {
        self.seconds
            .get_or_create(&Name {
                controller: self.names[lane],
            })
            .observe(seconds(took));
    }

    pub(super) fn wrote(&self, lane: Lane, action: &Action, ok: bool) {
        let action = match action {
            Action::Create(_) => "create",
            Action::Update(_) => "update",
            Action::UpdateStatus(_) => "update_status",
            Action::Patch(_) => "patch",
            Action::Delete(_) => "delete",
            Action::Evict(_) => "evict",
            Action::RecordEvent(_) => "event",
        };
        let result = if ok { "ok" } else { "error" };
        self.writes
            .get_or_create(&Write {
                controller: self.names[lane],
                action,
                result,
            })
            .inc();
    }

    pub(super) fn report(&self, engine: &Engine) {
        for (lane, controller) in self.names.iter().enumerate() {
            self.depth
                .get_or_create(&Name { controller })
                .set(engine.queued(lane) as i64);
        }
        self.waiting.set(engine.waiting() as i64);
        self.revision.set(engine.cache().revision());
        self.objects.set(engine.cache().len() as i64);
    }
}
