//! The ledger against a model that adds everything up anew.

use super::*;
use proptest::prelude::*;
use proto::Quantity;
use proto::api::core::v1::{Container, PodSpec, PodStatus};
use std::collections::BTreeMap;

fn quantities(amounts: &[(&str, String)]) -> BTreeMap<String, Quantity> {
    let quantity = |text: &String| Quantity { string: text.clone() };
    amounts
        .iter()
        .map(|(name, text)| ((*name).into(), quantity(text)))
        .collect()
}

fn node(cpu: i64, pods: i64) -> Node {
    let mut node = Node::default();
    node.metadata_mut().name = "node".into();
    node.status.get_or_insert_default().allocatable =
        quantities(&[("cpu", cpu.to_string()), ("pods", pods.to_string())]);
    node
}

fn pod(name: &str, uid: &str, cpu: i64, node: &str, phase: &str) -> Pod {
    let mut container = Container::default();
    container.resources.get_or_insert_default().requests = quantities(&[("cpu", cpu.to_string())]);
    let mut pod = Pod {
        spec: Some(PodSpec {
            containers: vec![container],
            node_name: node.into(),
            ..PodSpec::default()
        }),
        status: Some(PodStatus {
            phase: phase.into(),
            ..PodStatus::default()
        }),
        ..Pod::default()
    };
    let meta = pod.metadata_mut();
    (meta.namespace, meta.name, meta.uid) = ("default".into(), name.into(), uid.into());
    pod
}

fn key(name: &str) -> Key {
    Key::new("pods", "default", name)
}

fn see<K: Kind>(ledger: &Ledger, key: &Key, object: Option<&K>) {
    let stored = object.map(|object| Stored {
        revision: 1,
        bytes: object.encode_to_vec().into(),
    });
    ledger.sees(K::NUMBER, key, stored.as_ref());
}

fn node_key(name: &str) -> Key {
    Key::new("nodes", "", name)
}

#[test]
fn a_bind_is_refused_that_asks_for_more_than_is_free() {
    let ledger = Arc::new(Ledger::default());
    see(&ledger, &node_key("node"), Some(&node(4, 3)));
    let claim = |name: &str, cpu: i64| {
        let claim = ledger.claim(key(name));
        let taken = claim.take(&pod(name, name, cpu, "", ""), "node");
        taken.map(|()| claim).map_err(|short| short.to_string())
    };
    let first = claim("first", 3).unwrap();
    assert_eq!(
        claim("second", 2).unwrap_err(),
        "node \"node\" has not enough cpu: the pod requests 2000, 1000 of 4000 are free"
    );
    // A bind that was not done gives its room back.
    drop(first);
    let second = claim("second", 2).unwrap();
    // One that is seen keeps it, whatever becomes of the claim.
    see(
        &ledger,
        &key("second"),
        Some(&pod("second", "second", 2, "node", "")),
    );
    drop(second);
    assert!(claim("third", 3).is_err());
    let small = [claim("third", 1).unwrap(), claim("fourth", 0).unwrap()];
    let full = claim("fifth", 0).unwrap_err();
    assert!(full.contains("pods"), "{full}");
    drop(small);
    // A Pod that has run to its end takes nothing; nor does one that is gone.
    see(
        &ledger,
        &key("second"),
        Some(&pod("second", "second", 2, "node", "Succeeded")),
    );
    drop(claim("sixth", 4).unwrap());
    // A node that has not said what it has, or is not known, is not asked.
    let elsewhere = ledger.claim(key("far"));
    assert!(elsewhere.take(&pod("far", "far", 400, "", ""), "unknown").is_ok());
    see(&ledger, &node_key("node"), Some(&Node::default()));
    assert!(claim("seventh", 400).is_ok());
}

#[derive(Clone, Debug)]
enum Op {
    Node {
        node: u8,
        cpu: i64,
    },
    NoNode(u8),
    Claim {
        pod: u8,
        cpu: i64,
        node: u8,
    },
    /// The oldest claim's bind is seen, or fails.
    Settle {
        seen: bool,
    },
    /// Somebody makes a Pod on a node, or changes one there.
    Place {
        pod: u8,
        cpu: i64,
        node: u8,
        finished: bool,
    },
    Remove(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..2u8, 0..6i64).prop_map(|(node, cpu)| Op::Node { node, cpu }),
        1 => (0..2u8).prop_map(Op::NoNode),
        5 => (0..5u8, 0..4i64, 0..2u8).prop_map(|(pod, cpu, node)| Op::Claim { pod, cpu, node }),
        4 => any::<bool>().prop_map(|seen| Op::Settle { seen }),
        2 => (0..5u8, 0..4i64, 0..2u8, any::<bool>())
            .prop_map(|(pod, cpu, node, finished)| Op::Place { pod, cpu, node, finished }),
        2 => (0..5u8).prop_map(Op::Remove),
    ]
}

proptest! {
    #[test]
    fn what_is_taken_is_what_pods_and_claims_take(ops in prop::collection::vec(op(), 1..80)) {
        let ledger = Arc::new(Ledger::default());
        let mut nodes: BTreeMap<u8, i64> = BTreeMap::new();
        let mut pods: BTreeMap<u8, (i64, u8, bool)> = BTreeMap::new();
        let mut claims: Vec<(Claim, u8, i64, u8)> = Vec::new();
        let node_name = |node: u8| format!("node-{node}");
        let name = |pod: u8| format!("pod-{pod}");
        for op in ops {
            match op {
                Op::Node { node: number, cpu } => {
                    nodes.insert(number, cpu);
                    see(&ledger, &node_key(&node_name(number)), Some(&node(cpu, 3)));
                }
                Op::NoNode(number) => {
                    nodes.remove(&number);
                    see::<Node>(&ledger, &node_key(&node_name(number)), None);
                }
                Op::Claim { pod: number, cpu, node } => {
                    // The registry refuses a Pod that has a node before it asks the ledger.
                    if pods.contains_key(&number) || claims.iter().any(|claim| claim.1 == number) {
                        continue;
                    }
                    let of = |node: u8| {
                        let bound = pods.values().filter(|pod| pod.1 == node && !pod.2).map(|pod| pod.0);
                        bound.chain(claims.iter().filter(|claim| claim.3 == node).map(|claim| claim.2)).collect::<Vec<_>>()
                    };
                    let held = of(node);
                    let fits = nodes.get(&node).is_none_or(|has| {
                        held.len() < 3 && (cpu == 0 || held.iter().sum::<i64>() + cpu <= *has)
                    });
                    let claim = ledger.claim(key(&name(number)));
                    let taken = claim.take(&pod(&name(number), "uid", cpu, "", ""), &node_name(node));
                    prop_assert_eq!(taken.is_ok(), fits, "{:?}", taken);
                    if fits {
                        claims.push((claim, number, cpu, node));
                    }
                }
                Op::Settle { seen } => {
                    if claims.is_empty() {
                        continue;
                    }
                    let (claim, number, cpu, node) = claims.remove(0);
                    if seen {
                        let bound = pod(&name(number), "uid", cpu, &node_name(node), "");
                        see(&ledger, &key(&name(number)), Some(&bound));
                        pods.insert(number, (cpu, node, false));
                    }
                    drop(claim);
                }
                Op::Place { pod: number, cpu, node, finished } => {
                    if claims.iter().any(|claim| claim.1 == number) {
                        continue;
                    }
                    let phase = if finished { "Failed" } else { "Running" };
                    let placed = pod(&name(number), "uid", cpu, &node_name(node), phase);
                    see(&ledger, &key(&name(number)), Some(&placed));
                    pods.insert(number, (cpu, node, finished));
                }
                Op::Remove(number) => {
                    pods.remove(&number);
                    see::<Pod>(&ledger, &key(&name(number)), None);
                }
            }
            let state = ledger.state();
            for node in 0..2u8 {
                let of_pods = pods.values().filter(|pod| pod.1 == node && !pod.2).map(|pod| pod.0);
                let of_claims = claims.iter().filter(|claim| claim.3 == node).map(|claim| claim.2);
                let all: Vec<i64> = of_pods.chain(of_claims).collect();
                let room = state.nodes.get(&*node_name(node));
                let taken = room.map_or((0, 0), |room| (room.taken.cpu, room.pods));
                prop_assert_eq!(taken, (1000 * all.iter().sum::<i64>(), all.len() as i64));
                prop_assert!(room.is_some() || all.is_empty() && !nodes.contains_key(&node));
            }
        }
    }
}
