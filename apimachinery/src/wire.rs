//! Reads and splices encoded objects where they lie: no decoding, no copy of what is not asked for.
//!
//! The apiserver holds objects as protobuf bytes. What it needs of them (a name, labels, one field) it reads through
//! this module, and `metadata.resourceVersion`, which no stored value carries, is spliced in when an object is handed
//! out. Every kind has its `metadata` as field 1, so nothing here depends on the kind.
//!
//! - [`Fields`]: the fields of one message, in the order in which they are encoded.
//! - [`MetaView`]: an object's metadata.
//! - [`FieldPath`]: one scalar by its path, `spec.nodeName`, for field selectors.
//! - [`metadata`]: all of an object's metadata, encoded.
//! - [`with_resource_version`], [`without_resource_version`].
//!
//! Protobuf allows what prost never writes: fields in any order, a message in several pieces that merge, a scalar
//! twice where the last counts. All of it is read as a decoder would read it. Bytes that are no message are an error,
//! never a panic.

mod meta;
mod path;

pub use meta::{MetaView, OwnerView};
pub use path::{FieldPath, PathError};

use bytes::Bytes;
use prost::encoding::{encode_varint, encoded_len_varint};
use std::borrow::Cow;

/// `metadata` in every kind of object.
const METADATA: u32 = 1;
/// `resourceVersion` in `ObjectMeta`.
const RESOURCE_VERSION: u32 = 6;

/// The bytes are no protobuf message, or a field is not of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends within a field.
    #[error("the message is cut short")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("a number has too many bytes")]
    Overlong,
    /// The field number 0, or one that is too large.
    #[error("a field has a number that protobuf does not allow")]
    FieldNumber,
    /// A wire type that no field of Kubernetes uses: groups, and the two that are not assigned.
    #[error("a field has wire type {0}, which no Kubernetes object uses")]
    WireType(u8),
    /// A field of another wire type than the schema's.
    #[error("field {0} is not of the schema's type")]
    Mismatch(u32),
    /// A string that is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Utf8(u32),
}

/// What a field holds, as far as the wire tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer or a bool.
    Varint(u64),
    /// A fixed64 or a double.
    Fixed64(u64),
    /// A string, bytes, a message or a packed list.
    Bytes(&'a [u8]),
    /// A fixed32 or a float, of which Kubernetes has none. The others' eight bytes lie alike in memory, which four would
    /// spoil: what is found would be taken apart and put together again each time it is passed on.
    Fixed32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// The whole field as encoded, its tag included.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// The value of a field that the schema says is a string, bytes or a message.
    pub fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Mismatch(self.number)),
        }
    }

    /// The value of a string.
    pub fn str(&self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Utf8(self.number))
    }

    /// The value of an integer or a bool.
    pub fn varint(&self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(number) => Ok(number),
            _ => Err(WireError::Mismatch(self.number)),
        }
    }
}

/// The fields of a message, in the order in which they are encoded. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    fn field(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.rest;
        let tag = varint(&mut self.rest)?;
        // The largest field number is 2^29 - 1, so a tag fits 32 bits.
        let tag = u32::try_from(tag).map_err(|_| WireError::FieldNumber)?;
        let (number, wire_type) = (tag >> 3, (tag & 7) as u8);
        if number == 0 {
            return Err(WireError::FieldNumber);
        }
        let value = match wire_type {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(varint(&mut self.rest)?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(len)?)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            other => return Err(WireError::WireType(other)),
        };
        let raw = &start[..start.len() - self.rest.len()];
        Ok(Field { number, value, raw })
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes a number off `bytes`. Tags, most lengths and most values are one byte.
#[inline]
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    if let [first @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    long_varint(bytes)
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut number = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte holds one bit.
        if i > 9 || (i == 9 && bits > 1) {
            return Err(WireError::Overlong);
        }
        number |= bits << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(number);
        }
    }
    Err(WireError::Truncated)
}

/// The encoded metadata of an object of any kind; empty where it has none.
pub fn metadata(object: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let mut found = Cow::Borrowed(&[][..]);
    for field in Fields::new(object) {
        let field = field?;
        if field.number == METADATA {
            // Pieces of a message merge, which is reading them one after the other.
            match found.is_empty() {
                true => found = Cow::Borrowed(field.bytes()?),
                false => found.to_mut().extend_from_slice(field.bytes()?),
            }
        }
    }
    Ok(found)
}

/// The object with `metadata.resourceVersion` set to `revision`, whatever it was before.
///
/// The field goes where an encoder writes it, in the order of the numbers. Metadata in several pieces becomes one.
pub fn with_resource_version(object: &[u8], revision: i64) -> Result<Bytes, WireError> {
    let digits = revision.to_string();
    splice(object, Some(&digits)).map(Bytes::from)
}

/// The object without `metadata.resourceVersion`: what is stored, and what "nothing changed" is measured by.
pub fn without_resource_version(object: &Bytes) -> Result<Bytes, WireError> {
    let mut present = false;
    for field in Fields::new(object) {
        let field = field?;
        if field.number == METADATA {
            for field in Fields::new(field.bytes()?) {
                present |= field?.number == RESOURCE_VERSION;
            }
        }
    }
    if present {
        splice(object, None).map(Bytes::from)
    } else {
        Ok(object.clone())
    }
}

/// `object` with one piece of metadata, in which resourceVersion is `version`, or is not.
fn splice(object: &[u8], version: Option<&str>) -> Result<Vec<u8>, WireError> {
    let sizes = Sizes::of(object)?;
    let version_len = version.map_or(0, |v| 1 + encoded_len_varint(v.len() as u64) + v.len());
    let meta_len = sizes.meta + version_len;
    let has_meta = sizes.has_meta || version.is_some();
    let meta_field_len = 1 + encoded_len_varint(meta_len as u64) + meta_len;

    // Exact: what is handed out is kept for as long as the object lives.
    let mut out = Vec::with_capacity(sizes.rest + if has_meta { meta_field_len } else { 0 });
    let mut is_written = false;
    if has_meta && !sizes.has_meta {
        write_meta(&mut out, object, meta_len, version)?;
        is_written = true;
    }
    for field in Fields::new(object) {
        let field = field?;
        if field.number != METADATA {
            out.extend_from_slice(field.raw);
        } else if !is_written {
            write_meta(&mut out, object, meta_len, version)?;
            is_written = true;
        }
    }
    Ok(out)
}

/// How long the parts of an object are.
#[derive(Default)]
struct Sizes {
    has_meta: bool,
    /// The fields of the metadata without resourceVersion.
    meta: usize,
    /// The fields of the object without metadata.
    rest: usize,
}

impl Sizes {
    fn of(object: &[u8]) -> Result<Self, WireError> {
        let mut sizes = Self::default();
        for field in Fields::new(object) {
            let field = field?;
            if field.number != METADATA {
                sizes.rest += field.raw.len();
                continue;
            }
            sizes.has_meta = true;
            for field in Fields::new(field.bytes()?) {
                let field = field?;
                if field.number == RESOURCE_VERSION {
                    field.str()?;
                } else {
                    sizes.meta += field.raw.len();
                }
            }
        }
        Ok(sizes)
    }
}

fn write_meta(out: &mut Vec<u8>, object: &[u8], len: usize, version: Option<&str>) -> Result<(), WireError> {
    put_tag_and_len(out, METADATA, len);
    put_meta_fields(out, object, |number| number < RESOURCE_VERSION)?;
    if let Some(version) = version {
        put_tag_and_len(out, RESOURCE_VERSION, version.len());
        out.extend_from_slice(version.as_bytes());
    }
    put_meta_fields(out, object, |number| number > RESOURCE_VERSION)
}

fn put_meta_fields(out: &mut Vec<u8>, object: &[u8], keep: impl Fn(u32) -> bool) -> Result<(), WireError> {
    for field in Fields::new(object) {
        let field = field?;
        if field.number == METADATA {
            for field in Fields::new(field.bytes()?) {
                let field = field?;
                if keep(field.number) {
                    out.extend_from_slice(field.raw);
                }
            }
        }
    }
    Ok(())
}

/// `number` must be below 16, so that its tag is one byte.
fn put_tag_and_len(out: &mut Vec<u8>, number: u32, len: usize) {
    out.push((number << 3 | 2) as u8);
    encode_varint(len as u64, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::Pod;

    fn pod(version: &str) -> Pod {
        let mut pod = Pod::default();
        let meta = pod.metadata_mut();
        meta.name = "web".into();
        meta.generation = 3;
        meta.labels.insert("app".into(), "web".into());
        meta.resource_version = version.into();
        pod.spec.get_or_insert_default().node_name = "node-1".into();
        pod
    }

    #[test]
    fn a_spliced_object_is_what_an_encoder_would_write() {
        for before in ["", "7", "123456789012"] {
            let bytes = pod(before).encode_to_vec();
            assert_eq!(
                with_resource_version(&bytes, 42).unwrap(),
                pod("42").encode_to_vec()
            );
            let bare = without_resource_version(&bytes.into()).unwrap();
            assert_eq!(bare, pod("").encode_to_vec());
        }
    }

    #[test]
    fn metadata_may_be_missing_last_or_in_pieces() {
        let spec = |node: &str| {
            let mut pod = Pod::default();
            pod.spec.get_or_insert_default().node_name = node.into();
            pod.encode_to_vec()
        };
        let meta = |edit: fn(&mut proto::meta::v1::ObjectMeta)| {
            let mut pod = Pod::default();
            edit(pod.metadata_mut());
            pod.encode_to_vec()
        };
        let name = meta(|m| m.name = "web".into());
        let old = meta(|m| m.resource_version = "1".into());
        let uid = meta(|m| m.uid = "u".into());
        for pieces in [
            vec![spec("a")],
            vec![spec("a"), name.clone()],
            vec![old.clone(), spec("a"), name.clone(), old.clone()],
            vec![uid.clone(), spec("a"), name, spec("b"), uid],
            vec![old],
            vec![],
        ] {
            let bytes = pieces.concat();
            let mut expected = Pod::decode(bytes.as_slice()).unwrap();
            expected.metadata_mut().resource_version = "42".into();
            let spliced = with_resource_version(&bytes, 42).unwrap();
            assert_eq!(Pod::decode(spliced.clone()).unwrap(), expected);
            expected.metadata_mut().resource_version = String::new();
            let bare = without_resource_version(&spliced).unwrap();
            assert_eq!(Pod::decode(bare).unwrap(), expected);
        }
    }

    #[test]
    fn malformed_messages_are_named() {
        for (bytes, error) in [
            (&[0x0a, 5, 1][..], WireError::Truncated),
            (&[0x0a], WireError::Truncated),
            (&[0x80], WireError::Truncated),
            (&[0x0b], WireError::WireType(3)),
            (&[0x07], WireError::FieldNumber),
            (&[0x08, 1], WireError::Mismatch(1)),
            (&[0x0a, 3, 0x32, 1, 0xff], WireError::Utf8(6)),
            (
                &[0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
                WireError::Overlong,
            ),
        ] {
            assert_eq!(with_resource_version(bytes, 1), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn without_a_version_the_bytes_are_not_copied() {
        let bytes = Bytes::from(pod("").encode_to_vec());
        let bare = without_resource_version(&bytes).unwrap();
        assert_eq!(bare.as_ptr(), bytes.as_ptr());
    }

    /// Encoded Pods in pieces, with a few bytes changed: mostly still messages, never quite what an encoder writes.
    fn damaged_pods() -> impl Strategy<Value = Vec<u8>> {
        let piece = (any::<bool>(), any::<bool>(), "[a-z]{0,3}").prop_map(|(has_meta, has_spec, text)| {
            let mut pod = Pod::default();
            if has_meta {
                pod.metadata_mut().name.clone_from(&text);
                pod.metadata_mut().resource_version.clone_from(&text);
                pod.metadata_mut().labels.insert(text.clone(), text.clone());
                pod.metadata_mut().finalizers.push(text.clone());
            }
            if has_spec {
                pod.spec.get_or_insert_default().node_name = text;
            }
            pod.encode_to_vec()
        });
        let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (prop::collection::vec(piece, 0..4), flips).prop_map(|(pieces, flips)| {
            let mut bytes = pieces.concat();
            for (index, byte) in flips {
                if !bytes.is_empty() {
                    let i = index.index(bytes.len());
                    bytes[i] = byte;
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn what_a_decoder_reads_is_read_alike_and_spliced_alike(bytes in damaged_pods(), revision in any::<i64>()) {
            let Ok(mut decoded) = Pod::decode(bytes.as_slice()) else { return Ok(()) };
            let spliced = match with_resource_version(&bytes, revision) {
                Ok(spliced) => spliced,
                // A decoder skips the groups that old protobuf had.
                Err(error) => {
                    prop_assert!(matches!(error, WireError::WireType(3 | 4)), "{}", error);
                    return Ok(());
                }
            };
            let view = MetaView::parse(&bytes).unwrap();
            prop_assert_eq!(view.name, decoded.name());
            prop_assert_eq!(view.resource_version, &decoded.meta().resource_version);
            prop_assert_eq!(view.finalizers().collect::<Vec<_>>(), decoded.meta().finalizers.clone());
            for (key, value) in &decoded.meta().labels {
                prop_assert_eq!(view.label(key), Some(value.as_str()));
            }
            let node = decoded.spec.as_ref().map_or("", |spec| &spec.node_name).to_owned();
            let path = FieldPath::resolve(Pod::FULL_NAME, "spec.nodeName").unwrap();
            prop_assert_eq!(path.read(&bytes).unwrap(), node);
            decoded.metadata_mut().resource_version = revision.to_string();
            prop_assert_eq!(Pod::decode(spliced).unwrap(), decoded);
        }

        #[test]
        fn random_bytes_never_panic_and_spliced_ones_stay_readable(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            revision in any::<i64>(),
        ) {
            if let Ok(spliced) = with_resource_version(&bytes, revision) {
                let again = with_resource_version(&spliced, revision).unwrap();
                prop_assert_eq!(&again, &spliced);
                without_resource_version(&spliced).unwrap();
            }
            let _ = MetaView::parse(&bytes);
        }
    }
}
