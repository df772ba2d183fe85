//! What Kubernetes documents of preemption, a row each; and what is kept of a class against a look at every node.

use super::*;
use crate::pod::Classes;
use crate::snapshot::Placement;
use crate::testing::{api_node, fresh, labelled, pairs, pod, taint};
use client::ObjectKey;
use component_base::rng::Seed;
use proptest::prelude::*;
use proto::api::core::v1::{Pod, PodAffinityTerm, PodAntiAffinity};
use proto::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use proto::meta::v1::LabelSelector;
use proto::{Kind, Object};

/// A Pod that asks for cpu, with a priority and a start time in seconds.
fn sized(name: &str, cpu: &str, priority: i32, started: i64) -> Pod {
    let mut pod = pod(name, &[("cpu", cpu)]);
    pod.spec.get_or_insert_default().priority = Some(priority);
    pod.status.get_or_insert_default().start_time = Some(proto::Timestamp {
        seconds: started,
        nanos: 0,
    });
    pod
}

fn node(name: &str) -> proto::api::core::v1::Node {
    let mut node = api_node(name, &[("cpu", "4"), ("pods", "10")]);
    node.metadata_mut().labels = pairs(&format!("kubernetes.io/hostname={name}"));
    node
}

fn snapshot(nodes: &[&str], placed: &[(&str, Pod)]) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for name in nodes {
        snapshot.set_node(&node(name));
    }
    for (node, pod) in placed {
        snapshot.place(&fresh(pod), node, Placement::Bound);
    }
    snapshot
}

fn budget(snapshot: &mut Snapshot, labels: &str, allowed: i32) {
    let mut budget = PodDisruptionBudget {
        spec: Some(PodDisruptionBudgetSpec {
            selector: Some(LabelSelector {
                match_labels: pairs(labels),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: Some(PodDisruptionBudgetStatus {
            disruptions_allowed: allowed,
            ..PodDisruptionBudgetStatus::default()
        }),
        ..PodDisruptionBudget::default()
    };
    budget.metadata_mut().name = "budget".into();
    budget.metadata_mut().namespace = "default".into();
    let key = ObjectKey::of(&budget);
    snapshot
        .set_object(&key, Some(&Object::encode_from(&budget)))
        .unwrap();
}

fn ask(snapshot: &mut Snapshot, pod: &Pod) -> PostFiltered {
    let mut rng = Seed(1).fork("preemption");
    DefaultPreemption::default().post_filter(&fresh(pod), &Plugins::all(), snapshot, &mut rng)
}

/// `node: victims`, or what was said.
fn told(found: &PostFiltered) -> String {
    match found {
        PostFiltered::Rooms(rooms) => {
            let rooms = rooms.iter().map(|room| told(&PostFiltered::Room(room.clone())));
            rooms.collect::<Vec<_>>().join(", ")
        }
        PostFiltered::Nothing(message) => message.clone(),
        PostFiltered::Wait => "wait".into(),
        PostFiltered::Room(room) => {
            let victims: Vec<&str> = room.victims.iter().map(|victim| &*victim.key.name).collect();
            format!("{}: {}", room.node, victims.join(" "))
        }
    }
}

#[test]
fn the_node_is_chosen_where_it_costs_least() {
    let high = || sized("high", "3", 100, 0);
    for (shows, placed, expected, why) in [
        (
            "one node has lower Pods",
            vec![("a", sized("low", "2", 0, 1)), ("b", sized("equal", "2", 100, 1))],
            "a: low",
            "only node",
        ),
        (
            "the most important victim has the lowest priority",
            vec![("a", sized("mid", "2", 5, 1)), ("b", sized("low", "2", 4, 1))],
            "b: low",
            "lowest priority: 4, the next best 5",
        ),
        (
            "the lowest sum of priorities",
            vec![
                ("a", sized("a1", "2", 5, 1)),
                ("a", sized("a2", "2", 4, 1)),
                ("b", sized("b1", "2", 5, 1)),
                ("b", sized("b2", "2", 3, 1)),
            ],
            "b: b1 b2",
            "lowest sum",
        ),
        (
            "the fewest victims",
            vec![
                ("a", sized("a1", "2", 5, 1)),
                ("a", sized("a2", "2", 5, 1)),
                ("b", sized("b1", "2", 5, 1)),
            ],
            "b: b1",
            "1 victims, the next best 2",
        ),
        (
            "the latest start of the most important victim",
            vec![("a", sized("old", "2", 5, 10)), ("b", sized("young", "2", 5, 20))],
            "b: young",
            "started last",
        ),
    ] {
        let mut snapshot = snapshot(&["a", "b"], &placed);
        let found = ask(&mut snapshot, &high());
        assert_eq!(told(&found), expected, "{shows}");
        let PostFiltered::Room(room) = found else {
            panic!("{shows}")
        };
        assert!(room.why.contains(why), "{shows}: {}", room.why);
    }
}

#[test]
fn as_few_as_possible_must_go_the_least_important_first() {
    for (shows, placed, asks, expected) in [
        (
            "the lowest priority goes",
            vec![sized("low", "2", 1, 1), sized("mid", "2", 2, 1)],
            "2",
            "a: low",
        ),
        (
            "of equals the one that started last goes",
            vec![sized("old", "2", 1, 1), sized("young", "2", 1, 2)],
            "2",
            "a: young",
        ),
        (
            "small ones stay where a large one is enough",
            vec![sized("large", "3", 1, 1), sized("small", "1", 1, 2)],
            "3",
            "a: large",
        ),
        (
            "all go when all must",
            vec![sized("one", "2", 1, 1), sized("two", "2", 1, 2)],
            "4",
            "a: one two",
        ),
    ] {
        let placed: Vec<_> = placed.into_iter().map(|pod| ("a", pod)).collect();
        let found = ask(&mut snapshot(&["a"], &placed), &sized("high", asks, 100, 0));
        assert_eq!(told(&found), expected, "{shows}");
    }
}

#[test]
fn what_does_not_help_is_told_as_upstream_tells_it() {
    let mut tainted = node("tainted");
    tainted
        .spec
        .get_or_insert_default()
        .taints
        .push(taint("gpu", "", "NoSchedule"));
    let mut snapshot = snapshot(
        &["empty", "equal", "little"],
        &[
            ("equal", sized("equal", "4", 100, 1)),
            ("little", sized("little", "1", 0, 1)),
            ("little", sized("kept", "3", 100, 1)),
        ],
    );
    snapshot.set_node(&tainted);
    let mut never = sized("never", "4", 100, 0);
    never.spec.get_or_insert_default().preemption_policy = Some("Never".into());
    for (shows, pod, expected) in [
        (
            "for each node why",
            sized("high", "4", 100, 0),
            "preemption: 0/4 nodes are available: 1 Insufficient cpu, 1 Preemption is not helpful for scheduling, \
             2 No preemption victims found for incoming pod.",
        ),
        (
            "more than a node has",
            sized("huge", "5", 100, 0),
            "preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.",
        ),
        ("preemptionPolicy: Never", never, NEVER),
    ] {
        assert_eq!(told(&ask(&mut snapshot, &pod)), expected, "{shows}");
    }
}

#[test]
fn budgets_are_kept_where_that_is_possible() {
    let guarded = |name: &str, priority| {
        let mut pod = sized(name, "2", priority, 1);
        pod.metadata_mut().labels = pairs("app=db");
        pod
    };
    for (shows, placed, allowed, expected, violates) in [
        (
            "a node whose victims no budget protects comes first, though they are more important",
            vec![("a", guarded("db", 1)), ("b", sized("web", "2", 9, 1))],
            0,
            "b: web",
            0,
        ),
        (
            "a budget with room protects nobody",
            vec![("a", guarded("db", 1)), ("b", sized("web", "2", 9, 1))],
            1,
            "a: db",
            0,
        ),
        (
            "broken where there is no other way",
            vec![("a", guarded("db", 1))],
            0,
            "a: db",
            1,
        ),
        (
            "on one node those go that it does not protect, though they are more important",
            vec![("a", guarded("db", 1)), ("a", sized("web", "2", 9, 1))],
            0,
            "a: web",
            0,
        ),
        (
            "it lets go as many as it allows",
            vec![
                ("a", guarded("db-1", 1)),
                ("a", guarded("db-2", 1)),
                ("b", sized("web", "4", 9, 1)),
            ],
            2,
            "a: db-2",
            0,
        ),
    ] {
        let names: Vec<&str> = { placed.iter() }.map(|(node, _)| *node).collect();
        let mut nodes = names.clone();
        nodes.dedup();
        let mut snapshot = snapshot(&nodes, &placed);
        budget(&mut snapshot, "app=db", allowed);
        let asks = if nodes.len() == 1 && placed.len() == 2 || shows.contains("as many") {
            "2"
        } else {
            "3"
        };
        let found = ask(&mut snapshot, &sized("high", asks, 100, 0));
        assert_eq!(told(&found), expected, "{shows}");
        let PostFiltered::Room(room) = found else {
            panic!("{shows}")
        };
        let broken = room
            .victims
            .iter()
            .filter(|victim| victim.violates_budget)
            .count();
        assert_eq!(broken, violates, "{shows}");
    }
}

#[test]
fn promised_room_and_pods_on_their_way_out_are_minded() {
    let mut snapshot = snapshot(
        &["a", "b"],
        &[("a", sized("low-a", "4", 0, 1)), ("b", sized("low-b", "4", 0, 1))],
    );
    let high = fresh(&sized("high", "4", 100, 0));
    snapshot.nominate(&high, Some("a"));
    let rival = sized("rival", "4", 100, 0);
    assert_eq!(told(&ask(&mut snapshot, &rival)), "b: low-b", "a is promised");
    let above = sized("above", "4", 200, 0);
    assert!(
        told(&ask(&mut snapshot, &above)).contains("low"),
        "a promise to one below does not bind"
    );
    let mut going = sized("low-a", "4", 0, 1);
    going.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default());
    snapshot.place(&fresh(&going), "a", Placement::Bound);
    let mut rng = Seed(1).fork("preemption");
    let mut plugin = DefaultPreemption::default();
    let waits = plugin.post_filter(&high, &Plugins::all(), &mut snapshot, &mut rng);
    assert_eq!(waits, PostFiltered::Wait, "its victim is on the way out");
}

#[test]
fn pods_go_that_keep_a_pod_away_by_their_labels_and_the_snapshot_is_as_before() {
    let mut web = sized("web", "1", 0, 1);
    web.metadata_mut().labels = pairs("app=web");
    let mut snapshot = snapshot(&["a"], &[("a", web), ("a", sized("other", "1", 0, 1))]);
    let mut loner = labelled("default", "loner", "");
    let spec = loner.spec.get_or_insert_default();
    spec.priority = Some(100);
    spec.affinity.get_or_insert_default().pod_anti_affinity = Some(PodAntiAffinity {
        required_during_scheduling_ignored_during_execution: vec![PodAffinityTerm {
            label_selector: Some(LabelSelector {
                match_labels: pairs("app=web"),
                ..LabelSelector::default()
            }),
            topology_key: "kubernetes.io/hostname".into(),
            ..PodAffinityTerm::default()
        }],
        ..PodAntiAffinity::default()
    });
    let taken = snapshot.node(0).requested.clone();
    assert_eq!(told(&ask(&mut snapshot, &loner)), "a: web");
    assert_eq!((snapshot.pod_count(), &snapshot.node(0).requested), (2, &taken));
}

proptest! {
    #[test]
    fn what_is_kept_of_a_class_finds_what_a_look_at_every_node_finds(
        ops in prop::collection::vec((0..4u8, 0..8u8, 0..4u8, 0..3u8, any::<bool>()), 1..40),
        seed: u64,
    ) {
        let plugins = Plugins::all();
        let mut classes = Classes::default();
        let mut snapshot = snapshot(&["node-0", "node-1", "node-2", "node-3"], &[]);
        let mut kept = DefaultPreemption::new(100, 100);
        for (node, number, size, priority, gone) in ops {
            let cpu = ["500m", "1", "2", "4"][usize::from(size)];
            let placed = sized(&format!("pod-{number}"), cpu, i32::from(priority), i64::from(number));
            let info = PodInfo::of(&placed, 1, &mut classes);
            if gone {
                snapshot.remove_pod(&info.key);
            } else {
                snapshot.place(&info, &format!("node-{node}"), Placement::Bound);
            }
            let high = PodInfo::of(&sized("high", "3", 2, 0), 1, &mut classes);
            let found = kept.post_filter(&high, &plugins, &mut snapshot, &mut Seed(seed).fork("x"));
            let anew = DefaultPreemption::new(100, 100);
            let anew = { anew }.post_filter(&high, &plugins, &mut snapshot, &mut Seed(seed).fork("x"));
            prop_assert_eq!(&found, &anew);
            // The slow way, on the snapshot itself, finds the same.
            let budgets = Budgets::default();
            let quick: Vec<Found> = {
                let judge = Judge::new(&plugins, &high, &snapshot, &NO_PROMISES);
                let nodes = snapshot.slots().iter();
                nodes.map(|node| on_copy(&judge, &high, node, &budgets, &snapshot)).collect()
            };
            for (slot, quick) in (0..).zip(quick) {
                prop_assert_eq!(quick, on_snapshot(&plugins, &high, slot, &budgets, &mut snapshot));
            }
            let PostFiltered::Room(room) = found else { continue };
            // The Pod fits without the victims, and no victim could have stayed.
            prop_assert!(room.victims.iter().all(|victim| victim.priority < 2));
            let slot = snapshot.slot_named(&room.node).unwrap();
            let judge = Judge::new(&plugins, &high, &snapshot, &NO_PROMISES);
            let mut left = snapshot.node(slot).clone();
            let victims: Vec<_> = room.victims.iter().map(|victim| snapshot.pod(&victim.key).unwrap()).collect();
            victims.iter().for_each(|victim| left.remove_pod(victim.class()));
            prop_assert!(judge.class(&left, "").is_ok());
            for victim in victims {
                let mut with = left.clone();
                with.add_pod(victim.class());
                prop_assert!(judge.class(&with, "").is_err());
            }
        }
    }
}
