//! An object's outline: its metadata decoded, everything else left as the bytes it arrived in.
//!
//! Every kind has its metadata in field 1, and those with a status have it in field 3 (a test reads that from the
//! schema). Generic semantics need no more than that: they change metadata, swap statuses, and ask whether the rest is
//! the same. Two outlines compare well only when both come from the canonical encoding, which [`super::typed`] makes.

use apimachinery::wire::Fields;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::message;
use proto::meta::v1::ObjectMeta;

/// The field of every kind that holds its metadata.
const METADATA: u32 = 1;
/// The field that holds the status, of kinds that have one.
const STATUS: u32 = 3;

/// An object: metadata to read and write, and the other fields as bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outline {
    /// The metadata.
    pub(crate) meta: ObjectMeta,
    /// The other fields in their order, each with its number, key included in the bytes.
    rest: Vec<(u32, Bytes)>,
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
                rest.push((field.number, value.slice_ref(field.raw)));
            }
        }
        Ok(Self { meta, rest })
    }

    /// The encoded object.
    pub(crate) fn encode(&self) -> Bytes {
        let rest: usize = self.rest.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut out = BytesMut::with_capacity(self.meta.encoded_len() + rest + 8);
        message::encode(METADATA, &self.meta, &mut out);
        for (_, bytes) in &self.rest {
            out.put_slice(bytes);
        }
        out.freeze()
    }

    /// Puts `other`'s status in the place of this object's.
    pub(crate) fn take_status_of(&mut self, other: &Self) {
        self.rest.retain(|(number, _)| *number != STATUS);
        self.rest
            .extend(other.rest.iter().filter(|(number, _)| *number == STATUS).cloned());
        self.rest.sort_by_key(|(number, _)| *number);
    }

    /// Takes the status away.
    pub(crate) fn clear_status(&mut self) {
        self.rest.retain(|(number, _)| *number != STATUS);
    }

    /// Whether everything but metadata and status is the same: what `metadata.generation` counts.
    pub(crate) fn same_spec(&self, other: &Self) -> bool {
        let spec = |outline: &Self| -> Vec<Bytes> {
            let fields = outline.rest.iter().filter(|(number, _)| *number != STATUS);
            fields.map(|(_, bytes)| bytes.clone()).collect()
        };
        spec(self) == spec(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::{Pod, PodSpec, PodStatus};

    fn pod(node: &str, phase: &str) -> Outline {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: node.into(),
                ..PodSpec::default()
            }),
            status: Some(PodStatus {
                phase: phase.into(),
                ..PodStatus::default()
            }),
            ..Pod::default()
        };
        pod.metadata_mut().name = "web".into();
        Outline::parse(&pod.encode_to_vec().into()).unwrap()
    }

    #[test]
    fn every_kind_keeps_metadata_in_field_1_and_status_in_field_3() {
        for info in apimachinery::kinds::all() {
            let message = proto::descriptors().get_message_by_name(info.message).unwrap();
            assert_eq!(
                message.get_field(METADATA).unwrap().name(),
                "metadata",
                "{}",
                info.kind
            );
            if info.has_status {
                assert_eq!(
                    message.get_field(STATUS).unwrap().name(),
                    "status",
                    "{}",
                    info.kind
                );
            }
        }
    }

    #[test]
    fn an_outline_encodes_to_the_object_it_was_read_from() {
        let outline = pod("n1", "Running");
        let again = Pod::decode(outline.encode()).unwrap();
        assert_eq!(again.name(), "web");
        assert_eq!(again.spec.unwrap().node_name, "n1");
        assert_eq!(Outline::parse(&outline.encode()).unwrap(), outline);
    }

    #[test]
    fn a_status_is_swapped_and_the_spec_compared_without_decoding_either() {
        let mut ours = pod("n1", "Pending");
        let theirs = pod("n1", "Running");
        assert!(ours.same_spec(&theirs));
        assert!(!ours.same_spec(&pod("n2", "Pending")));
        ours.take_status_of(&theirs);
        assert_eq!(
            Pod::decode(ours.encode()).unwrap().status.unwrap().phase,
            "Running"
        );
        ours.clear_status();
        assert!(Pod::decode(ours.encode()).unwrap().status.is_none());
    }

    #[test]
    fn bytes_that_are_cut_short_are_an_error() {
        let mut bytes = pod("n1", "Pending").encode();
        bytes.truncate(bytes.len() - 1);
        assert!(Outline::parse(&bytes).is_err());
    }
}
