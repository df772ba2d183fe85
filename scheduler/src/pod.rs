//! [`PodInfo`] and [`PodClass`]: what the scheduler keeps of a Pod.
//!
//! In: a Pod as the API has it. Out: who it is, and what it asks of a node. Pods of one template ask the same, so what they
//! ask is kept once ([`Classes`]), and a decision worked out for one serves the others ([`crate::cycle`]).

use crate::snapshot::{HostPort, Resources};
use apimachinery::meta::get_condition;
use apimachinery::resources::{is_sidecar, pod_requests};
use client::ObjectKey;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{Container, NodeAffinity, Pod, PodCondition, PodSpec, Toleration};
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The condition that says whether a Pod has a node.
pub const POD_SCHEDULED: &str = "PodScheduled";

/// What a container without a CPU request counts for where nodes are scored, in thousandths of a core. Without it, Pods
/// without requests would all go to one node.
const DEFAULT_CPU: &str = "100m";
/// As [`DEFAULT_CPU`], for memory.
const DEFAULT_MEMORY: &str = "200Mi";

/// What a Pod asks of a node. Two Pods of one class go to the same nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodClass {
    /// What the Pod takes from a node's allocatable.
    pub requests: Resources,
    /// CPU in thousandths of a core and memory in bytes, where nodes are scored: containers without a request count
    /// too.
    pub scored: [i64; 2],
    /// The ports that it opens on the node itself.
    pub ports: Vec<HostPort>,
    /// `spec.nodeName`; empty for a Pod that may go anywhere.
    pub node_name: String,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// `spec.affinity.nodeAffinity`.
    pub node_affinity: NodeAffinity,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
}

// No part is a float or another that would differ from itself.
impl Eq for PodClass {}

impl Hash for PodClass {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.requests.hash(state);
        self.scored.hash(state);
        self.ports.hash(state);
        self.node_selector.hash(state);
        self.tolerations.hash(state);
        // Generated messages with lists of messages do not implement `Hash`.
        self.node_affinity.encode_to_vec().hash(state);
    }
}

impl PodClass {
    /// Reads what a Pod asks for.
    pub fn of(spec: &PodSpec) -> Self {
        let requests = Resources::of(&pod_requests(spec));
        let filled = Resources::of(&pod_requests(&with_defaults(spec)));
        let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.clone());
        Self {
            scored: [filled.cpu, filled.memory],
            requests,
            ports: host_ports(spec),
            node_name: String::new(),
            node_selector: spec.node_selector.clone(),
            node_affinity: affinity.unwrap_or_default(),
            tolerations: spec.tolerations.clone(),
        }
    }
}

/// The containers' resources alone, with requests for those that have none.
fn with_defaults(spec: &PodSpec) -> PodSpec {
    let fill = |container: &Container| {
        let mut resources = container.resources.clone().unwrap_or_default();
        for (name, amount) in [("cpu", DEFAULT_CPU), ("memory", DEFAULT_MEMORY)] {
            resources
                .requests
                .entry(name.into())
                .or_insert_with(|| proto::Quantity {
                    string: amount.into(),
                });
        }
        Container {
            resources: Some(resources),
            restart_policy: container.restart_policy.clone(),
            ..Container::default()
        }
    };
    PodSpec {
        containers: spec.containers.iter().map(fill).collect(),
        init_containers: spec.init_containers.iter().map(fill).collect(),
        resources: spec.resources.clone(),
        overhead: spec.overhead.clone(),
        ..PodSpec::default()
    }
}

/// The ports that containers and sidecars open on the node, each once.
fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().filter(|c| is_sidecar(c));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
    let mut ports: Vec<HostPort> = ports
        .filter(|port| port.host_port > 0)
        .map(HostPort::of)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// A Pod that waits for a node.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from an earlier Pod of its name.
    pub uid: Arc<str>,
    /// The revision of its last write.
    pub revision: i64,
    /// `spec.priority`: higher goes first.
    pub priority: i32,
    /// Whether `spec.schedulingGates` hold it.
    pub gated: bool,
    /// `status.conditions`, which a status patch must repeat.
    pub conditions: Vec<PodCondition>,
    /// What it asks of a node.
    pub class: Arc<PodClass>,
}

impl PodInfo {
    /// What is kept of a Pod.
    pub fn of(pod: &Pod, revision: i64, classes: &mut Classes) -> Self {
        let empty = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        Self {
            key: ObjectKey::of(pod),
            uid: pod.uid().into(),
            revision,
            priority: spec.priority.unwrap_or(0),
            gated: !spec.scheduling_gates.is_empty(),
            conditions: pod.status.iter().flat_map(|s| s.conditions.clone()).collect(),
            class: classes.intern(PodClass::of(spec)),
        }
    }

    /// The condition that says whether the Pod has a node.
    pub fn scheduled_condition(&self) -> Option<&PodCondition> {
        get_condition(&self.conditions, POD_SCHEDULED)
    }
}

/// Every class that a Pod has, once.
#[derive(Debug, Default)]
pub struct Classes {
    known: HashSet<Arc<PodClass>>,
    /// Unused classes are looked for when there are so many.
    sweep_at: usize,
}

/// No sweep below so many classes: they take less memory than looking for them takes time.
const SWEEP_FROM: usize = 1024;

impl Classes {
    /// The one copy of a class.
    pub fn intern(&mut self, class: PodClass) -> Arc<PodClass> {
        if let Some(known) = self.known.get(&class) {
            return known.clone();
        }
        if self.known.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.known.retain(|class| Arc::strong_count(class) > 1);
            // Twice what is in use: so each class is looked at a constant number of times.
            self.sweep_at = self.known.len() * 2;
        }
        let class = Arc::new(class);
        self.known.insert(class.clone());
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{container, pod};
    use proto::api::core::v1::ContainerPort;

    #[test]
    fn pods_of_one_template_share_their_class() {
        let mut classes = Classes::default();
        let class =
            |classes: &mut Classes, cpu: &str| PodInfo::of(&pod("a", &[("cpu", cpu)]), 1, classes).class;
        let first = class(&mut classes, "1");
        assert!(Arc::ptr_eq(&first, &class(&mut classes, "1000m")));
        assert!(!Arc::ptr_eq(&first, &class(&mut classes, "2")));
    }

    #[test]
    fn classes_that_no_pod_has_are_forgotten() {
        let mut classes = Classes::default();
        for cpu in 0..10 * SWEEP_FROM {
            classes.intern(PodClass {
                scored: [cpu as i64, 0],
                ..PodClass::default()
            });
        }
        assert!(classes.known.len() <= SWEEP_FROM);
    }

    #[test]
    fn a_container_without_requests_counts_where_nodes_are_scored() {
        let spec = PodSpec {
            containers: vec![container(&[("cpu", "250m")]), container(&[])],
            ..PodSpec::default()
        };
        let class = PodClass::of(&spec);
        assert_eq!((class.requests.cpu, class.requests.memory), (250, 0));
        assert_eq!(class.scored, [350, 2 * (200 << 20)]);
    }

    #[test]
    fn ports_of_containers_and_sidecars_count_and_those_of_init_containers_do_not() {
        let with_port = |port: i32, restart: Option<&str>| Container {
            ports: vec![ContainerPort {
                host_port: port,
                protocol: "TCP".into(),
                ..ContainerPort::default()
            }],
            restart_policy: restart.map(Into::into),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![with_port(80, None), with_port(0, None), with_port(80, None)],
            init_containers: vec![with_port(81, None), with_port(82, Some("Always"))],
            ..PodSpec::default()
        };
        let ports: Vec<u16> = host_ports(&spec).iter().map(|port| port.port).collect();
        assert_eq!(ports, [80, 82]);
    }
}
