use super::need::{NO_ROOM, NONE_FITS};
use super::*;
use crate::framework::{Permit, Permitted};
use crate::testing::{claim, class_named, cluster, fresh, judge_pod, mounting, pairs, tell, volume};
use apimachinery::well_known::SELECTED_NODE;
use proto::api::core::v1::{
    EphemeralVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, ObjectReference, Pod,
    TopologySelectorLabelRequirement, TopologySelectorTerm, Volume, VolumeNodeAffinity, VolumeSource,
};
use proto::api::storage::v1::{CsiDriver, CsiDriverSpec, CsiStorageCapacity};
use proto::meta::v1::LabelSelector;
use std::time::Duration;

const MAKER: &str = "disk.example.com";

/// A volume of 1Gi times `size` that is reached from the nodes of a zone, or from everywhere.
fn in_zone(name: &str, zone: &str, size: u32) -> PersistentVolume {
    let mut volume = volume(name, "");
    let spec = volume.spec.get_or_insert_default();
    spec.storage_class_name = "slow".into();
    let size = proto::Quantity {
        string: format!("{size}Gi"),
    };
    spec.capacity.insert("storage".into(), size);
    if !zone.is_empty() {
        let term = NodeSelectorTerm {
            match_expressions: vec![NodeSelectorRequirement {
                key: "zone".into(),
                operator: "In".into(),
                values: vec![zone.into()],
            }],
            ..NodeSelectorTerm::default()
        };
        spec.node_affinity = Some(VolumeNodeAffinity {
            required: Some(NodeSelector {
                node_selector_terms: vec![term],
            }),
        });
    }
    volume
}

/// A claim without a volume, of a class.
fn open(name: &str, class: &str) -> PersistentVolumeClaim {
    let mut claim = claim(name, "");
    claim.spec.get_or_insert_default().storage_class_name = Some(class.into());
    claim
}

fn keep(volume: &mut PersistentVolume, claim: &str, uid: &str) {
    volume.spec.get_or_insert_default().claim_ref = Some(ObjectReference {
        namespace: "default".into(),
        name: claim.into(),
        uid: uid.into(),
        ..ObjectReference::default()
    });
}

/// Two zones of a node each, and a class that waits, one whose volumes are made, and one that does not wait.
fn snapshot() -> Snapshot {
    let mut snapshot = cluster(&[("a", "zone=a"), ("b", "zone=b")]);
    tell(
        &mut snapshot,
        &class_named(
            "slow",
            apimachinery::volumes::NO_PROVISIONER,
            "WaitForFirstConsumer",
        ),
    );
    tell(&mut snapshot, &class_named("made", MAKER, "WaitForFirstConsumer"));
    tell(&mut snapshot, &class_named("now", MAKER, "Immediate"));
    snapshot
}

/// What is said of the nodes `a` and `b`; empty for a node that is taken.
fn verdicts(snapshot: &mut Snapshot, pod: &Pod) -> [String; 2] {
    let judged = judge_pod(&VolumeBinding, pod, snapshot);
    ["a", "b"].map(|node| match &judged[node] {
        Ok(()) => String::new(),
        Err(rejection) => {
            assert!(!rejection.is_resolvable(), "evicting pods helps no volume");
            rejection.reasons.join("; ")
        }
    })
}

type Setting = fn(&mut Snapshot);

#[test]
fn a_pod_goes_where_its_volumes_are_or_can_be() {
    let cases: [(&str, Setting, &[&str], [&str; 2]); 15] = [
        (
            "a bound volume is reached from its zone",
            |s| {
                tell(s, &in_zone("disk", "a", 1));
                tell(s, &claim("data", "disk"));
            },
            &["data"],
            ["", OUT_OF_REACH],
        ),
        (
            "a bound volume without affinity is reached from everywhere",
            |s| {
                tell(s, &in_zone("disk", "", 1));
                tell(s, &claim("data", "disk"));
            },
            &["data"],
            ["", ""],
        ),
        (
            "a claim whose volume is gone",
            |s| tell(s, &claim("data", "disk")),
            &["data"],
            [NO_VOLUME, NO_VOLUME],
        ),
        (
            "a free volume is chosen where it is reached",
            |s| {
                tell(s, &in_zone("disk", "b", 1));
                tell(s, &open("data", "slow"));
            },
            &["data"],
            [NONE_FITS, ""],
        ),
        (
            "two claims need two volumes",
            |s| {
                tell(s, &in_zone("one", "a", 1));
                tell(s, &in_zone("two", "b", 1));
                tell(s, &in_zone("three", "b", 1));
                tell(s, &open("data", "slow"));
                tell(s, &open("logs", "slow"));
            },
            &["data", "logs"],
            [NONE_FITS, ""],
        ),
        (
            "two volumes of a pod that are one claim need one",
            |s| {
                tell(s, &in_zone("one", "a", 1));
                tell(s, &open("data", "slow"));
            },
            &["data", "data"],
            ["", NONE_FITS],
        ),
        (
            "the smallest claim takes the smallest volume",
            |s| {
                tell(s, &in_zone("small", "a", 1));
                tell(s, &in_zone("large", "a", 5));
                let mut large = open("data", "slow");
                let requests = &mut large.spec.as_mut().unwrap().resources.as_mut().unwrap().requests;
                requests.insert("storage".into(), proto::Quantity { string: "5Gi".into() });
                tell(s, &large);
                tell(s, &open("logs", "slow"));
            },
            &["data", "logs"],
            ["", NONE_FITS],
        ),
        (
            "a volume that is kept for the claim, and no other",
            |s| {
                let mut kept = in_zone("kept", "b", 1);
                keep(&mut kept, "data", "");
                tell(s, &kept);
                tell(s, &in_zone("free", "a", 1));
                tell(s, &open("data", "slow"));
            },
            &["data"],
            [NONE_FITS, ""],
        ),
        (
            "a volume that is kept for another",
            |s| {
                let mut kept = in_zone("kept", "", 1);
                keep(&mut kept, "other", "");
                tell(s, &kept);
                tell(s, &open("data", "slow"));
            },
            &["data"],
            [NONE_FITS, NONE_FITS],
        ),
        (
            "a volume that was chosen for another pod's claim",
            |s| {
                tell(s, &in_zone("disk", "", 1));
                tell(s, &open("data", "slow"));
                tell(s, &open("other", "slow"));
                let other = fresh(&mounting("other", &["other"]));
                VolumeBinding.reserve(&other, "a", s).unwrap();
            },
            &["data"],
            [NONE_FITS, NONE_FITS],
        ),
        (
            "a volume is made where none is there",
            |s| tell(s, &open("data", "made")),
            &["data"],
            ["", ""],
        ),
        (
            "a claim whose volume is being made for a node",
            |s| {
                let mut claim = open("data", "made");
                claim
                    .metadata_mut()
                    .annotations
                    .insert(SELECTED_NODE.into(), "b".into());
                tell(s, &claim);
            },
            &["data"],
            [NONE_FITS, ""],
        ),
        (
            "a claim whose volume is to be made for another pod's node",
            |s| {
                tell(s, &open("data", "made"));
                VolumeBinding
                    .reserve(&fresh(&mounting("other", &["data"])), "b", s)
                    .unwrap();
            },
            &["data"],
            [NONE_FITS, ""],
        ),
        (
            "a class that allows one zone",
            |s| {
                let mut class = class_named("made", MAKER, "WaitForFirstConsumer");
                class.allowed_topologies = vec![TopologySelectorTerm {
                    match_label_expressions: vec![TopologySelectorLabelRequirement {
                        key: "zone".into(),
                        values: vec!["b".into()],
                    }],
                }];
                tell(s, &class);
                tell(s, &open("data", "made"));
            },
            &["data"],
            [NONE_FITS, ""],
        ),
        (
            "two reasons at once",
            |s| {
                let mut disk = in_zone("disk", "a", 1);
                keep(&mut disk, "data", "data");
                tell(s, &disk);
                tell(s, &claim("data", "disk"));
                tell(s, &open("logs", "slow"));
            },
            &["data", "logs"],
            [
                NONE_FITS,
                "node(s) didn't match PersistentVolume's node affinity; node(s) didn't find available persistent volumes to bind",
            ],
        ),
    ];
    for (what, setting, claims, expected) in cases {
        let mut snapshot = snapshot();
        setting(&mut snapshot);
        assert_eq!(
            verdicts(&mut snapshot, &mounting("pod", claims)),
            expected,
            "{what}"
        );
    }
}

#[test]
fn a_claim_that_cannot_be_used_refuses_all_nodes() {
    let cases: [(&str, Setting, &str); 7] = [
        ("not there", |_| {}, "persistentvolumeclaim \"data\" not found"),
        (
            "to be bound by the controller",
            |s| tell(s, &open("data", "now")),
            UNBOUND,
        ),
        ("of no class", |s| tell(s, &claim("data", "")), UNBOUND),
        (
            "of a class that is not there",
            |s| tell(s, &open("data", "none")),
            UNBOUND,
        ),
        (
            "with a volume by name, not bound yet",
            |s| {
                let mut claim = open("data", "slow");
                claim.spec.get_or_insert_default().volume_name = "disk".into();
                tell(s, &claim);
            },
            UNBOUND,
        ),
        (
            "on its way out",
            |s| {
                let mut claim = open("data", "slow");
                claim.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default());
                tell(s, &claim);
            },
            "persistentvolumeclaim \"data\" is being deleted",
        ),
        (
            "lost",
            |s| {
                let mut claim = claim("data", "disk");
                claim.status.get_or_insert_default().phase = "Lost".into();
                tell(s, &claim);
            },
            "persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"disk\"",
        ),
    ];
    for (what, setting, expected) in cases {
        let mut snapshot = snapshot();
        setting(&mut snapshot);
        let said = verdicts(&mut snapshot, &mounting("pod", &["data"]));
        assert_eq!(said, [expected, expected], "{what}");
    }
}

#[test]
fn a_claim_of_the_pods_own_must_be_its_own() {
    let mut pod = mounting("pod", &[]);
    pod.spec.get_or_insert_default().volumes.push(Volume {
        name: "data".into(),
        volume_source: Some(VolumeSource {
            ephemeral: Some(EphemeralVolumeSource::default()),
            ..VolumeSource::default()
        }),
    });
    let mut snapshot = snapshot();
    let waiting = "waiting for ephemeral volume controller to create the persistentvolumeclaim \"pod-data\"";
    assert_eq!(verdicts(&mut snapshot, &pod), [waiting, waiting]);
    let mut claim = open("pod-data", "made");
    tell(&mut snapshot, &claim);
    let other = "PVC default/pod-data was not created for pod default/pod (pod is not owner)";
    assert_eq!(verdicts(&mut snapshot, &pod), [other, other]);
    let owner = apimachinery::owner::controller_ref(&pod);
    claim.metadata_mut().owner_references.push(owner);
    tell(&mut snapshot, &claim);
    assert_eq!(verdicts(&mut snapshot, &pod), ["", ""]);
}

#[test]
fn a_volume_is_made_where_its_driver_has_room() {
    let capacity = |name: &str, zone: &str, room: Option<&str>, largest: Option<&str>| {
        let quantity = |text: &str| proto::Quantity { string: text.into() };
        let mut capacity = CsiStorageCapacity {
            node_topology: Some(LabelSelector {
                match_labels: pairs(&format!("zone={zone}")),
                ..LabelSelector::default()
            }),
            storage_class_name: "made".into(),
            capacity: room.map(quantity),
            maximum_volume_size: largest.map(quantity),
            ..CsiStorageCapacity::default()
        };
        capacity.metadata_mut().name = name.into();
        capacity.metadata_mut().namespace = "drivers".into();
        capacity
    };
    let mut snapshot = snapshot();
    let pod = mounting("pod", &["data"]);
    tell(&mut snapshot, &open("data", "made"));
    let mut driver = CsiDriver::default();
    driver.metadata_mut().name = MAKER.into();
    tell(&mut snapshot, &driver);
    assert_eq!(
        verdicts(&mut snapshot, &pod),
        ["", ""],
        "the driver tells nothing"
    );
    driver.spec = Some(CsiDriverSpec {
        storage_capacity: Some(true),
        ..CsiDriverSpec::default()
    });
    tell(&mut snapshot, &driver);
    assert_eq!(
        verdicts(&mut snapshot, &pod),
        [NO_ROOM, NO_ROOM],
        "it has told of no room yet"
    );
    tell(&mut snapshot, &capacity("a", "a", Some("500Mi"), None));
    tell(&mut snapshot, &capacity("b", "b", Some("2Gi"), None));
    assert_eq!(
        verdicts(&mut snapshot, &pod),
        [NO_ROOM, ""],
        "there is too little in a"
    );
    tell(&mut snapshot, &capacity("b", "b", Some("2Gi"), Some("100Mi")));
    assert_eq!(
        verdicts(&mut snapshot, &pod),
        [NO_ROOM, NO_ROOM],
        "one volume cannot be that large"
    );
}

/// What [`Binder`] says of `pod` on node `a`: how many writes, or what it says instead.
fn ask(binder: &mut Binder, snapshot: &Snapshot, pod: &PodInfo) -> String {
    match binder.permit(pod, "a", snapshot) {
        Permitted::Allow(_) => "allow".into(),
        Permitted::Wait { at_most, writes } => {
            assert_eq!(at_most, Duration::from_secs(600));
            format!("wait {}", writes.len())
        }
        Permitted::Reject(rejection, _) => rejection.reasons.join("; "),
    }
}

fn at<K: Kind>(mut object: K, revision: i64) -> K {
    object.metadata_mut().resource_version = revision.to_string();
    object
}

#[test]
fn a_pod_waits_until_its_claims_have_what_was_chosen() {
    let mut snapshot = snapshot();
    let mut binder = Binder::default();
    let pod = fresh(&mounting("pod", &["data", "scratch"]));
    let (data, scratch, disk) = (
        open("data", "slow"),
        open("scratch", "made"),
        in_zone("disk", "a", 1),
    );
    tell(&mut snapshot, &at(data.clone(), 1));
    tell(&mut snapshot, &at(scratch.clone(), 2));
    tell(&mut snapshot, &at(disk.clone(), 3));
    VolumeBinding.reserve(&pod, "a", &mut snapshot).unwrap();
    assert_eq!(ask(&mut binder, &snapshot, &pod), "wait 2");
    let concerned = |binder: &Binder, object: ObjectKey| {
        let event = EventSet::of(&[ClusterEvent::PersistentVolume]);
        binder.concerned(event, &object).len()
    };
    assert_eq!(concerned(&binder, ObjectKey::of(&disk)), 1);
    assert_eq!(concerned(&binder, ObjectKey::of(&in_zone("other", "", 1))), 0);
    assert_eq!(
        ask(&mut binder, &snapshot, &pod),
        "wait 0",
        "what was sent is not sent again"
    );
    let mut kept = disk.clone();
    keep(&mut kept, "data", "data");
    tell(&mut snapshot, &at(kept, 4));
    let mut made_for = scratch.clone();
    made_for
        .metadata_mut()
        .annotations
        .insert(SELECTED_NODE.into(), "a".into());
    tell(&mut snapshot, &at(made_for, 5));
    assert_eq!(ask(&mut binder, &snapshot, &pod), "wait 0");
    tell(&mut snapshot, &at(claim("data", "disk"), 6));
    assert_eq!(ask(&mut binder, &snapshot, &pod), "wait 0");
    tell(&mut snapshot, &at(claim("scratch", "made"), 7));
    assert_eq!(
        ask(&mut binder, &snapshot, &pod),
        "wait 0",
        "its volume is not seen yet"
    );
    tell(&mut snapshot, &at(in_zone("made", "a", 1), 8));
    assert_eq!(ask(&mut binder, &snapshot, &pod), "allow");
    assert_eq!(
        concerned(&binder, ObjectKey::of(&disk)),
        0,
        "nothing is kept of it"
    );
}

#[test]
fn a_pod_loses_its_place_when_its_claims_get_something_else() {
    let cases: [(&str, Setting, &str); 6] = [
        (
            "the claim is gone",
            |s| {
                let key = ObjectKey::new::<PersistentVolumeClaim>("default", "data");
                s.set_object(&key, None).unwrap();
            },
            "persistentvolumeclaim \"data\" not found",
        ),
        (
            "the claim got another volume",
            |s| tell(s, &at(claim("data", "other"), 9)),
            "persistentvolumeclaim \"data\" got another volume",
        ),
        (
            "the volume is kept for another claim",
            |s| {
                let mut disk = in_zone("disk", "a", 1);
                keep(&mut disk, "other", "other");
                tell(s, &at(disk, 9));
            },
            "persistentvolume \"disk\" has changed",
        ),
        (
            "the volume changed first, so that the write failed",
            |s| tell(s, &at(in_zone("disk", "a", 1), 9)),
            "persistentvolume \"disk\" has changed",
        ),
        (
            "the provisioner gave up",
            |s| tell(s, &at(open("scratch", "made"), 9)),
            "provisioning failed for persistentvolumeclaim \"scratch\"",
        ),
        (
            "the volume was made elsewhere",
            |s| {
                tell(s, &at(in_zone("made", "b", 1), 9));
                tell(s, &at(claim("scratch", "made"), 9));
            },
            OUT_OF_REACH,
        ),
    ];
    for (what, setting, expected) in cases {
        let mut snapshot = snapshot();
        let mut binder = Binder::default();
        let pod = fresh(&mounting("pod", &["data", "scratch"]));
        tell(&mut snapshot, &at(open("data", "slow"), 1));
        tell(&mut snapshot, &at(open("scratch", "made"), 2));
        tell(&mut snapshot, &at(in_zone("disk", "a", 1), 3));
        VolumeBinding.reserve(&pod, "a", &mut snapshot).unwrap();
        assert_eq!(ask(&mut binder, &snapshot, &pod), "wait 2");
        setting(&mut snapshot);
        assert_eq!(ask(&mut binder, &snapshot, &pod), expected, "{what}");
        VolumeBinding.unreserve(&pod.key, "a", &mut snapshot);
        assert!(snapshot.volumes().chosen(&pod.key).is_none(), "{what}");
        assert!(snapshot.volumes().kept_for("disk").is_none(), "{what}");
    }
}

#[test]
fn an_event_helps_the_pods_whose_claims_it_concerns() {
    let mut snapshot = snapshot();
    tell(&mut snapshot, &open("data", "slow"));
    tell(&mut snapshot, &open("soon", "now"));
    tell(&mut snapshot, &claim("bound", "disk"));
    let helps = |claims: &[&str], object: ObjectKey| {
        let pod = fresh(&mounting("pod", claims));
        let change = Change::new(VolumeBinding.requeue_on(), Changed::Object(&object));
        VolumeBinding.helps(&pod.template, &change, &snapshot)
    };
    let claim = |name| ObjectKey::new::<PersistentVolumeClaim>("default", name);
    let volume = |name| ObjectKey::new::<PersistentVolume>("", name);
    for (claims, object, expected) in [
        (&["data"], claim("data"), true),
        (&["data"], claim("other"), false),
        (
            &["data"],
            ObjectKey::new::<PersistentVolumeClaim>("elsewhere", "data"),
            false,
        ),
        (&["data"], volume("any"), true),
        (&["soon"], volume("any"), false),
        (&["bound"], volume("any"), false),
        (&["bound"], volume("disk"), true),
        (&["soon"], ObjectKey::new::<CsiDriver>("", MAKER), true),
    ] {
        assert_eq!(helps(claims, object.clone()), expected, "{claims:?} {object}");
    }
}
