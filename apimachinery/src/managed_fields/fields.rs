//! The set of fields that a value has, and whether it can be applied: every item of its lists must be told apart.

use super::element::Element;
use super::schema::{Cursor, ItemError, Type};
use super::set::{FieldSet, Node};
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields of an object.
pub fn field_set(of: Cursor<'_>, value: &Value) -> FieldSet {
    node(of, value).below
}

fn node(of: Cursor<'_>, value: &Value) -> Node {
    let mut below = FieldSet::default();
    match value {
        Value::Object(fields) if of.splits_object(value) => {
            for (name, value) in fields {
                let (child, is_named) = of.field(name);
                let mut node = node(child, value);
                // What has nothing below it would be lost, and the keys of a map are data themselves.
                let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                node.member |= !is_named || is_empty;
                below.insert(Element::field(name), node);
            }
        }
        Value::Array(items) if of.splits_list() => {
            for (element, items) in by_element(of, items) {
                let mut node = match &items[..] {
                    [item] => node(of.item(), item),
                    // Of items that are not told apart nobody owns a part.
                    _ => Node::default(),
                };
                node.member = true;
                below.insert(element, node);
            }
        }
        Value::Null if !matches!(of.of(), Type::Atomic | Type::Deduced) => {}
        _ => return Node::leaf(),
    }
    Node { member: false, below }
}

/// The items of a list by what tells them apart. Items that nothing tells apart are left out: validation refuses them.
pub(super) fn by_element<'v>(of: Cursor<'_>, items: &'v [Value]) -> BTreeMap<Element, Vec<&'v Value>> {
    let mut found: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(element) = of.element(item) {
            found.entry(element).or_default().push(item);
        }
    }
    found
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two items of a list are the same one.
    #[error("{path}: duplicate entries for key {element}")]
    Duplicate {
        /// The list.
        path: String,
        /// What both items are.
        element: String,
    },
    /// An item of a list cannot be told apart.
    #[error("{path}: {error}")]
    Item {
        /// The list.
        path: String,
        /// Why.
        error: ItemError,
    },
}

/// Whether every item of the lists that are merged can be told apart.
pub fn check(of: Cursor<'_>, value: &Value) -> Result<(), ConfigError> {
    check_at(of, value, &mut Vec::new())
}

fn check_at(of: Cursor<'_>, value: &Value, path: &mut Vec<Element>) -> Result<(), ConfigError> {
    match value {
        Value::Object(fields) if of.splits_object(value) => {
            for (name, value) in fields {
                path.push(Element::field(name));
                check_at(of.field(name).0, value, path)?;
                path.pop();
            }
        }
        Value::Array(items) if of.splits_list() => {
            let mut seen = std::collections::BTreeSet::new();
            for item in items {
                let element = of.element(item).map_err(|error| ConfigError::Item {
                    path: shown(path),
                    error,
                })?;
                if !seen.insert(element.clone()) {
                    return Err(ConfigError::Duplicate {
                        path: shown(path),
                        element: element.to_string(),
                    });
                }
                path.push(element);
                check_at(of.item(), item, path)?;
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}

fn shown(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

/// The set with the fields that the schema names and that lead to its paths: a field of which nothing is left goes with
/// the last of what was in it.
pub(super) fn with_named(of: Cursor<'_>, set: &FieldSet) -> FieldSet {
    let mut named = FieldSet::default();
    for (element, node) in set.iter() {
        let (child, is_named) = match element {
            Element::Field(name) => of.field(name),
            _ => (of.item(), false),
        };
        named.insert(
            element.clone(),
            Node {
                member: node.member || is_named,
                below: with_named(child, &node.below),
            },
        );
    }
    named
}
