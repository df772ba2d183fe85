//! An object's metadata, read where it lies.

use super::{Fields, METADATA, Value, WireError};
use proto::Timestamp;

/// The metadata of an encoded object. Made by [`MetaView::parse`], which checks all of it, so that nothing that is read
/// from the view afterwards can fail.
#[derive(Clone, Copy, Debug)]
pub struct MetaView<'a> {
    object: &'a [u8],
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`; empty for kinds that live in none.
    pub namespace: &'a str,
    /// `metadata.uid`.
    pub uid: &'a str,
    /// `metadata.resourceVersion` as text; empty in a stored value.
    pub resource_version: &'a str,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub creation_timestamp: Option<Timestamp>,
    /// `metadata.deletionTimestamp`: set when the object waits for its end.
    pub deletion_timestamp: Option<Timestamp>,
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerView<'a> {
    /// `apps/v1`.
    pub api_version: &'a str,
    /// `ReplicaSet`.
    pub kind: &'a str,
    /// The owner's name.
    pub name: &'a str,
    /// The owner's UID.
    pub uid: &'a str,
    /// Whether the owner is the managing controller.
    pub controller: bool,
    /// Whether the owner's foreground deletion waits for this object.
    pub block_owner_deletion: bool,
}

// The numbers of ObjectMeta's fields.
const NAME: u32 = 1;
const NAMESPACE: u32 = 3;
const UID: u32 = 5;
const RESOURCE_VERSION: u32 = 6;
const GENERATION: u32 = 7;
const CREATION_TIMESTAMP: u32 = 8;
const DELETION_TIMESTAMP: u32 = 9;
const LABELS: u32 = 11;
const ANNOTATIONS: u32 = 12;
const OWNER_REFERENCES: u32 = 13;
const FINALIZERS: u32 = 14;
const MANAGED_FIELDS: u32 = 17;

impl<'a> MetaView<'a> {
    /// Reads the metadata of `object`, an encoded message of any kind. Missing metadata reads as empty.
    pub fn parse(object: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self {
            object,
            name: "",
            namespace: "",
            uid: "",
            resource_version: "",
            generation: 0,
            creation_timestamp: None,
            deletion_timestamp: None,
        };
        for field in Fields::new(object) {
            let field = field?;
            if field.number != METADATA {
                continue;
            }
            for field in Fields::new(field.bytes()?) {
                let field = field?;
                match field.number {
                    NAME => view.name = field.str()?,
                    NAMESPACE => view.namespace = field.str()?,
                    UID => view.uid = field.str()?,
                    RESOURCE_VERSION => view.resource_version = field.str()?,
                    GENERATION => view.generation = field.varint()? as i64,
                    CREATION_TIMESTAMP => read_time(&mut view.creation_timestamp, field.bytes()?)?,
                    DELETION_TIMESTAMP => read_time(&mut view.deletion_timestamp, field.bytes()?)?,
                    LABELS | ANNOTATIONS => {
                        map_entry(field.bytes()?)?;
                    }
                    OWNER_REFERENCES => {
                        owner(field.bytes()?)?;
                    }
                    FINALIZERS => {
                        field.str()?;
                    }
                    _ => {}
                }
            }
        }
        Ok(view)
    }

    /// The labels in the order of their encoding. An encoder writes each key once.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.all(LABELS).filter_map(|bytes| map_entry(bytes).ok())
    }

    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&'a str> {
        // Of a key that is there twice, the last counts.
        self.labels().filter(|(k, _)| *k == key).last().map(|(_, v)| v)
    }

    /// The annotations in the order of their encoding.
    pub fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.all(ANNOTATIONS).filter_map(|bytes| map_entry(bytes).ok())
    }

    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations()
            .filter(|(k, _)| *k == key)
            .last()
            .map(|(_, v)| v)
    }

    /// The owner references.
    pub fn owners(&self) -> impl Iterator<Item = OwnerView<'a>> + use<'a> {
        self.all(OWNER_REFERENCES).filter_map(|bytes| owner(bytes).ok())
    }

    /// The owner that manages this object, where one does.
    pub fn controller(&self) -> Option<OwnerView<'a>> {
        self.owners().find(|owner| owner.controller)
    }

    /// The finalizers.
    pub fn finalizers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all(FINALIZERS)
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Whether it is known who owns which of the object's fields.
    pub fn has_managed_fields(&self) -> bool {
        self.all(MANAGED_FIELDS).next().is_some()
    }

    /// The revision in `resource_version`; 0 in a stored value.
    pub fn revision(&self) -> i64 {
        self.resource_version.parse().unwrap_or(0)
    }

    /// The values of a repeated field, over all pieces of the metadata. `parse` has found them well formed.
    fn all(&self, number: u32) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        fn pieces(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
            Fields::new(message)
                .filter_map(Result::ok)
                .filter(move |field| field.number == number)
                .filter_map(|field| field.bytes().ok())
        }
        pieces(self.object, METADATA).flat_map(move |meta| pieces(meta, number))
    }
}

fn map_entry(entry: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut key, mut value) = ("", "");
    for field in Fields::new(entry) {
        let field = field?;
        match field.number {
            1 => key = field.str()?,
            2 => value = field.str()?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn owner(message: &[u8]) -> Result<OwnerView<'_>, WireError> {
    let mut owner = OwnerView::default();
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => owner.kind = field.str()?,
            3 => owner.name = field.str()?,
            4 => owner.uid = field.str()?,
            5 => owner.api_version = field.str()?,
            6 => owner.controller = field.varint()? != 0,
            7 => owner.block_owner_deletion = field.varint()? != 0,
            _ => {}
        }
    }
    Ok(owner)
}

/// Merges one piece of a timestamp into what was read of it before.
fn read_time(time: &mut Option<Timestamp>, message: &[u8]) -> Result<(), WireError> {
    let time = time.get_or_insert_default();
    for field in Fields::new(message) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Varint(seconds)) => time.seconds = seconds as i64,
            (2, Value::Varint(nanos)) => time.nanos = nanos as i32,
            (1 | 2, _) => return Err(WireError::Mismatch(field.number)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use proto::Kind;
    use proto::api::apps::v1::ReplicaSet;
    use proto::meta::v1::OwnerReference;

    #[test]
    fn a_view_reads_what_a_decoder_reads() {
        let mut object = ReplicaSet::default();
        let meta = object.metadata_mut();
        meta.name = "web-5d4".into();
        meta.namespace = "default".into();
        meta.uid = "u-1".into();
        meta.resource_version = "17".into();
        meta.generation = 4;
        meta.deletion_timestamp = Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 5,
        });
        meta.labels.insert("app".into(), "web".into());
        meta.labels.insert("tier".into(), String::new());
        meta.annotations.insert("note".into(), "x".into());
        meta.finalizers = vec!["orphan".into(), "foregroundDeletion".into()];
        meta.owner_references = vec![
            OwnerReference {
                kind: "Other".into(),
                ..OwnerReference::default()
            },
            OwnerReference {
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                name: "web".into(),
                uid: "u-0".into(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            },
        ];
        let bytes = object.encode_to_vec();
        let view = MetaView::parse(&bytes).unwrap();
        assert_eq!(
            (view.name, view.namespace, view.uid),
            ("web-5d4", "default", "u-1")
        );
        assert_eq!((view.generation, view.revision()), (4, 17));
        assert_eq!(
            view.deletion_timestamp.map(|t| (t.seconds, t.nanos)),
            Some((1_700_000_000, 5))
        );
        assert_eq!(view.creation_timestamp, None);
        assert_eq!(view.labels().collect::<Vec<_>>(), [("app", "web"), ("tier", "")]);
        assert_eq!((view.label("tier"), view.label("none")), (Some(""), None));
        assert_eq!(view.annotation("note"), Some("x"));
        assert_eq!(
            view.finalizers().collect::<Vec<_>>(),
            ["orphan", "foregroundDeletion"]
        );
        assert_eq!(view.owners().count(), 2);
        let controller = view.controller().unwrap();
        assert_eq!(
            (controller.kind, controller.name, controller.uid),
            ("Deployment", "web", "u-0")
        );
        assert_eq!(
            (controller.api_version, controller.block_owner_deletion),
            ("apps/v1", true)
        );
    }

    #[test]
    fn of_two_pieces_the_last_scalar_counts_and_lists_add_up() {
        let piece = |name: &str, finalizer: &str| {
            let mut object = ReplicaSet::default();
            object.metadata_mut().name = name.into();
            object.metadata_mut().finalizers = vec![finalizer.into()];
            object.encode_to_vec()
        };
        let bytes = [piece("a", "x"), piece("b", "y")].concat();
        let view = MetaView::parse(&bytes).unwrap();
        assert_eq!(view.name, "b");
        assert_eq!(view.finalizers().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn an_object_without_metadata_reads_as_empty() {
        let view = MetaView::parse(&[]).unwrap();
        assert_eq!((view.name, view.labels().count(), view.revision()), ("", 0, 0));
    }
}
