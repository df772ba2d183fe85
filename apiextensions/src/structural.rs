//! What makes a schema structural: every place has a type, said once, outside of anything logical.
//!
//! In: the JSON of an `openAPIV3Schema`. Out: faults, as upstream words them. A schema without faults is a tree from
//! which pruning, defaults and merges can be read; [`crate::compile`] makes it so.

use crate::limits::{MAX_DEPTH, MAX_NODES};
use crate::node::Type;
use crate::report::Report;
use apimachinery::path::Path;
use serde_json::{Map, Value};

/// A schema's JSON.
pub(crate) type Json = Map<String, Value>;

/// Where in a schema a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

/// Keywords of JSON Schema that upstream knows and refuses.
const REFUSED: &[&str] = &[
    "$ref",
    "definitions",
    "dependencies",
    "deprecated",
    "discriminator",
    "id",
    "patternProperties",
    "readOnly",
    "writeOnly",
    "xml",
    "additionalItems",
    "$schema",
];

/// Keywords that shape an object, and so may not stand in a junctor; and what upstream says of each.
const SHAPING: &[(&str, &str)] = &[
    ("description", "must be empty to be structural"),
    ("type", "must be empty to be structural"),
    ("title", "must be empty to be structural"),
    ("default", "must be undefined to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("nullable", "must be false to be structural"),
    (
        "x-kubernetes-preserve-unknown-fields",
        "must be false to be structural",
    ),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Checks the whole schema.
pub(crate) fn check(schema: &Value, at: &Path<'_>, report: &mut Report) {
    let mut walk = Walk { report, nodes: 0 };
    walk.schema(schema, at, Level::Root, 0);
}

struct Walk<'r> {
    report: &'r mut Report,
    nodes: usize,
}

impl Walk<'_> {
    /// The JSON of one more schema; `None` with a fault when it is none, or beyond a limit.
    fn enter<'v>(&mut self, schema: &'v Value, at: &Path<'_>, depth: usize) -> Option<&'v Json> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            // Told once: what follows would say the same.
            if self.nodes <= MAX_NODES || self.nodes == MAX_NODES + 1 {
                self.report.forbidden(
                    at,
                    &format!("schemas may nest {MAX_DEPTH} deep and have {MAX_NODES} nodes at most"),
                );
            }
            return None;
        }
        let json = schema.as_object();
        if json.is_none() {
            self.report.invalid(at, schema, "must be a schema object");
        }
        json
    }

    fn schema(&mut self, schema: &Value, at: &Path<'_>, level: Level, depth: usize) {
        let Some(json) = self.enter(schema, at, depth) else {
            return;
        };
        self.refused(json, at);
        self.typed(json, at, level);
        self.extensions(json, at);
        self.lists(json, at);
        if level == Level::Root || flag(json, EMBEDDED) {
            self.resource(json, at);
        }
        for (name, child) in entries(json, "properties") {
            self.schema(child, &at.field("properties").key(name), Level::Field, depth + 1);
        }
        match json.get("additionalProperties") {
            Some(Value::Bool(false)) => self.report.forbidden(
                &at.field("additionalProperties"),
                "additionalProperties cannot be set to false",
            ),
            Some(child @ Value::Object(_)) => {
                self.schema(child, &at.field("additionalProperties"), Level::Field, depth + 1);
            }
            _ => {}
        }
        if json.contains_key("additionalProperties") && entries(json, "properties").next().is_some() {
            self.report.forbidden(
                &at.field("additionalProperties"),
                "additionalProperties and properties are mutual exclusive",
            );
        }
        if let Some(child) = json.get("items") {
            let at = at.field("items");
            if child.is_array() {
                self.report
                    .forbidden(&at, "items must be a schema object and not an array");
            } else {
                self.schema(child, &at, Level::Item, depth + 1);
            }
        }
        self.junctors(json, json, at, depth);
    }

    fn refused(&mut self, json: &Json, at: &Path<'_>) {
        for name in REFUSED {
            if json.get(*name).is_some_and(|value| !is_empty(value)) {
                self.report
                    .forbidden(&at.field(name), &format!("{name} is not supported"));
            }
        }
        if json.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.report.forbidden(
                &at.field("uniqueItems"),
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            );
        }
    }

    fn typed(&mut self, json: &Json, at: &Path<'_>, level: Level) {
        let at = at.field("type");
        let free = flag(json, PRESERVE) || flag(json, INT_OR_STRING);
        match text(json, "type") {
            "" if level == Level::Root => self.report.required(&at, "must not be empty at the root"),
            "" if free => {}
            "" if level == Level::Item => self
                .report
                .required(&at, "must not be empty for specified array items"),
            "" => self
                .report
                .required(&at, "must not be empty for specified object fields"),
            "null" => self
                .report
                .forbidden(&at, "type cannot be set to null, use nullable as an alternative"),
            name if Type::parse(name).is_none() => {
                let names = ["array", "boolean", "integer", "number", "object", "string"];
                self.report.unsupported(&at, &name.into(), &names.map(Into::into));
            }
            name if level == Level::Root && name != "object" => {
                self.report.invalid_text(&at, name, "must be object at the root");
            }
            name if flag(json, INT_OR_STRING) => {
                self.report
                    .invalid_text(&at, name, "must be empty if x-kubernetes-int-or-string is true");
            }
            _ => {}
        }
    }

    fn extensions(&mut self, json: &Json, at: &Path<'_>) {
        if json.get(PRESERVE) == Some(&Value::Bool(false)) {
            self.report.invalid(
                &at.field(PRESERVE),
                &Value::Bool(false),
                "must be true or undefined",
            );
        }
        if flag(json, INT_OR_STRING) {
            for name in ["properties", "additionalProperties", "items"] {
                if json.contains_key(name) {
                    let detail = "must be empty if x-kubernetes-int-or-string is true";
                    self.report.forbidden(&at.field(name), detail);
                }
            }
        }
        if flag(json, EMBEDDED) {
            match text(json, "type") {
                "object" => {}
                "" => self.report.required(
                    &at.field("type"),
                    "must be object if x-kubernetes-embedded-resource is true",
                ),
                name => self.report.invalid_text(
                    &at.field("type"),
                    name,
                    "must be object if x-kubernetes-embedded-resource is true",
                ),
            }
            if !flag(json, PRESERVE) && entries(json, "properties").next().is_none() {
                self.report.required(
                    &at.field("properties"),
                    "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
                );
            }
        }
        let map_type = text(json, "x-kubernetes-map-type");
        if !map_type.is_empty() {
            if !["granular", "atomic"].contains(&map_type) {
                self.report.unsupported(
                    &at.field("x-kubernetes-map-type"),
                    &map_type.into(),
                    &["atomic", "granular"].map(Into::into),
                );
            }
            self.wants_type(json, at, "object", "x-kubernetes-map-type");
        }
    }

    fn wants_type(&mut self, json: &Json, at: &Path<'_>, wanted: &str, because: &str) {
        let detail = format!("must be {wanted} if {because} is specified");
        match text(json, "type") {
            "" => self.report.required(&at.field("type"), &detail),
            name if name != wanted => self.report.invalid_text(&at.field("type"), name, &detail),
            _ => {}
        }
    }

    fn lists(&mut self, json: &Json, at: &Path<'_>) {
        let list_type = text(json, "x-kubernetes-list-type");
        let keys = json.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let keys: Vec<&str> = keys.into_iter().flatten().filter_map(Value::as_str).collect();
        if list_type != "map" && !keys.is_empty() {
            let detail = "must be empty if x-kubernetes-list-type is not map";
            self.report
                .forbidden(&at.field("x-kubernetes-list-map-keys"), detail);
        }
        if list_type.is_empty() {
            return;
        }
        if !["atomic", "set", "map"].contains(&list_type) {
            self.report.unsupported(
                &at.field("x-kubernetes-list-type"),
                &list_type.into(),
                &["atomic", "map", "set"].map(Into::into),
            );
        }
        self.wants_type(json, at, "array", "x-kubernetes-list-type");
        let items = json.get("items").and_then(Value::as_object);
        match (list_type, items) {
            ("set", Some(items)) => self.set_items(items, &at.field("items")),
            ("map", Some(items)) => self.map_items(items, &keys, at),
            ("set" | "map", None) => {
                let detail = format!("must not be empty if x-kubernetes-list-type is {list_type}");
                self.report.required(&at.field("items"), &detail);
            }
            _ => {}
        }
    }

    fn set_items(&mut self, items: &Json, at: &Path<'_>) {
        if flag(items, "nullable") {
            let detail = "cannot be nullable when x-kubernetes-list-type is set";
            self.report.forbidden(&at.field("nullable"), detail);
        }
        let is_atomic = match text(items, "type") {
            "object" => text(items, "x-kubernetes-map-type") == "atomic",
            "array" => ["", "atomic"].contains(&text(items, "x-kubernetes-list-type")),
            _ => true,
        };
        if !is_atomic {
            let field = match text(items, "type") {
                "object" => "x-kubernetes-map-type",
                _ => "x-kubernetes-list-type",
            };
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            self.report
                .invalid_text(&at.field(field), text(items, field), detail);
        }
    }

    fn map_items(&mut self, items: &Json, keys: &[&str], list: &Path<'_>) {
        let keys_at = list.field("x-kubernetes-list-map-keys");
        let at = list.field("items");
        if keys.is_empty() {
            self.report
                .required(&keys_at, "must not be empty if x-kubernetes-list-type is map");
        }
        if text(items, "type") != "object" {
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            self.report
                .invalid_text(&at.field("type"), text(items, "type"), detail);
        }
        let required: Vec<&str> = strings(items, "required").collect();
        let mut seen = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if seen.contains(key) {
                self.report.duplicate(&keys_at.index(index), &(*key).into());
                continue;
            }
            seen.push(key);
            let properties = at.field("properties");
            let Some(property) = items.get("properties").and_then(|all| all.get(key)?.as_object()) else {
                let detail = "entries must all be names of item properties";
                self.report.invalid_text(&keys_at.index(index), key, detail);
                continue;
            };
            let at = properties.key(key);
            if !Type::parse(text(property, "type")).is_some_and(Type::is_scalar) {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                self.report
                    .invalid_text(&at.field("type"), text(property, "type"), detail);
            }
            if flag(property, "nullable") {
                let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.report.forbidden(&at.field("nullable"), detail);
            }
            if !required.contains(key) && !property.contains_key("default") {
                self.report.required(
                    &at.field("default"),
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                );
            }
        }
    }

    /// What a resource (the root, or an embedded one) may say about the fields that all resources have.
    fn resource(&mut self, json: &Json, at: &Path<'_>) {
        let properties = at.field("properties");
        for name in ["apiVersion", "kind"] {
            if let Some(field) = json.get("properties").and_then(|all| all.get(name)?.as_object())
                && text(field, "type") != "string"
            {
                self.report.invalid_text(
                    &properties.key(name).field("type"),
                    text(field, "type"),
                    "must be string",
                );
            }
        }
        let Some(metadata) = json
            .get("properties")
            .and_then(|all| all.get("metadata")?.as_object())
        else {
            return;
        };
        let at = properties.key("metadata");
        if text(metadata, "type") != "object" {
            self.report
                .invalid_text(&at.field("type"), text(metadata, "type"), "must be object");
        }
        let says_more = metadata
            .keys()
            .any(|key| !["type", "properties", "description", "title"].contains(&key.as_str()))
            || entries(metadata, "properties").any(|(name, _)| !["name", "generateName"].contains(&name));
        if says_more {
            self.report.forbidden(
                &at,
                "must not specify anything other than name and generateName, but metadata is implicitly specified",
            );
        }
    }

    /// The logical parts of a schema: they check values, and may name only what `shape`, the schema around them, has.
    fn junctors(&mut self, json: &Json, shape: &Json, at: &Path<'_>, depth: usize) {
        for name in ["allOf", "anyOf", "oneOf"] {
            let members = json.get(name).and_then(Value::as_array);
            for (index, member) in members.into_iter().flatten().enumerate() {
                let at = at.field(name);
                let at = at.index(index);
                let either = flag(shape, INT_OR_STRING) && is_int_or_string(json, name);
                self.value_validation(member, shape, &at, depth + 1, either);
            }
        }
        if let Some(member) = json.get("not") {
            self.value_validation(member, shape, &at.field("not"), depth + 1, false);
        }
    }

    fn value_validation(&mut self, schema: &Value, shape: &Json, at: &Path<'_>, depth: usize, either: bool) {
        let Some(json) = self.enter(schema, at, depth) else {
            return;
        };
        self.refused(json, at);
        for (name, detail) in SHAPING {
            if json.get(*name).is_some_and(|value| !is_empty(value)) && !(either && *name == "type") {
                self.report.forbidden(&at.field(name), detail);
            }
        }
        for (name, child) in entries(json, "properties") {
            let properties = at.field("properties");
            let at = properties.key(name);
            let of_shape = shape
                .get("properties")
                .and_then(|all| all.get(name))
                .or_else(|| shape.get("additionalProperties"))
                .and_then(Value::as_object);
            match of_shape {
                Some(shape) => self.value_validation(child, shape, &at, depth + 1, false),
                None if flag(shape, PRESERVE) || flag(shape, EMBEDDED) || name == "metadata" => {}
                None => self.report.required(
                    &at,
                    &format!("because it is defined in {at}, it must be specified outside of allOf, anyOf, oneOf and not too"),
                ),
            }
        }
        if let Some(child) = json.get("items") {
            let at = at.field("items");
            match shape.get("items").and_then(Value::as_object) {
                Some(shape) => self.value_validation(child, shape, &at, depth + 1, false),
                None => self.report.required(
                    &at,
                    &format!("because it is defined in {at}, it must be specified outside of allOf, anyOf, oneOf and not too"),
                ),
            }
        }
        self.junctors(json, shape, at, depth);
    }
}

/// Whether these members are the one pattern that may name types: `anyOf: [{type: integer}, {type: string}]`, here or in
/// a member of `allOf`.
fn is_int_or_string(json: &Json, name: &str) -> bool {
    let pair = json.get("anyOf").and_then(Value::as_array);
    name == "anyOf"
        && pair.is_some_and(|pair| {
            pair.len() == 2 && pair[0]["type"] == "integer" && pair[1]["type"] == "string"
        })
}

/// A text; empty when it is missing.
pub(crate) fn text<'j>(json: &'j Json, name: &str) -> &'j str {
    json.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A flag; false when it is missing.
pub(crate) fn flag(json: &Json, name: &str) -> bool {
    json.get(name) == Some(&Value::Bool(true))
}

/// The entries of an object in it.
pub(crate) fn entries<'j>(json: &'j Json, name: &str) -> impl Iterator<Item = (&'j str, &'j Value)> {
    json.get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// The texts of a list in it.
pub(crate) fn strings<'j>(json: &'j Json, name: &str) -> impl Iterator<Item = &'j str> {
    json.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
