//! Pruning: what a schema does not know is dropped.
//!
//! Whatever is dropped is told by its path, so that `fieldValidation` can warn or refuse. Pruning twice is pruning once.

use crate::node::{Additional, Node, RESOURCE_FIELDS};
use apimachinery::path::Path;
use serde_json::Value;

/// Drops from `value` what `node` does not specify, and adds the paths to `dropped`.
pub(crate) fn prune(node: &Node, value: &mut Value, at: &Path<'_>, dropped: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let keep_all = node.preserve || matches!(node.additional, Additional::Any);
            if !keep_all && node.values().is_none() {
                let known = |name: &str| {
                    node.properties.contains_key(name) || node.embedded && RESOURCE_FIELDS.contains(&name)
                };
                if map.keys().any(|name| !known(name)) {
                    map.retain(|name, _| {
                        let keep = known(name);
                        if !keep {
                            dropped.push(at.field(name).to_string());
                        }
                        keep
                    });
                }
            }
            for (name, value) in map.iter_mut() {
                // Metadata of a resource is typed elsewhere: what its schema says of names is a rule, not its shape.
                if node.embedded && RESOURCE_FIELDS.contains(&name.as_str()) {
                    continue;
                }
                if let Some(child) = node.field(name) {
                    prune(child, value, &at.field(name), dropped);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = node.items.as_deref() {
                for (index, item) in items.iter_mut().enumerate() {
                    prune(child, item, &at.index(index), dropped);
                }
            }
        }
        _ => {}
    }
}
