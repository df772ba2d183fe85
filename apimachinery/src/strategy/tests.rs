//! What the apiserver relies on, step by step.

use super::*;
use prost::Message;
use proto::Timestamp;
use proto::api::apps::v1::{Deployment, DeploymentStatus};
use proto::api::core::v1::{Container, PodSpec};

fn stamped(meta: &mut ObjectMeta) {
    let birth = meta::Birth {
        uid: "u1".into(),
        now: Timestamp { seconds: 9, nanos: 0 },
        suffix: "bcdfg".into(),
        counts_generation: true,
    };
    meta::stamp_new(meta, &birth);
}

fn stored<K: Kind>(object: &K) -> Bytes {
    let bytes = object.encode_to_vec().into();
    admit_create(K::NUMBER, &bytes, &mut stamped).unwrap_or_else(|e| panic!("{e:?}"))
}

fn containers() -> PodSpec {
    let container = Container {
        name: "web".into(),
        image: "nginx:1".into(),
        ..Container::default()
    };
    PodSpec {
        containers: vec![container],
        ..PodSpec::default()
    }
}

fn deployment() -> Deployment {
    let mut deployment = Deployment::default();
    deployment.metadata_mut().name = "web".into();
    deployment.metadata_mut().namespace = "default".into();
    let spec = deployment.spec.get_or_insert_default();
    let labels = &mut spec.selector.get_or_insert_default().match_labels;
    labels.insert("app".into(), "web".into());
    let template = spec.template.get_or_insert_default();
    template
        .metadata
        .get_or_insert_default()
        .labels
        .clone_from(labels);
    template.spec = Some(containers());
    deployment.status.get_or_insert_default().replicas = 7;
    deployment
}

fn changed(stored: &Bytes, change: impl FnOnce(&mut Deployment)) -> Bytes {
    let mut object = Deployment::decode(stored.clone()).unwrap();
    change(&mut object);
    object.encode_to_vec().into()
}

#[test]
fn every_kind_of_the_registry_has_its_row() {
    for info in kinds::all() {
        assert!(row(info.number).is_ok(), "{}", info.kind);
    }
    assert_eq!(ROWS.len(), kinds::all().len());
    for number in [0, 29, 1000, u32::MAX] {
        assert!(matches!(row(number), Err(Rejection::UnknownKind(_))));
    }
    let broken = Bytes::from_static(b"\x0a\xff");
    let refused = admit_create(Pod::NUMBER, &broken, &mut stamped).unwrap_err();
    assert_eq!(refused.to_status().reason, "BadRequest");
}

#[test]
fn a_client_cannot_write_the_status_of_a_new_object() {
    let object = Deployment::decode(stored(&deployment())).unwrap();
    assert_eq!(object.status, None);
    assert_eq!(object.meta().uid, "u1");
    assert_eq!(object.meta().generation, 1);
}

#[test]
fn an_update_that_changes_nothing_gives_the_stored_bytes() {
    let old = stored(&deployment());
    // What a client sends back need not repeat what only the server sets.
    let new = changed(&old, |d| {
        let meta = d.metadata_mut();
        meta.uid.clear();
        meta.creation_timestamp = None;
        meta.resource_version = "5".into();
        meta.generation = 99;
        d.spec.as_mut().unwrap().strategy = None;
    });
    let admitted = admit_update(Deployment::NUMBER, &old, &new, Subresource::None).unwrap();
    assert_eq!(
        admitted,
        Admitted {
            bytes: old,
            spec_changed: false
        }
    );
}

#[test]
fn spec_and_status_are_written_apart() {
    let old = stored(&deployment());
    let new = changed(&old, |d| {
        d.spec.as_mut().unwrap().replicas = Some(5);
        d.metadata_mut().labels.insert("a".into(), "b".into());
        d.status = Some(DeploymentStatus {
            replicas: 3,
            ..DeploymentStatus::default()
        });
    });
    let number = Deployment::NUMBER;
    let main = admit_update(number, &old, &new, Subresource::None).unwrap();
    let object = Deployment::decode(main.bytes).unwrap();
    assert!(main.spec_changed && object.meta().generation == 2);
    assert_eq!((object.spec.unwrap().replicas, object.status), (Some(5), None));
    let status = admit_update(number, &old, &new, Subresource::Status).unwrap();
    let object = Deployment::decode(status.bytes).unwrap();
    assert!(!status.spec_changed && object.meta().generation == 1 && object.meta().labels.is_empty());
    assert_eq!(
        (object.spec.unwrap().replicas, object.status.unwrap().replicas),
        (Some(1), 3)
    );
}

#[test]
fn a_part_that_a_kind_does_not_have_is_not_found() {
    let old = stored(&deployment());
    let refused = admit_update(Deployment::NUMBER, &old, &old, Subresource::Scale).unwrap_err();
    assert_eq!(refused.to_status().reason, "NotFound");
    let empty = Bytes::new();
    let refused = admit_update(core::v1::ConfigMap::NUMBER, &empty, &empty, Subresource::Status);
    assert!(matches!(
        refused,
        Err(Rejection::NoSubresource {
            kind: "ConfigMap",
            ..
        })
    ));
}

#[test]
fn a_new_pod_is_pending_and_of_a_quality() {
    let mut pod = Pod {
        spec: Some(containers()),
        ..Pod::default()
    };
    pod.metadata_mut().generate_name = "web-".into();
    pod.metadata_mut().namespace = "default".into();
    let pod = Pod::decode(stored(&pod)).unwrap();
    assert_eq!(pod.name(), "web-bcdfg");
    let status = pod.status.unwrap();
    assert_eq!(
        (status.phase.as_str(), status.qos_class.as_str()),
        ("Pending", "BestEffort")
    );
    let spec = pod.spec.unwrap();
    assert_eq!(spec.tolerations.len(), 2);
    assert_eq!(
        (spec.service_account_name.as_str(), spec.service_account.as_str()),
        ("default", "default")
    );
}

#[test]
fn a_new_namespace_is_active_and_held_by_its_finalizer() {
    let mut namespace = Namespace::default();
    namespace.metadata_mut().generate_name = "team-".into();
    let namespace = Namespace::decode(stored(&namespace)).unwrap();
    assert_eq!(
        namespace.meta().labels["kubernetes.io/metadata.name"],
        "team-bcdfg"
    );
    assert_eq!(namespace.spec.unwrap().finalizers, [NAMESPACE_FINALIZER]);
    assert_eq!(namespace.status.unwrap().phase, "Active");
}

#[test]
fn an_invalid_object_is_refused_with_every_fault() {
    let mut broken = deployment();
    broken.metadata_mut().name = "Web".into();
    let spec = broken.spec.as_mut().unwrap();
    spec.replicas = Some(-1);
    spec.template.as_mut().unwrap().spec.as_mut().unwrap().containers[0]
        .name
        .clear();
    let bytes = broken.encode_to_vec().into();
    let status = admit_create(Deployment::NUMBER, &bytes, &mut stamped)
        .unwrap_err()
        .to_status();
    assert_eq!((status.reason.as_str(), status.code), ("Invalid", 422));
    let causes = status.details.unwrap().causes;
    let fields: Vec<_> = causes.iter().map(|c| c.field.as_str()).collect();
    let expected = [
        "metadata.name",
        "spec.replicas",
        "spec.template.spec.containers[0].name",
    ];
    assert_eq!(fields, expected);
    assert!(
        status
            .message
            .starts_with("Deployment.apps \"Web\" is invalid: [metadata.name: Invalid value")
    );
}

#[test]
fn only_pods_that_run_somewhere_get_time_to_end() {
    let pod = |node: &str, phase: &str| {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: node.into(),
                ..containers()
            }),
            ..Pod::default()
        };
        pod.spec.as_mut().unwrap().termination_grace_period_seconds = Some(20);
        pod.status.get_or_insert_default().phase = phase.into();
        Bytes::from(pod.encode_to_vec())
    };
    for (bytes, asked, expected) in [
        (pod("node-1", "Running"), None, 20),
        (pod("node-1", "Running"), Some(5), 5),
        (pod("node-1", "Running"), Some(-5), 1),
        (pod("node-1", "Succeeded"), None, 0),
        (pod("", "Pending"), None, 0),
    ] {
        assert_eq!(grace_seconds(Pod::NUMBER, &bytes, asked).unwrap(), expected);
    }
    assert_eq!(
        grace_seconds(Deployment::NUMBER, &Bytes::new(), Some(5)).unwrap(),
        0
    );
}
