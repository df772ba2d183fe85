//! Stories of Nodes that fall silent, told to all controllers that have a part in them, with the objects as the process
//! projects them.

use super::*;
use crate::pod_gc::PodGcController;
use crate::projection;
use crate::replicaset::ReplicaSetController;
use crate::taint_eviction::TaintEvictionController;
use crate::testing::{NAMESPACE, live_pods, make_ready, replica_set};
use apimachinery::well_known::{TAINT_UNREACHABLE, ZONE};
use client::testing::World;
use client::time::micro_time;
use proto::api::coordination::v1::LeaseSpec;
use proto::api::core::v1::{NodeCondition, NodeStatus, Toleration};
use std::collections::BTreeSet;

/// How often the story's kubelets renew their Leases, and the step of its time.
const STEP: u64 = 5;

struct Story {
    world: World,
    silent: BTreeSet<String>,
    lifecycle: NodeLifecycleController,
    eviction: TaintEvictionController,
    pod_gc: PodGcController,
}

impl Story {
    /// Ready Nodes, with the name and the zone of each.
    fn new(nodes: &[(&str, &str)]) -> Self {
        let settings = Settings::default();
        let lifecycle = NodeLifecycleController::new(&settings);
        let eviction = TaintEvictionController::new(&settings);
        let pod_gc = PodGcController::new(&settings);
        let controllers: [&dyn Controller; 4] = [&lifecycle, &eviction, &pod_gc, &ReplicaSetController];
        let watches = controllers.iter().flat_map(|controller| controller.watches());
        let mut world = World::new(watches.chain(projection::all()));
        for (name, zone) in nodes {
            let mut node = Node::default();
            node.metadata_mut().name = (*name).into();
            node.metadata_mut().labels.insert(ZONE.into(), (*zone).into());
            world.add(&node);
            let mut lease = Lease::default();
            lease.metadata_mut().name = (*name).into();
            lease.metadata_mut().namespace = NODE_LEASE_NAMESPACE.into();
            world.add(&lease);
        }
        let mut story = Self {
            world,
            silent: BTreeSet::new(),
            lifecycle,
            eviction,
            pod_gc,
        };
        story.run(STEP);
        story
    }

    fn settle(&mut self) {
        let controllers: [&dyn Controller; 4] = [
            &self.lifecycle,
            &self.eviction,
            &self.pod_gc,
            &ReplicaSetController,
        ];
        self.world.settle(&controllers);
    }

    /// Lets seconds pass, in which the kubelets do their part.
    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds / STEP {
            self.world.advance(Duration::from_secs(STEP));
            self.heartbeats();
            self.settle();
        }
    }

    fn heartbeats(&mut self) {
        let now = micro_time(self.world.now());
        for node in self.world.list::<Node>() {
            if self.silent.contains(node.name()) {
                continue;
            }
            self.world
                .edit::<Lease>(NODE_LEASE_NAMESPACE, node.name(), |lease| {
                    lease.spec.get_or_insert_with(LeaseSpec::default).renew_time = Some(now);
                });
            if !nodes::is_ready(&node) {
                let ready = NodeCondition {
                    r#type: nodes::READY.into(),
                    status: "True".into(),
                    last_heartbeat_time: Some(now),
                    last_transition_time: Some(now),
                    ..NodeCondition::default()
                };
                self.world.edit::<Node>("", node.name(), |node| {
                    node.status.get_or_insert_with(NodeStatus::default).conditions = vec![ready];
                });
            }
        }
    }

    fn silence(&mut self, nodes: &[&str]) {
        self.silent.extend(nodes.iter().map(|&node| node.to_owned()));
    }

    /// A Pod on a Node, ready, with what admission adds to its tolerations.
    fn add_pod(&mut self, pod: &Pod, node: &str) {
        let added = self.world.add(pod);
        self.bind(added.name(), node);
    }

    fn bind(&mut self, pod: &str, node: &str) {
        let found: Pod = self.world.get(NAMESPACE, pod).unwrap();
        make_ready(&mut self.world, &found);
        self.world.edit::<Pod>(NAMESPACE, pod, |pod| {
            let spec = pod.spec.get_or_insert_default();
            spec.node_name = node.into();
            spec.tolerations = vec![Toleration {
                key: TAINT_UNREACHABLE.into(),
                operator: "Exists".into(),
                effect: "NoExecute".into(),
                toleration_seconds: Some(300),
                ..Toleration::default()
            }];
        });
    }

    fn node(&self, name: &str) -> Node {
        self.world.get("", name).unwrap()
    }

    fn effects(&self, node: &str) -> Vec<String> {
        let node = self.node(node);
        nodes::taints(&node)
            .iter()
            .map(|taint| taint.effect.clone())
            .collect()
    }

    /// The Nodes that are losing their Pods.
    fn losing(&self) -> Vec<String> {
        let nodes = self.world.list::<Node>().into_iter();
        let losing = nodes.filter(|node| nodes::health_eviction(node).is_some());
        losing.map(|node| node.name().to_owned()).collect()
    }

    fn evicted(&self) -> usize {
        self.world
            .list::<Pod>()
            .iter()
            .filter(|pod| pods::is_terminating(pod))
            .count()
    }
}

fn pod(name: &str) -> Pod {
    crate::testing::pod(name, "stray")
}

const THREE: [(&str, &str); 3] = [("a", "z1"), ("b", "z1"), ("c", "z1")];

#[test]
fn the_pods_of_a_node_that_dies_are_replaced_after_they_have_tolerated_it() {
    let mut story = Story::new(&THREE);
    story.world.add(&replica_set("web", 2));
    story.settle();
    for (pod, node) in live_pods(&story.world).iter().zip(["a", "b"]) {
        story.bind(pod.name(), node);
    }
    story.run(60);
    assert_eq!(story.effects("a"), [""; 0]);
    story.silence(&["a"]);
    story.run(35);
    assert!(nodes::is_ready(&story.node("a")));
    story.run(5);
    let node = story.node("a");
    let ready = &nodes::conditions(&node)[0];
    assert_eq!(
        (
            ready.status.as_str(),
            ready.reason.as_str(),
            ready.message.as_str()
        ),
        (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status."
        )
    );
    assert_eq!(story.effects("a"), ["NoSchedule", "NoExecute"]);
    let not_ready = |pod: &&Pod| !pods::is_ready(pod);
    assert_eq!(live_pods(&story.world).iter().filter(not_ready).count(), 1);
    let told = story
        .world
        .events
        .iter()
        .filter(|event| event.reason == "NodeNotReady");
    let told: Vec<_> = told.map(|event| event.message.as_str()).collect();
    assert_eq!(told, ["Node a status is now: NodeNotReady", "Node is not ready"]);
    story.run(295);
    assert_eq!(story.evicted(), 0);
    story.run(5);
    assert_eq!(story.evicted(), 1);
    let live = live_pods(&story.world);
    assert_eq!(live.len(), 2);
    assert!(live.iter().all(|pod| pods::node_name(pod) != "a"));
}

#[test]
fn a_node_that_comes_back_just_in_time_keeps_its_pods() {
    let mut story = Story::new(&THREE);
    story.add_pod(&pod("web"), "a");
    story.silence(&["a"]);
    story.run(40 + 295);
    assert_eq!(story.losing(), ["a"]);
    story.silent.clear();
    story.run(600);
    assert_eq!(story.effects("a"), [""; 0]);
    assert!(nodes::is_ready(&story.node("a")));
    assert_eq!(story.evicted(), 0);
}

#[test]
fn a_zone_that_dies_as_a_whole_keeps_its_pods() {
    let mut story = Story::new(&[("a", "z1"), ("b", "z1"), ("c", "z1"), ("d", "z2"), ("e", "z2")]);
    for (name, node) in [("one", "a"), ("two", "b"), ("three", "c"), ("four", "d")] {
        story.add_pod(&pod(name), node);
    }
    story.silence(&["a", "b", "c"]);
    story.run(1000);
    for node in ["a", "b", "c"] {
        assert_eq!(story.effects(node), ["NoSchedule"], "{node}");
    }
    assert_eq!(story.evicted(), 0);
    // Two come back: what is left is a Node that died, and its time begins now.
    story.silent.remove("b");
    story.silent.remove("c");
    story.run(5);
    assert_eq!(story.losing(), ["a"]);
    story.run(295);
    assert_eq!(story.evicted(), 0);
    story.run(5);
    assert_eq!(story.evicted(), 1);
}

#[test]
fn nodes_of_a_zone_lose_their_pods_one_after_another() {
    let nodes: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|&name| (name, "z1"))
        .collect();
    let mut story = Story::new(&nodes);
    story.silence(&["a", "c", "e", "g"]);
    story.run(40);
    let mut seen = vec![story.losing().len()];
    for _ in 0..4 {
        story.run(10);
        seen.push(story.losing().len());
    }
    assert_eq!(seen, [1, 2, 3, 4, 4]);
}

#[test]
fn a_restarted_controller_neither_hastens_nor_delays_an_eviction() {
    let mut story = Story::new(&THREE);
    story.add_pod(&pod("web"), "a");
    story.silence(&["a"]);
    for _ in 0..(40 + 295) / STEP {
        story.run(STEP);
        story.world.restart();
    }
    assert_eq!((story.losing(), story.evicted()), (vec!["a".to_owned()], 0));
    story.run(5);
    assert_eq!(story.evicted(), 1);
}

#[test]
fn when_the_apiserver_is_away_no_node_is_blamed() {
    let mut story = Story::new(&THREE);
    story.add_pod(&pod("web"), "a");
    story.run(20);
    story.silence(&["a", "b", "c"]);
    story.run(75);
    story.silent.clear();
    story.run(20);
    assert!(story.world.events.is_empty(), "{:?}", story.world.events);
    for (node, _) in THREE {
        assert_eq!(story.effects(node), [""; 0]);
    }
}

#[test]
fn a_cluster_of_one_node_that_dies_says_so_but_keeps_its_pods() {
    let mut story = Story::new(&[("a", "")]);
    story.add_pod(&pod("web"), "a");
    story.silence(&["a"]);
    story.run(75);
    assert!(nodes::is_ready(&story.node("a")));
    story.run(5);
    assert!(nodes::is_lost(&story.node("a")));
    story.run(1000);
    assert_eq!(
        (story.effects("a"), story.evicted()),
        (vec!["NoSchedule".to_owned()], 0)
    );
}

#[test]
fn a_node_that_never_spoke_is_lost_after_the_grace() {
    let mut story = Story::new(&THREE);
    let mut mute = Node::default();
    mute.metadata_mut().name = "mute".into();
    story.world.add(&mute);
    story.silence(&["mute"]);
    story.run(35);
    assert_eq!(nodes::condition(&story.node("mute"), nodes::READY), "");
    story.run(5);
    let node = story.node("mute");
    assert_eq!(nodes::conditions(&node)[0].reason, "NodeStatusNeverUpdated");
}

#[test]
fn a_cordoned_node_is_tainted_until_it_is_uncordoned() {
    let mut story = Story::new(&THREE);
    for (unschedulable, expected) in [(true, &["NoSchedule"][..]), (false, &[])] {
        story.world.edit::<Node>("", "a", |node| {
            node.spec.get_or_insert_default().unschedulable = unschedulable;
        });
        story.settle();
        assert_eq!(story.effects("a"), expected);
    }
}
