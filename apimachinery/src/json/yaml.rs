//! Manifests: YAML with any number of documents, or JSON, which is YAML too.
//!
//! In: a file's text. Out: one tree a document, with the line that it starts on and the place of every field, so that
//! an error found later still names its line. And back: a tree as kubectl prints it.
//!
//! Invariant: memory is bounded by [`MAX_NODES`], whatever aliases the text plays with.

use super::fault::{Fault, FaultKind, Faults, Place, Segment};
use super::schema::MAX_DEPTH;
use super::{Decoded, Unknown};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::fmt;

/// Values in one file, aliases counted as often as they are used. A 1.5 MiB object of short fields has fewer.
const MAX_NODES: usize = 500_000;

/// Documents in one file: `kubectl get -A -o yaml` of a large cluster, split.
const MAX_DOCUMENTS: usize = 100_000;

/// One object of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which document of the file it is, from 0; empty ones are not counted.
    pub index: usize,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its content.
    pub value: Value,
    places: Node,
}

/// A document that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("document {}: {fault}", .index + 1)]
pub struct DocumentError {
    /// Which document of the file it is, from 0.
    pub index: usize,
    /// What is wrong, and where.
    pub fault: Fault,
}

impl Document {
    /// Reads the object; faults name their lines in the file.
    pub fn decode(&self, unknown: Unknown) -> Result<Decoded, Faults> {
        super::from_value(&self.value, unknown)
            .map(|mut decoded| {
                self.place(&mut decoded.warnings);
                decoded
            })
            .map_err(|mut faults| {
                self.place(&mut faults.0);
                faults
            })
    }

    /// Where a field stands in the file, or the nearest one above it that is there.
    pub fn locate(&self, path: &[Segment]) -> Place {
        let mut at = &self.places;
        for segment in path {
            let below = match (segment, &at.content) {
                (Segment::Field(name) | Segment::Key(name), Content::Map(entries)) => entries
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value),
                (Segment::Index(index), Content::List(items)) => items.get(*index),
                _ => None,
            };
            match below {
                Some(node) => at = node,
                None => break,
            }
        }
        at.place
    }

    fn place(&self, faults: &mut [Fault]) {
        for fault in faults {
            fault.place = Some(self.locate(&fault.path));
        }
    }
}

/// The documents of a manifest, in order. After a fault of syntax there are no more.
pub fn documents(text: &str) -> impl Iterator<Item = Result<Document, DocumentError>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: MAX_DOCUMENTS,
        },
        // As kubectl reads file modes: 0644 is octal.
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    let mut bytes = text.as_bytes();
    let nodes: Vec<Result<Node, serde_saphyr::Error>> =
        serde_saphyr::read_with_options::<_, Node>(&mut bytes, options).collect();
    nodes.into_iter().enumerate().map(|(index, node)| match node {
        Ok(places) => Ok(Document {
            index,
            line: places.place.line,
            value: places.value(),
            places,
        }),
        Err(error) => Err(DocumentError {
            index,
            fault: syntax(&error),
        }),
    })
}

fn syntax(error: &serde_saphyr::Error) -> Fault {
    let error = error.without_snippet();
    let place = error.location().map(|at| Place {
        line: at.line() as usize,
        column: at.column() as usize,
    });
    Fault {
        place,
        ..Fault::new(FaultKind::Syntax, error.to_string())
    }
}

/// The tree as YAML in kubectl's style: lists not indented below their field, strings quoted where they must be, lines
/// never folded.
pub fn print(value: &Value) -> String {
    let options = serde_saphyr::ser_options! {
        compact_list_indent: true,
        folded_wrap_chars: usize::MAX,
        min_fold_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(value, options).expect("a tree of JSON is printable")
}

/// A value and where it stands.
#[derive(Clone, Debug)]
struct Node {
    place: Place,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.value()))
                    .collect(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        let at = spanned.referenced;
        Ok(Self {
            place: Place {
                line: at.line() as usize,
                column: at.column() as usize,
            },
            content: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Content, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Content::Map(map))
    }
}
