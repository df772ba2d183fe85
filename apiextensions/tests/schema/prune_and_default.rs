//! Pruning and defaults.

use super::{compiled, object};
use serde_json::{Value, json};

#[test]
fn what_the_schema_does_not_know_is_dropped_and_named() {
    let text = json!({"type": "string"});
    for (name, spec, given, kept, dropped) in [
        (
            "fields at every level",
            json!({"type": "object", "properties": {
                "a": text, "list": {"type": "array", "items": {"type": "object", "properties": {"b": text}}}}}),
            json!({"a": "x", "z": 1, "list": [{"b": "y"}, {"b": "y", "c": 1}]}),
            json!({"a": "x", "list": [{"b": "y"}, {"b": "y"}]}),
            vec!["spec.z", "spec.list[1].c"],
        ),
        (
            "inside the values of a map",
            json!({"type": "object", "additionalProperties": {"type": "object", "properties": {"b": text}}}),
            json!({"one": {"b": "y", "c": 1}}),
            json!({"one": {"b": "y"}}),
            vec!["spec.one.c"],
        ),
        (
            "nothing where unknown fields are preserved, but what is known below",
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"a": {"type": "object", "properties": {"b": text}}}}),
            json!({"z": {"y": 1}, "a": {"b": "x", "c": 1}}),
            json!({"z": {"y": 1}, "a": {"b": "x"}}),
            vec!["spec.a.c"],
        ),
        (
            "everything of an object without properties",
            json!({"type": "object"}),
            json!({"z": 1}),
            json!({}),
            vec!["spec.z"],
        ),
        (
            "nothing of a map of anything",
            json!({"type": "object", "additionalProperties": true}),
            json!({"z": {"y": 1}}),
            json!({"z": {"y": 1}}),
            vec![],
        ),
        (
            "nothing that every resource has of an embedded one",
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"z": 1}, "y": 1}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {}}),
            vec!["spec.y", "spec.spec.z"],
        ),
    ] {
        let schema = compiled(spec);
        let mut pruned = object(given);
        assert_eq!(schema.prune(&mut pruned), dropped, "{name}");
        assert_eq!(pruned, object(kept), "{name}");
        assert_eq!(schema.prune(&mut pruned), [""; 0], "{name}: a second time");
    }
}

#[test]
fn the_fields_that_every_resource_has_are_never_pruned() {
    let schema = compiled(json!({"type": "object"}));
    let mut pruned = object(json!({}));
    pruned["metadata"]["labels"] = json!({"a": "b"});
    pruned["status"] = json!({"x": 1});
    assert_eq!(schema.prune(&mut pruned), ["status"]);
    assert_eq!(pruned["metadata"], json!({"name": "w", "labels": {"a": "b"}}));
}

#[test]
fn defaults_stand_in_for_what_is_missing() {
    let replicas = json!({"type": "integer", "default": 1});
    let cases: Vec<(&str, Value, Value, Value)> = vec![
        (
            "a field",
            json!({"type": "object", "properties": {"replicas": replicas}}),
            json!({}),
            json!({"replicas": 1}),
        ),
        (
            "not one that is there",
            json!({"type": "object", "properties": {"replicas": replicas}}),
            json!({"replicas": 0}),
            json!({"replicas": 0}),
        ),
        (
            "nothing under a parent that is missing",
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"replicas": replicas}}}}),
            json!({}),
            json!({}),
        ),
        (
            "under a parent that is itself a default",
            json!({"type": "object", "properties": {
                "a": {"type": "object", "default": {}, "properties": {"replicas": replicas}}}}),
            json!({}),
            json!({"a": {"replicas": 1}}),
        ),
        (
            "in items and in values of maps",
            json!({"type": "object", "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {"replicas": replicas}}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"replicas": replicas}}}}}),
            json!({"list": [{}], "map": {"k": {}}}),
            json!({"list": [{"replicas": 1}], "map": {"k": {"replicas": 1}}}),
        ),
        (
            "null where none is allowed",
            json!({"type": "object", "properties": {"replicas": replicas, "b": {"type": "integer"}}}),
            json!({"replicas": null, "b": null}),
            json!({"replicas": 1}),
        ),
        (
            "not null where it is allowed",
            json!({"type": "object", "properties": {"replicas": {"type": "integer", "nullable": true, "default": 1}}}),
            json!({"replicas": null}),
            json!({"replicas": null}),
        ),
    ];
    for (name, spec, given, wanted) in cases {
        let schema = compiled(spec);
        let mut filled = object(given);
        schema.default(&mut filled);
        assert_eq!(filled, object(wanted.clone()), "{name}");
        schema.default(&mut filled);
        assert_eq!(filled, object(wanted), "{name}: a second time");
        assert!(schema.validate(&filled, None).is_empty(), "{name}");
    }
}
