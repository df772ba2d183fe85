use super::*;
use proto::api::storage::v1::{
    CsiDriverSpec, CsiNodeDriver, CsiNodeSpec, TokenRequest, VolumeAttachmentSource, VolumeAttachmentSpec,
    VolumeNodeResources,
};

fn fields(check: impl FnOnce(&mut Faults)) -> Vec<String> {
    let mut faults = Faults::default();
    check(&mut faults);
    faults.into_vec().into_iter().map(|f| f.field).collect()
}

#[test]
fn drivers_are_named_and_keep_what_others_rely_on() {
    let mut driver = CsiDriver {
        spec: Some(CsiDriverSpec {
            fs_group_policy: Some("File".into()),
            volume_lifecycle_modes: vec!["Persistent".into()],
            attach_required: Some(true),
            ..CsiDriverSpec::default()
        }),
        ..CsiDriver::default()
    };
    proto::Kind::metadata_mut(&mut driver).name = "disk.example.com".into();
    assert_eq!(fields(|f| driver.validate(f)), [""; 0]);
    let old = driver.clone();
    let spec = driver.spec.get_or_insert_default();
    spec.attach_required = Some(false);
    spec.volume_lifecycle_modes = vec!["Ephemeral".into(), "Never".into()];
    spec.fs_group_policy = Some("Some".into());
    spec.token_requests = vec![
        TokenRequest {
            expiration_seconds: Some(1),
            ..TokenRequest::default()
        },
        TokenRequest::default(),
    ];
    spec.node_allocatable_update_period_seconds = Some(9);
    let expected = [
        "spec.volumeLifecycleModes[1]",
        "spec.fsGroupPolicy",
        "spec.tokenRequests[0].expirationSeconds",
        "spec.tokenRequests[1].audience",
        "spec.nodeAllocatableUpdatePeriodSeconds",
        "spec.attachRequired",
        "spec.volumeLifecycleModes",
    ];
    assert_eq!(fields(|f| driver.validate_update(&old, f)), expected);
}

#[test]
fn a_nodes_drivers_are_told_apart() {
    let sound = CsiNodeDriver {
        name: "disk.example.com".into(),
        node_id: "n-1".into(),
        topology_keys: vec!["topology.kubernetes.io/zone".into()],
        allocatable: Some(VolumeNodeResources { count: Some(0) }),
    };
    let of = |drivers: Vec<CsiNodeDriver>| CsiNode {
        spec: Some(CsiNodeSpec { drivers }),
        ..CsiNode::default()
    };
    assert_eq!(fields(|f| of(vec![sound.clone()]).validate(f)), [""; 0]);
    let bad = CsiNodeDriver {
        node_id: String::new(),
        topology_keys: vec!["a b".into()],
        allocatable: Some(VolumeNodeResources { count: Some(-1) }),
        ..sound.clone()
    };
    let expected = [
        "spec.drivers[1].name",
        "spec.drivers[1].nodeID",
        "spec.drivers[1].topologyKeys[0]",
        "spec.drivers[1].allocatable.count",
    ];
    assert_eq!(fields(|f| of(vec![sound, bad]).validate(f)), expected);
}

#[test]
fn room_belongs_to_a_class_for_good() {
    let old = CsiStorageCapacity {
        storage_class_name: "fast".into(),
        ..CsiStorageCapacity::default()
    };
    assert_eq!(fields(|f| old.validate(f)), [""; 0]);
    let new = CsiStorageCapacity {
        storage_class_name: "slow".into(),
        node_topology: Some(Default::default()),
        capacity: Some(proto::Quantity { string: "-1".into() }),
        ..CsiStorageCapacity::default()
    };
    let expected = ["capacity", "nodeTopology", "storageClassName"];
    assert_eq!(fields(|f| new.validate_update(&old, f)), expected);
}

#[test]
fn an_attachment_is_of_one_volume_to_one_node() {
    let of = |volume: Option<&str>, node: &str| VolumeAttachment {
        spec: Some(VolumeAttachmentSpec {
            attacher: "disk.example.com".into(),
            source: Some(VolumeAttachmentSource {
                persistent_volume_name: volume.map(str::to_owned),
                inline_volume_spec: None,
            }),
            node_name: node.into(),
        }),
        ..VolumeAttachment::default()
    };
    for (volume, node, expected) in [
        (Some("pv-1"), "n-1", &[][..]),
        (Some(""), "n-1", &["spec.source.persistentVolumeName"]),
        (None, "", &["spec.nodeName", "spec.source"]),
    ] {
        assert_eq!(fields(|f| of(volume, node).validate(f)), expected);
    }
    let moved = fields(|f| of(Some("pv-1"), "n-2").validate_update(&of(Some("pv-1"), "n-1"), f));
    assert_eq!(moved, ["spec"]);
}
