//! What changed between two states of an object, as sets of fields.

use super::element::Element;
use super::fields::by_element;
use super::schema::{Cursor, Type};
use super::set::{FieldSet, Node};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that only the new state has.
    pub added: FieldSet,
    /// Fields that both have, with other values.
    pub modified: FieldSet,
    /// Fields that only the old state has.
    pub removed: FieldSet,
}

impl Comparison {
    /// Fields that the new state sets otherwise than the old one.
    pub fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }
}

/// Compares two states of an object.
pub fn compare(of: Cursor<'_>, old: &Value, new: &Value) -> Comparison {
    let change = walk(of, Some(old), Some(new));
    Comparison {
        added: change.added.below,
        modified: change.modified.below,
        removed: change.removed.below,
    }
}

/// What changed at one path and below.
#[derive(Default)]
struct Change {
    added: Node,
    modified: Node,
    removed: Node,
}

impl Change {
    fn insert(&mut self, element: &Element, below: Self) {
        for (node, below) in [
            (&mut self.added, below.added),
            (&mut self.modified, below.modified),
            (&mut self.removed, below.removed),
        ] {
            if !below.is_empty() {
                node.below.insert(element.clone(), below);
            }
        }
    }
}

fn walk(of: Cursor<'_>, old: Option<&Value>, new: Option<&Value>) -> Change {
    let mut change = match of.of() {
        Type::Struct { .. } | Type::Map(_) => objects(of, old, new),
        Type::Deduced if [old, new].iter().flatten().all(|value| value.is_object()) => objects(of, old, new),
        Type::Set | Type::ListMap { .. } => lists(of, old, new),
        Type::Atomic | Type::Deduced | Type::Of(_) => None,
    }
    .unwrap_or_else(|| {
        let mut leaf = Change::default();
        leaf.modified.member = matches!((old, new), (Some(old), Some(new)) if old != new);
        leaf
    });
    change.added.member |= old.is_none();
    change.removed.member |= new.is_none();
    change
}

/// `None` where neither has a field: absent and empty differ then, as two values of one leaf.
fn objects(of: Cursor<'_>, old: Option<&Value>, new: Option<&Value>) -> Option<Change> {
    let none = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&none);
    let new = new.and_then(Value::as_object).unwrap_or(&none);
    if old.is_empty() && new.is_empty() {
        return None;
    }
    let mut change = Change::default();
    let only_new = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(only_new) {
        let below = walk(of.field(name).0, old.get(name), new.get(name));
        change.insert(&Element::field(name), below);
    }
    Some(change)
}

fn lists(of: Cursor<'_>, old: Option<&Value>, new: Option<&Value>) -> Option<Change> {
    let none = Vec::new();
    let old = old.and_then(Value::as_array).unwrap_or(&none);
    let new = new.and_then(Value::as_array).unwrap_or(&none);
    if old.is_empty() && new.is_empty() {
        return None;
    }
    let (old, new) = (by_element(of, old), by_element(of, new));
    let elements: BTreeSet<&Element> = old.keys().chain(new.keys()).collect();
    let mut change = Change::default();
    for element in elements {
        let (before, after) = (old.get(element), new.get(element));
        let (before, after) = (
            before.map_or(&[][..], Vec::as_slice),
            after.map_or(&[][..], Vec::as_slice),
        );
        let below = match (before, after) {
            ([] | [_], [] | [_]) => walk(of.item(), before.first().copied(), after.first().copied()),
            // Items that are not told apart are one value.
            _ => {
                let mut below = Change::default();
                below.added.member = before.is_empty();
                below.removed.member = after.is_empty();
                below.modified.member = !before.is_empty() && !after.is_empty() && before != after;
                below
            }
        };
        change.insert(element, below);
    }
    Some(change)
}
