//! Validation of values, in the words that kubectl's users know.

use super::{compiled, object, told};
use serde_json::{Value, json};

#[test]
fn every_rule_of_values_is_told_as_upstream_tells_it() {
    let text = |more: Value| {
        let mut schema = json!({"type": "string"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        schema
    };
    let number = |more: Value| {
        let mut schema = json!({"type": "number"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        schema
    };
    let list = |more: Value| {
        let mut schema = json!({"type": "array", "items": {"type": "string"}});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        schema
    };
    for (schema, value, fault) in [
        // Types.
        (
            json!({"type": "integer"}),
            json!("3"),
            Some("Invalid value: \"string\": spec.x in body must be of type integer: \"string\""),
        ),
        (
            json!({"type": "integer"}),
            json!(3.5),
            Some("Invalid value: \"number\": spec.x in body must be of type integer: \"number\""),
        ),
        (json!({"type": "integer"}), json!(3.0), None),
        (json!({"type": "number"}), json!(3), None),
        (
            json!({"type": "boolean"}),
            json!(1),
            Some("Invalid value: \"integer\": spec.x in body must be of type boolean: \"integer\""),
        ),
        (
            json!({"type": "string"}),
            json!(null),
            Some("Invalid value: \"null\": spec.x in body must be of type string: \"null\""),
        ),
        (json!({"type": "string", "nullable": true}), json!(null), None),
        (
            json!({"type": "object", "additionalProperties": true}),
            json!([]),
            Some("Invalid value: \"array\": spec.x in body must be of type object: \"array\""),
        ),
        (json!({"x-kubernetes-int-or-string": true}), json!("80%"), None),
        (json!({"x-kubernetes-int-or-string": true}), json!(80), None),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            Some("Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\""),
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(3_000_000_000u64),
            Some("Invalid value: 3000000000: spec.x in body must be of type integer with format int32"),
        ),
        // Texts.
        (
            text(json!({"enum": ["a", "b"]})),
            json!("c"),
            Some("Unsupported value: \"c\": supported values: \"a\", \"b\""),
        ),
        (text(json!({"enum": ["a", "b"]})), json!("b"), None),
        (
            text(json!({"maxLength": 2})),
            json!("héé"),
            Some("Too long: may not be more than 2 bytes"),
        ),
        (text(json!({"maxLength": 3})), json!("héé"), None),
        (
            text(json!({"minLength": 2})),
            json!("é"),
            Some("Invalid value: \"é\": spec.x in body should be at least 2 chars long"),
        ),
        (
            text(json!({"pattern": "^a+$"})),
            json!("ab"),
            Some("Invalid value: \"ab\": spec.x in body should match '^a+$'"),
        ),
        (text(json!({"pattern": "a"})), json!("bab"), None),
        (
            text(json!({"format": "date-time"})),
            json!("today"),
            Some("Invalid value: \"today\": spec.x in body must be of type date-time: \"today\""),
        ),
        // Numbers.
        (
            number(json!({"minimum": 1})),
            json!(0),
            Some("Invalid value: 0: spec.x in body should be greater than or equal to 1"),
        ),
        (
            number(json!({"minimum": 1, "exclusiveMinimum": true})),
            json!(1),
            Some("Invalid value: 1: spec.x in body should be greater than 1"),
        ),
        (
            number(json!({"maximum": 10})),
            json!(10.5),
            Some("Invalid value: 10.5: spec.x in body should be less than or equal to 10"),
        ),
        (
            number(json!({"maximum": 10, "exclusiveMaximum": true})),
            json!(10),
            Some("Invalid value: 10: spec.x in body should be less than 10"),
        ),
        (number(json!({"multipleOf": 0.1})), json!(0.3), None),
        (
            number(json!({"multipleOf": 3})),
            json!(10),
            Some("Invalid value: 10: spec.x in body should be a multiple of 3"),
        ),
        // Lists and maps.
        (
            list(json!({"maxItems": 1})),
            json!(["a", "b"]),
            Some("Too many: 2: must have at most 1 items"),
        ),
        (
            list(json!({"minItems": 1})),
            json!([]),
            Some("Invalid value: []: spec.x in body should have at least 1 items"),
        ),
        (
            list(json!({"x-kubernetes-list-type": "set"})),
            json!(["a", "b", "a"]),
            Some("Duplicate value: \"a\""),
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1}),
            json!({"a": "", "b": ""}),
            Some("Too many: 2: must have at most 1 items"),
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}),
            json!({}),
            Some("Invalid value: {}: spec.x in body should have at least 1 properties"),
        ),
    ] {
        let compiled = compiled(json!({"type": "object", "properties": {"x": schema}}));
        let faults = told(compiled.validate(&object(json!({"x": value})), None));
        match fault {
            None => assert_eq!(faults, [""; 0], "{schema} {value}"),
            Some(fault) => {
                assert_eq!(faults.len(), 1, "{schema} {value}: {faults:?}");
                let (_, message) = faults[0].split_once(": ").unwrap();
                assert_eq!(message, fault, "{schema} {value}");
            }
        }
    }
}

#[test]
fn faults_name_the_place_at_every_level() {
    let schema = compiled(json!({"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "protocol"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "protocol": {"type": "string", "default": "TCP"}}}},
        "b": {"type": "object", "additionalProperties": {"type": "integer"}},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}
    }}));
    let given = json!({
        "a": [{"name": "x", "protocol": "TCP"}, {"name": "x"}, {}, {"name": 1}],
        "b": {"k": "v"}, "pod": {"kind": ""}
    });
    let mut faults = told(schema.validate(&object(given), None));
    faults.sort();
    assert_eq!(
        faults,
        [
            "spec.a[1]: Duplicate value: {\"name\":\"x\"}",
            "spec.a[2].name: Required value",
            "spec.a[3].name: Invalid value: \"integer\": spec.a[3].name in body must be of type string: \"integer\"",
            "spec.b.k: Invalid value: \"string\": spec.b.k in body must be of type integer: \"string\"",
            "spec.pod.apiVersion: Required value: must not be empty",
            "spec.pod.kind: Required value: must not be empty",
        ]
    );
    assert_eq!(
        told(schema.validate(&object(json!({})), None)),
        ["spec.a: Required value", "spec.b: Required value"]
    );
}

#[test]
fn junctors_take_and_refuse_as_they_say() {
    let either = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    let any = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"properties": {"b": {"minimum": 5}}, "required": ["b"]}]});
    let not = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "not": {"required": ["a"]}});
    let all = json!({"type": "object", "properties": {"a": {"type": "integer"}},
        "allOf": [{"required": ["a"]}, {"properties": {"a": {"maximum": 3}}}]});
    for (schema, value, wanted) in [
        (&either, json!({"a": 1}), None),
        (
            &either,
            json!({}),
            Some("\"spec\" must validate one and only one schema (oneOf). Found none valid"),
        ),
        (
            &either,
            json!({"a": 1, "b": 1}),
            Some("\"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives"),
        ),
        (&any, json!({"b": 5}), None),
        (
            &any,
            json!({"b": 4}),
            Some("\"spec\" must validate at least one schema (anyOf)"),
        ),
        (&not, json!({}), None),
        (
            &not,
            json!({"a": 1}),
            Some("\"spec\" must not validate the schema (not)"),
        ),
        (&all, json!({"a": 3}), None),
        (
            &all,
            json!({"a": 4}),
            Some("\"spec\" must validate all the schemas (allOf)"),
        ),
    ] {
        let faults = told(compiled(schema.clone()).validate(&object(value.clone()), None));
        match wanted {
            None => assert_eq!(faults, [""; 0], "{value}"),
            Some(wanted) => assert_eq!(
                faults[0],
                format!("spec: Invalid value: \"\": {wanted}"),
                "{value}"
            ),
        }
    }
}

#[test]
fn an_update_may_leave_wrong_what_it_does_not_touch() {
    let schema = compiled(json!({"type": "object", "properties": {
        "a": {"type": "integer", "maximum": 5}, "b": {"type": "integer", "maximum": 5},
        "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "n": {"type": "integer", "maximum": 5}}}},
        "atomic": {"type": "array", "items": {"type": "integer", "maximum": 5}}
    }}));
    let old = object(json!({"a": 9, "b": 1, "keyed": [{"name": "x", "n": 9}], "atomic": [9]}));
    for (new, wanted) in [
        (
            json!({"a": 9, "b": 2, "keyed": [{"name": "x", "n": 9}], "atomic": [9]}),
            vec![],
        ),
        (json!({"a": 8, "b": 2}), vec!["spec.a"]),
        (
            json!({"a": 9, "keyed": [{"name": "y", "n": 1}, {"name": "x", "n": 9}]}),
            vec![],
        ),
        (
            json!({"a": 9, "keyed": [{"name": "y", "n": 9}]}),
            vec!["spec.keyed[0].n"],
        ),
        // Items of an atomic list cannot be told apart: a change of one is a change of all.
        (json!({"a": 9, "atomic": [9, 1]}), vec!["spec.atomic[0]"]),
    ] {
        let faults = schema.validate(&object(new.clone()), Some(&old));
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, wanted, "{new}");
    }
}

#[test]
fn a_hostile_object_gets_a_bounded_answer() {
    let schema = compiled(json!({"type": "array", "items": {"type": "integer"}}));
    let items: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    assert_eq!(
        schema.validate(&object(json!(items)), None).len(),
        apiextensions::limits::MAX_FAULTS
    );
}
