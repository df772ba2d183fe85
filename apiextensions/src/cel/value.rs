//! The values that rules work on.
//!
//! Objects and lists of the document are borrowed from it together with their schema, and read only where a rule looks:
//! `self.spec.replicas` copies nothing. The schema decides what a leaf is: `1` under `type: number` is a double.

use crate::format;
use crate::node::{ListType, Node, Type, canonical, list_key};
use apimachinery::quantity::Quantity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// A value of CEL. `'a` is the document.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Text<'a>),
    Bytes(Arc<[u8]>),
    /// An object or a list of the document, with what its schema says.
    Json(&'a Value, Option<&'a Node>),
    List(Arc<Vec<Val<'a>>>),
    Map(Arc<Entries<'a>>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(&'static str),
    Optional(Option<Arc<Val<'a>>>),
    Quantity(Arc<Quantity>),
    Url(Arc<url::Url>),
    Ip(IpAddr),
    Cidr(IpNet),
    Format(&'static str),
    /// A pattern that was a constant of the rule, compiled with it.
    Regex(Arc<regex::Regex>),
}

/// The entries of a map that the rule made, in order, found by their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries<'a> {
    list: Vec<(Val<'a>, Val<'a>)>,
    places: HashMap<Key, usize>,
}

/// A key of a map: numbers by value whatever their type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    Number(i128),
    Text(String),
}

impl Key {
    fn of(value: &Val<'_>) -> Option<Self> {
        Some(match value {
            Val::Bool(value) => Self::Bool(*value),
            Val::Int(value) => Self::Number((*value).into()),
            Val::Uint(value) => Self::Number((*value).into()),
            Val::Double(value) if value.fract() == 0.0 => Self::Number(*value as i128),
            Val::Str(text) => Self::Text((**text).into()),
            _ => return None,
        })
    }
}

impl<'a> Entries<'a> {
    /// Adds an entry. An error is a sentence: the key is there already, or cannot be one.
    pub(crate) fn push(&mut self, key: Val<'a>, value: Val<'a>) -> Result<(), String> {
        let place = Key::of(&key).ok_or_else(|| format!("unsupported key type: {}", key.type_name()))?;
        if self.places.insert(place, self.list.len()).is_some() {
            return Err("Failed with repeated key".into());
        }
        self.list.push((key, value));
        Ok(())
    }

    fn find(&self, key: &Val<'_>) -> Option<Val<'a>> {
        let place = self.places.get(&Key::of(key)?)?;
        Some(self.list[*place].1.clone())
    }
}

/// A text: of the document, or made by the rule.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl<'a> Val<'a> {
    /// A value of the document.
    pub(crate) fn of(value: &'a Value, node: Option<&'a Node>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => {
                let is_double = node.is_some_and(|node| node.ty == Some(Type::Number));
                match number.as_i64() {
                    Some(int) if !is_double => Self::Int(int),
                    _ => {
                        let float = number.as_f64().unwrap_or(f64::NAN);
                        // `1.0` is an integer where the schema says so.
                        let wants_int =
                            node.is_some_and(|node| node.ty == Some(Type::Integer) || node.int_or_string);
                        if wants_int && float.fract() == 0.0 && float.abs() < 9.2e18 {
                            Self::Int(float as i64)
                        } else {
                            Self::Double(float)
                        }
                    }
                }
            }
            Value::String(text) => {
                let format = node.and_then(|node| node.checks.format.as_deref());
                Self::formatted(text, format).unwrap_or(Self::Str(Text::Borrowed(text)))
            }
            Value::Array(_) | Value::Object(_) => Self::Json(value, node),
        }
    }

    fn formatted(text: &str, format: Option<&str>) -> Option<Self> {
        Some(match format? {
            "date-time" => Self::Timestamp(format::timestamp(text)?),
            "date" => Self::Timestamp(format::timestamp(&format!("{text}T00:00:00Z"))?),
            "duration" => Self::Duration(format::duration(text)?),
            "byte" => Self::Bytes(STANDARD.decode(text).ok()?.into()),
            _ => return None,
        })
    }

    /// A text that the rule made.
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Str(Text::Shared(text.into()))
    }

    /// A list that the rule made.
    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    /// An optional.
    pub(crate) fn optional(value: Option<Self>) -> Self {
        Self::Optional(value.map(Arc::new))
    }

    /// As messages and `type()` name it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Str(_) | Self::Regex(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Json(Value::Array(_), _) | Self::List(_) => "list",
            Self::Json(..) | Self::Map(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// How many items, entries, characters or bytes it has; 1 for what has none.
    pub(crate) fn len(&self) -> u64 {
        (match self {
            Self::Str(text) => text.len(),
            Self::Regex(pattern) => pattern.as_str().len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Json(Value::Array(items), _) => items.len(),
            Self::Json(Value::Object(map), _) => map.len(),
            Self::List(items) => items.len(),
            Self::Map(entries) => entries.list.len(),
            _ => 1,
        }) as u64
    }

    /// How much there is to read in it, all levels together. Looks no further than `cap`.
    pub(crate) fn weight(&self, cap: u64) -> u64 {
        let mut sum = 1;
        match self {
            Self::Json(value, _) => weigh(value, cap, &mut sum),
            Self::List(items) => {
                for item in items.iter() {
                    if sum >= cap {
                        break;
                    }
                    sum += item.weight(cap - sum);
                }
            }
            Self::Map(entries) => {
                for (key, value) in &entries.list {
                    if sum >= cap {
                        break;
                    }
                    sum += key.weight(cap - sum) + value.weight(cap - sum);
                }
            }
            Self::Optional(Some(value)) => return value.weight(cap),
            other => sum = other.len().max(1),
        }
        sum
    }

    /// What a loop goes through, one after the other: items of a list, or keys of a map; with `two`, what stands at each
    /// index or key beside it.
    pub(crate) fn rounds(self, two: bool) -> Option<Rounds<'a>> {
        Some(match self {
            Self::Json(Value::Array(items), node) => {
                let node = node.and_then(|node| node.items.as_deref());
                let items = items.iter().map(move |item| Val::of(item, node));
                paired(items, two)
            }
            Self::Json(Value::Object(map), node) => Box::new(map.iter().map(move |(key, value)| {
                let node = node.and_then(|node| node.field(key));
                (Self::Str(Text::Borrowed(key)), Val::of(value, node))
            })),
            Self::List(items) => {
                let items = (0..items.len()).map(move |index| items[index].clone());
                paired(items, two)
            }
            Self::Map(entries) => {
                Box::new((0..entries.list.len()).map(move |index| entries.list[index].clone()))
            }
            _ => return None,
        })
    }

    /// The items of a list; the keys of a map.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        Some(match self {
            Self::Json(Value::Array(items), node) => {
                let node = node.and_then(|node| node.items.as_deref());
                items.iter().map(|item| Val::of(item, node)).collect()
            }
            Self::Json(Value::Object(map), _) => {
                map.keys().map(|key| Self::Str(Text::Borrowed(key))).collect()
            }
            Self::List(items) => items.as_ref().clone(),
            Self::Map(entries) => entries.list.iter().map(|(key, _)| key.clone()).collect(),
            _ => return None,
        })
    }

    /// The item of a list, or the value of a key. `None` when there is none.
    pub(crate) fn get(&self, key: &Self) -> Option<Self> {
        match (self, key) {
            (Self::Json(value @ Value::Object(_), node), Self::Str(name)) => Self::member(value, *node, name),
            (Self::Map(entries), key) => entries.find(key),
            (list, key) => {
                let index = match key {
                    Self::Int(index) => usize::try_from(*index).ok()?,
                    Self::Uint(index) => usize::try_from(*index).ok()?,
                    Self::Double(index) if index.fract() == 0.0 && *index >= 0.0 => *index as usize,
                    _ => return None,
                };
                match list {
                    Self::Json(Value::Array(items), node) => {
                        let node = node.and_then(|node| node.items.as_deref());
                        Some(Val::of(items.get(index)?, node))
                    }
                    Self::List(items) => items.get(index).cloned(),
                    _ => None,
                }
            }
        }
    }

    /// A field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Json(value, node) => Self::member(value, *node, name),
            Self::Map(entries) => entries.find(&Self::text(name)),
            _ => None,
        }
    }

    fn member(value: &'a Value, node: Option<&'a Node>, name: &str) -> Option<Self> {
        let node = node.and_then(|node| match node.field(name) {
            None if node.embedded && name == "metadata" => Some(super::shape::metadata()),
            found => found,
        });
        let found = value.as_object()?.get(name)?;
        // An explicit null in an optional field is as good as none.
        let is_absent = found.is_null() && node.is_some_and(|node| !node.nullable);
        (!is_absent).then(|| Val::of(found, node))
    }

    /// CEL's equality: numbers by value whatever their type, different types never.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Str(a), Self::Str(b)) => **a == **b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) | (Self::Format(a), Self::Format(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.equals(b),
                (None, None) => true,
                _ => false,
            },
            (Self::Json(a, x), Self::Json(b, y)) => equal_json(a, *x, b, *y),
            // Sizes first: what differs in size is not read.
            (a, b) if a.is_map() && b.is_map() => {
                let same = |(key, value): (Self, Self)| b.get(&key).is_some_and(|other| value.equals(&other));
                a.len() == b.len() && a.clone().rounds(true).is_some_and(|mut all| all.all(same))
            }
            (a, b) if a.is_list() && b.is_list() => {
                a.len() == b.len()
                    && match (a.items(), b.items()) {
                        (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| a.equals(b)),
                        _ => false,
                    }
            }
            _ => self.is_number() && other.is_number() && self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// What an item of this list is known by when lists are joined: itself in a set, its keys in a list-map. `None` in
    /// every other list, whose items are just appended.
    pub(crate) fn merge_key(&self, item: &Self) -> Option<String> {
        let Self::Json(_, Some(node)) = self else {
            return None;
        };
        match node.list_type {
            ListType::Atomic => None,
            ListType::Set => Some(item.key_text()),
            ListType::Map => {
                let keys = node.list_keys.iter();
                Some(
                    keys.map(|key| item.field(key).map_or("-".into(), |value| value.key_text()) + ",")
                        .collect(),
                )
            }
        }
    }

    /// A text that is the same for equal values of a document.
    fn key_text(&self) -> String {
        match self {
            Self::Json(value, _) => {
                let mut text = String::new();
                canonical(value, &mut text);
                text
            }
            Self::Str(text) => format!("{:?}", &**text),
            other => format!("{other:?}"),
        }
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Json(Value::Object(_), _))
    }

    fn is_list(&self) -> bool {
        matches!(self, Self::List(_) | Self::Json(Value::Array(_), _))
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Uint(_) | Self::Double(_))
    }

    /// The order of two values that have one.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Uint(a), Self::Uint(b)) => a.cmp(b),
            (Self::Int(a), Self::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Self::Uint(a), Self::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Self::Double(a), Self::Double(b)) => return a.partial_cmp(b),
            (Self::Double(a), Self::Int(b)) => return a.partial_cmp(&(*b as f64)),
            (Self::Double(a), Self::Uint(b)) => return a.partial_cmp(&(*b as f64)),
            (Self::Int(a), Self::Double(b)) => return (*a as f64).partial_cmp(b),
            (Self::Uint(a), Self::Double(b)) => return (*a as f64).partial_cmp(b),
            (Self::Str(a), Self::Str(b)) => (**a).cmp(&**b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Quantity(a), Self::Quantity(b)) => (**a).cmp(&**b),
            _ => return None,
        })
    }
}

/// What a loop goes through, both variables each.
pub(crate) type Rounds<'a> = Box<dyn Iterator<Item = (Val<'a>, Val<'a>)> + 'a>;

fn paired<'a>(items: impl Iterator<Item = Val<'a>> + 'a, two: bool) -> Rounds<'a> {
    if two {
        Box::new((0..).map(Val::Int).zip(items))
    } else {
        Box::new(items.map(|item| (item, Val::Null)))
    }
}

fn weigh(value: &Value, cap: u64, sum: &mut u64) {
    match value {
        _ if *sum >= cap => {}
        Value::String(text) => *sum += text.len().max(1) as u64,
        Value::Array(items) => {
            *sum += 1;
            for item in items {
                weigh(item, cap, sum);
                if *sum >= cap {
                    return;
                }
            }
        }
        Value::Object(map) => {
            *sum += 1;
            for (key, item) in map {
                *sum += key.len() as u64;
                weigh(item, cap, sum);
                if *sum >= cap {
                    return;
                }
            }
        }
        _ => *sum += 1,
    }
}

/// Equality of the document's parts. Sets are equal in any order, and so are list-maps; other lists are not.
fn equal_json(a: &Value, x: Option<&Node>, b: &Value, y: Option<&Node>) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let items = x.and_then(|node| node.items.as_deref());
            let list_type = x.map(|node| node.list_type).unwrap_or_default();
            if a.len() != b.len() {
                return false;
            }
            if list_type == ListType::Atomic || y.map(|node| node.list_type) != Some(list_type) {
                return a.iter().zip(b).all(|(a, b)| equal_json(a, items, b, items));
            }
            let key = |item: &Value| match x {
                Some(node) if list_type == ListType::Map => list_key(item, &node.list_keys, items),
                _ => {
                    let mut text = String::new();
                    canonical(item, &mut text);
                    text
                }
            };
            let by_key: BTreeMap<String, &Value> = b.iter().map(|item| (key(item), item)).collect();
            a.iter().all(|item| {
                by_key
                    .get(&key(item))
                    .is_some_and(|other| equal_json(item, items, other, items))
            })
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| {
                    let node = x.and_then(|node| node.field(key));
                    b.get(key)
                        .is_some_and(|other| equal_json(value, node, other, node))
                })
        }
        _ => crate::node::equal(a, b),
    }
}
