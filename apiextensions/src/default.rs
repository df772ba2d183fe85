//! Defaults: what an object does not say and its schema does.
//!
//! A default stands in for a field that is missing, or `null` where the schema does not allow `null`. It is set only
//! under parents that are there (or have a default themselves). A `null` that is not allowed and has no default is
//! dropped, as upstream does. Twice is once.

use crate::node::{Node, RESOURCE_FIELDS};
use serde_json::Value;

/// Sets the defaults of `node` in `value`, and drops `null` where it may not stand.
pub(crate) fn default(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in &node.properties {
                if node.embedded && RESOURCE_FIELDS.contains(&name.as_str()) {
                    continue;
                }
                match map.get(name) {
                    None => {}
                    Some(Value::Null) if !child.nullable => {
                        map.shift_remove(name);
                    }
                    Some(_) => continue,
                }
                if let Some(default) = &child.default {
                    map.insert(name.clone(), default.clone());
                }
            }
            if let Some(values) = node.values()
                && !values.nullable
            {
                match &values.default {
                    Some(default) => map
                        .values_mut()
                        .filter(|value| value.is_null())
                        .for_each(|value| *value = default.clone()),
                    None => map.retain(|name, value| !value.is_null() || node.properties.contains_key(name)),
                }
            }
            for (name, value) in map.iter_mut() {
                if node.embedded && RESOURCE_FIELDS.contains(&name.as_str()) {
                    continue;
                }
                if let Some(child) = node.field(name) {
                    default(child, value);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = node.items.as_deref() else {
                return;
            };
            for value in list {
                if value.is_null()
                    && !items.nullable
                    && let Some(default) = &items.default
                {
                    *value = default.clone();
                }
                default(items, value);
            }
        }
        _ => {}
    }
}
