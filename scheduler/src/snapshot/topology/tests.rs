//! The counts against a recount over all Pods, under every kind of change.

use super::super::{Placement, Snapshot};
use super::*;
use crate::pod::PodInfo;
use crate::testing::{api_node, fresh, labelled, pairs};
use client::ObjectKey;
use proptest::prelude::*;
use proto::api::core::v1::{Namespace, Pod, PodAffinity, PodAntiAffinity};
use proto::meta::v1::LabelSelector;
use proto::{Kind, Object};

#[derive(Clone, Debug)]
enum Op {
    SetNode {
        node: u8,
        zone: u8,
        rack: u8,
    },
    RemoveNode(u8),
    Place {
        pod: u8,
        kind: u8,
        node: u8,
        deleting: bool,
    },
    RemovePod(u8),
    Namespace {
        name: u8,
        team: u8,
    },
    Ask(u8),
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..4u8, 0..3u8, 0..2u8).prop_map(|(node, zone, rack)| Op::SetNode { node, zone, rack }),
        1 => (0..4u8).prop_map(Op::RemoveNode),
        6 => (0..8u8, 0..6u8, 0..4u8, any::<bool>())
            .prop_map(|(pod, kind, node, deleting)| Op::Place { pod, kind, node, deleting }),
        2 => (0..8u8).prop_map(Op::RemovePod),
        1 => (0..2u8, 0..2u8).prop_map(|(name, team)| Op::Namespace { name, team }),
        4 => (0..6u8).prop_map(Op::Ask),
        1 => Just(Op::Forget),
    ]
}

/// Pods that want, avoid and count each other in several ways.
fn kinds() -> Vec<PodInfo> {
    let term = |app: &str, key: &str, team: Option<&str>| PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: pairs(app),
            ..LabelSelector::default()
        }),
        topology_key: key.into(),
        namespace_selector: team.map(|team| LabelSelector {
            match_labels: pairs(team),
            ..LabelSelector::default()
        }),
        ..PodAffinityTerm::default()
    };
    let pod = |number: usize, change: &dyn Fn(&mut Pod)| {
        let mut pod = labelled(
            ["ns-0", "ns-1"][number % 2],
            "kind",
            ["app=a", "app=b"][number / 2 % 2],
        );
        change(&mut pod);
        fresh(&pod)
    };
    let required = vec![term("app=a", "zone", None), term("app=a", "rack", Some("team=0"))];
    vec![
        pod(0, &|_| {}),
        pod(1, &|pod| {
            let affinity = pod.spec.get_or_insert_default().affinity.get_or_insert_default();
            affinity.pod_affinity = Some(PodAffinity {
                required_during_scheduling_ignored_during_execution: required.clone(),
                ..PodAffinity::default()
            });
        }),
        pod(2, &|pod| {
            let affinity = pod.spec.get_or_insert_default().affinity.get_or_insert_default();
            affinity.pod_anti_affinity = Some(PodAntiAffinity {
                required_during_scheduling_ignored_during_execution: vec![term(
                    "app=b",
                    "rack",
                    Some("team=1"),
                )],
                ..PodAntiAffinity::default()
            });
        }),
        pod(3, &|pod| {
            let constraints = &mut pod.spec.get_or_insert_default().topology_spread_constraints;
            for key in ["zone", "rack"] {
                constraints.push(proto::api::core::v1::TopologySpreadConstraint {
                    topology_key: key.into(),
                    label_selector: Some(LabelSelector::default()),
                    ..Default::default()
                });
            }
        }),
        pod(4, &|_| {}),
        pod(6, &|_| {}),
    ]
}

/// Counts again, from nothing.
fn recount(snapshot: &Snapshot, tally: &Tally, places: &Places) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for pod in snapshot.placed_pods() {
        let node = snapshot.node(pod.slot);
        let Some(value) = node.labels.get(&*places.key).filter(|_| node.present) else {
            continue;
        };
        let template = &pod.template;
        let times = match &tally.counted {
            Counted::Matching { all_of, live } => {
                let mut matchers = all_of.iter();
                let counts = matchers.all(|matcher| matcher.matches(template, snapshot.objects()));
                usize::from(counts && !(*live && pod.deleting))
            }
            Counted::Carrying(carried) => {
                let terms = Terms::of(template);
                let near = terms.affinity.iter().map(|term| (term, Role::Required));
                let apart = terms.anti_affinity.iter().map(|term| (term, Role::Forbids));
                let is_it = |(term, role): &(&PodAffinityTerm, Role)| {
                    *role == carried.role
                        && *term.topology_key == *places.key
                        && Matcher::of_term(term, template) == carried.matcher
                };
                near.chain(apart).filter(is_it).count()
            }
        };
        if times > 0 {
            *counts.entry(value.clone()).or_default() += times as u32;
        }
    }
    counts
}

fn check(snapshot: &Snapshot) {
    for tally in snapshot.topology().tallies.iter().flatten() {
        let places = &snapshot.topology().keys[tally.key as usize];
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for node in snapshot.slots() {
            let domain = places.of(node.slot);
            assert_eq!(
                domain == NOWHERE,
                !(node.present && node.labels.contains_key(&*places.key))
            );
            if domain != NOWHERE && tally.by_domain()[domain as usize] > 0 {
                counts.insert(
                    node.labels[&*places.key].clone(),
                    tally.by_domain()[domain as usize],
                );
            }
        }
        assert_eq!(counts, recount(snapshot, tally, places), "{:?}", tally.counted);
        assert_eq!(u64::from(counts.values().sum::<u32>()), tally.total());
        if tally.is_live() {
            for node in snapshot.slots() {
                let Counted::Matching { all_of, .. } = &tally.counted else {
                    continue;
                };
                let means = |pod: &&PlacedPod| {
                    !pod.deleting
                        && all_of
                            .iter()
                            .all(|m| m.matches(&pod.template, snapshot.objects()))
                };
                let on_node = snapshot.pods_on(node.slot).filter(means).count();
                assert_eq!(tally.by_slot()[node.slot as usize] as usize, on_node);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_count_equals_a_recount(ops in prop::collection::vec(op(), 1..80)) {
        let kinds = kinds();
        let mut snapshot = Snapshot::new();
        for op in ops {
            match op {
                Op::SetNode { node, zone, rack } => {
                    let mut held = api_node(&format!("node-{node}"), &[("pods", "9")]);
                    if zone > 0 {
                        held.metadata_mut().labels.insert("zone".into(), zone.to_string());
                    }
                    held.metadata_mut().labels.insert("rack".into(), rack.to_string());
                    snapshot.set_node(&held);
                }
                Op::RemoveNode(node) => snapshot.remove_node(&format!("node-{node}")),
                Op::Place { pod, kind, node, deleting } => {
                    let key = ObjectKey::new::<Pod>("any", &format!("pod-{pod}"));
                    let info = PodInfo { key, deleting, uid: format!("{pod}").into(), ..kinds[usize::from(kind)].clone() };
                    snapshot.place(&info, &format!("node-{node}"), Placement::Bound);
                }
                Op::RemovePod(pod) => {
                    snapshot.remove_pod(&ObjectKey::new::<Pod>("any", &format!("pod-{pod}")));
                }
                Op::Namespace { name, team } => {
                    let mut namespace = Namespace::default();
                    namespace.metadata_mut().name = format!("ns-{name}");
                    namespace.metadata_mut().labels = pairs(&format!("team={team}"));
                    let key = ObjectKey::of(&namespace);
                    snapshot.set_object(&key, Some(&Object::encode_from(&namespace))).unwrap();
                }
                Op::Ask(kind) => {
                    let template = &kinds[usize::from(kind)].template;
                    snapshot.know(template, &SpreadDefaults::default());
                    // What is kept says the same as what is worked out anew.
                    let mut anew = Interest::default();
                    snapshot.topology().carried(template, snapshot.objects(), &mut anew);
                    let known = snapshot.topology().interest(template).unwrap();
                    prop_assert_eq!(&known.forbidden, &anew.forbidden);
                    prop_assert_eq!(&known.required_by, &anew.required_by);
                }
                Op::Forget => snapshot.topology.forget_interests(),
            }
            check(&snapshot);
        }
    }
}
