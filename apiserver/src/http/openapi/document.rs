//! OpenAPI documents, as JSON trees. Pure.
//!
//! In: what is served. Out: Swagger 2.0 of everything, or OpenAPI 3.0 of one group and version.
//! Invariant: every pointer in a document leads to a definition in it.

use super::super::discovery::groups::{Group, Gvk, Version};
use super::definitions::{self, META};
use super::names::{self, Dialect};
use super::operations::{self, Body, Operation, Parameter, Path};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The schemas of custom kinds, as the dialect at hand takes them.
pub(super) type CustomSchemas = BTreeMap<Gvk, Value>;

/// `/openapi/v2`.
pub(super) fn v2(groups: &[Group], custom: &CustomSchemas, version: &str) -> Value {
    let mut author = Author::new(Dialect::V2, custom);
    let versions = groups.iter().flat_map(|group| &group.versions);
    let paths: Map<_, _> = versions.flat_map(|version| author.paths(version)).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": version},
        "paths": paths,
        "definitions": author.definitions(),
    })
}

/// `/openapi/v3/apis/{group}/{version}`.
pub(super) fn v3(group_version: &Version, custom: &CustomSchemas, version: &str) -> Value {
    let mut author = Author::new(Dialect::V3, custom);
    let paths: Map<_, _> = author.paths(group_version).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": version},
        "paths": paths,
        "components": {"schemas": author.definitions()},
    })
}

const TITLE: &str = "Kubernetes";

/// Writes one document.
struct Author<'a> {
    dialect: Dialect,
    custom: &'a CustomSchemas,
    /// The kinds whose objects stand alone, by their definition, and whether they are listed.
    kinds: BTreeMap<String, (Gvk, bool)>,
}

impl<'a> Author<'a> {
    fn new(dialect: Dialect, custom: &'a CustomSchemas) -> Self {
        Self {
            dialect,
            custom,
            kinds: BTreeMap::new(),
        }
    }

    fn paths(&mut self, version: &Version) -> std::vec::IntoIter<(String, Value)> {
        for resource in &version.resources {
            let below = resource.subresources.iter().filter(|below| !below.connects());
            let below = below.map(|below| (below.kind, false));
            let itself = (resource.kind, resource.verbs.contains(&"list"));
            for (kind, listed) in std::iter::once(itself).chain(below) {
                if let Some(name) = definition_of(self.custom, kind) {
                    self.kinds.entry(name).or_insert((kind, false)).1 |= listed;
                }
            }
        }
        let known = operations::Definitions {
            of: &|kind| definition_of(self.custom, kind),
            is_custom: &|kind| self.custom.contains_key(&kind),
        };
        let paths = operations::paths(version, &known).into_iter();
        let paths: Vec<_> = paths
            .map(|path| (path.template.clone(), self.path(path)))
            .collect();
        paths.into_iter()
    }

    fn path(&self, path: Path) -> Value {
        let mut out = Map::new();
        for (method, operation) in path.operations {
            let operation = match self.dialect {
                Dialect::V2 => operation_v2(operation),
                Dialect::V3 => operation_v3(operation),
            };
            out.insert(method.into(), operation);
        }
        out.insert("parameters".into(), self.parameters(&path.parameters));
        out.into()
    }

    fn parameters(&self, parameters: &[Parameter]) -> Value {
        parameters.iter().map(|p| parameter(p, self.dialect)).collect()
    }

    /// Every definition that the paths need, and those that they need.
    fn definitions(&self) -> Map<String, Value> {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        for (name, &(kind, listed)) in &self.kinds {
            found.insert(name.clone(), self.object(kind));
            if listed {
                found.insert(format!("{name}List"), self.list(name, kind));
            }
        }
        for (message, api_version) in [("DeleteOptions", "v1"), ("Status", "v1")] {
            let message = format!("{META}.{message}");
            let mut definition = definitions::definition(&message, self.dialect);
            let kind = message.rsplit('.').next().unwrap_or_default();
            stand_alone(
                &mut definition,
                json!([{"group": "", "version": api_version, "kind": kind}]),
            );
            found.insert(names::definition(&message), definition);
        }
        let patch = format!("{META}.Patch");
        found.insert(
            names::definition(&patch),
            definitions::definition(&patch, self.dialect),
        );
        self.close(&mut found);
        found.into_iter().collect()
    }

    /// Adds what the definitions point to, until nothing is missing.
    fn close(&self, found: &mut BTreeMap<String, Value>) {
        let mut wanted = Vec::new();
        found.values().for_each(|value| references(value, &mut wanted));
        while let Some(reference) = wanted.pop() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            if found.contains_key(name) {
                continue;
            }
            let definition = definitions::definition(&message_of(name), self.dialect);
            references(&definition, &mut wanted);
            found.insert(name.to_owned(), definition);
        }
    }

    fn object(&self, kind: Gvk) -> Value {
        let mut definition = match (self.custom.get(&kind), names::message(kind)) {
            (Some(schema), _) => self.custom_object(schema),
            (None, Some(message)) => definitions::definition(&message, self.dialect),
            (None, None) => json!({"type": "object"}),
        };
        stand_alone(&mut definition, json!([gvk(kind)]));
        definition
    }

    /// A custom kind's schema says nothing of the metadata that every object has.
    fn custom_object(&self, schema: &Value) -> Value {
        let mut schema = schema.as_object().cloned().unwrap_or_default();
        schema.insert("type".into(), "object".into());
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("metadata".into(), self.described("ObjectMeta", METADATA));
        }
        schema.into()
    }

    fn list(&self, name: &str, kind: Gvk) -> Value {
        let list_kind = format!("{}List", kind.kind);
        let item = json!({"$ref": self.dialect.reference(name)});
        let mut list = json!({
            "description": format!("A list of objects of kind {}, or a page of one.", kind.kind),
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": {"description": "The objects.", "type": "array", "items": item},
                "metadata": self.described("ListMeta", "The revision that the list shows, and where its next page begins."),
            },
        });
        stand_alone(
            &mut list,
            json!([{"group": kind.group, "version": kind.version, "kind": list_kind}]),
        );
        list
    }

    /// A field that holds one of the API's own messages.
    fn described(&self, message: &str, description: &str) -> Value {
        let reference = self
            .dialect
            .reference(&names::definition(&format!("{META}.{message}")));
        match self.dialect {
            Dialect::V2 => json!({"description": description, "$ref": reference}),
            Dialect::V3 => json!({"description": description, "allOf": [{"$ref": reference}]}),
        }
    }
}

const METADATA: &str = "Name, labels, owners and the other metadata that every object has.";

/// The definition of a kind's objects: a custom kind's, or a message's.
fn definition_of(custom: &CustomSchemas, kind: Gvk) -> Option<String> {
    if custom.contains_key(&kind) {
        return Some(names::custom_definition(kind));
    }
    names::message(kind).map(|message| names::definition(&message))
}

/// The message that a definition is of.
fn message_of(definition: &str) -> String {
    let name = definition.strip_prefix("io.k8s.").unwrap_or(definition);
    format!(
        "k8s.io.{}",
        name.replace("apiextensions-apiserver", "apiextensions_apiserver")
            .replace("scheduler-plugins", "scheduler_plugins")
    )
}

/// Adds what an object has that can be sent by itself.
fn stand_alone(definition: &mut Value, kinds: Value) {
    let Some(definition) = definition.as_object_mut() else {
        return;
    };
    let properties = definition.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        let text = |description: &str| json!({"description": description, "type": "string"});
        let mut all: BTreeMap<_, _> = std::mem::take(properties).into_iter().collect();
        all.insert(
            "apiVersion".into(),
            text("Group and version of the schema that the object is written in, as in `apps/v1`."),
        );
        all.insert(
            "kind".into(),
            text("What the object is, in CamelCase. It never changes."),
        );
        properties.extend(all);
    }
    definition.insert("x-kubernetes-group-version-kind".into(), kinds);
}

fn gvk(kind: Gvk) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// Every pointer in a tree.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn parameter(parameter: &Parameter, dialect: Dialect) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), parameter.name.clone().into());
    out.insert(
        "in".into(),
        if parameter.in_path { "path" } else { "query" }.into(),
    );
    out.insert("description".into(), parameter.description.clone().into());
    if parameter.in_path {
        out.insert("required".into(), true.into());
    }
    match dialect {
        Dialect::V2 => {
            out.insert("type".into(), parameter.kind.into());
            out.insert("uniqueItems".into(), true.into());
        }
        Dialect::V3 => {
            out.insert(
                "schema".into(),
                json!({"type": parameter.kind, "uniqueItems": true}),
            );
        }
    }
    out.into()
}

fn code_text(code: u16) -> &'static str {
    match code {
        201 => "Created",
        202 => "Accepted",
        _ => "OK",
    }
}

fn operation_v2(operation: Operation) -> Value {
    let mut parameters: Vec<_> = operation
        .parameters
        .iter()
        .map(|p| parameter(p, Dialect::V2))
        .collect();
    let mut consumes: &[&str] = &["*/*"];
    if let Some(Body {
        definition,
        types,
        required,
    }) = &operation.body
    {
        consumes = types;
        let schema = json!({"$ref": Dialect::V2.reference(definition)});
        let mut body = json!({"name": "body", "in": "body", "schema": schema});
        if *required {
            body["required"] = true.into();
        }
        parameters.insert(0, body);
    }
    let schema = match &operation.answer {
        Some(answer) => json!({"$ref": Dialect::V2.reference(answer)}),
        None => json!({"type": "string"}),
    };
    let responses: Map<_, _> = operation
        .codes
        .iter()
        .map(|&code| {
            (
                code.to_string(),
                json!({"description": code_text(code), "schema": schema}),
            )
        })
        .collect();
    json!({
        "description": operation.description,
        "operationId": operation.id,
        "tags": [operation.tag],
        "consumes": consumes,
        "produces": operation.produces,
        "schemes": ["https"],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": gvk(operation.kind),
    })
}

fn operation_v3(operation: Operation) -> Value {
    let parameters: Vec<_> = operation
        .parameters
        .iter()
        .map(|p| parameter(p, Dialect::V3))
        .collect();
    let schema = match &operation.answer {
        Some(answer) => json!({"$ref": Dialect::V3.reference(answer)}),
        None => json!({"type": "string"}),
    };
    let content = |types: &[&str], schema: &Value| -> Map<String, Value> {
        let types = types.iter();
        types
            .map(|&name| (name.to_owned(), json!({"schema": schema})))
            .collect()
    };
    let answer = content(&operation.produces, &schema);
    let responses: Map<_, _> = operation
        .codes
        .iter()
        .map(|&code| {
            (
                code.to_string(),
                json!({"description": code_text(code), "content": answer}),
            )
        })
        .collect();
    let mut out = json!({
        "description": operation.description,
        "operationId": operation.id,
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": gvk(operation.kind),
    });
    if let Some(body) = &operation.body {
        let schema = json!({"$ref": Dialect::V3.reference(&body.definition)});
        let mut sent = json!({"content": content(body.types, &schema)});
        if body.required {
            sent["required"] = true.into();
        }
        out["requestBody"] = sent;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::discovery::groups::Resource;

    const WIDGET: Gvk = Gvk {
        group: "example.com",
        version: "v1",
        kind: "Widget",
    };

    fn widgets() -> Version {
        Version {
            name: "v1",
            resources: vec![Resource {
                plural: "widgets",
                singular: "widget",
                kind: WIDGET,
                namespaced: true,
                verbs: &["create", "get", "list", "patch"],
                short_names: &[],
                categories: &[],
                subresources: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_custom_kind_has_its_own_schema_and_the_metadata_of_every_object() {
        let schema = json!({
            "description": "A widget.",
            "properties": {"spec": {"type": "object"}, "metadata": {"type": "object"}},
        });
        let document = v3(&widgets(), &BTreeMap::from([(WIDGET, schema)]), "v1");
        let schemas = &document["components"]["schemas"];
        let widget = &schemas["com.example.v1.Widget"];
        assert_eq!(
            (&widget["description"], &widget["type"]),
            (&json!("A widget."), &json!("object"))
        );
        let metadata = widget["properties"]["metadata"]["allOf"][0]["$ref"]
            .as_str()
            .unwrap();
        assert!(schemas.get(metadata.rsplit('/').next().unwrap()).is_some());
        assert_eq!(widget["properties"]["spec"]["type"], "object");
        let item = &schemas["com.example.v1.WidgetList"]["properties"]["items"]["items"]["$ref"];
        assert_eq!(item, "#/components/schemas/com.example.v1.Widget");
    }

    #[test]
    fn custom_kinds_have_no_strategic_merge_patch_and_no_protobuf() {
        let custom = BTreeMap::from([(WIDGET, json!({}))]);
        let document = v3(&widgets(), &custom, "v1");
        let object = &document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"];
        let sent = object["patch"]["requestBody"]["content"].as_object().unwrap();
        assert!(sent.contains_key("application/merge-patch+json"));
        assert!(!sent.contains_key("application/strategic-merge-patch+json"));
        let answers = object["get"]["responses"]["200"]["content"].as_object().unwrap();
        assert!(
            answers.keys().eq(["application/json", "application/yaml"]),
            "{answers:?}"
        );
    }
}
