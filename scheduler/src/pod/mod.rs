//! [`PodInfo`], [`PodTemplate`] and [`PodClass`]: what the scheduler keeps of a Pod.
//!
//! In: a Pod as the API has it. Out: who it is, what it was made from, and what it asks of a node. Pods of one template ask the
//! same, so that is kept once ([`Classes`]), and a decision worked out for one serves the others ([`crate::cycle`]).

mod template;

pub use template::{Classes, PodTemplate, TemplateId};

use crate::snapshot::{HostPort, Resources};
use apimachinery::meta::get_condition;
use apimachinery::resources::{is_sidecar, pod_requests};
use client::ObjectKey;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{Container, NodeAffinity, Pod, PodCondition, PodSpec, Toleration};
use std::collections::BTreeMap;
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
    /// The nodes that required node affinity names by `metadata.name` in every one of its terms, as for a DaemonSet's Pod;
    /// `None` when it leaves any term open.
    pub named: Option<Vec<String>>,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
    /// `spec.priority`. Part of the class, because room that is promised to a Pod counts against those of its priority and
    /// below.
    pub priority: i32,
    /// The containers' images, sorted; one that several containers have, several times.
    pub images: Vec<String>,
}

// No part is a float or another that would differ from itself.
impl Eq for PodClass {}

impl Hash for PodClass {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.requests.hash(state);
        self.scored.hash(state);
        self.ports.hash(state);
        self.node_name.hash(state);
        self.node_selector.hash(state);
        self.tolerations.hash(state);
        self.priority.hash(state);
        self.images.hash(state);
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
        let containers = spec.init_containers.iter().chain(&spec.containers);
        let mut images: Vec<String> = containers.map(|container| container.image.clone()).collect();
        images.sort_unstable();
        Self {
            scored: [filled.cpu, filled.memory],
            requests,
            ports: host_ports(spec),
            node_name: String::new(),
            node_selector: spec.node_selector.clone(),
            named: affinity.as_ref().and_then(named),
            node_affinity: affinity.unwrap_or_default(),
            tolerations: spec.tolerations.clone(),
            priority: spec.priority.unwrap_or(0),
            images,
        }
    }
}

/// See [`PodClass::named`].
fn named(affinity: &NodeAffinity) -> Option<Vec<String>> {
    let required = affinity
        .required_during_scheduling_ignored_during_execution
        .as_ref()?;
    let mut names = Vec::new();
    for term in &required.node_selector_terms {
        let by_name = term
            .match_fields
            .iter()
            .find(|field| field.key == "metadata.name" && field.operator == "In")?;
        names.extend(by_name.values.iter().cloned());
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
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

/// A Pod, as decisions see it.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from an earlier Pod of its name.
    pub uid: Arc<str>,
    /// The revision of its last write.
    pub revision: i64,
    /// Whether `spec.schedulingGates` hold it.
    pub gated: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// `status.startTime` in microseconds since 1970; 0 while it has none.
    pub started: i64,
    /// `status.nominatedNodeName`: where room is being made for it.
    pub nominated: Option<Arc<str>>,
    /// `status.conditions`, which a status patch must repeat.
    pub conditions: Vec<PodCondition>,
    /// What it was made from.
    pub template: Arc<PodTemplate>,
}

impl PodInfo {
    /// What is kept of a Pod.
    pub fn of(pod: &Pod, revision: i64, classes: &mut Classes) -> Self {
        let status = pod.status.as_ref();
        let started = status.and_then(|status| status.start_time.as_ref());
        let nominated = status.map_or("", |status| &status.nominated_node_name);
        Self {
            key: ObjectKey::of(pod),
            uid: pod.uid().into(),
            revision,
            gated: pod
                .spec
                .as_ref()
                .is_some_and(|spec| !spec.scheduling_gates.is_empty()),
            deleting: pod.meta().deletion_timestamp.is_some(),
            started: started.map_or(0, |time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1000),
            nominated: (!nominated.is_empty()).then(|| nominated.into()),
            conditions: status.map(|s| s.conditions.clone()).unwrap_or_default(),
            template: classes.of(pod),
        }
    }

    /// What it asks of a node.
    pub fn class(&self) -> &Arc<PodClass> {
        &self.template.class
    }

    /// `spec.priority`: higher goes first.
    pub fn priority(&self) -> i32 {
        self.template.class.priority
    }

    /// The condition that says whether the Pod has a node.
    pub fn scheduled_condition(&self) -> Option<&PodCondition> {
        get_condition(&self.conditions, POD_SCHEDULED)
    }
}

#[cfg(test)]
mod tests {
    use super::template::SWEEP_FROM;
    use super::*;
    use crate::testing::{container, pod};
    use proto::api::core::v1::ContainerPort;

    #[test]
    fn pods_of_one_template_share_it_and_pods_that_ask_the_same_share_their_class() {
        let mut classes = Classes::default();
        let of = |classes: &mut Classes, pod: &Pod| PodInfo::of(pod, 1, classes).template;
        let first = of(&mut classes, &pod("a", &[("cpu", "1")]));
        assert!(Arc::ptr_eq(&first, &of(&mut classes, &pod("b", &[("cpu", "1")]))));
        let other_text = of(&mut classes, &pod("c", &[("cpu", "1000m")]));
        assert_ne!(first.id, other_text.id);
        assert!(Arc::ptr_eq(&first.class, &other_text.class));
        let larger = of(&mut classes, &pod("d", &[("cpu", "2")]));
        assert!(!Arc::ptr_eq(&first.class, &larger.class));
        let mut labelled = pod("e", &[("cpu", "1")]);
        labelled.metadata_mut().labels.insert("app".into(), "web".into());
        let labelled = of(&mut classes, &labelled);
        assert_ne!(first.id, labelled.id);
        assert!(Arc::ptr_eq(&first.class, &labelled.class));
        let mut bound = pod("f", &[("cpu", "1")]);
        bound.spec.as_mut().unwrap().node_name = "node-1".into();
        assert!(Arc::ptr_eq(&first, &of(&mut classes, &bound)));
    }

    #[test]
    fn what_no_pod_has_is_forgotten() {
        let mut classes = Classes::default();
        for cpu in 0..5 * SWEEP_FROM {
            _ = classes.of(&pod("a", &[("cpu", &format!("{cpu}m"))]));
        }
        let (templates, classes) = classes.len();
        assert!(templates <= SWEEP_FROM && classes <= 2 * SWEEP_FROM);
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
