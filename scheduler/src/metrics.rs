//! What the scheduler tells Prometheus. Names follow upstream's where it has the same thing.

use crate::engine::Engine;
use component_base::metrics::{Counter, Family, Gauge, Histogram, Registry, latency_buckets};
use prometheus_client::encoding::EncodeLabelSet;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueName {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    result: &'static str,
}

/// See the module.
pub(crate) struct Metrics {
    pending: Family<QueueName, Gauge>,
    attempts: Family<Attempt, Counter>,
    cycle: Histogram,
    end_to_end: Histogram,
    bindings: Gauge,
    nodes: Gauge,
    pods: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let registry = registry.sub("scheduler");
        Self {
            pending: registry.register(
                "pending_pods",
                "Pods that wait for a node, by queue",
                Family::default(),
            ),
            attempts: registry.register(
                "schedule_attempts",
                "Decisions by result: scheduled, unschedulable or error; and bindings that the API refused: lost",
                Family::default(),
            ),
            cycle: registry.register(
                "scheduling_algorithm_duration_seconds",
                "How long a decision takes",
                Histogram::new(latency_buckets()),
            ),
            end_to_end: registry.register(
                "pod_scheduling_duration_seconds",
                "From the first sight of a Pod to the answer to its binding",
                Histogram::new(latency_buckets()),
            ),
            bindings: registry.register(
                "bindings_in_flight",
                "Batches of bindings that are on their way",
                Gauge::default(),
            ),
            nodes: registry.register("cache_nodes", "Nodes that are known", Gauge::default()),
            pods: registry.register("cache_pods", "Pods that are known to have a node", Gauge::default()),
        }
    }

    pub(crate) fn decided(&self, result: &'static str, took: Duration) {
        self.attempts.get_or_create(&Attempt { result }).inc();
        self.cycle.observe(took.as_secs_f64());
    }

    pub(crate) fn bound(&self, after: Duration) {
        self.end_to_end.observe(after.as_secs_f64());
    }

    pub(crate) fn lost(&self) {
        self.attempts.get_or_create(&Attempt { result: "lost" }).inc();
    }

    pub(crate) fn report(&self, engine: &Engine, batches: usize) {
        let lengths = engine.queue().lengths();
        for (queue, length) in [
            ("active", lengths.active),
            ("backoff", lengths.backoff),
            ("unschedulable", lengths.unschedulable),
            ("gated", lengths.gated),
        ] {
            self.pending
                .get_or_create(&QueueName { queue })
                .set(length as i64);
        }
        self.bindings.set(batches as i64);
        self.nodes.set(engine.snapshot().node_count() as i64);
        self.pods.set(engine.snapshot().pod_count() as i64);
    }
}
