//! Schemas as OpenAPI publishes them.
//!
//! In: the JSON of an `openAPIV3Schema`. Out: the same with the fields that every resource has. References to
//! `ObjectMeta` point where the document of that version of OpenAPI keeps its schemas.

use serde_json::{Map, Value, json};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Keywords that OpenAPI v2 does not have, or that its clients misread.
const NOT_IN_V2: [&str; 6] = [
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "nullable",
    "x-kubernetes-validations",
];

pub(crate) fn v3(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let reference = json!({"$ref": format!("#/components/schemas/{OBJECT_META}")});
    resource(&mut schema, &json!({"allOf": [reference], "default": {}}));
    schema
}

pub(crate) fn v2(schema: &Value) -> Value {
    let mut schema = schema.clone();
    simplify(&mut schema);
    resource(
        &mut schema,
        &json!({"$ref": format!("#/definitions/{OBJECT_META}")}),
    );
    schema
}

/// Adds `apiVersion`, `kind` and `metadata` to the object and to every embedded resource.
fn resource(schema: &mut Value, metadata: &Value) {
    let Some(json) = schema.as_object_mut() else {
        return;
    };
    json.insert("type".into(), "object".into());
    let Some(properties) = json
        .entry("properties")
        .or_insert_with(|| Map::new().into())
        .as_object_mut()
    else {
        return;
    };
    let text = |description: &str| json!({"type": "string", "description": description});
    properties.entry("apiVersion").or_insert_with(|| {
        text("The group and version of the schema that this object is written in, such as apps/v1.")
    });
    properties
        .entry("kind")
        .or_insert_with(|| text("The kind of this object, in CamelCase. It cannot change."));
    let mut metadata = metadata.clone();
    metadata["description"] = "Name, labels and the rest that every object has.".into();
    properties.insert("metadata".into(), metadata);
}

fn simplify(schema: &mut Value) {
    let Some(json) = schema.as_object_mut() else {
        return;
    };
    // Clients of v2 have no null: they take a place without a type as one that takes anything.
    let is_open = json.get("nullable") == Some(&Value::Bool(true));
    let preserves = json.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    for name in NOT_IN_V2 {
        json.shift_remove(name);
    }
    if is_open || preserves {
        for name in ["items", "properties", "required"] {
            json.shift_remove(name);
        }
    }
    if is_open {
        json.shift_remove("type");
    }
    for name in ["items", "additionalProperties"] {
        if let Some(child) = json.get_mut(name) {
            simplify(child);
        }
    }
    if let Some(Value::Object(properties)) = json.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
}
