//! An object's outline: its metadata decoded, everything else left as the bytes it was stored as.
//!
//! Every kind has its metadata in field 1 (a test reads that from the schema). What ends an object needs no more than
//! that, so it works on any kind.

use apimachinery::wire::{Fields, MetaView, WireError};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::message;
use proto::meta::v1::ObjectMeta;

/// The field of every kind that holds its metadata.
const METADATA: u32 = 1;
/// An object: metadata to read and write, and the other fields as bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outline {
    /// The metadata.
    pub(crate) meta: ObjectMeta,
    /// The other fields in their order, key included.
    rest: Vec<Bytes>,
}

/// What tells an object from others, and its revision from earlier ones: the object with nothing else.
pub(crate) fn identity(object: &Bytes) -> Result<Bytes, WireError> {
    let meta = MetaView::parse(object)?;
    let meta = ObjectMeta {
        name: meta.name.into(),
        namespace: meta.namespace.into(),
        uid: meta.uid.into(),
        resource_version: meta.resource_version.into(),
        ..ObjectMeta::default()
    };
    let rest = Vec::new();
    Ok(Outline { meta, rest }.encode())
}

impl Outline {
    /// Reads an encoded object; the error says what is wrong with it.
    pub(crate) fn parse(value: &Bytes) -> Result<Self, String> {
        let mut meta = ObjectMeta::default();
        let mut rest = Vec::with_capacity(2);
        for field in Fields::new(value) {
            let field = field.map_err(|error| error.to_string())?;
            if field.number == METADATA {
                let bytes = field.bytes().map_err(|error| error.to_string())?;
                meta.merge(bytes).map_err(|error| error.to_string())?;
            } else {
                rest.push(value.slice_ref(field.raw));
            }
        }
        Ok(Self { meta, rest })
    }

    /// The object without those fields, metadata aside, that the other has with the same values.
    pub(crate) fn without_fields_of(&self, other: &Self) -> Self {
        let number = |field: &Bytes| {
            Fields::new(field)
                .next()
                .and_then(Result::ok)
                .map(|field| field.number)
        };
        let is_same = |wanted| {
            let of = |outline: &Self| -> Vec<Bytes> {
                let mine = outline.rest.iter().filter(|field| number(field) == wanted);
                mine.cloned().collect()
            };
            of(self) == of(other)
        };
        let mut same: Vec<(Option<u32>, bool)> = Vec::new();
        let rest = self.rest.iter().filter(|field| {
            let number = number(field);
            match same.iter().find(|(known, _)| *known == number) {
                Some((_, same)) => !same,
                None => {
                    let is_same = is_same(number);
                    same.push((number, is_same));
                    !is_same
                }
            }
        });
        Self {
            rest: rest.cloned().collect(),
            meta: self.meta.clone(),
        }
    }

    /// The encoded object.
    pub(crate) fn encode(&self) -> Bytes {
        let rest: usize = self.rest.iter().map(Bytes::len).sum();
        let mut out = BytesMut::with_capacity(self.meta.encoded_len() + rest + 8);
        message::encode(METADATA, &self.meta, &mut out);
        for bytes in &self.rest {
            out.put_slice(bytes);
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::{Pod, PodSpec};

    #[test]
    fn fields_that_another_object_has_too_are_dropped_whole_or_not_at_all() {
        use proto::api::core::v1::ConfigMap;
        let config = |data: &[(&str, &str)], immutable| {
            let config = ConfigMap {
                data: data
                    .iter()
                    .map(|(key, value)| ((*key).into(), (*value).into()))
                    .collect(),
                immutable,
                ..ConfigMap::default()
            };
            Outline::parse(&config.encode_to_vec().into()).unwrap()
        };
        let left = |one: &Outline, other: &Outline| {
            ConfigMap::decode(one.without_fields_of(other).encode()).unwrap()
        };
        let old = config(&[("a", "1"), ("b", "2")], Some(true));
        let new = config(&[("a", "1"), ("b", "3")], Some(true));
        assert_eq!(
            (left(&new, &old).data.len(), left(&new, &old).immutable),
            (2, None)
        );
        assert_eq!(
            left(&old, &old),
            ConfigMap {
                metadata: Some(ObjectMeta::default()),
                ..ConfigMap::default()
            }
        );
        let bare = config(&[], None);
        assert_eq!(
            (left(&old, &bare).data.len(), left(&bare, &old).data.len()),
            (2, 0)
        );
    }

    fn pod() -> Outline {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: "n1".into(),
                ..PodSpec::default()
            }),
            ..Pod::default()
        };
        pod.metadata_mut().name = "web".into();
        Outline::parse(&pod.encode_to_vec().into()).unwrap()
    }

    #[test]
    fn every_kind_keeps_its_metadata_in_field_1() {
        for info in apimachinery::kinds::all() {
            let message = proto::descriptors().get_message_by_name(info.message).unwrap();
            assert_eq!(
                message.get_field(METADATA).unwrap().name(),
                "metadata",
                "{}",
                info.kind
            );
        }
    }

    #[test]
    fn an_outline_encodes_to_the_object_it_was_read_from() {
        let mut outline = pod();
        outline.meta.labels.insert("app".into(), "web".into());
        let again = Pod::decode(outline.encode()).unwrap();
        assert_eq!(again.meta().labels["app"], "web");
        assert_eq!(again.spec.unwrap().node_name, "n1");
        assert_eq!(Outline::parse(&outline.encode()).unwrap(), outline);
    }

    #[test]
    fn an_identity_is_a_few_bytes_that_decode_as_the_kind() {
        let again = Pod::decode(identity(&pod().encode()).unwrap()).unwrap();
        assert_eq!(again.name(), "web");
        assert!(again.spec.is_none());
    }

    #[test]
    fn bytes_that_are_cut_short_are_an_error() {
        let mut bytes = pod().encode();
        bytes.truncate(bytes.len() - 1);
        assert!(Outline::parse(&bytes).is_err());
    }
}
