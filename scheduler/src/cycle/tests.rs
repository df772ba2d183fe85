//! The decision against a look at every node, and what is kept of a class against what is worked out anew.

use super::*;
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

/// The best nodes, worked out one by one with nothing kept.
fn reference(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot) -> (Vec<Slot>, usize) {
    let appraisal = Appraisal::of(plugins, pod, snapshot);
    let totals: Vec<(Slot, i64)> = appraisal
        .nodes
        .iter()
        .filter_map(|node| Some((node.slot, node.total()?)))
        .collect();
    let highest = totals.iter().map(|(_, total)| *total).max();
    let best = totals.iter().filter(|(_, total)| Some(*total) == highest);
    (best.map(|(slot, _)| *slot).collect(), totals.len())
}

proptest! {
    #[test]
    fn what_is_kept_of_a_class_decides_as_a_look_at_every_node_does(
        changes in prop::collection::vec((change(), 0..5usize), 1..60),
        seed: u64,
    ) {
        let (plugins, kinds) = (Plugins::all(), kinds());
        let mut rng = Seed(seed).fork("ties");
        let mut snapshot = Snapshot::new();
        let mut kept = Cycle::default();
        for (change, kind) in changes {
            apply(&mut snapshot, &change, &kinds);
            let asks = pod(99, &kinds[kind]);
            // One class, one address: so that it is the kept evaluation that answers.
            let asks = PodInfo { template: template_of(&asks, &kinds[kind]), ..asks };
            let (best, feasible) = reference(&plugins, &asks, &mut snapshot);
            prop_assert_eq!(
                kept.diagnose(&plugins, &asks, &mut snapshot, None),
                Cycle::default().diagnose(&plugins, &asks, &mut snapshot, None)
            );
            prop_assert_eq!(kept.refreshed(&plugins, &kinds[kind], &snapshot).feasible(), feasible);
            match kept.decide(&plugins, &asks, &mut snapshot, &mut rng) {
                None => prop_assert!(best.is_empty()),
                Some(slot) => prop_assert!(best.contains(&slot)),
            }
        }
    }
}

fn template_of(pod: &PodInfo, class: &Arc<PodClass>) -> Arc<crate::pod::PodTemplate> {
    let mut template = crate::pod::PodTemplate::clone(&pod.template);
    template.class = class.clone();
    Arc::new(template)
}

#[test]
fn room_that_is_promised_counts_against_all_but_the_one_it_is_promised_to_and_those_above_it() {
    let plugins = Plugins::all();
    let mut snapshot = Snapshot::new();
    snapshot.set_node(&node(0, 0));
    let with = |name: &str, priority| {
        let mut class = class(&[("cpu", "3")]);
        class.priority = priority;
        info(name, &class)
    };
    let promised = with("promised", 5);
    snapshot.nominate(&promised, Some("node-0"));
    let mut rng = Seed(1).fork("ties");
    let mut decide =
        |pod: &PodInfo, snapshot: &mut Snapshot| Cycle::default().decide(&plugins, pod, snapshot, &mut rng);
    for (pod, expected) in [
        (with("below", 4), None),
        (with("equal", 5), None),
        (with("above", 6), Some(0)),
        (promised.clone(), Some(0)),
    ] {
        assert_eq!(decide(&pod, &mut snapshot), expected, "{}", pod.key);
    }
    snapshot.nominate(&promised, None);
    assert_eq!(decide(&with("below", 4), &mut snapshot), Some(0));
}

#[test]
fn a_pod_that_names_its_nodes_is_judged_on_those_alone() {
    let plugins = Plugins::all();
    let mut snapshot = Snapshot::new();
    for number in 0..4 {
        snapshot.set_node(&node(number, 0));
    }
    let mut class = class(&[("cpu", "1")]);
    class.named = Some(vec!["node-2".into(), "node-9".into()]);
    let pod = info("daemon", &class);
    let mut rng = Seed(1).fork("ties");
    let mut cycle = Cycle::default();
    let slot = cycle.decide(&plugins, &pod, &mut snapshot, &mut rng).unwrap();
    assert_eq!(&*snapshot.node(slot).name, "node-2");
    assert!(cycle.kept.is_empty());
}

#[test]
fn chance_decides_among_equals_and_the_seed_decides_chance() {
    let (plugins, pod) = (Plugins::all(), info("pod", &class(&[("cpu", "1")])));
    let mut snapshot = Snapshot::new();
    for number in 0..8 {
        snapshot.set_node(&node(number, 0));
    }
    let mut draw = |seed: u64| -> Vec<Slot> {
        let mut rng = Seed(seed).fork("ties");
        let mut cycle = Cycle::default();
        (0..64)
            .filter_map(|_| cycle.decide(&plugins, &pod, &mut snapshot, &mut rng))
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
    let pod = info("large", &class(&[("cpu", "100")]));
    assert_eq!(
        Cycle::default()
            .diagnose(&plugins, &pod, &mut snapshot, None)
            .message,
        "0/5 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, \
         2 node(s) had untolerated taint(s)."
    );
}
