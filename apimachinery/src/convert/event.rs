//! events.k8s.io/v1 Event, stored as core/v1's: the same fields under other names.

use proto::api::{core, events};

/// What events.k8s.io/v1 calls the fields that Events can be selected by.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("metadata.name", "metadata.name"),
    ("metadata.namespace", "metadata.namespace"),
    ("reason", "reason"),
    ("regarding.kind", "involvedObject.kind"),
    ("regarding.namespace", "involvedObject.namespace"),
    ("regarding.name", "involvedObject.name"),
    ("regarding.uid", "involvedObject.uid"),
    ("regarding.apiVersion", "involvedObject.apiVersion"),
    ("regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("regarding.fieldPath", "involvedObject.fieldPath"),
    ("reportingController", "reportingComponent"),
    ("type", "type"),
];

pub(super) fn to_events(event: core::v1::Event) -> events::v1::Event {
    events::v1::Event {
        metadata: event.metadata,
        event_time: event.event_time,
        series: event.series.map(|series| events::v1::EventSeries {
            count: series.count,
            last_observed_time: series.last_observed_time,
        }),
        reporting_controller: event.reporting_component,
        reporting_instance: event.reporting_instance,
        action: event.action,
        reason: event.reason,
        regarding: event.involved_object,
        related: event.related,
        note: event.message,
        r#type: event.r#type,
        deprecated_source: event.source,
        deprecated_first_timestamp: event.first_timestamp,
        deprecated_last_timestamp: event.last_timestamp,
        deprecated_count: event.count,
    }
}

pub(super) fn from_events(event: events::v1::Event) -> core::v1::Event {
    core::v1::Event {
        metadata: event.metadata,
        involved_object: event.regarding,
        reason: event.reason,
        message: event.note,
        source: event.deprecated_source,
        first_timestamp: event.deprecated_first_timestamp,
        last_timestamp: event.deprecated_last_timestamp,
        count: event.deprecated_count,
        r#type: event.r#type,
        event_time: event.event_time,
        series: event.series.map(|series| core::v1::EventSeries {
            count: series.count,
            last_observed_time: series.last_observed_time,
        }),
        action: event.action,
        related: event.related,
        reporting_component: event.reporting_controller,
        reporting_instance: event.reporting_instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Unknown};
    use prost::Message;
    use proto::Kind;

    #[test]
    fn every_field_goes_there_and_back() {
        let stored = "apiVersion: v1
kind: Event
metadata: {name: web-1.17, namespace: shop}
involvedObject: {kind: Pod, namespace: shop, name: web-1, uid: u, apiVersion: v1, fieldPath: 'spec.containers{a}'}
reason: Pulled
message: the image was there
source: {component: kubelet, host: node-1}
firstTimestamp: '2026-01-01T00:00:00Z'
lastTimestamp: '2026-01-01T00:01:00Z'
count: 3
type: Normal
eventTime: '2026-01-01T00:00:00.000001Z'
series: {count: 2, lastObservedTime: '2026-01-01T00:01:00.000002Z'}
action: Pulling
related: {kind: Node, name: node-1}
reportingComponent: kubelet
reportingInstance: node-1
";
        let document = json::yaml::documents(stored).next().unwrap().unwrap();
        let bytes = document.decode(Unknown::Strict).unwrap().bytes;
        let event = core::v1::Event::decode(bytes).unwrap();
        let view = to_events(event.clone());
        let shown = json::to_value(events::v1::Event::NUMBER, &view.encode_to_vec()).unwrap();
        assert_eq!(shown["apiVersion"], "events.k8s.io/v1");
        assert_eq!(shown["regarding"]["name"], "web-1");
        assert_eq!(shown["note"], "the image was there");
        assert_eq!(shown["deprecatedCount"], 3);
        assert_eq!(from_events(view), event);
    }
}
