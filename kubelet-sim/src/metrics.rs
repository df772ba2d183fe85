//! What kubelet-sim counts, for `/metrics`.

use crate::kubelet::{Counts, Kubelet};
use component_base::metrics::{Counter, Family, Gauge, Registry};

/// The metrics; a phase is the only label.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    nodes: Gauge,
    pods: Family<[(&'static str, &'static str); 1], Gauge>,
    waiting: Gauge,
    pod_statuses: Counter,
    node_statuses: Counter,
    leases: Counter,
    pod_deletes: Counter,
    conflicts: Counter,
    restarts: Counter,
    last: Counts,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn new(registry: &Registry) -> Self {
        let registry = registry.sub("kubelet");
        Self {
            nodes: registry.register("nodes", "Nodes that this process stands for", Gauge::default()),
            pods: registry.register("pods", "Pods by phase", Family::default()),
            waiting: registry.register(
                "writes_waiting",
                "Things that wait to be written",
                Gauge::default(),
            ),
            pod_statuses: registry.register("pod_status_writes", "Pod statuses written", Counter::default()),
            node_statuses: registry.register(
                "node_status_writes",
                "Node statuses written",
                Counter::default(),
            ),
            leases: registry.register("lease_renewals", "Leases renewed", Counter::default()),
            pod_deletes: registry.register("pod_deletes", "Pods deleted for good", Counter::default()),
            conflicts: registry.register(
                "write_conflicts",
                "Writes refused because the object had changed",
                Counter::default(),
            ),
            restarts: registry.register(
                "container_restarts",
                "Containers that were started again",
                Counter::default(),
            ),
            last: Counts::default(),
        }
    }

    /// Brings them up to date.
    pub(crate) fn update(&mut self, kubelet: &Kubelet) {
        self.nodes
            .set(i64::try_from(kubelet.summaries().len()).unwrap_or(i64::MAX));
        for (phase, count) in kubelet.phases() {
            self.pods.get_or_create(&[("phase", phase)]).set(count);
        }
        self.waiting
            .set(i64::try_from(kubelet.waiting()).unwrap_or(i64::MAX));
        let (now, last) = (kubelet.counts(), self.last);
        self.pod_statuses.inc_by(now.pod_statuses - last.pod_statuses);
        self.node_statuses.inc_by(now.node_statuses - last.node_statuses);
        self.leases.inc_by(now.leases - last.leases);
        self.pod_deletes.inc_by(now.pod_deletes - last.pod_deletes);
        self.conflicts.inc_by(now.conflicts - last.conflicts);
        self.restarts.inc_by(now.restarts - last.restarts);
        self.last = now;
    }
}
