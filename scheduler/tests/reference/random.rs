//! Random clusters, small and crowded, so that rules often meet.

use super::naive::World;
use component_base::rng::Rng;
use proto::api::core::v1::{
    Affinity, Container, ContainerImage, ContainerPort, Node, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinity, PodAffinityTerm, PodAntiAffinity, PodSpec,
    PreferredSchedulingTerm, Service, ServiceSpec, Taint, Toleration, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use proto::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proto::{Kind, Quantity};
use rand::RngExt;
use std::collections::BTreeMap;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const NAMESPACES: [&str; 2] = ["red", "blue"];

/// Draws.
pub(crate) struct Draw<'a>(pub(crate) &'a mut Rng);

impl Draw<'_> {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0.random_range(0..most)
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let place = self.below(choices.len());
        choices[place]
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    fn quantity(&mut self, choices: &[&str]) -> Quantity {
        Quantity {
            string: self.of(choices).into(),
        }
    }

    pub(crate) fn node(&mut self, number: usize) -> Node {
        let name = format!("node-{number}");
        let mut node = Node::default();
        node.metadata_mut().name.clone_from(&name);
        let labels = &mut node.metadata_mut().labels;
        labels.insert(HOSTNAME.into(), name);
        if !self.once_in(5) {
            labels.insert(ZONE.into(), self.of(&["a", "b"]).into());
        }
        if self.once_in(2) {
            labels.insert("disk".into(), self.of(&["ssd", "hdd"]).into());
        }
        if self.once_in(3) {
            labels.insert("cores".into(), self.of(&["4", "8"]).into());
        }
        let spec = node.spec.get_or_insert_default();
        spec.unschedulable = self.once_in(10);
        if self.once_in(3) {
            spec.taints = self.some(2, |draw| Taint {
                key: draw.of(&["gpu", "old"]).into(),
                value: draw.of(&["", "yes"]).into(),
                effect: draw
                    .of(&["NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"])
                    .into(),
                time_added: None,
            });
        }
        let status = node.status.get_or_insert_default();
        let allocatable = &mut status.allocatable;
        allocatable.insert("cpu".into(), self.quantity(&["2", "4", "8"]));
        allocatable.insert("memory".into(), self.quantity(&["4Gi", "8Gi"]));
        allocatable.insert("pods".into(), self.quantity(&["3", "6", "20"]));
        if self.once_in(2) {
            allocatable.insert("example.com/gpu".into(), self.quantity(&["1", "2"]));
        }
        if self.once_in(2) {
            status.images = self.some(2, |draw| ContainerImage {
                names: vec![draw.of(&["web:1", "db:1"]).into()],
                size_bytes: [10 << 20, 300 << 20, 900 << 20][draw.below(3)],
            });
            status.images.dedup_by(|a, b| a.names == b.names);
            if status.images.len() == 2 && status.images[0].names == status.images[1].names {
                status.images.pop();
            }
        }
        node
    }

    fn selector(&mut self) -> Option<LabelSelector> {
        if self.once_in(20) {
            return None;
        }
        let mut selector = LabelSelector::default();
        if self.once_in(4) {
            selector.match_expressions.push(LabelSelectorRequirement {
                key: self.of(&["app", "v"]).into(),
                operator: self.of(&["Exists", "DoesNotExist"]).into(),
                values: vec![],
            });
        } else if !self.once_in(8) {
            selector
                .match_labels
                .insert("app".into(), self.of(&["web", "db"]).into());
        }
        Some(selector)
    }

    fn term(&mut self) -> PodAffinityTerm {
        let team = self.of(&["one", "two"]);
        PodAffinityTerm {
            label_selector: self.selector(),
            namespaces: if self.once_in(4) {
                vec![self.of(&NAMESPACES).into()]
            } else {
                vec![]
            },
            topology_key: self.of(&[ZONE, ZONE, HOSTNAME, "disk"]).into(),
            namespace_selector: self.once_in(4).then(|| LabelSelector {
                match_labels: BTreeMap::from([("team".to_owned(), team.to_owned())]),
                ..LabelSelector::default()
            }),
            match_label_keys: if self.once_in(8) { vec!["v".into()] } else { vec![] },
            mismatch_label_keys: if self.once_in(12) {
                vec!["app".into()]
            } else {
                vec![]
            },
        }
    }

    fn weighted(&mut self) -> WeightedPodAffinityTerm {
        WeightedPodAffinityTerm {
            weight: 1 + self.below(20) as i32,
            pod_affinity_term: Some(self.term()),
        }
    }

    fn node_term(&mut self) -> NodeSelectorTerm {
        let (key, operator, values) = match self.below(5) {
            0 => (ZONE, "In", vec![self.of(&["a", "b"])]),
            1 => ("disk", "NotIn", vec!["hdd"]),
            2 => ("disk", "Exists", vec![]),
            3 => (ZONE, "DoesNotExist", vec![]),
            _ => ("cores", self.of(&["Gt", "Lt"]), vec!["5"]),
        };
        let mut term = NodeSelectorTerm::default();
        term.match_expressions.push(NodeSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: values.into_iter().map(String::from).collect(),
        });
        if self.once_in(8) {
            let node = format!("node-{}", self.below(4));
            term.match_fields.push(NodeSelectorRequirement {
                key: "metadata.name".into(),
                operator: "In".into(),
                values: vec![node],
            });
        }
        term
    }

    fn affinity(&mut self) -> Affinity {
        let node = self.once_in(3).then(|| NodeAffinity {
            required_during_scheduling_ignored_during_execution: self.once_in(2).then(|| NodeSelector {
                node_selector_terms: (0..1 + self.below(2)).map(|_| self.node_term()).collect(),
            }),
            preferred_during_scheduling_ignored_during_execution: self.some(2, |draw| {
                PreferredSchedulingTerm {
                    weight: 1 + draw.below(50) as i32,
                    preference: Some(draw.node_term()),
                }
            }),
        });
        let near = self.once_in(3).then(|| PodAffinity {
            required_during_scheduling_ignored_during_execution: self.some(1, Self::term),
            preferred_during_scheduling_ignored_during_execution: self.some(2, Self::weighted),
        });
        let apart = self.once_in(3).then(|| PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: self.some(1, Self::term),
            preferred_during_scheduling_ignored_during_execution: self.some(2, Self::weighted),
        });
        Affinity {
            node_affinity: node,
            pod_affinity: near,
            pod_anti_affinity: apart,
        }
    }

    fn constraint(&mut self) -> TopologySpreadConstraint {
        let when = self.of(&["DoNotSchedule", "ScheduleAnyway"]);
        TopologySpreadConstraint {
            max_skew: 1 + self.below(2) as i32,
            topology_key: self.of(&[ZONE, ZONE, HOSTNAME, "disk"]).into(),
            when_unsatisfiable: when.into(),
            label_selector: self.selector(),
            min_domains: (when == "DoNotSchedule" && self.once_in(5)).then_some(2),
            node_affinity_policy: self.once_in(3).then(|| self.of(&["Honor", "Ignore"]).into()),
            node_taints_policy: self.once_in(3).then(|| self.of(&["Honor", "Ignore"]).into()),
            match_label_keys: if self.once_in(6) { vec!["v".into()] } else { vec![] },
        }
    }

    fn container(&mut self) -> Container {
        let mut container = Container {
            image: self.of(&["web:1", "db:1", "none:1"]).into(),
            ..Container::default()
        };
        let requests = &mut container.resources.get_or_insert_default().requests;
        if !self.once_in(4) {
            requests.insert("cpu".into(), self.quantity(&["100m", "500m", "1", "3"]));
        }
        if self.once_in(2) {
            requests.insert("memory".into(), self.quantity(&["100Mi", "1Gi", "3Gi"]));
        }
        if self.once_in(8) {
            requests.insert("example.com/gpu".into(), self.quantity(&["1", "2"]));
        }
        if self.once_in(6) {
            container.ports.push(ContainerPort {
                host_port: 80,
                container_port: 80,
                protocol: self.of(&["TCP", "UDP"]).into(),
                host_ip: self.of(&["", "10.0.0.1", "0.0.0.0"]).into(),
                ..ContainerPort::default()
            });
        }
        container
    }

    /// A Pod without a node.
    pub(crate) fn pod(&mut self, name: &str) -> Pod {
        let mut spec = PodSpec {
            scheduler_name: "default-scheduler".into(),
            containers: (0..1 + self.below(2)).map(|_| self.container()).collect(),
            ..PodSpec::default()
        };
        if self.once_in(6) {
            let mut init = self.container();
            init.restart_policy = self.once_in(2).then(|| "Always".into());
            spec.init_containers.push(init);
        }
        if self.once_in(10) {
            spec.node_selector
                .insert("disk".into(), self.of(&["ssd", "hdd"]).into());
        }
        if self.once_in(3) {
            spec.tolerations = self.some(2, |draw| Toleration {
                key: draw
                    .of(&["gpu", "old", "node.kubernetes.io/unschedulable"])
                    .into(),
                operator: "Exists".into(),
                effect: draw.of(&["", "NoSchedule", "PreferNoSchedule"]).into(),
                ..Toleration::default()
            });
        }
        if self.once_in(2) {
            spec.affinity = Some(self.affinity());
        }
        if self.once_in(3) {
            spec.topology_spread_constraints = self.some(2, Self::constraint);
            // The API allows a key once for each way.
            spec.topology_spread_constraints.dedup_by(|a, b| {
                a.topology_key == b.topology_key && a.when_unsatisfiable == b.when_unsatisfiable
            });
        }
        let mut pod = Pod {
            spec: Some(spec),
            ..Pod::default()
        };
        let meta = pod.metadata_mut();
        meta.name = name.into();
        meta.uid = name.into();
        meta.namespace = self.of(&NAMESPACES).into();
        if !self.once_in(6) {
            meta.labels.insert("app".into(), self.of(&["web", "db"]).into());
        }
        if self.once_in(2) {
            meta.labels.insert("v".into(), self.of(&["1", "2"]).into());
        }
        pod
    }

    /// A Pod on one of the world's nodes, or on one that is not there.
    pub(crate) fn placed(&mut self, name: &str, nodes: usize) -> Pod {
        let mut pod = self.pod(name);
        let node = self.below(nodes + 1);
        pod.spec.get_or_insert_default().node_name = format!("node-{node}");
        if self.once_in(8) {
            pod.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default());
        }
        pod
    }

    pub(crate) fn world(&mut self) -> World {
        let mut world = World::default();
        for name in NAMESPACES {
            let team = self.of(&["one", "two"]).to_owned();
            world
                .namespaces
                .insert(name.into(), BTreeMap::from([("team".to_owned(), team)]));
        }
        if self.once_in(3) {
            let mut service = Service {
                spec: Some(ServiceSpec {
                    selector: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
                    ..ServiceSpec::default()
                }),
                ..Service::default()
            };
            service.metadata_mut().name = "web".into();
            service.metadata_mut().namespace = self.of(&NAMESPACES).into();
            world.services.push(service);
        }
        let nodes = 1 + self.below(6);
        for number in 0..nodes {
            let node = self.node(number);
            world.nodes.insert(node.name().into(), node);
        }
        for number in 0..self.below(9) {
            let pod = self.placed(&format!("pod-{number}"), nodes);
            world.pods.insert(pod.name().into(), pod);
        }
        world
    }
}
