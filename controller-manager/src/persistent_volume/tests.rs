use super::*;
use apimachinery::well_known::{BIND_COMPLETED, PROVISIONED_BY, SELECTED_NODE};
use client::testing::World;
use proptest::prelude::*;
use proto::api::core::v1::{TopologySelectorLabelRequirement, TopologySelectorTerm};
use proto::api::storage::v1::{CsiNodeDriver, CsiNodeSpec};
use std::collections::BTreeMap;

const MAKER: &str = "disk.example.com";
const NAMESPACE: &str = "default";

fn world() -> World {
    World::of(&[&controller(true)])
}

fn controller(provisions: bool) -> PersistentVolumeController {
    PersistentVolumeController { provisions }
}

fn settle(world: &mut World) {
    world.settle(&[&controller(true)]);
}

fn storage(size: u32) -> BTreeMap<String, proto::Quantity> {
    let quantity = proto::Quantity {
        string: format!("{size}Gi"),
    };
    [("storage".to_owned(), quantity)].into()
}

fn volume(name: &str, size: u32) -> PersistentVolume {
    let mut volume = PersistentVolume::default();
    volume.metadata_mut().name = name.into();
    let spec = volume.spec.get_or_insert_default();
    spec.capacity = storage(size);
    spec.access_modes = vec!["ReadWriteOnce".into()];
    spec.persistent_volume_reclaim_policy = "Retain".into();
    volume
}

fn claim(name: &str, size: u32) -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata_mut().name = name.into();
    claim.metadata_mut().namespace = NAMESPACE.into();
    let spec = claim.spec.get_or_insert_default();
    spec.access_modes = vec!["ReadWriteOnce".into()];
    spec.storage_class_name = Some(String::new());
    spec.resources.get_or_insert_default().requests = storage(size);
    claim
}

fn of_class(name: &str, class: &str) -> PersistentVolumeClaim {
    let mut claim = claim(name, 1);
    claim.spec.get_or_insert_default().storage_class_name = Some(class.into());
    claim
}

fn class(name: &str, mode: &str) -> StorageClass {
    let mut class = StorageClass {
        provisioner: MAKER.into(),
        volume_binding_mode: Some(mode.into()),
        reclaim_policy: Some("Delete".into()),
        ..StorageClass::default()
    };
    class.metadata_mut().name = name.into();
    class
}

/// A claim's phase and volume, as `Bound disk`.
fn claim_of(world: &World, name: &str) -> String {
    let claim: PersistentVolumeClaim = world.get(NAMESPACE, name).unwrap();
    let phase = claim.status.clone().unwrap_or_default().phase;
    format!("{phase} {}", volume_of(&claim)).trim().to_owned()
}

/// A volume's phase and claim, as `Bound data`.
fn volume_is(world: &World, name: &str) -> String {
    let Some(volume) = world.get::<PersistentVolume>("", name) else {
        return "gone".into();
    };
    let phase = volume.status.clone().unwrap_or_default().phase;
    let claim = kept_for(&volume).map_or("", |claim| claim.name.as_str());
    format!("{phase} {claim}").trim().to_owned()
}

#[test]
fn a_claim_gets_the_smallest_volume_that_suits_and_both_say_so() {
    let mut world = world();
    for (name, size) in [("tiny", 1), ("large", 20), ("right", 5)] {
        world.add(&volume(name, size));
    }
    world.add(&claim("data", 3));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Bound right");
    assert_eq!(volume_is(&world, "right"), "Bound data");
    assert_eq!(volume_is(&world, "large"), "Available");
    let data: PersistentVolumeClaim = world.get(NAMESPACE, "data").unwrap();
    assert!(is_bound(&data));
    assert_eq!(data.status.unwrap().capacity, storage(5));
    let right: PersistentVolume = world.get("", "right").unwrap();
    assert_eq!(kept_for(&right).unwrap().uid, data.metadata.unwrap().uid);
}

#[test]
fn a_claim_waits_for_a_volume_that_suits() {
    let mut world = world();
    world.add(&claim("data", 3));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Pending");
    world.add(&volume("disk", 3));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Bound disk");
}

#[test]
fn a_volume_that_is_kept_for_a_name_goes_to_that_claim() {
    let mut world = world();
    let mut kept = volume("kept", 9);
    kept.spec.get_or_insert_default().claim_ref = Some(ObjectReference {
        namespace: NAMESPACE.into(),
        name: "data".into(),
        ..ObjectReference::default()
    });
    world.add(&kept);
    world.add(&volume("smaller", 1));
    world.add(&claim("data", 1));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Bound kept");
    assert_eq!(volume_is(&world, "smaller"), "Available");
}

#[test]
fn a_claim_that_names_a_volume_gets_that_or_waits() {
    let mut world = world();
    world.add(&volume("other", 1));
    let mut named = claim("data", 1);
    named.spec.get_or_insert_default().volume_name = "disk".into();
    world.add(&named);
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Pending disk");
    world.add(&volume("disk", 1));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Bound disk");
    let mut late = claim("late", 1);
    late.spec.get_or_insert_default().volume_name = "disk".into();
    world.add(&late);
    settle(&mut world);
    assert_eq!(claim_of(&world, "late"), "Pending disk", "it is another's");
}

#[test]
fn a_volume_is_made_for_a_class_that_does_not_wait_and_goes_with_its_claim() {
    let mut world = world();
    world.add(&class("fast", "Immediate"));
    let claim = world.add(&of_class("data", "fast"));
    settle(&mut world);
    let name = format!("pvc-{}", claim.uid());
    assert_eq!(claim_of(&world, "data"), format!("Bound {name}"));
    let made: PersistentVolume = world.get("", &name).unwrap();
    assert_eq!(made.meta().annotations[PROVISIONED_BY], MAKER);
    assert_eq!(
        made.spec.as_ref().unwrap().persistent_volume_reclaim_policy,
        "Delete"
    );
    world.remove(&world.get::<PersistentVolumeClaim>(NAMESPACE, "data").unwrap());
    settle(&mut world);
    assert_eq!(volume_is(&world, &name), "gone");
}

#[test]
fn nothing_is_made_when_that_is_turned_off() {
    let mut world = World::of(&[&controller(false)]);
    world.add(&class("fast", "Immediate"));
    world.add(&of_class("data", "fast"));
    world.settle(&[&controller(false)]);
    assert_eq!(claim_of(&world, "data"), "Pending");
    assert!(world.list::<PersistentVolume>().is_empty());
}

#[test]
fn a_volume_that_people_made_is_kept_when_its_claim_is_gone() {
    let mut world = world();
    world.add(&volume("disk", 1));
    let claim_object = world.add(&claim("data", 1));
    settle(&mut world);
    world.remove(&claim_object);
    settle(&mut world);
    assert_eq!(volume_is(&world, "disk"), "Released data");
    world.add(&claim("data", 1));
    settle(&mut world);
    assert_eq!(
        claim_of(&world, "data"),
        "Pending",
        "it is not the claim that the volume was for"
    );
}

#[test]
fn a_class_that_waits_is_served_once_a_node_is_chosen_and_where_that_is() {
    let mut world = world();
    world.add(&class("local", "WaitForFirstConsumer"));
    let mut free = volume("free", 1);
    free.spec.get_or_insert_default().storage_class_name = "local".into();
    world.add(&free);
    let mut node = Node::default();
    node.metadata_mut().name = "node-1".into();
    node.metadata_mut().labels.insert("zone".into(), "a".into());
    world.add(&node);
    let mut drivers = CsiNode {
        spec: Some(CsiNodeSpec {
            drivers: vec![CsiNodeDriver {
                name: MAKER.into(),
                topology_keys: vec!["zone".into()],
                ..CsiNodeDriver::default()
            }],
        }),
        ..CsiNode::default()
    };
    drivers.metadata_mut().name = "node-1".into();
    world.add(&drivers);
    let claim = world.add(&of_class("data", "local"));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Pending", "the scheduler is to choose");
    let select = |world: &mut World, node: &str| {
        world.edit::<PersistentVolumeClaim>(NAMESPACE, "data", |claim| {
            let annotations = &mut claim.metadata_mut().annotations;
            annotations.insert(SELECTED_NODE.into(), node.into());
        });
    };
    select(&mut world, "gone");
    settle(&mut world);
    let data: PersistentVolumeClaim = world.get(NAMESPACE, "data").unwrap();
    assert!(
        !data.meta().annotations.contains_key(SELECTED_NODE),
        "it is to choose again"
    );
    select(&mut world, "node-1");
    settle(&mut world);
    let name = format!("pvc-{}", claim.uid());
    assert_eq!(claim_of(&world, "data"), format!("Bound {name}"));
    let made: PersistentVolume = world.get("", &name).unwrap();
    let affinity = made.spec.unwrap().node_affinity.unwrap().required.unwrap();
    let requirement = &affinity.node_selector_terms[0].match_expressions[0];
    assert_eq!(
        (requirement.key.as_str(), &requirement.values[..]),
        ("zone", &["a".to_owned()][..])
    );
    assert_eq!(volume_is(&world, "free"), "Available");
}

#[test]
fn a_volume_is_made_where_its_class_allows() {
    let mut world = world();
    let mut zoned = class("zoned", "Immediate");
    zoned.allowed_topologies = vec![TopologySelectorTerm {
        match_label_expressions: vec![TopologySelectorLabelRequirement {
            key: "zone".into(),
            values: vec!["a".into(), "b".into()],
        }],
    }];
    world.add(&zoned);
    let claim = world.add(&of_class("data", "zoned"));
    settle(&mut world);
    let made: PersistentVolume = world.get("", &format!("pvc-{}", claim.uid())).unwrap();
    let affinity = made.spec.unwrap().node_affinity.unwrap().required.unwrap();
    assert_eq!(
        affinity.node_selector_terms[0].match_expressions[0].values,
        ["a", "b"]
    );
}

#[test]
fn a_claim_that_names_no_class_gets_the_default_one_when_there_is_one() {
    let mut world = world();
    let mut open = claim("data", 1);
    open.spec.get_or_insert_default().storage_class_name = None;
    world.add(&open);
    world.add(&claim("none", 1));
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Pending");
    let mut standard = class("standard", "Immediate");
    let annotations = &mut standard.metadata_mut().annotations;
    annotations.insert(DEFAULT_STORAGE_CLASS.into(), "true".into());
    world.add(&standard);
    settle(&mut world);
    assert!(claim_of(&world, "data").starts_with("Bound pvc-"));
    assert_eq!(claim_of(&world, "none"), "Pending", "it asks for no class");
}

#[test]
fn a_claim_whose_volume_is_gone_or_anothers_is_lost() {
    let mut world = world();
    let disk = world.add(&volume("disk", 1));
    world.add(&claim("data", 1));
    settle(&mut world);
    let mut wrong = claim("wrong", 1);
    wrong.spec.get_or_insert_default().volume_name = "disk".into();
    wrong
        .metadata_mut()
        .annotations
        .insert(BIND_COMPLETED.into(), "yes".into());
    world.add(&wrong);
    settle(&mut world);
    assert_eq!(claim_of(&world, "wrong"), "Lost disk");
    assert_eq!(claim_of(&world, "data"), "Bound disk");
    world.remove(&disk);
    settle(&mut world);
    assert_eq!(claim_of(&world, "data"), "Lost disk");
}

#[test]
fn a_volume_whose_claim_has_another_is_free_again() {
    let mut world = world();
    world.add(&volume("one", 1));
    let data = world.add(&claim("data", 1));
    settle(&mut world);
    // Another was kept for the same claim, by somebody who was too late.
    let mut two = volume("two", 1);
    two.spec.get_or_insert_default().claim_ref = Some(client::controller::reference(&data));
    let annotations = &mut two.metadata_mut().annotations;
    annotations.insert(apimachinery::well_known::BOUND_BY_CONTROLLER.into(), "yes".into());
    world.add(&two);
    settle(&mut world);
    assert_eq!(volume_is(&world, "two"), "Available");
    assert_eq!(volume_is(&world, "one"), "Bound data");
}

proptest! {
    /// Whatever comes and goes, in whatever order: one claim a volume, one volume a claim, and nobody waits who could be served.
    #[test]
    fn claims_and_volumes_are_bound_one_to_one(
        ops in prop::collection::vec((0..4u8, 0..5u8, 1..4u32), 1..40),
    ) {
        let mut world = world();
        for (op, number, size) in ops {
            let (disk, data) = (format!("disk-{number}"), format!("data-{number}"));
            match op {
                0 if world.get::<PersistentVolume>("", &disk).is_none() => _ = world.add(&volume(&disk, size)),
                1 if world.get::<PersistentVolumeClaim>(NAMESPACE, &data).is_none() => _ = world.add(&claim(&data, size)),
                2 => if let Some(claim) = world.get::<PersistentVolumeClaim>(NAMESPACE, &data) {
                    world.remove(&claim);
                },
                _ => settle(&mut world),
            }
        }
        settle(&mut world);
        let claims = world.list::<PersistentVolumeClaim>();
        let volumes = world.list::<PersistentVolume>();
        for claim in &claims {
            let bound = claim.status.clone().unwrap_or_default().phase == "Bound";
            let of = volumes.iter().filter(|volume| kept_for(volume).is_some_and(|kept| kept.uid == claim.uid()));
            let of: Vec<_> = of.collect();
            prop_assert_eq!(of.len(), usize::from(bound));
            if bound {
                prop_assert_eq!(of[0].name(), volume_of(claim));
                prop_assert_eq!(volume_is(&world, of[0].name()), format!("Bound {}", claim.name()));
            } else {
                let served = volumes.iter().any(|volume| apimachinery::volumes::Wish::of(claim).suits(volume) != apimachinery::volumes::Suits::No);
                prop_assert!(!served, "{} waits though a volume is free", claim.name());
            }
        }
    }
}
