//! What a group's Pods are told, a row each.

use super::*;
use crate::snapshot::{GROUP_LABEL, Placement};
use crate::testing::{cluster, fresh, labelled};
use proto::api::core::v1::Pod;
use proto::gangs::v1alpha1::PodGroupSpec;
use proto::{Kind, Object};

fn member(name: &str) -> Pod {
    labelled("default", name, &format!("{GROUP_LABEL}=gang"))
}

fn world(min_member: i32, timeout: Option<i32>, members: &[&str]) -> Snapshot {
    let mut snapshot = cluster(&[("a", ""), ("b", "")]);
    let mut group = PodGroup {
        spec: Some(PodGroupSpec {
            min_member,
            schedule_timeout_seconds: timeout,
            ..PodGroupSpec::default()
        }),
        ..PodGroup::default()
    };
    group.metadata_mut().name = "gang".into();
    group.metadata_mut().namespace = "default".into();
    let key = ObjectKey::of(&group);
    snapshot
        .set_object(&key, Some(&Object::encode_from(&group)))
        .unwrap();
    for name in members {
        snapshot.joins(&fresh(&member(name)));
    }
    snapshot
}

#[test]
fn a_pod_is_refused_while_its_group_is_not_complete() {
    let refusal = |there: usize, wanted: usize| {
        Some(format!(
            "cannot find enough sibling pods, current pods number: {there}, minMember of group: {wanted}"
        ))
    };
    for (shows, pod, wanted, members, expected) in [
        ("too few are there", member("a"), 3, vec!["a", "b"], refusal(2, 3)),
        ("enough are there", member("a"), 2, vec!["a", "b"], None),
        ("no group", labelled("default", "a", ""), 3, vec![], None),
        (
            "its group is not there",
            labelled("default", "a", &format!("{GROUP_LABEL}=other")),
            3,
            vec![],
            None,
        ),
        (
            "a group of another namespace",
            labelled("other", "a", &format!("{GROUP_LABEL}=gang")),
            3,
            vec![],
            None,
        ),
    ] {
        let (plugin, pod) = (Coscheduling::default(), fresh(&pod));
        let snapshot = world(wanted, None, &members);
        let told = match plugin.pre_filter(&pod, &snapshot) {
            PreFiltered::Reject(rejection) => Some(rejection.reasons.join(", ")),
            _ => None,
        };
        assert_eq!(told, expected, "{shows}");
    }
}

#[test]
fn pods_wait_for_one_another_and_go_together() {
    let mut plugin = Coscheduling::default();
    let mut snapshot = world(2, Some(5), &["a", "b", "c"]);
    let (a, b, c) = (fresh(&member("a")), fresh(&member("b")), fresh(&member("c")));
    snapshot.place(&a, "a", Placement::Assumed);
    let waits = Permitted::Wait {
        at_most: Duration::from_secs(5),
        writes: vec![],
    };
    assert_eq!(
        plugin.permit(&a, "a", &snapshot),
        waits,
        "the first waits, as long as its group says"
    );
    snapshot.place(&b, "b", Placement::Assumed);
    assert_eq!(
        plugin.permit(&b, "b", &snapshot),
        Permitted::Allow(vec![a.key.clone()]),
        "the second lets both go"
    );
    snapshot.place(&c, "b", Placement::Assumed);
    assert_eq!(
        plugin.permit(&c, "b", &snapshot),
        Permitted::Allow(vec![]),
        "a third need not wait"
    );
    assert!(plugin.settled(&a.key, true).is_empty());
}

#[test]
fn when_one_loses_its_place_or_finds_none_all_lose_theirs() {
    let mut plugin = Coscheduling::default();
    let mut snapshot = world(3, None, &["a", "b", "c"]);
    let (a, b, c) = (fresh(&member("a")), fresh(&member("b")), fresh(&member("c")));
    for (pod, node) in [(&a, "a"), (&b, "b")] {
        snapshot.place(pod, node, Placement::Assumed);
        assert!(matches!(
            plugin.permit(pod, node, &snapshot),
            Permitted::Wait { at_most: WAIT, .. }
        ));
    }
    assert_eq!(
        plugin.unschedulable(&c),
        [a.key.clone(), b.key.clone()],
        "one finds no place"
    );
    for (pod, node) in [(&a, "a"), (&b, "b")] {
        plugin.permit(pod, node, &snapshot);
    }
    assert_eq!(
        plugin.settled(&a.key, false),
        std::slice::from_ref(&b.key),
        "one has waited too long"
    );
    assert!(plugin.waiting.values().all(BTreeSet::is_empty) && plugin.groups.is_empty());
}

#[test]
fn a_group_is_refused_while_the_cluster_has_less_room_than_it_asks_for_as_a_whole() {
    let quantity = |text: &str| proto::Quantity { string: text.into() };
    // Two nodes of 64 cores each.
    for (asked, taken, own, fits) in [
        ("128", "0", "0", true),
        ("129", "0", "0", false),
        ("100", "30", "0", false),
        ("100", "0", "30", true),
    ] {
        let mut snapshot = world(1, None, &["a", "b"]);
        let mut group = PodGroup::clone(snapshot.objects().pod_groups.values().next().unwrap());
        let spec = group.spec.get_or_insert_default();
        spec.min_resources.insert("cpu".into(), quantity(asked));
        let key = ObjectKey::of(&group);
        snapshot
            .set_object(&key, Some(&Object::encode_from(&group)))
            .unwrap();
        let mut other = crate::testing::pod("other", &[("cpu", taken)]);
        other.metadata_mut().namespace = "default".into();
        snapshot.place(&fresh(&other), "a", Placement::Bound);
        let mut mate = member("b");
        mate.spec.as_mut().unwrap().containers = vec![crate::testing::container(&[("cpu", own)])];
        snapshot.place(&fresh(&mate), "b", Placement::Bound);
        let pod = fresh(&member("a"));
        let refused = matches!(
            Coscheduling::default().pre_filter(&pod, &snapshot),
            PreFiltered::Reject(rejection) if rejection == Rejection::unresolvable(NO_ROOM)
        );
        assert_eq!(!refused, fits, "{asked} asked, {taken} taken, {own} of its own");
        let helps = |event| {
            let change = Change::new(event, crate::framework::Changed::Other);
            Coscheduling::default().helps(&pod.template, &change, &snapshot)
        };
        assert!(helps(ClusterEvent::NodeAdded) && helps(ClusterEvent::PodGroup));
    }
}
