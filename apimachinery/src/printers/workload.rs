//! What makes Pods: Deployments, ReplicaSets, StatefulSets, DaemonSets.

use super::cell::{AGE, CONTAINERS, Cell, Column, IMAGES, NAME, SELECTOR, row};
use super::text::{age, containers, or_none, selector, set};
use crate::owner::controller_of;
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use proto::api::core::v1::{PodTemplate, PodTemplateSpec, ReplicationController};

/// The columns that end the row of what makes Pods: age, containers, images, and the selector where there is one.
fn ending<K: Kind>(
    object: &K,
    template: Option<&PodTemplateSpec>,
    selector: Option<String>,
    now: Timestamp,
) -> Vec<Cell> {
    let [names, images] = containers(template);
    let mut cells = row![age(object.meta().creation_timestamp.as_ref(), now), names, images];
    cells.extend(selector.map(Cell::from));
    cells
}

pub(super) const DEPLOYMENTS: &[Column] = &[
    NAME,
    Column::text("Ready", "Replicas that are ready, of those that are wanted."),
    Column::text("Up-to-date", "Replicas that are made from the current template."),
    Column::text("Available", "Replicas that have been ready for long enough."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn deployment(object: &Deployment, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let mut cells = row![
        object.name(),
        format!("{}/{}", status.ready_replicas, spec.replicas.unwrap_or(0)),
        status.updated_replicas,
        status.available_replicas,
    ];
    let picks = selector(spec.selector.as_ref());
    cells.extend(ending(object, spec.template.as_ref(), Some(picks), now));
    cells
}

pub(super) const REPLICA_SETS: &[Column] = &[
    NAME,
    Column::integer("Desired", "Replicas that are wanted."),
    Column::integer("Current", "Replicas that there are."),
    Column::integer("Ready", "Replicas that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn replica_set(object: &ReplicaSet, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let mut cells = row![
        object.name(),
        spec.replicas.unwrap_or(0),
        status.replicas,
        status.ready_replicas,
    ];
    let picks = selector(spec.selector.as_ref());
    cells.extend(ending(object, spec.template.as_ref(), Some(picks), now));
    cells
}

pub(super) fn replication_controller(object: &ReplicationController, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let mut cells = row![
        object.name(),
        spec.replicas.unwrap_or(0),
        status.replicas,
        status.ready_replicas,
    ];
    let picks = set(&spec.selector);
    cells.extend(ending(object, spec.template.as_ref(), Some(picks), now));
    cells
}

pub(super) const STATEFUL_SETS: &[Column] = &[
    NAME,
    Column::text("Ready", "Replicas that are ready, of those that are wanted."),
    AGE,
    CONTAINERS,
    IMAGES,
];

pub(super) fn stateful_set(object: &StatefulSet, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let ready = object.status.as_ref().map_or(0, |status| status.ready_replicas);
    let mut cells = row![object.name(), format!("{ready}/{}", spec.replicas.unwrap_or(0)),];
    cells.extend(ending(object, spec.template.as_ref(), None, now));
    cells
}

pub(super) const DAEMON_SETS: &[Column] = &[
    NAME,
    Column::integer("Desired", "Nodes that should run its pod."),
    Column::integer("Current", "Nodes that have its pod."),
    Column::integer("Ready", "Nodes whose pod is ready."),
    Column::integer("Up-to-date", "Nodes whose pod is made from the current template."),
    Column::integer("Available", "Nodes whose pod has been ready for long enough."),
    Column::text("Node Selector", "Labels of the nodes that it is for."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn daemon_set(object: &DaemonSet, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let mut cells = row![
        object.name(),
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled,
        status.number_available,
        pod.map_or_else(|| or_none(""), |pod| set(&pod.node_selector)),
    ];
    let picks = selector(spec.selector.as_ref());
    cells.extend(ending(object, spec.template.as_ref(), Some(picks), now));
    cells
}

pub(super) const CONTROLLER_REVISIONS: &[Column] = &[
    NAME,
    Column::text("Controller", "The object whose state it keeps."),
    Column::integer("Revision", "Its number among the states of that object."),
    AGE,
];

pub(super) fn controller_revision(object: &ControllerRevision, now: Timestamp) -> Vec<Cell> {
    let owner = controller_of(object.meta()).map(|owner| {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let dot = if group.is_empty() { "" } else { "." };
        format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
    });
    row![
        object.name(),
        or_none(&owner.unwrap_or_default()),
        object.revision,
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const POD_TEMPLATES: &[Column] = &[
    NAME,
    Column::text("Containers", "Names of the containers of each pod."),
    Column::text("Images", "Images of the containers of each pod."),
    Column::text("Pod Labels", "Labels of each pod."),
];

pub(super) fn pod_template(object: &PodTemplate, _now: Timestamp) -> Vec<Cell> {
    let template = object.template.clone().unwrap_or_default();
    let [names, images] = containers(Some(&template));
    let labels = template.metadata.unwrap_or_default().labels;
    row![object.name(), names, images, set(&labels)]
}
