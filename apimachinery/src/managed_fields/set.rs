//! Sets of field paths, and `FieldsV1`, the JSON that an object keeps them in.
//!
//! A set is a tree whose nodes say whether they belong to it themselves. In: what walking an object finds, or `FieldsV1`.
//! Out: other sets, paths to show, canonical `FieldsV1`.
//!
//! Invariant: no node is empty, and elements are sorted; equal sets are equal trees and have equal JSON.

use super::element::Element;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

/// What a set has at one path and below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Whether the path itself belongs to the set.
    pub member: bool,
    /// The paths below.
    pub below: FieldSet,
}

impl Node {
    /// A path that belongs to the set, and nothing below it.
    pub fn leaf() -> Self {
        Self {
            member: true,
            below: FieldSet::default(),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    /// Whether no path is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many paths are in it.
    pub fn len(&self) -> usize {
        self.nodes
            .values()
            .map(|node| usize::from(node.member) + node.below.len())
            .sum()
    }

    /// Adds what is at one element; nothing when it is empty.
    pub fn insert(&mut self, element: Element, node: Node) {
        if node.is_empty() {
            return;
        }
        match self.nodes.entry(element) {
            Entry::Vacant(entry) => {
                entry.insert(node);
            }
            Entry::Occupied(mut entry) => {
                let there = entry.get_mut();
                there.member |= node.member;
                there.below.extend(&node.below);
            }
        }
    }

    /// Adds one path.
    pub fn insert_path(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let mut node = Node::default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert_path(rest);
        }
        self.insert(first.clone(), node);
    }

    /// What is at one element and below.
    pub fn at(&self, element: &Element) -> Option<&Node> {
        self.nodes.get(element)
    }

    /// The nodes at the top, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&Element, &Node)> {
        self.nodes.iter()
    }

    /// Keeps at the top the elements that `keep` takes, with all below them.
    pub fn retain(&mut self, keep: impl Fn(&Element) -> bool) {
        self.nodes.retain(|element, _| keep(element));
    }

    /// Whether the path is in it.
    pub fn contains(&self, path: &[Element]) -> bool {
        match path.split_first() {
            None => false,
            Some((first, rest)) => self.at(first).is_some_and(|node| match rest {
                [] => node.member,
                rest => node.below.contains(rest),
            }),
        }
    }

    /// Adds the paths of another set.
    pub fn extend(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            match self.nodes.get_mut(element) {
                Some(there) => {
                    there.member |= node.member;
                    there.below.extend(&node.below);
                }
                None => {
                    self.nodes.insert(element.clone(), node.clone());
                }
            }
        }
    }

    /// The paths of either.
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.extend(other);
        union
    }

    /// The paths of both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |node, other| {
            let other = other?;
            Some(Node {
                member: node.member && other.member,
                below: node.below.intersection(&other.below),
            })
        })
    }

    /// The paths of this one that the other has not.
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.combine(other, |node, other| {
            Some(match other {
                None => node.clone(),
                Some(other) => Node {
                    member: node.member && !other.member,
                    below: node.below.difference(&other.below),
                },
            })
        })
    }

    fn combine(&self, other: &Self, with: impl Fn(&Node, Option<&Node>) -> Option<Node>) -> Self {
        let nodes = self.nodes.iter().filter_map(|(element, node)| {
            let node = with(node, other.nodes.get(element))?;
            (!node.is_empty()).then(|| (element.clone(), node))
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    /// Every path as messages write it, in order: `.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.write_paths("", &mut paths);
        paths
    }

    fn write_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        for (element, node) in &self.nodes {
            let path = format!("{prefix}{element}");
            if !node.below.is_empty() {
                node.below.write_paths(&path, paths);
            }
            if node.member {
                paths.push(path);
            }
        }
    }

    /// Reads `FieldsV1`.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut source = serde_json::Deserializer::from_slice(json);
        let node = source.deserialize_map(Reader)?;
        source.end()?;
        Ok(node.below)
    }

    /// Writes `FieldsV1`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(false, &mut out);
        out
    }

    fn write(&self, member: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        let mut key = |key: &str, out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, key).expect("a string is printable, and a vector takes it");
            out.push(b':');
        };
        if member && !self.is_empty() {
            key(".", out);
            out.extend_from_slice(b"{}");
        }
        for (element, node) in &self.nodes {
            key(&element.to_key(), out);
            node.below.write(node.member, out);
        }
        out.push(b'}');
    }
}

/// Reads one object of `FieldsV1`.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if key == "." {
                node.member = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match Element::parse(&key).map_err(A::Error::custom)? {
                Some(element) => {
                    let mut below: Node = map.next_value_seed(Reader)?;
                    // `{}` is the path itself.
                    below.member |= below.below.is_empty();
                    node.below.insert(element, below);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(node)
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Reader {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> FromIterator<&'a [&'a str]> for FieldSet {
    /// Paths of plain field names.
    fn from_iter<I: IntoIterator<Item = &'a [&'a str]>>(paths: I) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::field(name)).collect();
            set.insert_path(&path);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::Scalar;
    use super::*;
    use proptest::prelude::*;

    fn json(set: &FieldSet) -> String {
        String::from_utf8(set.to_json()).unwrap()
    }

    #[test]
    fn fields_v1_is_canonical_however_it_was_written() {
        for (written, canonical) in [
            ("{}", "{}"),
            (r#"{"f:b":{},"f:a":{}}"#, r#"{"f:a":{},"f:b":{}}"#),
            (r#"{"f:a":{"f:b":{},".":{}}}"#, r#"{"f:a":{".":{},"f:b":{}}}"#),
            (r#"{"f:a":{".":{}}}"#, r#"{"f:a":{}}"#),
            (
                r#"{"f:l":{"v:\"x\"":{},"k:{\"p\":1,\"n\":\"a\"}":{"f:i":{}}}}"#,
                r#"{"f:l":{"k:{\"n\":\"a\",\"p\":1}":{"f:i":{}},"v:\"x\"":{}}}"#,
            ),
            (r#"{"z:later":{"f:x":{}},"f:a":{}}"#, r#"{"f:a":{}}"#),
        ] {
            assert_eq!(json(&FieldSet::from_json(written.as_bytes()).unwrap()), canonical);
        }
        for bad in [
            "",
            "[]",
            "5",
            "{\"f:a\":5}",
            "{\"a\":{}}",
            "{} {}",
            "{\"k:x\":{}}",
        ] {
            assert!(FieldSet::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = format!("{}{{}}{}", r#"{"f:a":"#.repeat(500), "}".repeat(500));
        assert!(
            FieldSet::from_json(deep.as_bytes()).is_err(),
            "it nests deeper than any object"
        );
    }

    #[test]
    fn paths_are_shown_as_conflicts_show_them() {
        let set = FieldSet::from_json(
            br#"{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{}}}}}"#,
        );
        let paths = set.unwrap().paths();
        assert_eq!(
            paths,
            [
                r#".spec.containers[name="web"].image"#,
                r#".spec.containers[name="web"]"#
            ]
        );
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            "[ab]".prop_map(|name| Element::field(&name)),
            "[ab]".prop_map(|name| Element::key(vec![("name".into(), Scalar::Text(name.into()))])),
            (0..3i64).prop_map(|value| Element::Value(Scalar::Int(value))),
            (0..2usize).prop_map(Element::Index),
        ]
    }

    fn paths() -> impl Strategy<Value = Vec<Vec<Element>>> {
        prop::collection::vec(prop::collection::vec(element(), 1..4), 0..8)
    }

    fn set(paths: &[Vec<Element>]) -> FieldSet {
        let mut set = FieldSet::default();
        paths.iter().for_each(|path| set.insert_path(path));
        set
    }

    proptest! {
        #[test]
        fn sets_do_what_sets_of_paths_do(a in paths(), b in paths()) {
            let (left, right) = (set(&a), set(&b));
            let (union, both, only) = (left.union(&right), left.intersection(&right), left.difference(&right));
            for path in a.iter().chain(&b) {
                let (in_a, in_b) = (a.contains(path), b.contains(path));
                prop_assert_eq!(union.contains(path), in_a || in_b);
                prop_assert_eq!(both.contains(path), in_a && in_b);
                prop_assert_eq!(only.contains(path), in_a && !in_b);
            }
            prop_assert_eq!(both.len() + only.len(), left.len());
            prop_assert_eq!(only.union(&both), left.clone());
            prop_assert_eq!(left.union(&left), left);
        }

        #[test]
        fn what_is_written_is_read_back(paths in paths()) {
            let set = set(&paths);
            let json = set.to_json();
            prop_assert_eq!(FieldSet::from_json(&json).unwrap(), set);
        }
    }
}
