//! The decision against a naive reference, and the shared evaluation against a fresh one.

use super::*;
use crate::pod::PodInfo;
use crate::snapshot::Placement;
use crate::testing::{Amounts, api_node, class, info, taint, toleration};
use apimachinery::well_known::{NO_SCHEDULE, PREFER_NO_SCHEDULE};
use component_base::rng::Seed;
use proptest::prelude::*;
use proto::Kind;
use proto::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PreferredSchedulingTerm};

fn node(number: u8, shape: u8) -> proto::api::core::v1::Node {
    let sizes: [&Amounts<'_>; 3] = [
        &[("cpu", "4"), ("memory", "8Gi"), ("pods", "4")],
        &[("cpu", "2"), ("memory", "16Gi"), ("pods", "4")],
        &[("cpu", "8"), ("memory", "8Gi"), ("pods", "2")],
    ];
    let mut node = api_node(&format!("node-{number}"), sizes[usize::from(shape % 3)]);
    node.metadata_mut()
        .labels
        .insert("zone".into(), format!("{}", shape % 2));
    let spec = node.spec.get_or_insert_default();
    match shape % 5 {
        1 => spec.taints.push(taint("gpu", "yes", NO_SCHEDULE)),
        2 => spec.taints.push(taint("full", "", PREFER_NO_SCHEDULE)),
        3 => spec.unschedulable = true,
        _ => {}
    }
    node
}

fn kinds() -> Vec<Arc<PodClass>> {
    let mut tolerant = class(&[("cpu", "500m"), ("memory", "1Gi")]);
    tolerant.tolerations = vec![
        toleration("gpu", "Exists", "", ""),
        toleration("full", "Exists", "", ""),
    ];
    let mut picky = class(&[("cpu", "1")]);
    picky.node_selector.insert("zone".into(), "1".into());
    let mut wishful = class(&[("memory", "2Gi")]);
    let zone = NodeSelectorRequirement {
        key: "zone".into(),
        operator: "In".into(),
        values: vec!["0".into()],
    };
    wishful
        .node_affinity
        .preferred_during_scheduling_ignored_during_execution = vec![PreferredSchedulingTerm {
        weight: 10,
        preference: Some(NodeSelectorTerm {
            match_expressions: vec![zone],
            match_fields: vec![],
        }),
    }];
    let classes = [class(&[]), class(&[("cpu", "3")]), tolerant, picky, wishful];
    classes.into_iter().map(Arc::new).collect()
}

#[derive(Clone, Debug)]
enum Change {
    SetNode(u8, u8),
    RemoveNode(u8),
    Place { pod: u8, node: u8, class: u8 },
    RemovePod(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..6u8, 0..15u8).prop_map(|(node, shape)| Change::SetNode(node, shape)),
        1 => (0..6u8).prop_map(Change::RemoveNode),
        3 => (0..9u8, 0..6u8, 0..5u8).prop_map(|(pod, node, class)| Change::Place { pod, node, class }),
        1 => (0..9u8).prop_map(Change::RemovePod),
    ]
}

fn pod(number: u8, class: &PodClass) -> PodInfo {
    info(&format!("pod-{number}"), class)
}

fn apply(snapshot: &mut Snapshot, change: &Change, kinds: &[Arc<PodClass>]) {
    match change {
        Change::SetNode(number, shape) => _ = snapshot.set_node(&node(*number, *shape)),
        Change::RemoveNode(number) => snapshot.remove_node(&format!("node-{number}")),
        Change::Place {
            pod: number,
            node,
            class,
        } => {
            let pod = pod(*number, &kinds[usize::from(*class)]);
            snapshot.place(&pod, &format!("node-{node}"), Placement::Bound);
        }
        Change::RemovePod(number) => _ = snapshot.remove_pod(&pod(*number, &kinds[0]).key),
    }
}

/// Every feasible node's total, worked out one by one with nothing kept.
fn reference(plugins: &Plugins, class: &PodClass, snapshot: &Snapshot) -> Vec<(Slot, i64)> {
    let prepared = Prepared::new(plugins, class, snapshot);
    let nodes = (0..).zip(snapshot.slots());
    let feasible: Vec<(Slot, &Node)> = nodes
        .filter(|(_, node)| node.present && prepared.judge(node).is_ok())
        .collect();
    let total = |node: &Node| -> i64 {
        let scored = prepared.scores.iter().map(|scoring| {
            let highest = feasible.iter().map(|(_, node)| scoring.score.score(node)).max();
            let score = scoring
                .normalize
                .apply(scoring.score.score(node), highest.unwrap_or(0));
            assert!((0..=100).contains(&score));
            scoring.weight * score
        });
        scored.sum()
    };
    feasible.iter().map(|(slot, node)| (*slot, total(node))).collect()
}

proptest! {
    #[test]
    fn a_shared_evaluation_equals_a_fresh_one_and_chooses_a_best_node(
        changes in prop::collection::vec((change(), 0..5usize), 1..60),
        seed: u64,
    ) {
        let (plugins, kinds) = (Plugins::all(), kinds());
        let mut rng = Seed(seed).fork("ties");
        let mut snapshot = Snapshot::new();
        let mut kept = Evaluations::default();
        for (change, kind) in changes {
            apply(&mut snapshot, &change, &kinds);
            let class = &kinds[kind];
            let mut fresh = Evaluation::default();
            fresh.refresh(&plugins, class, &snapshot);
            let shared = kept.refreshed(&plugins, class, &snapshot);
            prop_assert_eq!(shared.verdicts(), fresh.verdicts());
            prop_assert_eq!(&shared.sums, &fresh.sums);
            prop_assert_eq!(shared.feasible(), fresh.feasible());
            prop_assert_eq!(shared.normalized(&plugins), fresh.normalized(&plugins));
            prop_assert_eq!(
                shared.diagnose(&plugins, class, &snapshot),
                fresh.diagnose(&plugins, class, &snapshot)
            );
            let totals = reference(&plugins, class, &snapshot);
            prop_assert_eq!(shared.feasible(), totals.len());
            let highest = totals.iter().map(|(_, total)| *total).max();
            match shared.choose(&plugins, &mut rng).node {
                None => prop_assert!(totals.is_empty()),
                Some(slot) => prop_assert!(totals.contains(&(slot, highest.unwrap()))),
            }
        }
    }
}

#[test]
fn chance_decides_among_equals_and_the_seed_decides_chance() {
    let (plugins, class) = (Plugins::all(), class(&[("cpu", "1")]));
    let mut snapshot = Snapshot::new();
    for number in 0..8 {
        snapshot.set_node(&node(number, 0));
    }
    let mut evaluation = Evaluation::default();
    evaluation.refresh(&plugins, &class, &snapshot);
    let draw = |seed: u64| -> Vec<Slot> {
        let mut rng = Seed(seed).fork("ties");
        (0..64)
            .filter_map(|_| evaluation.choose(&plugins, &mut rng).node)
            .collect()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let mut seen = draw(1);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 8);
}

#[test]
fn the_message_counts_every_reason_of_every_node() {
    let plugins = Plugins::all();
    let mut snapshot = Snapshot::new();
    for (number, shape) in [(0, 0), (1, 5), (2, 1), (3, 6), (4, 8)] {
        snapshot.set_node(&node(number, shape));
    }
    let class = class(&[("cpu", "100")]);
    let mut evaluation = Evaluation::default();
    evaluation.refresh(&plugins, &class, &snapshot);
    assert_eq!(
        evaluation.diagnose(&plugins, &class, &snapshot).message,
        "0/5 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, \
         2 node(s) had untolerated taint(s)."
    );
}
