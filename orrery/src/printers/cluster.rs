//! What belongs to the cluster as a whole: Namespaces, Events, PriorityClasses; and any kind without columns of its own.

use super::text::age;
use super::{Column, always, wide};
use apimachinery::wire::MetaView;
use jiff::Timestamp;
use prost::DecodeError;
use proto::api::core::v1::{Event, Namespace};
use proto::api::scheduling::v1::PriorityClass;
use proto::{Kind, Object};

pub(super) const ANY: &[Column] = &[always("NAME"), always("AGE")];

pub(super) fn any(object: &Object, now: Timestamp) -> Result<Vec<String>, DecodeError> {
    // Metadata that does not read is that of no object; its row stays empty.
    let meta = MetaView::parse(&object.bytes).ok();
    let name = meta.map_or("", |meta| meta.name).to_owned();
    let created = meta.and_then(|meta| meta.creation_timestamp);
    Ok(vec![name, age(created.as_ref(), now)])
}

pub(super) const NAMESPACES: &[Column] = &[always("NAME"), always("STATUS"), always("AGE")];

pub(super) fn namespace(object: &Namespace, now: Timestamp) -> Vec<String> {
    let phase = object.status.as_ref().map(|status| status.phase.clone());
    vec![
        object.name().to_owned(),
        phase.unwrap_or_default(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const EVENTS: &[Column] = &[
    always("LAST SEEN"),
    always("TYPE"),
    always("REASON"),
    always("OBJECT"),
    wide("SUBOBJECT"),
    wide("SOURCE"),
    always("MESSAGE"),
    wide("FIRST SEEN"),
    wide("COUNT"),
    wide("NAME"),
];

pub(super) fn event(object: &Event, now: Timestamp) -> Vec<String> {
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
    vec![
        age(seen.last.as_ref(), now),
        object.r#type.clone(),
        object.reason.clone(),
        format!("{}/{}", about.kind.to_lowercase(), about.name),
        about.field_path,
        from,
        object.message.trim().to_owned(),
        age(seen.first.as_ref(), now),
        seen.count.to_string(),
        object.name().to_owned(),
    ]
}

/// When an Event happened, in whichever of its fields that is written.
pub(crate) struct Seen {
    pub(crate) first: Option<proto::Timestamp>,
    pub(crate) last: Option<proto::Timestamp>,
    pub(crate) count: i32,
}

impl Seen {
    pub(crate) fn of(event: &Event) -> Self {
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
    pub(crate) fn ago(&self, now: Timestamp) -> String {
        let last = age(self.last.as_ref(), now);
        match self.count {
            ..=1 => last,
            count => format!("{last} (x{count} over {})", age(self.first.as_ref(), now)),
        }
    }
}

pub(super) const PRIORITY_CLASSES: &[Column] = &[
    always("NAME"),
    always("VALUE"),
    always("GLOBAL-DEFAULT"),
    always("AGE"),
    always("PREEMPTIONPOLICY"),
];

pub(super) fn priority_class(object: &PriorityClass, now: Timestamp) -> Vec<String> {
    vec![
        object.name().to_owned(),
        object.value.to_string(),
        object.global_default.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
        object.preemption_policy.clone().unwrap_or_default(),
    ]
}
