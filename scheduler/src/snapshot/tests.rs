//! The snapshot against a model that is rebuilt from scratch after every change.

use super::*;
use crate::framework::ClusterEvent;
use crate::testing::{Amounts, api_node, class, info, taint};
use apimachinery::well_known::PREFER_NO_SCHEDULE;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a change does.
#[derive(Clone, Debug)]
enum Change {
    SetNode {
        node: u8,
        cpu: u8,
        soft: bool,
    },
    RemoveNode(u8),
    Place {
        pod: u8,
        node: u8,
        class: u8,
        bound: bool,
    },
    RemovePod(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..4u8, 1..4u8, any::<bool>()).prop_map(|(node, cpu, soft)| Change::SetNode { node, cpu, soft }),
        (0..4u8).prop_map(Change::RemoveNode),
        (0..6u8, 0..4u8, 0..4u8, any::<bool>()).prop_map(|(pod, node, class, bound)| Change::Place {
            pod,
            node,
            class,
            bound
        }),
        (0..6u8).prop_map(Change::RemovePod),
    ]
}

fn node_name(node: u8) -> String {
    format!("node-{node}")
}

fn node_of(node: u8, cpu: u8, soft: bool) -> core::Node {
    let mut node = api_node(&node_name(node), &[("cpu", &cpu.to_string()), ("pods", "3")]);
    if soft {
        let taints = &mut node.spec.get_or_insert_default().taints;
        taints.push(taint("full", "", PREFER_NO_SCHEDULE));
    }
    node
}

fn pod_of(pod: u8, kind: u8) -> PodInfo {
    let asked: [&Amounts<'_>; 4] = [
        &[],
        &[("cpu", "1")],
        &[("memory", "1Gi"), ("example.com/gpu", "2")],
        &[("example.com/gpu", "1")],
    ];
    let mut asks = class(asked[usize::from(kind)]);
    if kind == 1 {
        asks.ports = vec![HostPort {
            port: 80,
            protocol: "TCP".into(),
            ip: String::new(),
        }];
    }
    info(&format!("pod-{pod}"), &asks)
}

/// All that a snapshot says, without the places where it keeps it.
type Contents = (
    BTreeMap<Arc<str>, Node>,
    usize,
    usize,
    BTreeMap<ObjectKey, (Arc<str>, Placement)>,
);

fn contents(snapshot: &Snapshot) -> Contents {
    let mut known: Vec<Node> = snapshot
        .by_name
        .values()
        .map(|slot| snapshot.node(*slot).clone())
        .collect();
    for node in &mut known {
        let pods = node.placed.iter().map(|id| snapshot.pods.get(*id).unwrap());
        assert!(pods.clone().all(|pod| pod.slot == node.slot));
        assert_eq!(pods.count() as i64, node.pods);
        // Where things are kept is no part of what is kept.
        node.placed.clear();
        node.slot = 0;
        node.nominated.sort_by(|a, b| a.uid.cmp(&b.uid));
    }
    let known = known.into_iter();
    let nodes: BTreeMap<_, _> = known.map(|node| (node.name.clone(), node)).collect();
    let present = nodes.values().filter(|node| node.present).count();
    assert_eq!(present, snapshot.node_count());
    assert_eq!(snapshot.nodes.len() - snapshot.free.len(), nodes.len());
    let pods = snapshot.pods.iter();
    let pods = pods.map(|pod| {
        (
            pod.key.clone(),
            (snapshot.node(pod.slot).name.clone(), pod.placement),
        )
    });
    (nodes, present, snapshot.soft_taints, pods.collect())
}

proptest! {
    #[test]
    fn the_incremental_snapshot_equals_one_rebuilt_from_scratch(changes in prop::collection::vec(change(), 1..60)) {
        let mut snapshot = Snapshot::new();
        let mut nodes: BTreeMap<u8, core::Node> = BTreeMap::new();
        let mut pods: BTreeMap<u8, (PodInfo, u8, Placement)> = BTreeMap::new();
        for change in changes {
            let seen = snapshot.seen();
            let before: Vec<Node> = snapshot.slots().to_vec();
            match change {
                Change::SetNode { node, cpu, soft } => {
                    nodes.insert(node, node_of(node, cpu, soft));
                    snapshot.set_node(&nodes[&node]);
                }
                Change::RemoveNode(node) => {
                    nodes.remove(&node);
                    snapshot.remove_node(&node_name(node));
                }
                Change::Place { pod, node, class, bound } => {
                    let placement = if bound { Placement::Bound } else { Placement::Assumed };
                    let info = pod_of(pod, class);
                    snapshot.place(&info, &node_name(node), placement);
                    pods.insert(pod, (info, node, placement));
                }
                Change::RemovePod(pod) => {
                    let known = pods.remove(&pod);
                    let removed = snapshot.remove_pod(&pod_of(pod, 0).key);
                    prop_assert_eq!(removed.is_some(), known.is_some());
                }
            }
            let mut rebuilt = Snapshot::new();
            for node in nodes.values() {
                rebuilt.set_node(node);
            }
            for (info, node, placement) in pods.values() {
                rebuilt.place(info, &node_name(*node), *placement);
            }
            prop_assert_eq!(contents(&snapshot), contents(&rebuilt));
            // Whoever looks only at what changed misses nothing.
            let told: Vec<Slot> = snapshot.changed_since(seen).unwrap().collect();
            for (slot, node) in (0..).zip(snapshot.slots()) {
                let changed = before.get(slot as usize) != Some(node);
                prop_assert!(!changed || told.contains(&slot), "{:?} changed untold", node);
            }
        }
    }
}

#[test]
fn a_node_tells_in_what_it_changed_and_a_heartbeat_changes_nothing() {
    let mut snapshot = Snapshot::new();
    let mut node = node_of(1, 2, false);
    let all = [ClusterEvent::NodeAdded, ClusterEvent::NodeAllocatable];
    assert_eq!(snapshot.set_node(&node), EventSet::of(&all));
    let seen = snapshot.seen();
    let conditions = &mut node.status.get_or_insert_default().conditions;
    conditions.push(core::NodeCondition::default());
    assert_eq!(snapshot.set_node(&node), EventSet::NONE);
    assert_eq!(snapshot.seen(), seen);
    node.metadata_mut().labels.insert("zone".into(), "a".into());
    assert_eq!(snapshot.set_node(&node), ClusterEvent::NodeLabels.into());
    node.spec.get_or_insert_default().unschedulable = true;
    assert_eq!(snapshot.set_node(&node), ClusterEvent::NodeTaints.into());
    assert_eq!(
        snapshot.set_node(&node_of(1, 3, false)),
        EventSet::of(&ClusterEvent::ALL[1..4])
    );
}

#[test]
fn pods_are_counted_before_their_node_is_known_and_after_it_is_gone() {
    let mut snapshot = Snapshot::new();
    let pod = info("web", &class(&[("cpu", "500m")]));
    snapshot.place(&pod, "node-1", Placement::Bound);
    assert!(snapshot.node_named("node-1").is_none());
    snapshot.set_node(&node_of(1, 2, false));
    assert_eq!(snapshot.node_named("node-1").unwrap().requested.cpu, 500);
    snapshot.remove_node("node-1");
    assert_eq!((snapshot.node_count(), snapshot.pod_count()), (0, 1));
    assert!(snapshot.remove_pod(&pod.key).is_some());
    assert_eq!(snapshot.free.len(), 1);
}

#[test]
fn images_are_counted_by_the_nodes_that_hold_them() {
    let mut snapshot = Snapshot::new();
    let with = |number: u8, images: &[&str]| {
        let mut node = node_of(number, 2, false);
        let image = |name: &&str| core::ContainerImage {
            names: vec![(*name).into()],
            size_bytes: 5,
        };
        node.status.get_or_insert_default().images = images.iter().map(image).collect();
        node
    };
    snapshot.set_node(&with(1, &["a", "b"]));
    snapshot.set_node(&with(2, &["a"]));
    let count = |snapshot: &Snapshot| ["a", "b", "c"].map(|image| snapshot.image_nodes(image));
    assert_eq!(count(&snapshot), [2, 1, 0]);
    snapshot.set_node(&with(1, &["c"]));
    assert_eq!(count(&snapshot), [1, 0, 1]);
    snapshot.remove_node("node-2");
    assert_eq!(count(&snapshot), [0, 0, 1]);
}

#[test]
fn a_node_that_is_promised_is_kept_until_it_no_longer_is() {
    let mut snapshot = Snapshot::new();
    let pod = info("web", &class(&[("cpu", "500m")]));
    snapshot.set_node(&node_of(1, 2, false));
    snapshot.nominate(&pod, Some("node-1"));
    assert_eq!(snapshot.nomination(&pod.uid), Some(0));
    snapshot.remove_node("node-1");
    assert!(snapshot.free.is_empty());
    snapshot.set_node(&node_of(2, 2, false));
    snapshot.place(&pod, "node-2", Placement::Assumed);
    assert_eq!(snapshot.nomination(&pod.uid), None);
    assert_eq!(snapshot.free.len(), 1);
}
