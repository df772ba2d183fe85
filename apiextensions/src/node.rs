//! A compiled schema: what each place of an object may hold.
//!
//! Made by [`crate::compile`]. Everything else reads it. A tree, as deep as [`crate::limits::MAX_DEPTH`] at most.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The type that a schema names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub(crate) fn is_scalar(self) -> bool {
        !matches!(self, Self::Object | Self::Array)
    }
}

/// What a list is, for merges, uniqueness and correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

/// What an object may hold beyond its properties.
#[derive(Debug, Default)]
pub(crate) enum Additional {
    #[default]
    None,
    Any,
    Of(Box<Node>),
}

/// One place of an object.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) ty: Option<Type>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) embedded: bool,
    pub(crate) preserve: bool,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) list_type: ListType,
    pub(crate) list_keys: Vec<String>,
    pub(crate) map_atomic: bool,
    pub(crate) default: Option<Value>,
    pub(crate) checks: Checks,
    pub(crate) rules: Vec<crate::cel::Rule>,
    /// The most that there is to read in a value here, and the fewest bytes that it takes in a request: what rules are
    /// estimated by. Measured once, as a rule may ask often.
    pub(crate) weight: u64,
    pub(crate) min_bytes: u64,
    /// Whether this node or one below it has rules: a walk for rules skips the others.
    pub(crate) rules_below: bool,
    /// Whether a rule here or below compares with `oldSelf`: such rules run on what did not change, too.
    pub(crate) transitions_below: bool,
}

/// The value validations of a node.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) enumeration: Option<Vec<Value>>,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<String>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) required: Vec<String>,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

impl Node {
    /// The node of a field of an object, whether it is a property or an additional one.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(match &self.additional {
            Additional::Of(node) => Some(node),
            Additional::None | Additional::Any => None,
        })
    }

    /// The node of the values of a map.
    pub(crate) fn values(&self) -> Option<&Self> {
        match &self.additional {
            Additional::Of(node) => Some(node),
            Additional::None | Additional::Any => None,
        }
    }
}

/// The fields that every resource has, whether its schema says so or not.
pub(crate) const RESOURCE_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Pairs each item of a new list with the item of the old list that has the same keys.
///
/// In: a list-map's node, the old list. Out: for a new item, the old one; `None` if it is new, or if its keys are not
/// unique.
pub(crate) struct Correlation<'a> {
    by_key: BTreeMap<String, Option<&'a Value>>,
    keys: &'a [String],
}

impl<'a> Correlation<'a> {
    /// `None` when items of this list cannot be told apart.
    pub(crate) fn of(node: &'a Node, old: Option<&'a Value>) -> Option<Self> {
        if node.list_type != ListType::Map {
            return None;
        }
        let mut by_key = BTreeMap::new();
        for item in old?.as_array()? {
            by_key
                .entry(list_key(item, &node.list_keys, node.items.as_deref()))
                .and_modify(|found| *found = None)
                .or_insert(Some(item));
        }
        Some(Self {
            by_key,
            keys: &node.list_keys,
        })
    }

    pub(crate) fn find(&self, node: &Node, item: &Value) -> Option<&'a Value> {
        let key = list_key(item, self.keys, node.items.as_deref());
        self.by_key.get(&key).copied().flatten()
    }
}

/// The key of a list-map's item as text; equal keys have equal texts. A key that is missing has its default.
pub(crate) fn list_key(item: &Value, keys: &[String], items: Option<&Node>) -> String {
    let mut text = String::new();
    for key in keys {
        let value = item.get(key).or_else(|| {
            items
                .and_then(|node| node.properties.get(key))
                .and_then(|node| node.default.as_ref())
        });
        canonical(value.unwrap_or(&Value::Null), &mut text);
        text.push(',');
    }
    text
}

/// A text that is the same for equal values: keys sorted, `1.0` as `1`.
pub(crate) fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            for (key, value) in entries {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                out.push_str(&(float as i64).to_string());
            }
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

/// Whether two values are equal, `1` and `1.0` being so.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64())
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => equal_maps(x, y),
        _ => a == b,
    }
}

fn equal_maps(x: &Map<String, Value>, y: &Map<String, Value>) -> bool {
    x.len() == y.len()
        && x.iter()
            .all(|(key, value)| y.get(key).is_some_and(|other| equal(value, other)))
}
