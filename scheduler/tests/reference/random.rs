//! Random clusters, small and crowded, so that rules often meet.

use super::naive::World;
use super::volumes::Storage;
use component_base::rng::Rng;
use proto::api::core::v1::{
    Affinity, AwsElasticBlockStoreVolumeSource, Container, ContainerImage, ContainerPort,
    CsiPersistentVolumeSource, GcePersistentDiskVolumeSource, Node, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, ObjectReference, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource, Pod, PodAffinity, PodAffinityTerm, PodAntiAffinity, PodSpec,
    PreferredSchedulingTerm, Service, ServiceSpec, Taint, Toleration, TopologySelectorLabelRequirement,
    TopologySelectorTerm, TopologySpreadConstraint, Volume, VolumeNodeAffinity, VolumeSource,
    WeightedPodAffinityTerm,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::api::storage::v1::{
    CsiDriver, CsiNode, CsiNodeDriver, CsiStorageCapacity, StorageClass, VolumeNodeResources,
};
use proto::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proto::{Kind, Quantity};
use rand::RngExt;
use std::collections::BTreeMap;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const NAMESPACES: [&str; 2] = ["red", "blue"];
const CLAIMS: [&str; 3] = ["data", "logs", "scratch"];
/// Who makes volumes.
const MAKER: &str = "disk.example.com";

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

    fn gibibytes(&mut self) -> BTreeMap<String, Quantity> {
        BTreeMap::from([("storage".to_owned(), self.quantity(&["1Gi", "2Gi"]))])
    }

    pub(crate) fn volume(&mut self, number: usize) -> PersistentVolume {
        let name = format!("volume-{number}");
        let mut volume = PersistentVolume::default();
        volume.metadata_mut().name.clone_from(&name);
        if self.once_in(4) {
            let zones = self.of(&["a", "b", "a__b"]);
            volume.metadata_mut().labels.insert(ZONE.into(), zones.into());
        }
        let spec = volume.spec.get_or_insert_default();
        spec.capacity = self.gibibytes();
        spec.access_modes = vec!["ReadWriteOnce".into()];
        if self.once_in(3) {
            spec.access_modes.push("ReadWriteOncePod".into());
        }
        spec.storage_class_name = self.of(&["there", "there", "made", ""]).into();
        if self.once_in(2) {
            let source = spec.persistent_volume_source.get_or_insert_default();
            source.csi = Some(CsiPersistentVolumeSource {
                driver: self.of(&[MAKER, "other.example.com"]).into(),
                volume_handle: format!("handle-{}", self.below(3)),
                ..CsiPersistentVolumeSource::default()
            });
        }
        let confined = match self.below(4) {
            0 => Some((ZONE, vec![self.of(&["a", "b"]).to_owned()])),
            1 => Some((HOSTNAME, vec![format!("node-{}", self.below(4)), "node-1".into()])),
            _ => None,
        };
        if let Some((key, values)) = confined {
            let requirement = NodeSelectorRequirement {
                key: key.into(),
                operator: "In".into(),
                values,
            };
            let mut term = NodeSelectorTerm {
                match_expressions: vec![requirement],
                ..NodeSelectorTerm::default()
            };
            if self.once_in(3) {
                term.match_expressions.insert(
                    0,
                    NodeSelectorRequirement {
                        key: "disk".into(),
                        operator: "Exists".into(),
                        values: vec![],
                    },
                );
            }
            let terms = if self.once_in(4) {
                vec![term, self.node_term()]
            } else {
                vec![term]
            };
            spec.node_affinity = Some(VolumeNodeAffinity {
                required: Some(NodeSelector {
                    node_selector_terms: terms,
                }),
            });
        }
        if self.once_in(4) {
            spec.claim_ref = Some(ObjectReference {
                namespace: self.of(&NAMESPACES).into(),
                name: self.of(&CLAIMS).into(),
                uid: self.of(&["", "data", "logs", "none"]).into(),
                ..ObjectReference::default()
            });
        }
        let phase = if self.once_in(8) { "Pending" } else { "Available" };
        volume.status.get_or_insert_default().phase = phase.into();
        volume
    }

    pub(crate) fn claim(&mut self) -> PersistentVolumeClaim {
        let mut claim = PersistentVolumeClaim::default();
        let meta = claim.metadata_mut();
        meta.namespace = self.of(&NAMESPACES).into();
        meta.name = self.of(&CLAIMS).into();
        meta.uid = meta.name.clone();
        let volume = match self.below(5) {
            0 | 1 => format!("volume-{}", self.below(5)),
            _ => String::new(),
        };
        if !volume.is_empty() && !self.once_in(12) {
            meta.annotations
                .insert("pv.kubernetes.io/bind-completed".into(), "yes".into());
        }
        if volume.is_empty() && self.once_in(6) {
            let node = format!("node-{}", self.below(4));
            meta.annotations
                .insert("volume.kubernetes.io/selected-node".into(), node);
        }
        let spec = claim.spec.get_or_insert_default();
        spec.volume_name = volume;
        spec.resources.get_or_insert_default().requests = self.gibibytes();
        spec.access_modes = vec![
            self.of(&["ReadWriteOnce", "ReadWriteOnce", "ReadWriteOncePod"])
                .into(),
        ];
        let class = self.of(&["there", "there", "made", "made", "now", "none"]);
        spec.storage_class_name = Some(class.into());
        claim
    }

    fn class(&mut self, name: &str, provisioner: &str, mode: &str) -> StorageClass {
        let mut class = StorageClass {
            provisioner: provisioner.into(),
            volume_binding_mode: Some(mode.into()),
            ..StorageClass::default()
        };
        class.metadata_mut().name = name.into();
        if self.once_in(4) {
            class.allowed_topologies.push(TopologySelectorTerm {
                match_label_expressions: vec![TopologySelectorLabelRequirement {
                    key: ZONE.into(),
                    values: vec![self.of(&["a", "b"]).into()],
                }],
            });
        }
        class
    }

    fn storage(&mut self) -> Storage {
        let mut storage = Storage::default();
        for (name, provisioner, mode) in [
            ("there", "kubernetes.io/no-provisioner", "WaitForFirstConsumer"),
            ("made", MAKER, "WaitForFirstConsumer"),
            ("now", MAKER, "Immediate"),
        ] {
            storage
                .classes
                .insert(name.into(), self.class(name, provisioner, mode));
        }
        for number in 0..self.below(6) {
            let volume = self.volume(number);
            storage.volumes.insert(volume.name().into(), volume);
        }
        for _ in 0..2 + self.below(6) {
            let claim = self.claim();
            storage
                .claims
                .insert(format!("{}/{}", claim.namespace(), claim.name()), claim);
        }
        for number in 0..self.below(4) {
            let mut node = CsiNode::default();
            node.metadata_mut().name = format!("node-{number}");
            node.spec.get_or_insert_default().drivers.push(CsiNodeDriver {
                name: MAKER.into(),
                allocatable: Some(VolumeNodeResources {
                    count: Some(1 + self.below(2) as i32),
                }),
                ..CsiNodeDriver::default()
            });
            storage.nodes.insert(node.name().into(), node);
        }
        if self.once_in(2) {
            let mut driver = CsiDriver::default();
            driver.metadata_mut().name = MAKER.into();
            driver.spec.get_or_insert_default().storage_capacity = Some(true);
            storage.drivers.insert(MAKER.into(), driver);
        }
        for zone in ["a", "b"] {
            let mut capacity = CsiStorageCapacity {
                node_topology: Some(LabelSelector {
                    match_labels: BTreeMap::from([(ZONE.to_owned(), zone.to_owned())]),
                    ..LabelSelector::default()
                }),
                storage_class_name: "made".into(),
                capacity: Some(self.quantity(&["500Mi", "1Gi", "5Gi"])),
                ..CsiStorageCapacity::default()
            };
            capacity.metadata_mut().name = zone.into();
            capacity.metadata_mut().namespace = "drivers".into();
            storage.capacities.insert(zone.into(), capacity);
        }
        storage
    }

    /// Claims, and disks without any.
    fn volumes(&mut self) -> Vec<Volume> {
        self.some(2, |draw| {
            let mut source = VolumeSource::default();
            match draw.below(6) {
                0 => {
                    source.gce_persistent_disk = Some(GcePersistentDiskVolumeSource {
                        pd_name: draw.of(&["one", "two"]).into(),
                        read_only: draw.once_in(2),
                        ..GcePersistentDiskVolumeSource::default()
                    });
                }
                1 => {
                    source.aws_elastic_block_store = Some(AwsElasticBlockStoreVolumeSource {
                        volume_id: draw.of(&["one", "two"]).into(),
                        read_only: draw.once_in(2),
                        ..AwsElasticBlockStoreVolumeSource::default()
                    });
                }
                _ => {
                    source.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                        claim_name: draw.of(&CLAIMS).into(),
                        read_only: false,
                    });
                }
            }
            Volume {
                name: "volume".into(),
                volume_source: Some(source),
            }
        })
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
        spec.priority = Some([0, 0, 5, 10][self.below(4)]);
        if self.once_in(4) {
            spec.volumes = self.volumes();
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
        if !self.once_in(4) {
            pod.status.get_or_insert_default().start_time = Some(proto::Timestamp {
                seconds: 1 + self.below(4) as i64,
                nanos: 0,
            });
        }
        pod
    }

    fn budget(&mut self, number: usize) -> PodDisruptionBudget {
        let mut budget = PodDisruptionBudget::default();
        budget.metadata_mut().namespace = self.of(&NAMESPACES).into();
        budget.metadata_mut().name = format!("budget-{number}");
        let app = self.of(&["web", "db"]).to_owned();
        budget.spec.get_or_insert_default().selector = Some(LabelSelector {
            match_labels: BTreeMap::from([("app".to_owned(), app)]),
            ..LabelSelector::default()
        });
        budget.status.get_or_insert_default().disruptions_allowed = self.below(3) as i32;
        budget
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
        world.storage = self.storage();
        let nodes = 1 + self.below(6);
        for number in 0..nodes {
            let node = self.node(number);
            world.nodes.insert(node.name().into(), node);
        }
        for number in 0..self.below(9) {
            let pod = self.placed(&format!("pod-{number}"), nodes);
            world.pods.insert(pod.name().into(), pod);
        }
        if self.once_in(3) {
            for number in 0..1 + self.below(2) {
                world.budgets.push(self.budget(number));
            }
        }
        if self.once_in(2) {
            for number in 0..self.below(3) {
                let mut pod = self.placed(&format!("promised-{number}"), nodes);
                pod.metadata_mut().deletion_timestamp = None;
                world.promised.push(pod);
            }
        }
        world
    }
}
