//! Takes encoded objects apart by their top-level fields, whatever their kind.

use bytes::{Buf, BufMut, BytesMut};
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, encode_varint, skip_field};
use proto::Object;

/// `metadata` in every kind.
pub(super) const METADATA: u32 = 1;
/// `spec` in every kind that has a status.
pub(super) const SPEC: u32 = 2;
/// `status` in every kind that has one.
pub(super) const STATUS: u32 = 3;

/// The encoded message of a field; empty when it is not set.
pub(super) fn get(object: &Object, field: u32) -> Vec<u8> {
    let mut found = Vec::new();
    for (tag, raw) in split(object) {
        if tag == field {
            let mut raw = raw.as_slice();
            let parts = decode_key(&mut raw).and_then(|_| prost::encoding::decode_varint(&mut raw));
            parts.expect("an encoded object");
            found.extend_from_slice(raw);
        }
    }
    found
}

/// The object with a field replaced by `message`, in the order of the field numbers; an empty message unsets it.
pub(super) fn with(object: &Object, field: u32, message: &[u8]) -> Object {
    let mut fields: Vec<_> = split(object)
        .into_iter()
        .filter(|(tag, _)| *tag != field)
        .collect();
    if !message.is_empty() {
        let mut raw = Vec::new();
        encode_key(field, WireType::LengthDelimited, &mut raw);
        encode_varint(message.len() as u64, &mut raw);
        raw.extend_from_slice(message);
        fields.push((field, raw));
    }
    fields.sort_by_key(|(tag, _)| *tag);
    let mut bytes = BytesMut::new();
    for (_, raw) in fields {
        bytes.put_slice(&raw);
    }
    Object {
        number: object.number,
        bytes: bytes.freeze(),
    }
}

/// Whether two objects have the same fields; a message that is there but empty counts as one that is not.
pub(super) fn same(a: &Object, b: &Object) -> bool {
    let full = |object: &Object| {
        let mut fields = split(object);
        fields.retain(|(_, raw)| {
            let mut raw = raw.as_slice();
            !matches!(decode_key(&mut raw), Ok((_, WireType::LengthDelimited)) if raw == [0])
        });
        fields
    };
    full(a) == full(b)
}

/// Every field with its number, key and length included.
fn split(object: &Object) -> Vec<(u32, Vec<u8>)> {
    let mut rest = object.bytes.clone();
    let mut fields = Vec::new();
    while rest.has_remaining() {
        let start = rest.clone();
        let (tag, wire_type) = decode_key(&mut rest).expect("an encoded object");
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).expect("an encoded object");
        fields.push((tag, start[..start.len() - rest.len()].to_vec()));
    }
    fields
}
