//! Node lifecycle: finds out which Nodes are lost, says so, and taints them, so that their Pods can go elsewhere.
//!
//! Watches: Node; Lease, which kubelets renew; Pod, by its Node. Writes: Node conditions and taints; the readiness of
//! Pods on lost Nodes. It deletes nothing: that is what [`taint_eviction`](crate::taint_eviction) does.
//!
//! ```text
//!   Ready=True ──silent for the grace period──▶ Ready=Unknown ──▶ taint unreachable:NoSchedule, Pods not ready
//!      ▲                                             │
//!      │                                   in turn, while the zone is well
//!      │                                             ▼
//!      └───the kubelet speaks again: all that ◀── taint unreachable:NoExecute
//!          is derived goes away
//! ```
//!
//! Invariant: all of it is derived from what the cache shows. Whose turn it is follows from the times in the taints of
//! the zone's Nodes, so that a restarted controller goes on where the last one stopped.
//! <https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller>

mod health;
mod queue;
mod taints;
#[cfg(test)]
mod tests;

use crate::nodes;
use crate::settings::Settings;
use crate::{patch, pods};
use apimachinery::meta::set_condition;
use apimachinery::well_known::NODE_LEASE_NAMESPACE;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, EventKind, Plan};
use client::key::ObjectKey;
use client::time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::{Node, Pod, PodCondition};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use taints::Eviction;

/// The controller. It keeps nothing but its settings.
pub(crate) struct NodeLifecycleController {
    grace: Duration,
    /// Between two Nodes of a zone that begin to lose their Pods; `None` for never.
    interval: Option<Duration>,
    threshold: f64,
}

impl NodeLifecycleController {
    /// The controller, with these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            grace: settings.node_monitor_grace_period,
            interval: settings.eviction_interval(),
            threshold: settings.unhealthy_zone_threshold,
        }
    }

    fn is_disrupted(&self, cache: &Cache, node: &Node) -> bool {
        nodes::is_disrupted(nodes::in_zone(cache, node), self.threshold)
    }

    /// The Nodes of a zone that have to change now that another of its Nodes has: in a disrupted zone those that are
    /// losing their Pods, else those that wait to.
    fn zone_mates<'a>(&self, cache: &'a Cache, node: &Node) -> impl Iterator<Item = &'a Arc<Node>> + use<'a> {
        let disrupted = self.is_disrupted(cache, node);
        nodes::in_zone(cache, node).filter(move |mate| {
            nodes::is_unready(mate) && nodes::health_eviction(mate).is_some() == disrupted
        })
    }

    /// Whether the Node shall lose its Pods now, as it is not ready. Asks to be called again when that may change.
    fn eviction(&self, cache: &Cache, node: &Node, now: Timestamp, plan: &mut Plan) -> Eviction {
        if !nodes::is_unready(node) || self.is_disrupted(cache, node) {
            return Eviction::No;
        }
        if nodes::health_eviction(node).is_some() {
            return Eviction::Yes;
        }
        let Some(interval) = self.interval else {
            return Eviction::No;
        };
        let zone: Vec<_> = nodes::in_zone(cache, node).collect();
        let wait = queue::wait(node, &zone, interval, now);
        if wait.is_zero() {
            return Eviction::Yes;
        }
        plan.requeue_in(wait);
        Eviction::No
    }
}

impl Controller for NodeLifecycleController {
    fn name(&self) -> &'static str {
        "node-lifecycle"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![nodes::watch(), Watch::of::<Lease>(), pods::watch_by_node()]
    }

    /// A Lease that is renewed needs no look: the next one is due when it would have run out.
    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<Node>() {
            let mut keys = vec![event.key.clone()];
            let (before, after) = (event.before::<Node>(), event.after::<Node>());
            if before.map(nodes::is_ready) != after.map(nodes::is_ready) {
                let mates = event.object::<Node>().map(|node| self.zone_mates(cache, node));
                keys.extend(mates.into_iter().flatten().map(|mate| ObjectKey::of(&**mate)));
            }
            return keys;
        }
        let ready = event.after::<Pod>().filter(|pod| pods::is_ready(pod));
        let node = ready.and_then(|pod| cache.get::<Node>("", pods::node_name(pod)));
        node.filter(|node| nodes::is_lost(node))
            .map(|node| ObjectKey::of(&**node))
            .into_iter()
            .collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let mut plan = Plan::none();
        let Some(node) = cache.get_key::<Node>(key) else {
            return plan;
        };
        let lease = cache.get::<Lease>(NODE_LEASE_NAMESPACE, node.name());
        let silent_since = health::last_sign(node, lease.map(|lease| &**lease));
        let left = health::time_left(silent_since, self.grace, now, || {
            health::anybody_speaks(cache, self.grace, now)
        });
        if !left.is_zero() {
            plan.requeue_in(left);
        } else if let Some(conditions) = health::lost(node, now) {
            let status = json!({"conditions": patch::list("NodeCondition", &conditions)});
            plan.push(Action::patch_status(
                &**node,
                patch::of_status(node.meta(), status),
            ));
            if nodes::is_ready(node) {
                let message = format!("Node {} status is now: NodeNotReady", node.name());
                plan.push(Action::event(&**node, EventKind::Normal, "NodeNotReady", message));
            }
            // The rest follows from the conditions, once the cache shows them.
            return plan;
        }
        let eviction = self.eviction(cache, node, now, &mut plan);
        if let Some(taints) = taints::changed(node, eviction, now) {
            let spec = json!({"taints": patch::list("Taint", &taints)});
            plan.push(Action::patch(&**node, patch::of_spec(node.meta(), spec)));
        }
        if nodes::is_lost(node) {
            take_readiness(pods::on_node(cache, node.name()), now, &mut plan);
        }
        plan
    }
}

/// Nobody knows of a lost Node's Pods whether they serve, so they count as not ready. A kubelet that is there but not
/// ready speaks for its own Pods: the two would contradict each other for ever.
fn take_readiness<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>, now: Timestamp, plan: &mut Plan) {
    for pod in pods.filter(|pod| pods::is_ready(pod)) {
        let mut conditions = pods::conditions(pod).to_vec();
        set_condition(
            &mut conditions,
            PodCondition {
                r#type: "Ready".into(),
                status: "False".into(),
                reason: "NodeNotReady".into(),
                message: "Node is not ready".into(),
                last_transition_time: Some(time::time(now)),
                ..PodCondition::default()
            },
        );
        let status = json!({"conditions": patch::list("PodCondition", &conditions)});
        plan.push(Action::patch_status(&**pod, patch::of_status(pod.meta(), status)));
        plan.push(Action::event(
            &**pod,
            EventKind::Warning,
            "NodeNotReady",
            "Node is not ready",
        ));
    }
}
