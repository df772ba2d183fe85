//! Manifests: YAML with any number of documents, or JSON, which is YAML too.
//!
//! In: a file's text. Out: one tree a document, with the line that it starts on and the place of every field, so that
//! an error found later still names its line. And back: a tree as kubectl prints it.
//!
//! Invariant: memory is bounded by `MAX_NODES` and `MAX_REPLAYED`, whatever aliases the text plays with.

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

/// Events that aliases may add to a document. Manifests share a few blocks between containers, not more.
const MAX_REPLAYED: usize = 50_000;

/// Documents in one file: `kubectl get -A -o yaml` of a large cluster, split.
const MAX_DOCUMENTS: usize = 100_000;

/// The stack that reading takes. The parser calls itself for every level, and without optimization a level takes 46 KiB: of
/// [`MAX_DEPTH`] of them, a thread's usual 2 MiB hold less than half. Only what is used of it becomes memory.
const STACK_BYTES: usize = 16 << 20;

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
    fn new(index: usize, places: Node) -> Self {
        Self {
            index,
            line: places.place.line,
            value: places.value(),
            places,
        }
    }

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

/// The objects of a manifest, in order; the items of a `List` one by one, with the index of its document. After a fault of syntax there are no more.
pub fn documents(text: &str) -> impl Iterator<Item = Result<Document, DocumentError>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: MAX_DOCUMENTS,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
        // As kubectl reads file modes: 0644 is octal.
        legacy_octal_numbers: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    let mut bytes = text.as_bytes();
    let nodes: Vec<Result<Node, serde_saphyr::Error>> = stacker::grow(STACK_BYTES, || {
        serde_saphyr::read_with_options::<_, Node>(&mut bytes, options).collect()
    });
    nodes
        .into_iter()
        .enumerate()
        .flat_map(|(index, node)| match node {
            Ok(node) => objects(node)
                .into_iter()
                .map(|node| Ok(Document::new(index, node)))
                .collect(),
            Err(error) => vec![Err(DocumentError {
                index,
                fault: syntax(&error),
            })],
        })
}

/// The items of a `List` or `PodList`, as `kubectl get -o yaml` prints them; any other document as it is.
fn objects(document: Node) -> Vec<Node> {
    let Content::Map(entries) = &document.content else {
        return vec![document];
    };
    let is_list = entries.iter().any(|(name, node)| {
        name == "kind"
            && matches!(&node.content, Content::Scalar(Value::String(kind)) if kind.ends_with("List"))
    });
    let items = entries.iter().find_map(|(name, node)| match &node.content {
        Content::List(items) if name == "items" && is_list => Some(items.clone()),
        _ => None,
    });
    items.unwrap_or_else(|| vec![document])
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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind as _;
    use proto::api::core::v1::{ConfigMap, Pod};

    fn all(text: &str) -> Vec<Result<Document, DocumentError>> {
        documents(text).collect()
    }

    fn only(text: &str) -> Value {
        let mut documents = all(text);
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0).unwrap().value
    }

    #[test]
    fn the_deepest_text_fits_a_small_stack_and_deeper_is_refused() {
        let deep = |levels: usize| format!("{}x", "- ".repeat(levels));
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let read = small.spawn(move || {
            assert!(only(&deep(MAX_DEPTH - 1)).is_array());
            for text in [
                deep(MAX_DEPTH + 1),
                deep(1 << 18),
                "{a: ".repeat(1 << 18),
                "[".repeat(1 << 20),
            ] {
                let start: String = text.chars().take(8).collect();
                assert!(all(&text)[0].is_err(), "{start}");
            }
        });
        read.unwrap().join().unwrap();
    }

    #[test]
    fn a_file_holds_documents_and_each_knows_its_line() {
        let text = "# two objects\n---\nkind: A\n---\n# nothing\n---\n{\"kind\": \"B\"}\n...\n";
        let found: Vec<(usize, usize, Value)> = documents(text)
            .map(|document| document.unwrap())
            .map(|d| (d.index, d.line, d.value))
            .collect();
        assert_eq!(
            found,
            [
                (0, 3, serde_json::json!({"kind": "A"})),
                (1, 7, serde_json::json!({"kind": "B"}))
            ]
        );
        assert!(all("").is_empty());
        assert!(all("---\n---\n").is_empty());
    }

    #[test]
    fn the_items_of_a_list_are_objects_of_their_own() {
        let text = "kind: List\nitems:\n- kind: A\n- kind: B\n---\nkind: C\n";
        let found: Vec<(usize, usize, Value)> = documents(text)
            .map(|document| document.unwrap())
            .map(|d| (d.index, d.line, d.value["kind"].clone()))
            .collect();
        assert_eq!(
            found,
            [(0, 3, "A".into()), (0, 4, "B".into()), (1, 6, "C".into())]
        );
    }

    #[test]
    fn json_is_read_however_it_is_indented() {
        let value = serde_json::json!({"kind": "A", "spec": {"a": [1, "b"], "c": null}});
        assert_eq!(
            only("{\n\t\"kind\": \"A\",\n\t\"spec\": {\n\t\t\"a\": [1,\n\t\t\t\"b\"],\n\t\t\"c\":null}\n}\n"),
            value
        );
        assert_eq!(only(&value.to_string()), value);
    }

    #[test]
    fn scalars_are_typed_as_kubectl_types_them() {
        let value = only(
            "mode: 0644\nsize: 5\nhalf: 0.5\non: true\nnone: ~\ntext: \"5\"\ntime: 2026-01-02T03:04:05Z\n",
        );
        assert_eq!(
            value,
            serde_json::json!({
                "mode": 420, "size": 5, "half": 0.5, "on": true, "none": null, "text": "5",
                "time": "2026-01-02T03:04:05Z",
            })
        );
    }

    #[test]
    fn faults_name_their_line_in_the_file() {
        let text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web\n    env:\n    - name: PORT\n      value: 80\n    imag: nginx\n";
        let documents = all(text);
        assert_eq!(
            documents[0]
                .as_ref()
                .unwrap()
                .decode(Unknown::Strict)
                .unwrap()
                .number,
            ConfigMap::NUMBER
        );
        let faults = documents[1]
            .as_ref()
            .unwrap()
            .decode(Unknown::Strict)
            .unwrap_err();
        let faults: Vec<String> = faults.0.iter().map(Fault::to_string).collect();
        assert_eq!(
            faults,
            [
                "line 11, column 14: spec.containers[0].env[0].value: expected a string, got integer `80`",
                "line 12, column 11: unknown field \"spec.containers[0].imag\"",
            ]
        );
    }

    #[test]
    fn text_that_is_no_yaml_names_document_and_line() {
        let found = all("kind: A\n---\nkind: [A\n");
        assert!(found[0].is_ok());
        let error = found[1].as_ref().unwrap_err();
        assert_eq!(error.index, 1);
        assert!(error.fault.place.is_some_and(|place| place.line >= 3), "{error}");
        assert!(error.to_string().starts_with("document 2: "), "{error}");
    }

    #[test]
    fn keys_that_are_there_twice_are_refused() {
        let error = all("kind: A\nmetadata:\n  name: a\n  name: b\n")
            .remove(0)
            .unwrap_err();
        assert_eq!(error.fault.place.map(|place| place.line), Some(4), "{error}");
    }

    #[test]
    fn anchors_work_and_bombs_are_refused() {
        assert_eq!(
            only("a: &x {b: 1}\nc: *x\n"),
            serde_json::json!({"a": {"b": 1}, "c": {"b": 1}})
        );
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let before = format!("*a{}, ", i - 1).repeat(10);
            bomb.push_str(&format!("a{i}: &a{i} [{before}]\n"));
        }
        assert!(all(&bomb).remove(0).is_err());
        let deep = "[".repeat(10_000);
        assert!(all(&deep).iter().any(Result::is_err));
    }

    #[test]
    fn objects_are_printed_as_kubectl_prints_them() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    empty: ''\n    number: '80'\n    truth: 'yes'\n  name: web\nspec:\n  containers:\n  - args:\n    - --listen=:8080\n    image: nginx:1.27\n    name: web\n    resources: {}\nstatus: {}\n";
        let document = all(text).remove(0).unwrap();
        let decoded = document.decode(Unknown::Strict).unwrap();
        assert_eq!(decoded.number, Pod::NUMBER);
        assert_eq!(
            super::super::to_yaml(decoded.number, &decoded.bytes)
                .unwrap()
                .replace('"', "'"),
            text
        );
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        for text in [
            "",
            " ",
            "yes",
            "no",
            "on",
            "y",
            "true",
            "null",
            "~",
            "0644",
            "0x1f",
            "1e3",
            "1_000",
            ".5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%",
            "@",
            "`",
            "{",
            "[",
            "a\nb",
            "a\nb\n",
            "\n",
            "  a\nb",
            "a\tb",
            "\u{1}",
            "é\u{1f600}",
            "2026-01-02",
            "2026-01-02T03:04:05Z",
            "12:30:45",
            "---",
            "...",
            "=",
            "<<",
            "\"",
            "'",
            "a\r\nb",
            "trailing ",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "inf",
            ".nan",
            "+1",
            "0o17",
            "0b1",
        ] {
            for value in [
                serde_json::json!({ "a": text, "b": [text] }),
                serde_json::json!({ text: 1 }),
            ] {
                let printed = print(&value);
                assert_eq!(only(&printed), value, "{printed}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_printing(text: String, key: String) {
            let value = serde_json::json!({ "kind": { key: [text] } });
            let printed = print(&value);
            proptest::prop_assert_eq!(only(&printed), value, "{}", printed);
        }
    }
}
