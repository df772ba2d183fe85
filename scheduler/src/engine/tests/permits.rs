//! Pods that have their place and wait: for leave, for the others of their group, for their volumes.

use super::*;
use crate::framework::{EventSet, Permit, Permitted};

/// Lets Pods go two by two.
#[derive(Default)]
struct Pairs(Vec<ObjectKey>);

impl Plugin for Pairs {
    fn name(&self) -> &'static str {
        "Pairs"
    }
}

impl Permit for Pairs {
    fn permit(&mut self, pod: &PodInfo, _: &str, _: &Snapshot) -> Permitted {
        self.0.retain(|key| *key != pod.key);
        if let Some(other) = self.0.pop() {
            return Permitted::Allow(vec![other]);
        }
        self.0.push(pod.key.clone());
        Permitted::Wait {
            at_most: Duration::from_secs(5),
            writes: vec![],
        }
    }

    fn concerned(&self, _: EventSet, _: &ObjectKey) -> Vec<ObjectKey> {
        Vec::new()
    }

    fn settled(&mut self, pod: &ObjectKey, _: bool) -> Vec<ObjectKey> {
        self.0.retain(|key| key != pod);
        vec![]
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_to_wait_keeps_its_place_until_it_is_let_go_or_has_waited_too_long() {
    let mut world = World::new(1);
    world.plugins().permits.push(Box::new(Pairs::default()));
    world.set_node(api_node("node-1", ROOM));
    world.create("a", &[("cpu", "100m")]);
    world.catch_up();
    assert!(matches!(world.step(), Some(Outcome::Waiting)));
    assert_eq!(world.engine.snapshot().pod_count(), 1);
    assert_eq!(world.engine.next_due(), Some(world.now + Duration::from_secs(5)));
    world.create("b", &[("cpu", "100m")]);
    world.catch_up();
    assert_eq!(world.decide_all(), ["b node-1", "a node-1"]);
    world.deliver_all();
    world.create("c", &[("cpu", "100m")]);
    world.catch_up();
    assert!(matches!(world.step(), Some(Outcome::Waiting)));
    world.now += Duration::from_secs(5);
    assert!(matches!(world.step(), Some(Outcome::Unschedulable)));
    assert_eq!(world.engine.snapshot().pod_count(), 2);
}

/// Creates a group, and says how many of its Pods must find a place at once.
fn group(world: &mut World, name: &str, min_member: i32) {
    let mut group = proto::gangs::v1alpha1::PodGroup::default();
    group.spec.get_or_insert_default().min_member = min_member;
    group.metadata_mut().name = name.into();
    group.metadata_mut().namespace = "default".into();
    world.write(&mut group);
}

fn member(world: &mut World, group: &str, name: &str, cpu: &str) {
    let mut pod = pod(name, &[("cpu", cpu)]);
    pod.metadata_mut().uid = name.into();
    let labels = &mut pod.metadata_mut().labels;
    labels.insert(crate::snapshot::GROUP_LABEL.into(), group.into());
    world.set_pod(pod);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_placed_whole_when_there_is_room_for_all_of_it_and_not_before() {
    let mut world = World::new(1);
    group(&mut world, "gang", 3);
    world.set_node(api_node("node-1", ROOM));
    member(&mut world, "gang", "a", "1");
    member(&mut world, "gang", "b", "1");
    world.catch_up();
    assert!(world.decide_all().is_empty(), "one is not there");
    member(&mut world, "gang", "c", "1");
    world.catch_up();
    assert!(world.decide_all().is_empty(), "there is room for two of three");
    assert_eq!(world.engine.snapshot().pod_count(), 0, "and nobody keeps it");
    world.set_node(api_node("node-2", ROOM));
    let mut placed = Vec::new();
    for _ in 0..4 {
        world.now += Duration::from_secs(10);
        world.catch_up();
        placed.extend(world.decide_all());
        world.deliver_all();
    }
    assert_eq!(placed.len(), 3, "{placed:?}");
}

proptest! {
    #[test]
    fn no_group_is_ever_placed_in_part(
        sizes in prop::collection::vec((1..4i32, 0..5usize, 0..3usize), 1..4),
        nodes in 1..4usize,
        seed: u64,
    ) {
        on_a_clock(|| {
            let mut world = World::new(seed);
            for node in 0..nodes {
                world.set_node(api_node(&format!("node-{node}"), ROOM));
            }
            for (number, (wanted, members, cpu)) in sizes.iter().enumerate() {
                group(&mut world, &format!("gang-{number}"), *wanted);
                for pod in 0..*members {
                    let cpu = ["500m", "800m", "1500m"][*cpu];
                    member(&mut world, &format!("gang-{number}"), &format!("{number}-{pod}"), cpu);
                }
            }
            for _ in 0..12 {
                world.catch_up();
                world.decide_all();
                world.deliver_all();
                world.catch_up();
                for (number, (wanted, members, _)) in sizes.iter().enumerate() {
                    let bound = (0..*members).filter(|pod| !world.node_of(&format!("{number}-{pod}")).is_empty());
                    let bound = bound.count();
                    assert!(bound == 0 || bound >= *wanted as usize, "gang-{number}: {bound} of {wanted}");
                }
                world.assert_no_overcommitment();
                world.now += Duration::from_secs(11);
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once_its_claim_has_the_volume_that_was_chosen() {
    use crate::testing::{claim, class_named, mounting, volume};
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    let mut class = class_named("slow", "kubernetes.io/no-provisioner", "WaitForFirstConsumer");
    let mut disk = volume("disk", "");
    disk.spec.get_or_insert_default().storage_class_name = "slow".into();
    let mut data = claim("data", "");
    data.spec.get_or_insert_default().storage_class_name = Some("slow".into());
    world.write(&mut class);
    world.write(&mut disk);
    world.write(&mut data);
    for name in ["first", "second"] {
        let mut pod = mounting(name, &["data"]);
        pod.metadata_mut().uid = name.into();
        world.set_pod(pod);
    }
    world.catch_up();
    assert!(matches!(world.step(), Some(Outcome::Waiting)));
    let writes = |engine: &mut Engine| {
        let reports = engine.take_reports().into_iter();
        reports
            .filter(|report| matches!(report, Report::Write(_)))
            .count()
    };
    assert_eq!(writes(&mut world.engine), 1, "the volume is kept for the claim");
    assert!(
        matches!(world.step(), Some(Outcome::Waiting)),
        "another pod of the claim waits with it"
    );
    data = claim("data", "disk");
    world.write(&mut data);
    world.catch_up();
    assert_eq!(world.decide_all(), ["first node-1", "second node-1"]);
    world.deliver_all();
    world.catch_up();
    let volumes = world.engine.snapshot().volumes();
    assert!(volumes.kept_for("disk").is_none(), "the API says so now");
    assert_eq!(volumes.users(&("default".into(), "data".into())), 2);
}
