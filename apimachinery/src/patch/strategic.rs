//! Strategic merge patch: a merge patch that knows which lists have items to be told apart.
//!
//! In: an object's JSON, a patch, and the schema's merge keys. Out: the patched JSON, not yet checked. Pure.
//!
//! Objects merge, null removes, and a list whose items have a merge key merges item by item; other lists are replaced. The
//! patch can say more with directives: `$patch: replace|delete` on an object or a list's item, `$retainKeys` (the object's
//! other fields go), `$deleteFromPrimitiveList/<list>` and `$setElementOrder/<list>`.
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use super::PatchError;
use super::lists::{Items, Message};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

type Result<T> = std::result::Result<T, PatchError>;
type Object = Map<String, Value>;

/// Merges `patch` into `live`. `message` is the schema of both, where there is one.
pub(super) fn merge(message: Option<&Message>, live: Object, patch: Object) -> Result<Object> {
    merge_object(message, live, patch)
}

/// What `$patch` says of the object that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    Replace,
    Delete,
}

fn directive(patch: &Object) -> Result<Option<Directive>> {
    match patch.get(DIRECTIVE) {
        None => Ok(None),
        Some(Value::String(text)) if text == "replace" => Ok(Some(Directive::Replace)),
        Some(Value::String(text)) if text == "delete" => Ok(Some(Directive::Delete)),
        Some(other) => Err(PatchError::Malformed(format!(
            "unknown patch type: {other}; $patch is \"replace\" or \"delete\""
        ))),
    }
}

fn merge_object(message: Option<&Message>, mut live: Object, mut patch: Object) -> Result<Object> {
    match directive(&patch)? {
        Some(Directive::Replace) => return Ok(plain_object(patch)),
        Some(Directive::Delete) => return Ok(Object::new()),
        None => {}
    }
    if let Some(keys) = patch.shift_remove(RETAIN_KEYS) {
        retain_keys(&mut live, &patch, &keys)?;
    }
    let mut orders = Vec::new();
    for name in patch.keys() {
        if let Some(list) = name.strip_prefix(SET_ELEMENT_ORDER) {
            orders.push(Order::new(list, message, &live, &patch, &patch[name])?);
        }
    }
    for (name, value) in patch {
        if name.starts_with(SET_ELEMENT_ORDER) {
            continue;
        }
        if let Some(list) = name.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            delete_from(&mut live, list, value)?;
            continue;
        }
        let field = message.and_then(|message| message.field(&name));
        let below = field.and_then(super::lists::Field::message);
        let merged = match (live.get_mut(&name).map(Value::take), value) {
            (_, Value::Null) => {
                live.shift_remove(&name);
                continue;
            }
            (Some(Value::Object(live)), Value::Object(patch)) => {
                Value::Object(merge_object(below, live, patch)?)
            }
            (Some(Value::Array(live)), Value::Array(patch)) => {
                let items = field.map_or(&Items::Whole, |field| &field.items);
                Value::Array(merge_list(items, below, live, patch)?)
            }
            (_, value) => plain(value),
        };
        live.insert(name, merged);
    }
    for order in orders {
        order.settle(&mut live);
    }
    Ok(live)
}

/// Drops the fields of `live` that `keys` does not name. All that the patch sets must be named.
fn retain_keys(live: &mut Object, patch: &Object, keys: &Value) -> Result<()> {
    let malformed = || PatchError::Malformed("invalid patch format of retainKeys".into());
    let keys: HashSet<&str> = keys
        .as_array()
        .ok_or_else(malformed)?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let sets = |name: &str, value: &Value| !value.is_null() && !name.starts_with('$');
    if patch
        .iter()
        .any(|(name, value)| sets(name, value) && !keys.contains(name.as_str()))
    {
        return Err(malformed());
    }
    live.retain(|name, _| keys.contains(name.as_str()));
    Ok(())
}

/// Takes values out of a list of scalars.
fn delete_from(live: &mut Object, list: &str, gone: Value) -> Result<()> {
    let Value::Array(gone) = gone else {
        return Err(PatchError::Malformed(
            "invalid patch format of primitive list".into(),
        ));
    };
    let gone: HashSet<String> = gone.iter().map(Value::to_string).collect();
    if let Some(Value::Array(items)) = live.get_mut(list) {
        items.retain(|item| !gone.contains(&item.to_string()));
    }
    Ok(())
}

fn merge_list(
    items: &Items,
    message: Option<&Message>,
    live: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>> {
    match items {
        Items::Whole => Ok(patch),
        Items::Set => merge_set(&live, patch),
        Items::Keyed(key) => merge_keyed(key, message, live, patch),
    }
}

fn merge_set(live: &[Value], patch: Vec<Value>) -> Result<Vec<Value>> {
    if patch.iter().any(|item| item.is_object() || item.is_array()) {
        return Err(PatchError::DoesNotFit(
            "a list of scalars cannot be merged with one of objects".into(),
        ));
    }
    let mut seen = HashSet::new();
    let both = live.iter().chain(&patch).cloned();
    let merged = both.filter(|item| seen.insert(item.to_string())).collect();
    Ok(ordered(merged, &patch, live, None))
}

fn merge_keyed(
    key: &str,
    message: Option<&Message>,
    live: Vec<Value>,
    patch: Vec<Value>,
) -> Result<Vec<Value>> {
    let mut changes = Vec::with_capacity(patch.len());
    let (mut gone, mut replace) = (HashSet::new(), false);
    for item in patch {
        let Value::Object(item) = item else {
            return Err(PatchError::DoesNotFit(format!(
                "a list whose items are told apart by {key:?} has an item that is no object"
            )));
        };
        let identity = item.get(key).map(Value::to_string);
        let missing = || PatchError::DoesNotFit(format!("map does not contain declared merge key: {key}"));
        match directive(&item)? {
            Some(Directive::Replace) => replace = true,
            Some(Directive::Delete) => {
                gone.insert(identity.ok_or_else(missing)?);
            }
            None if identity.is_none() && !replace => return Err(missing()),
            None => changes.push(item),
        }
    }
    if replace {
        return Ok(changes
            .into_iter()
            .map(|item| Value::Object(plain_object(item)))
            .collect());
    }
    let mut merged: Vec<Value> = live
        .iter()
        .filter(|item| {
            !item
                .get(key)
                .is_some_and(|value| gone.contains(&value.to_string()))
        })
        .cloned()
        .collect();
    let mut places = places(&merged, Some(key));
    let wanted: Vec<Value> = changes
        .iter()
        .map(|item| Value::Object(Object::from_iter([(key.to_owned(), item[key].clone())])))
        .collect();
    for item in changes {
        match places.get(&item[key].to_string()) {
            Some(&place) => {
                let Value::Object(there) = merged[place].take() else {
                    continue; // Only objects have keys to be found by.
                };
                merged[place] = Value::Object(merge_object(message, there, item)?);
            }
            None => {
                places.insert(item[key].to_string(), merged.len());
                merged.push(Value::Object(plain_object(item)));
            }
        }
    }
    Ok(ordered(merged, &wanted, &live, Some(key)))
}

/// The order that a patch wants of a list.
struct Order {
    list: String,
    key: Option<String>,
    wanted: Vec<Value>,
    original: Vec<Value>,
}

impl Order {
    fn new(
        list: &str,
        message: Option<&Message>,
        live: &Object,
        patch: &Object,
        wanted: &Value,
    ) -> Result<Self> {
        let Value::Array(wanted) = wanted else {
            return Err(PatchError::Malformed(
                "invalid patch format of setElementOrder list".into(),
            ));
        };
        let key = match message.and_then(|message| message.field(list)) {
            Some(field) => match &field.items {
                Items::Keyed(key) => Some(key.clone()),
                _ => None,
            },
            None => None,
        };
        let order = Self {
            list: list.to_owned(),
            wanted: wanted.clone(),
            original: live
                .get(list)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            key,
        };
        order.check(patch.get(list))?;
        Ok(order)
    }

    /// Whether the patch's own list has the order that it asks for.
    fn check(&self, list: Option<&Value>) -> Result<()> {
        let places = places(&self.wanted, self.key.as_deref());
        let mut last = None;
        for item in list.and_then(Value::as_array).into_iter().flatten() {
            if item.get(DIRECTIVE).is_some() {
                continue;
            }
            let place = identity(item, self.key.as_deref()).and_then(|identity| places.get(&identity));
            if place.is_none() || place < last {
                return Err(PatchError::Malformed(format!(
                    "the order of the patch's list {0:?} does not match its {SET_ELEMENT_ORDER}{0}",
                    self.list
                )));
            }
            last = place;
        }
        Ok(())
    }

    fn settle(&self, live: &mut Object) {
        if let Some(Value::Array(items)) = live.get_mut(&self.list) {
            let merged = std::mem::take(items);
            *items = ordered(merged, &self.wanted, &self.original, self.key.as_deref());
        }
    }
}

/// What tells an item apart; `None` for an object without its key.
fn identity(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => item.get(key).map(Value::to_string),
        None => Some(item.to_string()),
    }
}

/// The first place of each item.
fn places(list: &[Value], key: Option<&str>) -> HashMap<String, usize> {
    let mut places = HashMap::with_capacity(list.len());
    for (place, item) in list.iter().enumerate() {
        if let Some(identity) = identity(item, key) {
            places.entry(identity).or_insert(place);
        }
    }
    places
}

/// The items that the patch names in the patch's order, and the others in the original one. Between the two the original
/// order decides where it knows both, and else the patch's items come first.
fn ordered(merged: Vec<Value>, wanted: &[Value], original: &[Value], key: Option<&str>) -> Vec<Value> {
    let (wanted, original) = (places(wanted, key), places(original, key));
    let place = |places: &HashMap<String, usize>, item: &Value| {
        identity(item, key).and_then(|identity| places.get(&identity).copied())
    };
    let (mut named, mut others): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .map(|item| (place(&wanted, &item), place(&original, &item), item))
        .partition(|(named, ..)| named.is_some());
    named.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(_, place, _)| *place);
    let count = named.len() + others.len();
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut list = Vec::with_capacity(count);
    while let Some((_, mine, _)) = others.peek() {
        let before_named = match named.peek() {
            Some((_, theirs, _)) => mine.is_some() && theirs.is_some() && mine < theirs,
            None => true,
        };
        let next = if before_named { others.next() } else { named.next() };
        list.extend(next.map(|(_, _, item)| item));
    }
    list.extend(named.map(|(_, _, item)| item));
    list
}

/// A value of the patch where the object has none of its sort: without nulls and directives.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(object) if matches!(directive(&object), Ok(Some(Directive::Delete))) => {
            Value::Object(Object::new())
        }
        Value::Object(object) => Value::Object(plain_object(object)),
        Value::Array(items) => {
            let is_deleted = |item: &Value| {
                item.as_object()
                    .is_some_and(|item| matches!(directive(item), Ok(Some(Directive::Delete))))
            };
            // An item that is a directive alone says how to merge, and is none itself.
            let is_mark = |item: &Value| {
                item.as_object()
                    .is_some_and(|item| item.len() == 1 && item.contains_key(DIRECTIVE))
            };
            let kept = items
                .into_iter()
                .filter(|item| !is_deleted(item) && !is_mark(item));
            Value::Array(kept.map(plain).collect())
        }
        scalar => scalar,
    }
}

fn plain_object(object: Object) -> Object {
    let is_directive = |name: &str| {
        name == DIRECTIVE
            || name == RETAIN_KEYS
            || name.starts_with(SET_ELEMENT_ORDER)
            || name.starts_with(DELETE_FROM_PRIMITIVE_LIST)
    };
    object
        .into_iter()
        .filter(|(name, value)| !value.is_null() && !is_directive(name))
        .map(|(name, value)| (name, plain(value)))
        .collect()
}

#[cfg(test)]
mod tests;
