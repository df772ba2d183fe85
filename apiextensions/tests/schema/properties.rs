//! What holds of every schema and every value.

use super::{compile, fixtures};
use apiextensions::{Schema, validate_definition};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, of field names that schemas below use.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..10).prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-d]", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A structural schema, mostly.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "maxLength": 2})),
        Just(json!({"type": "string", "nullable": true})),
        Just(json!({"type": "integer", "minimum": 1, "default": 2})),
        Just(json!({"type": "string", "default": "ab", "pattern": "^[ab]*$"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "number", "multipleOf": 0.5})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
        Just(json!({"type": "integer", "x-kubernetes-validations": [{"rule": "self > 1"}]})),
        Just(json!({"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            object(inner.clone()),
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items, "maxItems": 3})),
            inner.prop_map(
                |values| json!({"type": "object", "additionalProperties": values, "maxProperties": 3})
            ),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (
        prop::collection::vec(("[a-c]", inner), 0..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(entries, preserve, default)| {
            let properties: Map<String, Value> = entries.into_iter().collect();
            let mut object = json!({"type": "object", "properties": properties});
            if preserve {
                object["x-kubernetes-preserve-unknown-fields"] = true.into();
            }
            if default {
                object["default"] = json!({});
            }
            object
        })
}

fn root() -> impl Strategy<Value = Value> {
    object(schema()).prop_map(|mut root| {
        root.as_object_mut().unwrap().shift_remove("default");
        root
    })
}

proptest! {
    #[test]
    fn pruning_and_defaults_twice_are_once(schema in root(), mut object in value()) {
        let Ok(schema) = Schema::compile(&schema) else { return Ok(()) };
        schema.prune(&mut object);
        let pruned = object.clone();
        prop_assert_eq!(schema.prune(&mut object), Vec::<String>::new());
        prop_assert_eq!(&object, &pruned);
        schema.default(&mut object);
        let filled = object.clone();
        schema.default(&mut object);
        prop_assert_eq!(&object, &filled);
        // What a default sets is known to the schema.
        prop_assert_eq!(schema.prune(&mut object), Vec::<String>::new());
    }

    #[test]
    fn nothing_panics_and_what_did_not_change_is_never_refused(schema in root(), old in value(), new in value()) {
        let Ok(schema) = Schema::compile(&schema) else { return Ok(()) };
        schema.validate(&new, Some(&old));
        schema.validate(&new, None);
        schema.openapi();
        schema.openapi_v2();
        prop_assert_eq!(schema.validate(&old, Some(&old)), Vec::new());
    }

    #[test]
    fn a_schema_of_any_json_is_answered(schema in value()) {
        let _ = Schema::compile(&schema);
        validate_definition(&schema);
        validate_definition(&json!({"spec": {"versions": [schema]}}));
        let _ = Schema::compile(&json!({"type": "object", "properties": schema, "items": schema, "not": schema,
            "x-kubernetes-validations": schema, "allOf": [schema], "additionalProperties": schema, "default": schema}));
    }

    #[test]
    fn a_rule_of_any_text_is_answered(rule in "[-a-c0-9.\\[\\](){}+*/%!<>=&|?:,'\" ]{0,40}") {
        let _ = Schema::compile(&json!({"type": "object", "properties": {"a": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": format!("self.a{rule}")}]}));
    }

    #[test]
    fn objects_of_real_kinds_are_answered_whatever_they_hold(which in 0usize..3, spec in value()) {
        let (_, definition) = fixtures::all().swap_remove(which);
        let schema = compile(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
        let mut object = super::object(spec);
        schema.prune(&mut object);
        schema.default(&mut object);
        schema.validate(&object, None);
    }
}
