//! An object with a configuration laid over it, and an object without some of its fields.

use super::element::Element;
use super::schema::{Cursor, Type};
use super::set::FieldSet;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// `live` with what `config` sets. Lists whose items are told apart merge item by item: the configuration's order wins, and
/// what it does not name stays where it is in between.
pub fn merge(of: Cursor<'_>, live: Value, config: &Value) -> Value {
    match (live, config) {
        (Value::Object(mut live), Value::Object(fields)) if of.splits_object(config) => {
            for (name, value) in fields {
                let there = live.get_mut(name).map_or(Value::Null, Value::take);
                live.insert(name.clone(), merge(of.field(name).0, there, value));
            }
            Value::Object(live)
        }
        (Value::Array(live), Value::Array(config)) if of.splits_list() => {
            Value::Array(merge_list(of, live, config))
        }
        // Of what has parts, null sets none.
        (live, Value::Null) if !matches!(of.of(), Type::Atomic | Type::Deduced) => live,
        (_, config) => config.clone(),
    }
}

fn merge_list(of: Cursor<'_>, live: Vec<Value>, config: &[Value]) -> Vec<Value> {
    let elements: Vec<Option<Element>> = config.iter().map(|item| of.element(item).ok()).collect();
    let wanted: BTreeSet<&Element> = elements.iter().flatten().collect();
    // The items that both have, each once, and the live list with a gap for each of them.
    let mut shared: BTreeMap<Element, Value> = BTreeMap::new();
    let mut live: std::collections::VecDeque<Result<Value, Element>> = live
        .into_iter()
        .map(|item| match of.element(&item) {
            Ok(element) if wanted.contains(&element) => {
                shared.entry(element.clone()).or_insert(item);
                Err(element)
            }
            _ => Ok(item),
        })
        .collect();
    // From each place of the configuration on, the next item that is shared.
    let mut next_shared = vec![None; config.len()];
    let mut next = None;
    for (place, element) in elements.iter().enumerate().rev() {
        next = element
            .as_ref()
            .filter(|element| shared.contains_key(*element))
            .or(next);
        next_shared[place] = next;
    }
    let mut merged = Vec::with_capacity(live.len() + config.len());
    for (place, item) in config.iter().enumerate() {
        while let Some(there) = live.pop_front() {
            match there {
                Ok(other) => merged.push(other),
                Err(element) if Some(&element) == next_shared[place] => {
                    live.push_front(Err(element));
                    break;
                }
                Err(_) => {}
            }
        }
        let element = elements[place].as_ref();
        if element.is_some() && element == next_shared[place] {
            live.pop_front();
        }
        let there = element
            .and_then(|element| shared.get_mut(element))
            .map_or(Value::Null, Value::take);
        merged.push(merge(of.item(), there, item));
    }
    merged.extend(live.into_iter().filter_map(Result::ok));
    merged
}

/// The object without these fields. What loses its last field becomes null.
pub fn remove(of: Cursor<'_>, value: Value, gone: &FieldSet) -> Value {
    match value {
        Value::Object(fields) if !gone.is_empty() && of.splits_object(&Value::Object(Map::new())) => {
            let left: Map<String, Value> = fields
                .into_iter()
                .filter_map(|(name, value)| match gone.at(&Element::field(&name)) {
                    Some(node) if node.member => None,
                    Some(node) => {
                        let left = remove(of.field(&name).0, value, &node.below);
                        Some((name, left))
                    }
                    None => Some((name, value)),
                })
                .collect();
            if left.is_empty() {
                Value::Null
            } else {
                Value::Object(left)
            }
        }
        Value::Array(items) if !gone.is_empty() && of.splits_list() => {
            let left: Vec<Value> = items
                .into_iter()
                .filter_map(|item| {
                    let node = of.element(&item).ok().and_then(|element| gone.at(&element));
                    match node {
                        Some(node) if node.member => None,
                        Some(node) => Some(remove(of.item(), item, &node.below)),
                        None => Some(item),
                    }
                })
                .filter(|item| !item.is_null())
                .collect();
            if left.is_empty() {
                Value::Null
            } else {
                Value::Array(left)
            }
        }
        value => value,
    }
}
