//! Which fields each kind can be selected by, and their values out of encoded bytes.
//!
//! Input: a kind's number, an encoded object, a path. Output: the field's text. Nothing is decoded but the fields on the
//! way: a selector on `spec.nodeName` looks at every Pod of a list. Field numbers come from the schema, not from here.
//! The table is upstream's: <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#list-of-supported-fields>.

use super::SelectorError;
use crate::json;
use crate::kinds;
use crate::wire::{FieldPath, MetaView};
use prost::Message as _;
use proto::orrery::v1::CustomResource;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a field is called in selectors, and where it stands when that differs.
struct Row(&'static str, &'static [&'static str]);

const fn field(path: &'static str) -> Row {
    Row(path, &[])
}

/// `kind`: what it can be selected by besides its name and namespace.
const TABLE: &[(&str, &[Row])] = &[
    (
        "Pod",
        &[
            field("spec.nodeName"),
            field("spec.restartPolicy"),
            field("spec.schedulerName"),
            field("spec.serviceAccountName"),
            field("spec.hostNetwork"),
            field("status.phase"),
            field("status.podIP"),
            field("status.nominatedNodeName"),
        ],
    ),
    ("Node", &[field("spec.unschedulable")]),
    ("Namespace", &[field("status.phase")]),
    ("Secret", &[field("type")]),
    ("Service", &[field("spec.clusterIP"), field("spec.type")]),
    ("ReplicationController", &[field("status.replicas")]),
    ("ReplicaSet", &[field("status.replicas")]),
    ("Job", &[Row("status.successful", &["status.succeeded"])]),
    (
        "Event",
        &[
            field("involvedObject.kind"),
            field("involvedObject.namespace"),
            field("involvedObject.name"),
            field("involvedObject.uid"),
            field("involvedObject.apiVersion"),
            field("involvedObject.resourceVersion"),
            field("involvedObject.fieldPath"),
            field("reason"),
            field("reportingComponent"),
            Row("source", &["source.component", "reportingComponent"]),
            field("type"),
        ],
    ),
];

/// A path and where its value may stand; the first place that is not empty counts.
struct Field {
    path: &'static str,
    locations: Vec<FieldPath>,
}

static FIELDS: LazyLock<HashMap<u32, Vec<Field>>> = LazyLock::new(|| {
    let rows = |info: &kinds::KindInfo| {
        let own = TABLE
            .iter()
            .find(|(kind, _)| *kind == info.kind)
            .map_or(&[][..], |(_, rows)| rows);
        let general = &GENERAL[..if info.namespaced { 2 } else { 1 }];
        let general = general.iter().map(|path| (*path, vec![*path]));
        let own = own
            .iter()
            .map(|Row(path, at)| (*path, if at.is_empty() { vec![*path] } else { at.to_vec() }));
        let field = |(path, at): (&'static str, Vec<&'static str>)| Field {
            path,
            locations: at.into_iter().map(|at| locate(info.message, at)).collect(),
        };
        general.chain(own).map(field).collect()
    };
    kinds::all()
        .iter()
        .map(|info| (info.number, rows(info)))
        .collect()
});

fn locate(message: &str, path: &str) -> FieldPath {
    FieldPath::resolve(message, path).expect("the table's paths are in the schema; a test looks each up")
}

/// The paths that every kind can be selected by; the second one where objects live in namespaces.
const GENERAL: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// The paths that a kind can be selected by.
pub fn supported(number: u32) -> Vec<&'static str> {
    if number >= kinds::FIRST_CUSTOM {
        return kinds::by_number(number).map(supported_custom).unwrap_or_default();
    }
    FIELDS
        .get(&number)
        .into_iter()
        .flatten()
        .map(|field| field.path)
        .collect()
}

/// Whether a kind can be selected by this path.
pub fn check(number: u32, path: &str) -> Result<(), SelectorError> {
    let plural = kinds::by_number(number).map_or("this kind", |info| info.plural);
    contains(supported(number), path, plural)
}

/// Whether this version of a custom kind can be selected by this path.
pub(super) fn check_custom(info: &kinds::KindInfo, path: &str) -> Result<(), SelectorError> {
    contains(supported_custom(info), path, info.plural)
}

fn contains(supported: Vec<&'static str>, path: &str, resource: &'static str) -> Result<(), SelectorError> {
    if supported.contains(&path) {
        return Ok(());
    }
    Err(SelectorError::UnknownField {
        field: path.to_owned(),
        resource,
        supported,
    })
}

fn supported_custom(info: &kinds::KindInfo) -> Vec<&'static str> {
    let general = &GENERAL[..if info.namespaced { 2 } else { 1 }];
    general.iter().chain(info.selectable).copied().collect()
}

/// The field of a custom kind's object. Its place is in the path itself, so that any version's paths can be read.
fn read_custom(bytes: &[u8], path: &str) -> Option<String> {
    let meta = MetaView::parse(bytes).ok()?;
    match path {
        "metadata.name" => return Some(meta.name.to_owned()),
        "metadata.namespace" => return Some(meta.namespace.to_owned()),
        _ => {}
    }
    let object = CustomResource::decode(bytes).ok()?;
    let fields = json::custom::fields_of(&object.fields).ok()?;
    let mut steps = path.split('.');
    let first = fields.get(steps.next()?);
    let found = steps.fold(first, |value, step| value?.get(step));
    // A field that is not there counts as empty, as with the built-in kinds.
    Some(match found {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    })
}

/// The field's text: strings as they are, numbers in decimal, `true` or `false`. `None` for a path that is not
/// supported and for an object whose bytes cannot be read.
pub fn read<'a>(number: u32, bytes: &'a [u8], path: &str) -> Option<Cow<'a, str>> {
    if kinds::arm(number) == kinds::ANY_CUSTOM.number {
        return read_custom(bytes, path).map(Cow::Owned);
    }
    let field = FIELDS.get(&number)?.iter().find(|field| field.path == path)?;
    let mut text = None;
    for location in &field.locations {
        text = Some(location.read(bytes).ok()?);
        if text.as_ref().is_some_and(|text| !text.is_empty()) {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::Kind;
    use proto::api::{batch, core};

    #[test]
    fn every_path_of_the_table_is_in_the_schema() {
        for (kind, rows) in TABLE {
            let info = kinds::all().iter().find(|info| info.kind == *kind).unwrap();
            let general = if info.namespaced { 2 } else { 1 };
            assert_eq!(supported(info.number).len(), rows.len() + general, "{kind}");
        }
    }

    #[test]
    fn a_custom_object_is_read_by_the_path_itself() {
        let object = CustomResource {
            metadata: Some(proto::meta::v1::ObjectMeta {
                name: "w".into(),
                namespace: "shop".into(),
                ..Default::default()
            }),
            fields: r#"{"spec":{"color":"red","on":true,"parts":{},"size":3}}"#.into(),
            ..Default::default()
        };
        let bytes = object.encode_to_vec();
        for (path, expected) in [
            ("metadata.name", "w"),
            ("metadata.namespace", "shop"),
            ("spec.color", "red"),
            ("spec.on", "true"),
            ("spec.size", "3"),
            ("spec.parts", ""),
            ("spec.parts.x", ""),
            ("status", ""),
        ] {
            let text = super::read(kinds::FIRST_CUSTOM, &bytes, path);
            assert_eq!(text.as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn fields_are_read_as_text_whatever_their_type() {
        let job = batch::v1::Job {
            status: Some(batch::v1::JobStatus {
                succeeded: 3,
                ..Default::default()
            }),
            ..Default::default()
        };
        let bytes = job.encode_to_vec();
        fn read(number: u32, bytes: &[u8], path: &str) -> Option<String> {
            super::read(number, bytes, path).map(Cow::into_owned)
        }
        assert_eq!(
            read(batch::v1::Job::NUMBER, &bytes, "status.successful").as_deref(),
            Some("3")
        );
        assert_eq!(
            read(batch::v1::Job::NUMBER, &[], "status.successful").as_deref(),
            Some("0")
        );
        let node = core::v1::Node {
            spec: Some(core::v1::NodeSpec {
                unschedulable: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        let bytes = node.encode_to_vec();
        assert_eq!(
            read(core::v1::Node::NUMBER, &bytes, "spec.unschedulable").as_deref(),
            Some("true")
        );
        assert_eq!(read(core::v1::Node::NUMBER, &bytes, "spec.podCIDR"), None);
        let mut event = core::v1::Event {
            reporting_component: "scheduler".into(),
            ..Default::default()
        };
        let number = core::v1::Event::NUMBER;
        assert_eq!(
            read(number, &event.encode_to_vec(), "source").as_deref(),
            Some("scheduler")
        );
        event.source = Some(core::v1::EventSource {
            component: "kubelet".into(),
            ..Default::default()
        });
        assert_eq!(
            read(number, &event.encode_to_vec(), "source").as_deref(),
            Some("kubelet")
        );
        assert_eq!(read(number, b"\x0a\xff", "source"), None);
    }
}
