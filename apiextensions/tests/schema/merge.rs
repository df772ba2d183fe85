//! What field managers know of custom objects.

use super::{compiled, object};
use apimachinery::managed_fields::field_set;
use serde_json::json;

#[test]
fn parts_are_owned_as_list_types_and_map_types_say() {
    let text = json!({"type": "string"});
    let schema = compiled(json!({"type": "object", "properties": {
        "plain": text,
        "atomic": {"type": "array", "items": text},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "protocol"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": text, "protocol": {"type": "string", "default": "TCP"}, "port": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": text},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": text}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    }}));
    let object = object(json!({
        "plain": "x", "atomic": ["a"], "set": ["a"], "keyed": [{"name": "n", "port": 1}], "map": {"k": "v"},
        "whole": {"a": "x"}, "free": {"deep": {"er": 1}}
    }));
    let set = field_set(schema.merge_schema().root(), &object);
    let json: serde_json::Value = serde_json::from_slice(&set.to_json()).unwrap();
    assert_eq!(
        json["f:spec"],
        json!({
            "f:plain": {}, "f:atomic": {}, "f:set": {"v:\"a\"": {}},
            "f:keyed": {"k:{\"name\":\"n\",\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}},
            "f:map": {"f:k": {}}, "f:whole": {}, "f:free": {"f:deep": {".": {}, "f:er": {}}}
        })
    );
}
