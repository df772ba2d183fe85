//! What Kubernetes documents of spreading, a row each.

use super::*;
use crate::testing::{cluster, judge_pod, labelled, pairs, put, rate_pod};
use client::ObjectKey;
use proto::api::core::v1::{Pod, Service, ServiceSpec, TopologySpreadConstraint};
use proto::meta::v1::LabelSelector;
use proto::{Kind, Object};

fn hard(max_skew: i32, key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew,
        topology_key: key.into(),
        when_unsatisfiable: DO_NOT_SCHEDULE.into(),
        label_selector: Some(LabelSelector {
            match_labels: pairs("app=web"),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    }
}

fn soft(max_skew: i32, key: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        when_unsatisfiable: "ScheduleAnyway".into(),
        ..hard(max_skew, key)
    }
}

fn spread(labels: &str, constraints: &[TopologySpreadConstraint]) -> Pod {
    let mut pod = labelled("default", "new", labels);
    pod.spec.get_or_insert_default().topology_spread_constraints = constraints.to_vec();
    pod
}

/// Zones a and b of two nodes, and a node without a zone; `web` as often as told, on these nodes.
fn world(placed: &[&str]) -> Snapshot {
    let mut snapshot = cluster(&[
        ("a1", "zone=a,disk=ssd"),
        ("a2", "zone=a"),
        ("b1", "zone=b,disk=ssd"),
        ("b2", "zone=b"),
        ("lost", "disk=ssd"),
    ]);
    for (number, node) in placed.iter().enumerate() {
        put(
            &mut snapshot,
            &labelled("default", &format!("web-{number}"), "app=web,v=1"),
            node,
        );
    }
    snapshot
}

fn taken(pod: &Pod, snapshot: &mut Snapshot) -> String {
    let verdicts = judge_pod(&PodTopologySpread, pod, snapshot);
    let nodes = verdicts.iter().filter(|(_, verdict)| verdict.is_ok());
    nodes.map(|(node, _)| node.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn hard_constraints_say_which_nodes_take_a_pod() {
    let web = |constraint: TopologySpreadConstraint| spread("app=web,v=1", &[constraint]);
    let with = |change: &dyn Fn(&mut TopologySpreadConstraint)| {
        let mut constraint = hard(1, "zone");
        change(&mut constraint);
        web(constraint)
    };
    let selecting = |mut pod: Pod| {
        pod.spec.get_or_insert_default().node_selector = pairs("zone=a");
        pod
    };
    let other_namespace = || {
        let mut pod = web(hard(1, "zone"));
        pod.metadata_mut().namespace = "other".into();
        pod
    };
    for (shows, pod, placed, nodes) in [
        (
            "no constraint: any node",
            spread("app=web", &[]),
            vec!["a1", "a1"],
            "a1 a2 b1 b2 lost",
        ),
        (
            "empty domains: all that have the key",
            web(hard(1, "zone")),
            vec![],
            "a1 a2 b1 b2",
        ),
        (
            "the fuller domain is out",
            web(hard(1, "zone")),
            vec!["a1"],
            "b1 b2",
        ),
        (
            "a larger skew lets it in",
            web(hard(2, "zone")),
            vec!["a1"],
            "a1 a2 b1 b2",
        ),
        (
            "equal domains: all",
            web(hard(1, "zone")),
            vec!["a1", "b2"],
            "a1 a2 b1 b2",
        ),
        (
            "a Pod that does not count itself may go where there is one more",
            spread("app=other", &[hard(1, "zone")]),
            vec!["a1"],
            "a1 a2 b1 b2",
        ),
        (
            "two constraints: both must hold, and only nodes with both keys take it",
            spread("app=web", &[hard(1, "zone"), hard(1, "kubernetes.io/hostname")]),
            vec!["a1", "b2"],
            "a2 b1",
        ),
        (
            "two constraints: Pods on nodes that lack one of the keys do not count",
            spread("app=web", &[hard(1, "zone"), hard(1, "disk")]),
            vec!["a2", "lost"],
            "a1 b1",
        ),
        (
            "minDomains: with fewer domains, the least is 0",
            with(&|c| c.min_domains = Some(3)),
            vec!["a1", "b1"],
            "",
        ),
        (
            "minDomains: reached",
            with(&|c| c.min_domains = Some(2)),
            vec!["a1", "b1"],
            "a1 a2 b1 b2",
        ),
        (
            "nodeAffinityPolicy Honor: only nodes that the Pod may go to count; the others are NodeAffinity's to refuse",
            selecting(web(hard(1, "zone"))),
            vec!["a1"],
            "a1 a2 b1 b2",
        ),
        (
            "nodeAffinityPolicy Ignore: all nodes count",
            selecting(with(&|c| c.node_affinity_policy = Some("Ignore".into()))),
            vec!["a1"],
            "b1 b2",
        ),
        (
            "matchLabelKeys: Pods of another revision do not count",
            {
                let mut pod = with(&|c| c.match_label_keys = vec!["v".into()]);
                pod.metadata_mut().labels.insert("v".into(), "2".into());
                pod
            },
            vec!["a1"],
            "a1 a2 b1 b2",
        ),
        (
            "Pods of other namespaces do not count",
            other_namespace(),
            vec!["a1"],
            "a1 a2 b1 b2",
        ),
    ] {
        let mut snapshot = world(&placed);
        assert_eq!(taken(&pod, &mut snapshot), nodes, "{shows}");
    }
}

#[test]
fn tainted_nodes_count_unless_taints_are_to_be_honoured() {
    for (policy, expected) in [(None, "b1 b2"), (Some("Honor"), "a1 a2 b1 b2")] {
        let mut snapshot = cluster(&[
            ("a1", "zone=a"),
            ("a2", "zone=a"),
            ("b1", "zone=b"),
            ("b2", "zone=b"),
        ]);
        let mut tainted = crate::testing::api_node("a2", &[]);
        tainted.metadata_mut().labels = pairs("zone=a");
        let taints = &mut tainted.spec.get_or_insert_default().taints;
        taints.push(crate::testing::taint("gpu", "", NO_SCHEDULE));
        snapshot.set_node(&tainted);
        put(&mut snapshot, &labelled("default", "web", "app=web"), "a2");
        let mut constraint = hard(1, "zone");
        constraint.node_taints_policy = policy.map(Into::into);
        let pod = spread("app=web", &[constraint]);
        assert_eq!(taken(&pod, &mut snapshot), expected, "{policy:?}");
    }
}

#[test]
fn pods_that_are_being_deleted_do_not_count() {
    let mut snapshot = world(&[]);
    let mut going = labelled("default", "web", "app=web");
    going.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default());
    put(&mut snapshot, &going, "a1");
    let pod = spread("app=web", &[hard(1, "zone")]);
    assert_eq!(taken(&pod, &mut snapshot), "a1 a2 b1 b2");
}

#[test]
fn a_node_without_the_key_says_so() {
    let pod = spread("app=web", &[hard(1, "zone")]);
    let verdicts = judge_pod(&PodTopologySpread, &pod, &mut world(&["a1"]));
    assert_eq!(verdicts["lost"], Err(Rejection::unresolvable(NO_LABEL)));
    assert_eq!(verdicts["a2"], Err(Rejection::unschedulable(REASON)));
}

#[test]
fn soft_constraints_score_emptier_domains_higher() {
    for (shows, constraints, placed, expected) in [
        ("no constraint", vec![], vec!["a1"], None),
        (
            "nothing placed: all alike, and the node without the key last",
            vec![soft(1, "zone")],
            vec![],
            Some([100, 100, 100, 100, 0]),
        ),
        (
            "one zone holds one",
            vec![soft(1, "zone")],
            vec!["a1"],
            Some([0, 0, 100, 100, 0]),
        ),
        (
            "three to one; (100 * (1 + 4 - 4)) / 4 and so on, each count times ln(2 + 2) and rounded",
            vec![soft(1, "zone")],
            vec!["a1", "a1", "a2", "b1"],
            Some([25, 25, 100, 100, 0]),
        ),
        (
            "by node: its own Pods",
            vec![soft(1, "kubernetes.io/hostname")],
            vec!["a1", "a1", "b1"],
            Some([0, 100, 50, 100, 100]),
        ),
    ] {
        let pod = spread("app=web", &constraints);
        let scores = rate_pod(&PodTopologySpread, &pod, &mut world(&placed));
        let scores = scores.map(|scores| scores.into_values().collect::<Vec<_>>());
        assert_eq!(scores, expected.map(Vec::from), "{shows}");
    }
}

#[test]
fn pods_of_a_service_are_spread_by_default_where_keys_are_missing_too() {
    let mut snapshot = world(&["a1", "a1"]);
    let pod = spread("app=web", &[]);
    assert_eq!(
        rate_pod(&PodTopologySpread, &pod, &mut snapshot),
        None,
        "nothing selects it"
    );
    let mut service = Service {
        spec: Some(ServiceSpec {
            selector: pairs("app=web"),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    };
    service.metadata_mut().name = "web".into();
    service.metadata_mut().namespace = "default".into();
    let key = ObjectKey::of(&service);
    snapshot
        .set_object(&key, Some(&Object::encode_from(&service)))
        .unwrap();
    let scores = rate_pod(&PodTopologySpread, &pod, &mut snapshot).unwrap();
    assert!(scores["a1"] < scores["b1"], "{scores:?}");
    assert!(
        scores["lost"] > 0,
        "the built-in constraints do without the zone: {scores:?}"
    );
}
