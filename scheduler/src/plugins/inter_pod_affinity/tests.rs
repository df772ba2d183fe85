//! What Kubernetes documents of affinity between Pods, a row each.

use super::*;
use crate::framework::Status;
use crate::testing::{cluster, judge_pod, labelled, pairs, put, rate_pod};
use client::ObjectKey;
use proto::api::core::v1::{
    Affinity, Namespace, Pod, PodAffinity, PodAffinityTerm, PodAntiAffinity, WeightedPodAffinityTerm,
};
use proto::meta::v1::LabelSelector;
use proto::{Kind, Object};

fn selector(labels: &str) -> LabelSelector {
    LabelSelector {
        match_labels: pairs(labels),
        ..LabelSelector::default()
    }
}

fn term(labels: &str, key: &str) -> PodAffinityTerm {
    PodAffinityTerm {
        label_selector: Some(selector(labels)),
        topology_key: key.into(),
        ..PodAffinityTerm::default()
    }
}

fn affinity(pod: &mut Pod) -> &mut Affinity {
    let spec = pod.spec.get_or_insert_default();
    spec.affinity.get_or_insert_default()
}

fn near(mut pod: Pod, terms: &[PodAffinityTerm]) -> Pod {
    affinity(&mut pod).pod_affinity = Some(PodAffinity {
        required_during_scheduling_ignored_during_execution: terms.to_vec(),
        ..PodAffinity::default()
    });
    pod
}

fn apart(mut pod: Pod, terms: &[PodAffinityTerm]) -> Pod {
    affinity(&mut pod).pod_anti_affinity = Some(PodAntiAffinity {
        required_during_scheduling_ignored_during_execution: terms.to_vec(),
        ..PodAntiAffinity::default()
    });
    pod
}

fn prefers(mut pod: Pod, terms: &[(i32, PodAffinityTerm)]) -> Pod {
    let weighted = |sign: i32| {
        let terms = terms.iter().filter(move |(weight, _)| weight * sign > 0);
        terms
            .map(move |(weight, term)| WeightedPodAffinityTerm {
                weight: weight * sign,
                pod_affinity_term: Some(term.clone()),
            })
            .collect()
    };
    let held = affinity(&mut pod);
    held.pod_affinity
        .get_or_insert_default()
        .preferred_during_scheduling_ignored_during_execution = weighted(1);
    held.pod_anti_affinity
        .get_or_insert_default()
        .preferred_during_scheduling_ignored_during_execution = weighted(-1);
    pod
}

/// Two zones of two nodes, and a node without a zone. `web` runs on a1, `db` on b1; namespaces are labelled with their team.
fn world(placed: &[(Pod, &str)]) -> Snapshot {
    let mut snapshot = cluster(&[
        ("a1", "zone=a"),
        ("a2", "zone=a"),
        ("b1", "zone=b"),
        ("b2", "zone=b"),
        ("lost", "disk=ssd"),
    ]);
    for (name, team) in [("default", "red"), ("other", "red"), ("third", "blue")] {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name = name.into();
        namespace.metadata_mut().labels = pairs(&format!("team={team}"));
        let key = ObjectKey::of(&namespace);
        snapshot
            .set_object(&key, Some(&Object::encode_from(&namespace)))
            .unwrap();
    }
    put(&mut snapshot, &labelled("default", "web", "app=web,v=1"), "a1");
    put(&mut snapshot, &labelled("default", "db", "app=db"), "b1");
    for (pod, node) in placed {
        put(&mut snapshot, pod, node);
    }
    snapshot
}

/// The nodes that take a Pod, and why the others do not.
fn taken(pod: &Pod, placed: &[(Pod, &str)]) -> (String, Vec<String>) {
    let verdicts = judge_pod(&InterPodAffinity::default(), pod, &mut world(placed));
    let mut reasons: Vec<String> = Vec::new();
    let mut nodes = Vec::new();
    for (node, verdict) in verdicts {
        match verdict {
            Ok(()) => nodes.push(node),
            Err(rejection) => {
                let resolvable = rejection.status == Status::Unschedulable;
                assert_eq!(resolvable, rejection.reasons[0] != AFFINITY);
                reasons.extend(rejection.reasons.iter().map(ToString::to_string));
            }
        }
    }
    reasons.sort();
    reasons.dedup();
    (nodes.join(" "), reasons)
}

#[test]
fn required_terms_say_which_nodes_take_a_pod() {
    let pod = || labelled("default", "new", "app=new,v=1");
    let of = |namespace: &str| labelled(namespace, "new", "app=new");
    let with = |change: &dyn Fn(&mut PodAffinityTerm)| {
        let mut term = term("app=web", "zone");
        change(&mut term);
        vec![term]
    };
    let key = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (shows, pod, placed, nodes, reason) in [
        ("no terms: any node", pod(), vec![], "a1 a2 b1 b2 lost", None),
        (
            "affinity: the whole domain of a match",
            near(pod(), &[term("app=web", "zone")]),
            vec![],
            "a1 a2",
            Some(AFFINITY),
        ),
        (
            "affinity: every term must be met",
            near(
                pod(),
                &[term("app=web", "zone"), term("app=web", "kubernetes.io/hostname")],
            ),
            vec![],
            "a1",
            Some(AFFINITY),
        ),
        (
            "affinity: by one Pod that meets all terms, not by two that meet one each",
            near(pod(), &[term("app=web", "zone"), term("app=db", "zone")]),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "affinity: no match anywhere, and not its own group",
            near(pod(), &[term("app=none", "zone")]),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "affinity: the first of a group goes anywhere that has the key",
            near(pod(), &[term("app=new", "zone")]),
            vec![],
            "a1 a2 b1 b2",
            Some(AFFINITY),
        ),
        (
            "affinity: the second of a group follows the first",
            near(pod(), &[term("app=new", "zone")]),
            vec![(labelled("default", "first", "app=new"), "b2")],
            "b1 b2",
            Some(AFFINITY),
        ),
        (
            "affinity: a match on a node without the key counts for nothing",
            near(pod(), &[term("app=odd", "zone")]),
            vec![(labelled("default", "odd", "app=odd"), "lost")],
            "",
            Some(AFFINITY),
        ),
        (
            "affinity: without a selector no Pod is meant",
            near(pod(), &with(&|term| term.label_selector = None)),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "namespaces: by default the Pod's own",
            near(of("other"), &[term("app=web", "zone")]),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "namespaces: by name",
            near(of("other"), &with(&|term| term.namespaces = key(&["default"]))),
            vec![],
            "a1 a2",
            Some(AFFINITY),
        ),
        (
            "namespaceSelector: by the labels of namespaces",
            near(
                of("third"),
                &with(&|term| term.namespace_selector = Some(selector("team=red"))),
            ),
            vec![],
            "a1 a2",
            Some(AFFINITY),
        ),
        (
            "namespaceSelector: no such namespace",
            near(
                of("third"),
                &with(&|term| term.namespace_selector = Some(selector("team=green"))),
            ),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "namespaceSelector: an empty one means all",
            near(
                of("third"),
                &with(&|term| term.namespace_selector = Some(selector(""))),
            ),
            vec![],
            "a1 a2",
            Some(AFFINITY),
        ),
        (
            "matchLabelKeys: Pods with the same value",
            near(pod(), &with(&|term| term.match_label_keys = key(&["v"]))),
            vec![],
            "a1 a2",
            Some(AFFINITY),
        ),
        (
            "mismatchLabelKeys: Pods with another value",
            near(pod(), &with(&|term| term.mismatch_label_keys = key(&["v"]))),
            vec![],
            "",
            Some(AFFINITY),
        ),
        (
            "anti-affinity: the whole domain is out; nodes without the key are not",
            apart(pod(), &[term("app=web", "zone")]),
            vec![],
            "b1 b2 lost",
            Some(ANTI_AFFINITY),
        ),
        (
            "anti-affinity: any term keeps away",
            apart(
                pod(),
                &[term("app=web", "zone"), term("app=db", "kubernetes.io/hostname")],
            ),
            vec![],
            "b2 lost",
            Some(ANTI_AFFINITY),
        ),
        (
            "symmetry: a running Pod keeps those away that it means",
            pod(),
            vec![(
                apart(labelled("default", "loner", ""), &[term("app=new", "zone")]),
                "a2",
            )],
            "b1 b2 lost",
            Some(EXISTING_ANTI_AFFINITY),
        ),
        (
            "symmetry: not those of another namespace",
            of("other"),
            vec![(
                apart(labelled("default", "loner", ""), &[term("app=new", "zone")]),
                "a2",
            )],
            "a1 a2 b1 b2 lost",
            None,
        ),
    ] {
        let (taken, reasons) = taken(&pod, &placed);
        assert_eq!(taken, nodes, "{shows}");
        assert_eq!(
            reasons,
            reason.map(String::from).into_iter().collect::<Vec<_>>(),
            "{shows}"
        );
    }
}

#[test]
fn preferred_terms_score_nodes_both_ways() {
    let pod = || labelled("default", "new", "app=new");
    let running = |pod: Pod, node: &'static str| vec![(pod, node)];
    let other = || labelled("default", "running", "app=running");
    for (shows, plugin, pod, placed, expected) in [
        (
            "nothing is preferred",
            InterPodAffinity::default(),
            pod(),
            vec![],
            None,
        ),
        (
            "a match in the zone",
            InterPodAffinity::default(),
            prefers(pod(), &[(10, term("app=web", "zone"))]),
            vec![],
            Some([100, 100, 0, 0, 0]),
        ),
        (
            "weights add up, and those of anti-affinity count against",
            InterPodAffinity::default(),
            prefers(
                pod(),
                &[
                    (10, term("app=web", "zone")),
                    (5, term("app=db", "zone")),
                    (-10, term("app=web", "kubernetes.io/hostname")),
                ],
            ),
            vec![],
            Some([0, 100, 50, 50, 0]),
        ),
        (
            "only dislikes: where there is none is best",
            InterPodAffinity::default(),
            prefers(pod(), &[(-3, term("app=db", "zone"))]),
            vec![],
            Some([100, 100, 0, 0, 100]),
        ),
        (
            "a running Pod likes it",
            InterPodAffinity::default(),
            pod(),
            running(prefers(other(), &[(7, term("app=new", "zone"))]), "b2"),
            Some([0, 0, 100, 100, 0]),
        ),
        (
            "a running Pod that required it likes it by the hard weight",
            InterPodAffinity::default(),
            pod(),
            running(near(other(), &[term("app=new", "zone")]), "a2"),
            Some([100, 100, 0, 0, 0]),
        ),
        (
            "a hard weight of 0: no opinion",
            InterPodAffinity {
                hard_pod_affinity_weight: 0,
                ..InterPodAffinity::default()
            },
            pod(),
            running(near(other(), &[term("app=new", "zone")]), "a2"),
            None,
        ),
        (
            "running Pods' preferences are ignored on request",
            InterPodAffinity {
                ignore_preferred_terms_of_existing_pods: true,
                ..InterPodAffinity::default()
            },
            pod(),
            running(prefers(other(), &[(7, term("app=new", "zone"))]), "b2"),
            None,
        ),
    ] {
        let scores = rate_pod(&plugin, &pod, &mut world(&placed));
        let scores = scores.map(|scores| scores.into_values().collect::<Vec<_>>());
        assert_eq!(scores, expected.map(Vec::from), "{shows}");
    }
}

#[test]
fn a_pod_is_tried_again_when_what_it_wants_comes_or_what_it_avoids_leaves() {
    let snapshot = world(&[]);
    let placed = snapshot.placed_pods().next().unwrap();
    let node = snapshot.node(placed.slot);
    let wants = crate::testing::fresh(&near(labelled("default", "a", ""), &[term("app=web", "zone")]));
    let avoids = crate::testing::fresh(&apart(labelled("default", "b", ""), &[term("app=web", "zone")]));
    let comes = Change::new(ClusterEvent::AssignedPodAdded, Changed::Placed(placed, node));
    let leaves = Change::new(ClusterEvent::AssignedPodDeleted, Changed::Left(placed, node));
    let plugin = InterPodAffinity::default();
    for (shows, pod, change, helps) in [
        ("one that wants Pods, and one comes", &wants, &comes, true),
        ("one that avoids Pods, and one comes", &avoids, &comes, false),
        ("one that avoids Pods, and one leaves", &avoids, &leaves, true),
    ] {
        assert_eq!(plugin.helps(&pod.template, change, &snapshot), helps, "{shows}");
    }
}
