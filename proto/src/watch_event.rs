//! `orrery.v1.WatchEvent`, encoded once however many watch it.
//!
//! The apiserver encodes a change into an [`EventFrame`] and hands the same bytes to every stream; a client turns the
//! frame into an [`Event`].

use crate::Object;
use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};
use prost_types::Timestamp;

/// What happened: `orrery.v1.WatchEvent.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// Never sent.
    Unspecified = 0,
    /// The object is new to this watch.
    Added = 1,
    /// The object has changed.
    Modified = 2,
    /// The object is gone, or ceased to match.
    Deleted = 3,
    /// Every event up to the revision has been sent.
    Bookmark = 4,
    /// The initial state ends here.
    Synced = 5,
}

/// The fields of an `orrery.v1.WatchEvent`. `resources.proto` documents them.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// What happened.
    #[prost(enumeration = "EventType", tag = "1")]
    pub r#type: i32,
    /// The revision of the change.
    #[prost(int64, tag = "2")]
    pub revision: i64,
    /// The object after the change; for a deletion, before it.
    #[prost(message, optional, tag = "3")]
    pub object: Option<Object>,
    /// Who wrote.
    #[prost(string, tag = "4")]
    pub actor: String,
    /// The revision that the writer acted on.
    #[prost(int64, tag = "5")]
    pub cause: i64,
    /// When it was written.
    #[prost(message, optional, tag = "6")]
    pub time: Option<Timestamp>,
}

/// An encoded `orrery.v1.WatchEvent`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFrame(pub Bytes);

impl EventFrame {
    /// Encodes an event.
    pub fn new(event: &Event) -> Self {
        Self(event.encode_to_vec().into())
    }

    /// Decodes the event; the object inside stays bytes.
    pub fn event(&self) -> Result<Event, DecodeError> {
        Event::decode(self.0.clone())
    }
}

impl Message for EventFrame {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put(self.0.clone());
    }

    fn decode(mut buf: impl Buf) -> Result<Self, DecodeError> {
        Ok(Self(buf.copy_to_bytes(buf.remaining())))
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // Only reached when the frame is a field of another message, which the schema has nowhere.
        let mut event = self.event()?;
        event.merge_field(tag, wire_type, buf, ctx)?;
        *self = Self::new(&event);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::Kind as FieldKind;

    #[test]
    fn a_frame_gives_its_event_back() {
        let event = Event {
            r#type: EventType::Added as i32,
            revision: 7,
            actor: "scheduler".into(),
            ..Event::default()
        };
        let frame = EventFrame::new(&event);
        let again = EventFrame::decode(frame.encode_to_vec().as_slice()).unwrap();
        assert_eq!(again.event().unwrap(), event);
    }

    #[test]
    fn the_fields_written_by_hand_are_those_of_the_schema() {
        let message = crate::descriptors()
            .get_message_by_name("orrery.v1.WatchEvent")
            .unwrap();
        let fields: Vec<_> = message
            .fields()
            .map(|f| (f.number(), f.name().to_owned()))
            .collect();
        let expected = [
            (1, "type"),
            (2, "revision"),
            (3, "object"),
            (4, "actor"),
            (5, "cause"),
            (6, "time"),
        ];
        assert_eq!(fields, expected.map(|(n, s)| (n, s.to_owned())));
        let FieldKind::Enum(types) = message.get_field_by_name("type").unwrap().kind() else {
            panic!("type is an enum")
        };
        for value in types.values() {
            let ours = EventType::try_from(value.number()).unwrap();
            assert_eq!(
                format!("{ours:?}").to_uppercase(),
                value.name().replace("TYPE_", "")
            );
        }
    }
}
