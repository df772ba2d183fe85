//! One scalar field by its path, read where it lies: what field selectors compare.

use super::{Field, Fields, WireError};
use prost_reflect::Kind as FieldKind;
use std::borrow::Cow;

/// A path such as `spec.nodeName`, resolved to field numbers once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// The messages on the way.
    parents: Vec<u32>,
    field: u32,
    scalar: Scalar,
}

/// How a scalar reads as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    Text,
    Bool,
    Integer,
}

/// The path leads to nothing that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No such message in the schema.
    #[error("the schema has no message {0}")]
    NoMessage(String),
    /// No such field.
    #[error("{message} has no field {field}")]
    NoField {
        /// The message's full name.
        message: String,
        /// The field, as the path spells it.
        field: String,
    },
    /// A list, a map, a message, or a scalar that has no one way to be written.
    #[error("{0} is not a single string, number or bool")]
    NotScalar(String),
}

impl FieldPath {
    /// Resolves `path` from `message`, a full protobuf name ([`crate::kinds::KindInfo::message`]). Field names are as
    /// manifests spell them.
    pub fn resolve(message: &str, path: &str) -> Result<Self, PathError> {
        let mut descriptor = proto::descriptors()
            .get_message_by_name(message)
            .ok_or_else(|| PathError::NoMessage(message.to_owned()))?;
        let mut parents = Vec::new();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let field = descriptor
                .get_field_by_name(name)
                .or_else(|| descriptor.get_field_by_json_name(name))
                .ok_or_else(|| PathError::NoField {
                    message: descriptor.full_name().to_owned(),
                    field: name.to_owned(),
                })?;
            if field.is_list() || field.is_map() {
                break;
            }
            let scalar = match field.kind() {
                FieldKind::Message(inner) if names.peek().is_some() => {
                    parents.push(field.number());
                    descriptor = inner;
                    continue;
                }
                FieldKind::String => Scalar::Text,
                FieldKind::Bool => Scalar::Bool,
                FieldKind::Int32 | FieldKind::Int64 | FieldKind::Uint32 | FieldKind::Uint64 => {
                    Scalar::Integer
                }
                _ => break,
            };
            if names.peek().is_none() {
                return Ok(Self {
                    parents,
                    field: field.number(),
                    scalar,
                });
            }
            break;
        }
        Err(PathError::NotScalar(path.to_owned()))
    }

    /// The field's value as text. A field that is missing has its default: empty, `false` or `0`.
    pub fn read<'a>(&self, object: &'a [u8]) -> Result<Cow<'a, str>, WireError> {
        let found = find(object, &self.parents, self.field)?;
        Ok(match (self.scalar, found) {
            (Scalar::Text, None) => Cow::Borrowed(""),
            (Scalar::Bool, None) => Cow::Borrowed("false"),
            (Scalar::Integer, None) => Cow::Borrowed("0"),
            (Scalar::Text, Some(field)) => Cow::Borrowed(field.str()?),
            (Scalar::Bool, Some(field)) => Cow::Borrowed(if field.varint()? == 0 { "false" } else { "true" }),
            // Kubernetes' unsigned integers do not exist, and int32 is sign-extended on the wire.
            (Scalar::Integer, Some(field)) => Cow::Owned((field.varint()? as i64).to_string()),
        })
    }
}

/// The last occurrence of the field, over all pieces of the messages above it.
fn find<'a>(message: &'a [u8], parents: &[u32], number: u32) -> Result<Option<Field<'a>>, WireError> {
    let mut found = None;
    let (wanted, below) = parents
        .split_first()
        .map_or((number, None), |(first, rest)| (*first, Some(rest)));
    for field in Fields::new(message) {
        let field = field?;
        if field.number == wanted {
            match below {
                Some(rest) => found = find(field.bytes()?, rest, number)?.or(found),
                None => found = Some(field),
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::{Node, Pod};

    fn pod() -> Vec<u8> {
        let mut pod = Pod::default();
        pod.metadata_mut().name = "web".into();
        pod.metadata_mut().generation = -2;
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = "node-1".into();
        spec.host_network = true;
        pod.encode_to_vec()
    }

    #[test]
    fn paths_read_scalars_as_text() {
        for (path, expected) in [
            ("metadata.name", "web"),
            ("metadata.namespace", ""),
            ("metadata.generation", "-2"),
            ("spec.nodeName", "node-1"),
            ("spec.hostNetwork", "true"),
            ("spec.hostPID", "false"),
            ("status.phase", ""),
            ("spec.terminationGracePeriodSeconds", "0"),
        ] {
            let field = FieldPath::resolve(Pod::FULL_NAME, path).unwrap();
            assert_eq!(field.read(&pod()).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_to_no_scalar_is_refused() {
        for path in [
            "",
            "spec",
            "spec.none",
            "spec.containers.name",
            "metadata.labels",
            "metadata.name.x",
        ] {
            assert!(FieldPath::resolve(Pod::FULL_NAME, path).is_err(), "{path}");
        }
        assert!(FieldPath::resolve("no.such.Message", "a").is_err());
    }

    #[test]
    fn of_a_message_in_pieces_the_last_value_counts_even_if_the_last_piece_has_none() {
        let piece = |edit: fn(&mut proto::api::core::v1::NodeSpec)| {
            let mut node = Node::default();
            edit(node.spec.get_or_insert_default());
            node.encode_to_vec()
        };
        let bytes = [
            piece(|s| s.pod_cidr = "a".into()),
            piece(|s| s.pod_cidr = "b".into()),
            piece(|s| s.unschedulable = true),
        ];
        let path = FieldPath::resolve(Node::FULL_NAME, "spec.podCIDR").unwrap();
        assert_eq!(path.read(&bytes.concat()).unwrap(), "b");
    }

    #[test]
    fn a_field_of_another_type_is_an_error() {
        let path = FieldPath::resolve(Pod::FULL_NAME, "metadata.name").unwrap();
        assert_eq!(path.read(&[0x0a, 2, 0x08, 1]), Err(WireError::Mismatch(1)));
    }
}
