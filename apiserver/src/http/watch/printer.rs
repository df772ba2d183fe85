//! The events of a watch as its client reads them: JSON, a line each, or protobuf, a frame each.

use crate::http::Api;
use crate::http::answer::{self, Shown};
use crate::http::encodings::VersionKey;
use crate::http::media::{Format, Shape};
use crate::http::{partial, table, views};
use crate::registry::Resource;
use crate::registry::errors::{self, Result};
use bytes::Bytes;
use prost::Message;
use prost::encoding::{bytes as bytes_field, string};
use proto::meta::v1::{ObjectMeta, Status};
use proto::orrery::v1::CustomResource;
use proto::{Event, EventType, Object};
use std::sync::Arc;

/// The annotation of the bookmark that ends the objects there were.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Writes the events of one watch.
pub(crate) struct Printer {
    pub(crate) api: Arc<Api>,
    pub(crate) resource: Resource,
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    /// Whether a Table's columns were told already.
    pub(crate) told_columns: bool,
}

impl Printer {
    /// An object's event.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<()> {
        let r#type = event.r#type();
        let Some(object) = &event.object else {
            return Err(errors::internal("an event has no object"));
        };
        if self.shape == Shape::Whole && self.format == Format::Json {
            let key = VersionKey {
                number: views::number(&self.resource, object),
                version: self.resource.info.version,
                revision: event.revision,
                departed: r#type == EventType::Deleted,
            };
            let text = self.api.encodings.json(key, &object.bytes);
            line(name(r#type), &text.map_err(|fault| answer::unshown(&fault))?, out);
            return Ok(());
        }
        let object = self.shown(object)?;
        self.put(name(r#type), &object, out);
        Ok(())
    }

    /// How far the watch has come: every event up to `revision` was sent. `initial` says that the changes begin here.
    pub(crate) fn bookmark(&mut self, revision: i64, initial: bool, out: &mut Vec<u8>) -> Result<()> {
        let mut meta = ObjectMeta {
            resource_version: revision.to_string(),
            ..ObjectMeta::default()
        };
        if initial {
            meta.annotations.insert(INITIAL_EVENTS_END.into(), "true".into());
        }
        let object = self.bare(meta);
        let text = self.shown(&object)?;
        self.put("BOOKMARK", &text, out);
        Ok(())
    }

    /// An object of the kind that is nothing but its metadata.
    fn bare(&self, meta: ObjectMeta) -> Object {
        let stored = self.resource.stored();
        if !stored.is_custom() {
            // Every kind has its metadata in field 1.
            let mut bytes = Vec::new();
            prost::encoding::message::encode(1, &meta, &mut bytes);
            return Object {
                number: stored.arm(),
                bytes: bytes.into(),
            };
        }
        // All custom kinds share a message, so that it says itself what it is.
        Object::encode_from(&CustomResource {
            metadata: Some(meta),
            api_version: self.resource.info.api_version(),
            kind: self.resource.info.kind.into(),
            fields: "{}".into(),
        })
    }

    /// Why the watch ends.
    pub(crate) fn error(&self, status: &Status, out: &mut Vec<u8>) {
        let object = match self.format {
            Format::Protobuf => answer::envelope("v1", "Status", &status.encode_to_vec().into()),
            Format::Json | Format::Yaml => answer::status_json(status),
        };
        self.put("ERROR", &object, out);
    }

    fn shown(&mut self, object: &Object) -> Result<Bytes> {
        let columns = !std::mem::replace(&mut self.told_columns, true);
        let shown = &Shown {
            resource: &self.resource,
            object,
            stored: false,
        };
        match self.shape {
            Shape::Table(table) => table::of_event(shown, table, columns, &self.api),
            Shape::Partial(version) | Shape::PartialList(version) if self.format == Format::Protobuf => {
                partial::envelope(&object.bytes, version)
            }
            Shape::Partial(version) | Shape::PartialList(version) => {
                Ok(partial::json(&object.bytes, version)?.into())
            }
            Shape::Whole if self.format == Format::Protobuf => answer::envelope_of(shown),
            Shape::Whole => answer::json(shown),
        }
    }

    fn put(&self, r#type: &str, object: &Bytes, out: &mut Vec<u8>) {
        match self.format {
            Format::Protobuf => frame(r#type, object, out),
            Format::Json | Format::Yaml => line(r#type, object, out),
        }
    }
}

fn name(r#type: EventType) -> &'static str {
    match r#type {
        EventType::Added => "ADDED",
        EventType::Modified => "MODIFIED",
        EventType::Deleted => "DELETED",
        EventType::Bookmark | EventType::Synced => "BOOKMARK",
        EventType::Unspecified => "ERROR",
    }
}

fn line(r#type: &str, object: &[u8], out: &mut Vec<u8>) {
    out.reserve(object.len() + 48);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(r#type.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

/// `meta.v1.WatchEvent {type = 1, object = 2 {raw = 1}}` behind its length in four bytes.
fn frame(r#type: &str, object: &Bytes, out: &mut Vec<u8>) {
    const TYPE: u32 = 1;
    const OBJECT: u32 = 2;
    const RAW: u32 = 1;
    let mut raw = Vec::with_capacity(object.len() + 8);
    bytes_field::encode(RAW, object, &mut raw);
    let mut event = Vec::with_capacity(raw.len() + 24);
    string::encode(TYPE, &r#type.to_owned(), &mut event);
    bytes_field::encode(OBJECT, &raw, &mut event);
    // An object is at most a few MiB.
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&event);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protobuf_event_is_a_length_and_a_message() {
        let mut out = Vec::new();
        frame("ADDED", &Bytes::from_static(b"k8s\0x"), &mut out);
        let (length, event) = out.split_at(4);
        assert_eq!(
            u32::from_be_bytes(length.try_into().unwrap()) as usize,
            event.len()
        );
        assert_eq!(event, b"\x0a\x05ADDED\x12\x07\x0a\x05k8s\0x");
    }

    #[test]
    fn a_json_event_is_a_line() {
        let mut out = Vec::new();
        line("DELETED", b"{}", &mut out);
        assert_eq!(out, b"{\"type\":\"DELETED\",\"object\":{}}\n");
    }
}
