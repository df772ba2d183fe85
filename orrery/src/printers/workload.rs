//! What makes Pods: Deployments, ReplicaSets, StatefulSets, DaemonSets.

use super::text::{age, containers, or_none, selector, set};
use super::{Column, always, wide};
use apimachinery::owner::controller_of;
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use proto::api::core::v1::{PodTemplate, ReplicationController};

pub(super) const DEPLOYMENTS: &[Column] = &[
    always("NAME"),
    always("READY"),
    always("UP-TO-DATE"),
    always("AVAILABLE"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
    wide("SELECTOR"),
];

pub(super) fn deployment(object: &Deployment, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let [names, images] = containers(spec.template.as_ref());
    vec![
        object.name().to_owned(),
        format!("{}/{}", status.ready_replicas, spec.replicas.unwrap_or(0)),
        status.updated_replicas.to_string(),
        status.available_replicas.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(super) const REPLICA_SETS: &[Column] = &[
    always("NAME"),
    always("DESIRED"),
    always("CURRENT"),
    always("READY"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
    wide("SELECTOR"),
];

pub(super) fn replica_set(object: &ReplicaSet, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let [names, images] = containers(spec.template.as_ref());
    vec![
        object.name().to_owned(),
        spec.replicas.unwrap_or(0).to_string(),
        status.replicas.to_string(),
        status.ready_replicas.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(super) fn replication_controller(object: &ReplicationController, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let [names, images] = containers(spec.template.as_ref());
    vec![
        object.name().to_owned(),
        spec.replicas.unwrap_or(0).to_string(),
        status.replicas.to_string(),
        status.ready_replicas.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        set(&spec.selector),
    ]
}

pub(super) const STATEFUL_SETS: &[Column] = &[
    always("NAME"),
    always("READY"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
];

pub(super) fn stateful_set(object: &StatefulSet, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let ready = object.status.as_ref().map_or(0, |status| status.ready_replicas);
    let [names, images] = containers(spec.template.as_ref());
    vec![
        object.name().to_owned(),
        format!("{ready}/{}", spec.replicas.unwrap_or(0)),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
    ]
}

pub(super) const DAEMON_SETS: &[Column] = &[
    always("NAME"),
    always("DESIRED"),
    always("CURRENT"),
    always("READY"),
    always("UP-TO-DATE"),
    always("AVAILABLE"),
    always("NODE SELECTOR"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
    wide("SELECTOR"),
];

pub(super) fn daemon_set(object: &DaemonSet, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let [names, images] = containers(spec.template.as_ref());
    let pod = spec
        .template
        .and_then(|template| template.spec)
        .unwrap_or_default();
    vec![
        object.name().to_owned(),
        status.desired_number_scheduled.to_string(),
        status.current_number_scheduled.to_string(),
        status.number_ready.to_string(),
        status.updated_number_scheduled.to_string(),
        status.number_available.to_string(),
        set(&pod.node_selector),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(super) const CONTROLLER_REVISIONS: &[Column] = &[
    always("NAME"),
    always("CONTROLLER"),
    always("REVISION"),
    always("AGE"),
];

pub(super) fn controller_revision(object: &ControllerRevision, now: Timestamp) -> Vec<String> {
    let owner = controller_of(object.meta()).map(|owner| {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let dot = if group.is_empty() { "" } else { "." };
        format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
    });
    vec![
        object.name().to_owned(),
        or_none(&owner.unwrap_or_default()),
        object.revision.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const POD_TEMPLATES: &[Column] = &[
    always("NAME"),
    always("CONTAINERS"),
    always("IMAGES"),
    always("POD LABELS"),
];

pub(super) fn pod_template(object: &PodTemplate, _now: Timestamp) -> Vec<String> {
    let template = object.template.clone().unwrap_or_default();
    let [names, images] = containers(Some(&template));
    let labels = template.metadata.unwrap_or_default().labels;
    vec![object.name().to_owned(), names, images, set(&labels)]
}
