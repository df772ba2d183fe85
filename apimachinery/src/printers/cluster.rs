//! What belongs to the cluster as a whole: Namespaces, Events, PriorityClasses; pod groups; and any kind without columns of its own.

use super::cell::{AGE, Cell, Column, NAME, WIDE_NAME, row};
use super::text::age;
use crate::wire::MetaView;
use jiff::Timestamp;
use prost::DecodeError;
use proto::api::core::v1::{Event, Namespace, ObjectReference};
use proto::api::scheduling::v1::PriorityClass;
use proto::gangs::v1alpha1::PodGroup;
use proto::{Kind, Object};

pub(super) const ANY: &[Column] = &[NAME, AGE];

pub(super) fn any(object: &Object, now: Timestamp) -> Result<Vec<Cell>, DecodeError> {
    // Metadata that does not read is that of no object; its row stays empty.
    let meta = MetaView::parse(&object.bytes).ok();
    let name = meta.map_or("", |meta| meta.name).to_owned();
    let created = meta.and_then(|meta| meta.creation_timestamp);
    Ok(row![name, age(created.as_ref(), now)])
}

pub(super) const NAMESPACES: &[Column] = &[
    NAME,
    Column::text("Status", "Whether it is in use or on its way out."),
    AGE,
];

pub(super) fn namespace(object: &Namespace, now: Timestamp) -> Vec<Cell> {
    let phase = object.status.as_ref().map(|status| status.phase.clone());
    row![
        object.name(),
        phase.unwrap_or_default(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const EVENTS: &[Column] = &[
    Column::text("Last Seen", "Time since it last happened."),
    Column::text("Type", "Normal or Warning."),
    Column::text("Reason", "What happened, in a word."),
    Column::text("Object", "The object that it happened to."),
    Column::wide("Subobject", "The part of the object that it happened to."),
    Column::wide("Source", "Who reported it."),
    Column::text("Message", "What happened, in a sentence."),
    Column::wide("First Seen", "Time since it first happened."),
    Column::wide("Count", "How often it happened."),
    WIDE_NAME,
];

pub(super) fn event(object: &Event, now: Timestamp) -> Vec<Cell> {
    let about = object.involved_object.clone().unwrap_or_default();
    let source = object.source.clone().unwrap_or_default();
    let (component, host) = match source.component.as_str() {
        "" => (&object.reporting_component, &object.reporting_instance),
        _ => (&source.component, &source.host),
    };
    let from = if host.is_empty() {
        component.clone()
    } else {
        format!("{component}, {host}")
    };
    let seen = Seen::of(object);
    row![
        age(seen.last.as_ref(), now),
        object.r#type.clone(),
        object.reason.clone(),
        object_of(&about),
        about.field_path,
        from,
        object.message.trim().to_owned(),
        age(seen.first.as_ref(), now),
        seen.count,
        object.name(),
    ]
}

/// `pod/web-1`; the kind alone when the object has no name.
fn object_of(about: &ObjectReference) -> String {
    let kind = about.kind.to_lowercase();
    match about.name.as_str() {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// When an Event happened, in whichever of its fields that is written.
pub struct Seen {
    /// When it first happened.
    pub first: Option<proto::Timestamp>,
    /// When it last happened.
    pub last: Option<proto::Timestamp>,
    /// How often it happened, at least once.
    pub count: i32,
}

impl Seen {
    /// Reads it from an Event.
    pub fn of(event: &Event) -> Self {
        let first = event.first_timestamp.or(event.event_time);
        let (last, count) = match &event.series {
            Some(series) => (series.last_observed_time, series.count),
            None => (event.last_timestamp, event.count),
        };
        Self {
            first,
            last: last.or(first),
            count: count.max(1),
        }
    }

    /// `5s`, or `5s (x3 over 2m)` when it happened more than once.
    pub fn ago(&self, now: Timestamp) -> String {
        let last = age(self.last.as_ref(), now);
        match self.count {
            ..=1 => last,
            count => format!("{last} (x{count} over {})", age(self.first.as_ref(), now)),
        }
    }
}

pub(super) const PRIORITY_CLASSES: &[Column] = &[
    NAME,
    Column::integer("Value", "The priority. Higher goes first."),
    Column::boolean("Global-Default", "Whether pods get it that name no class."),
    AGE,
    Column::text("PreemptionPolicy", "Whether its pods may push others out."),
];

pub(super) fn priority_class(object: &PriorityClass, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.value,
        object.global_default,
        age(object.meta().creation_timestamp.as_ref(), now),
        object.preemption_policy.clone().unwrap_or_default(),
    ]
}

pub(super) const POD_GROUPS: &[Column] = &[
    NAME,
    Column::text("Phase", "How far the group has come."),
    Column::integer("MinMember", "Pods that have to find a place at once."),
    Column::integer("Running", "Pods that run."),
    Column::integer("Succeeded", "Pods that have succeeded."),
    Column::integer("Failed", "Pods that have failed."),
    AGE,
];

pub(super) fn pod_group(object: &PodGroup, now: Timestamp) -> Vec<Cell> {
    let status = object.status.clone().unwrap_or_default();
    row![
        object.name(),
        status.phase,
        object.spec.as_ref().map_or(0, |spec| spec.min_member),
        status.running,
        status.succeeded,
        status.failed,
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}
