//! What [`World`] does with a toy controller, and to objects.

use crate::toy::{Toy, set};
use client::testing::World;
use client::{Action, Watch};
use proto::Kind;
use proto::api::apps::v1::ReplicaSet;
use proto::api::core::v1::{ConfigMap, Pod};
use serde_json::json;

#[test]
fn controllers_run_until_they_rest() {
    let toy = Toy::default();
    let mut world = World::of(&[&toy]);
    let stored = world.add(&set(3));
    assert_eq!(
        (stored.namespace(), stored.meta().generation, stored.revision()),
        ("default", 1, 1)
    );
    world.settle(&[&toy]);
    let pods = world.list::<Pod>();
    assert_eq!(pods.len(), 3);
    assert_eq!(
        world.events[0].message,
        format!("Created pod: {}", pods[0].name())
    );
    world.remove(&pods[0]);
    world.edit::<ReplicaSet>("default", "web", |set| {
        set.spec.as_mut().unwrap().replicas = Some(5);
    });
    assert_eq!(
        world
            .get::<ReplicaSet>("default", "web")
            .unwrap()
            .meta()
            .generation,
        2
    );
    world.settle(&[&toy]);
    assert_eq!(world.list::<Pod>().len(), 5);
    assert!(world.settle(&[&toy]).is_empty());
}

#[test]
#[should_panic(expected = "did not come to rest")]
fn a_controller_that_never_rests_is_found() {
    let toy = Toy {
        greedy: true,
        ..Toy::default()
    };
    let mut world = World::of(&[&toy]);
    world.add(&set(1));
    world.settle(&[&toy]);
}

#[test]
fn a_bound_pod_and_a_finalizer_hold_an_object() {
    let mut world = World::new([]);
    let mut pod = Pod::default();
    pod.metadata_mut().name = "a".into();
    pod.spec.get_or_insert_default().node_name = "node-1".into();
    let pod = world.add(&pod);
    world.delete(&pod);
    let marked = world.get::<Pod>("default", "a").unwrap();
    assert_eq!(marked.meta().deletion_grace_period_seconds, Some(30));
    world.remove(&marked);

    let mut map = ConfigMap::default();
    map.metadata_mut().name = "b".into();
    map.metadata_mut().finalizers.push("example.com/hold".into());
    map.immutable = Some(false);
    let map = world.add(&map);
    world.delete(&map);
    assert!(
        world
            .get::<ConfigMap>("default", "b")
            .unwrap()
            .meta()
            .deletion_timestamp
            .is_some()
    );
    world.edit::<ConfigMap>("default", "b", |map| map.metadata_mut().finalizers.clear());
    assert!(world.get::<ConfigMap>("default", "b").is_none());
}

#[test]
fn stale_writes_and_other_uids_are_refused_and_status_is_apart_from_spec() {
    let mut world = World::new([Watch::of::<ReplicaSet>()]);
    let first = world.add(&set(1));
    let mut changed = first.clone();
    changed.status.get_or_insert_default().replicas = 9;
    changed.spec.as_mut().unwrap().replicas = Some(2);
    let second = world.update(&changed);
    assert_eq!(second.status, None);
    assert_eq!(
        world.apply(&Action::update_status(&changed)).unwrap_err().reason,
        "Conflict"
    );
    changed.metadata_mut().resource_version = second.meta().resource_version.clone();
    let third = world.update_status(&changed);
    assert_eq!(
        (third.status.as_ref().unwrap().replicas, third.meta().generation),
        (9, 2)
    );

    let patched = Action::patch(&first, json!({"spec": {"replicas": 7}}));
    world.apply(&patched).unwrap();
    let now: ReplicaSet = world.get("default", "web").unwrap();
    assert_eq!(
        (now.spec.unwrap().replicas, now.status.unwrap().replicas),
        (Some(7), 9)
    );
    let revision = world.cache().revision();
    world.apply(&patched).unwrap();
    assert_eq!(
        world.cache().revision(),
        revision,
        "a patch that changes nothing makes no revision"
    );

    let mut other = first.clone();
    other.metadata_mut().uid = "other".into();
    assert_eq!(
        world.apply(&Action::delete(&other)).unwrap_err().reason,
        "Conflict"
    );
    assert_eq!(
        world.apply(&Action::patch(&other, json!({}))).unwrap_err().reason,
        "Conflict"
    );
}
