//! What a CustomResourceDefinition must keep.
//!
//! In: the JSON of a definition, with defaults set. Out: every fault, as upstream words it. Metadata is checked as every
//! object's is, elsewhere; here are its name, which follows from the spec, and everything under `spec`.

use crate::json_path;
use crate::node::Type;
use crate::report::Report;
use crate::schema::Schema;
use crate::structural::{Json, flag, strings, text};
use apimachinery::names;
use apimachinery::path::Path;
use apimachinery::status::FieldError;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// How many selectable fields a version may have; upstream's.
const MAX_SELECTABLE: usize = 8;

/// How long a deprecation warning may be; upstream's.
const MAX_WARNING: usize = 256;

/// Says that a group of the project itself was approved.
const APPROVED: &str = "api-approved.kubernetes.io";

/// Every fault of a CustomResourceDefinition (`apiextensions.k8s.io/v1`).
pub fn validate_definition(definition: &Value) -> Vec<FieldError> {
    let nothing = Map::new();
    let spec = definition["spec"].as_object().unwrap_or(&nothing);
    let names = spec.get("names").and_then(Value::as_object).unwrap_or(&nothing);
    let mut check = Check {
        report: Report::default(),
    };
    let at = Path::ROOT.field("spec");
    check.name(definition, spec, names);
    check.group(definition, text(spec, "group"), &at);
    check.names(names, &at.field("names"));
    check.spec(spec, &at);
    check.versions(spec, &at);
    check.report.into_vec()
}

struct Check {
    report: Report,
}

impl Check {
    fn problems(&mut self, at: &Path<'_>, value: &str, problems: names::Problems) {
        for problem in problems {
            self.report.invalid_text(at, value, &problem);
        }
    }

    fn name(&mut self, definition: &Value, spec: &Json, names: &Json) {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        if name != format!("{}.{}", text(names, "plural"), text(spec, "group")) {
            self.report.invalid_text(
                &Path::ROOT.field("metadata.name"),
                name,
                "must be spec.names.plural+\".\"+spec.group",
            );
        }
    }

    fn group(&mut self, definition: &Value, group: &str, spec: &Path<'_>) {
        let at = spec.field("group");
        if group.is_empty() {
            self.report.required(&at, "");
            return;
        }
        self.problems(&at, group, names::dns1123_subdomain(group));
        if !group.contains('.') {
            self.report
                .invalid_text(&at, group, "should be a domain with at least one dot");
        }
        let is_protected = ["k8s.io", "kubernetes.io"].iter().any(|domain| {
            group
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if is_protected && definition["metadata"]["annotations"].get(APPROVED).is_none() {
            let annotations = Path::ROOT.field("metadata.annotations");
            let detail = format!(
                "protected groups must have approval annotation \"{APPROVED}\", see https://github.com/kubernetes/enhancements/pull/1111"
            );
            self.report.required(&annotations.key(APPROVED), &detail);
        }
    }

    fn names(&mut self, names: &Json, at: &Path<'_>) {
        for field in ["plural", "singular", "kind", "listKind"] {
            let name = text(names, field);
            let at = at.field(field);
            if name.is_empty() {
                self.report.required(&at, "");
            } else if field == "kind" || field == "listKind" {
                for problem in names::dns1035_label(&name.to_lowercase()) {
                    let detail = format!("may have mixed case, but should otherwise match: {problem}");
                    self.report.invalid_text(&at, name, &detail);
                }
            } else {
                self.problems(&at, name, names::dns1035_label(name));
            }
        }
        for field in ["shortNames", "categories"] {
            let at = at.field(field);
            for (index, name) in strings(names, field).enumerate() {
                self.problems(&at.index(index), name, names::dns1035_label(name));
            }
        }
        let (kind, list_kind) = (text(names, "kind"), text(names, "listKind"));
        if !kind.is_empty() && kind == list_kind {
            let detail = "kind and listKind may not be the same";
            self.report.invalid_text(&at.field("listKind"), list_kind, detail);
        }
    }

    fn spec(&mut self, spec: &Json, at: &Path<'_>) {
        let scope = text(spec, "scope");
        match scope {
            "Cluster" | "Namespaced" => {}
            "" => self.report.required(&at.field("scope"), ""),
            _ => self.report.unsupported(
                &at.field("scope"),
                &scope.into(),
                &["Cluster", "Namespaced"].map(Into::into),
            ),
        }
        if flag(spec, "preserveUnknownFields") {
            self.report.invalid(
                &at.field("preserveUnknownFields"),
                &Value::Bool(true),
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            );
        }
        let conversion = at.field("conversion");
        let strategy = spec.get("conversion").and_then(Value::as_object);
        match strategy.map_or("None", |conversion| text(conversion, "strategy")) {
            "None" => {}
            "" => self.report.required(&conversion.field("strategy"), ""),
            "Webhook" => self.report.forbidden(
                &conversion.field("strategy"),
                "this server calls no webhooks: use None, and schemas that take the same fields",
            ),
            other => self.report.unsupported(
                &conversion.field("strategy"),
                &other.into(),
                &["None", "Webhook"].map(Into::into),
            ),
        }
    }

    fn versions(&mut self, spec: &Json, at: &Path<'_>) {
        let at = at.field("versions");
        let list = spec.get("versions").and_then(Value::as_array);
        let versions: Vec<&Json> = list.into_iter().flatten().filter_map(Value::as_object).collect();
        let mut seen = HashSet::new();
        if !versions.iter().all(|version| seen.insert(text(version, "name"))) {
            self.report
                .invalid_text(&at, &shown(&versions), "must contain unique version names");
        }
        if versions.iter().filter(|version| flag(version, "storage")).count() != 1 {
            let detail = "must have exactly one version marked as storage version";
            self.report.invalid_text(&at, &shown(&versions), detail);
        }
        for (index, version) in versions.into_iter().enumerate() {
            self.version(version, &at.index(index));
        }
    }

    fn version(&mut self, version: &Json, at: &Path<'_>) {
        let name = text(version, "name");
        self.problems(&at.field("name"), name, names::dns1035_label(name));
        self.warning(version, at);
        let schema = version
            .get("schema")
            .and_then(|schema| schema.get("openAPIV3Schema"))
            .filter(|schema| schema.is_object());
        let at_schema = at.field("schema");
        let at_schema = at_schema.field("openAPIV3Schema");
        let compiled = match schema {
            None => {
                self.report.required(&at_schema, "schemas are required");
                None
            }
            Some(schema) => match Schema::compile_at(schema, &at_schema) {
                Ok(schema) => Some(schema),
                Err(faults) => {
                    for fault in faults {
                        self.report.push_text(fault.reason, fault.field, fault.message);
                    }
                    None
                }
            },
        };
        self.columns(version, &at.field("additionalPrinterColumns"));
        self.selectable(version, compiled.as_ref(), &at.field("selectableFields"));
        if let Some(scale) = version
            .get("subresources")
            .and_then(|all| all.get("scale")?.as_object())
        {
            let at = at.field("subresources");
            self.scale(scale, &at.field("scale"));
        }
    }

    fn warning(&mut self, version: &Json, at: &Path<'_>) {
        let Some(warning) = version.get("deprecationWarning").and_then(Value::as_str) else {
            return;
        };
        let at = at.field("deprecationWarning");
        if !flag(version, "deprecated") {
            self.report
                .invalid_text(&at, warning, "can only be set for deprecated versions");
        }
        if warning.len() > MAX_WARNING {
            self.report.too_long(&at, MAX_WARNING as u64);
        }
        if warning.is_empty() || warning.chars().any(char::is_control) {
            let detail = "must be non-empty and must not contain non-printable characters";
            self.report.invalid_text(&at, warning, detail);
        }
    }

    fn columns(&mut self, version: &Json, at: &Path<'_>) {
        const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
        const FORMATS: [&str; 8] = [
            "byte",
            "date",
            "date-time",
            "double",
            "float",
            "int32",
            "int64",
            "password",
        ];
        let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
        for (index, column) in columns.into_iter().flatten().enumerate() {
            let Some(column) = column.as_object() else {
                continue;
            };
            let at = at.index(index);
            if text(column, "name").is_empty() {
                self.report.required(&at.field("name"), "");
            }
            self.one_of(column, "type", &TYPES, &at);
            if !text(column, "format").is_empty() {
                self.one_of(column, "format", &FORMATS, &at);
            }
            let path = text(column, "jsonPath");
            let at = at.field("jsonPath");
            let balanced = path.matches('[').count() == path.matches(']').count();
            if path.is_empty() {
                self.report.required(&at, "JSONPath is required");
            } else if !path.starts_with('.') || !balanced || path.contains('\n') {
                let detail = "must be a simple json path with leading .";
                self.report.invalid_text(&at, path, detail);
            }
        }
    }

    fn one_of(&mut self, json: &Json, field: &str, allowed: &[&str], at: &Path<'_>) {
        let value = text(json, field);
        let at = at.field(field);
        if value.is_empty() {
            let allowed = allowed.join(",");
            self.report.required(&at, &format!("must be one of {allowed}"));
        } else if !allowed.contains(&value) {
            let allowed: Vec<String> = allowed.iter().map(|name| (*name).into()).collect();
            self.report.unsupported(&at, &value.into(), &allowed);
        }
    }

    fn selectable(&mut self, version: &Json, schema: Option<&Schema>, at: &Path<'_>) {
        let fields = version.get("selectableFields").and_then(Value::as_array);
        let fields: Vec<&Value> = fields.into_iter().flatten().collect();
        if fields.len() > MAX_SELECTABLE {
            self.report.too_many(at, fields.len(), MAX_SELECTABLE as u64);
        }
        let mut seen = HashSet::new();
        for (index, field) in fields.into_iter().enumerate() {
            let path = field["jsonPath"].as_str().unwrap_or_default();
            let at = at.index(index);
            let at = at.field("jsonPath");
            let Some(steps) = json_path::steps(path).filter(|steps| !steps.is_empty()) else {
                if path.is_empty() {
                    self.report.required(&at, "");
                } else {
                    let detail = "is an invalid path: must name fields, as in .spec.color";
                    self.report.invalid_text(&at, path, detail);
                }
                continue;
            };
            if steps[0] == "metadata" {
                let detail = "must not point to fields in metadata";
                self.report.invalid_text(&at, path, detail);
            } else if let Some(schema) = schema {
                let node = json_path::find(schema.root(), &steps);
                match node.map(|node| node.ty) {
                    None => {
                        let detail = "is an invalid path: does not refer to a valid field";
                        self.report.invalid_text(&at, path, detail);
                    }
                    Some(Some(Type::String | Type::Boolean | Type::Integer)) => {}
                    Some(_) => self.report.invalid_text(
                        &at,
                        path,
                        "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
                    ),
                }
            }
            if !seen.insert(steps) {
                self.report.duplicate(&at, &path.into());
            }
        }
    }

    fn scale(&mut self, scale: &Json, at: &Path<'_>) {
        for (field, parents, detail) in [
            (
                "specReplicasPath",
                &[".spec."][..],
                "should be a json path under .spec",
            ),
            (
                "statusReplicasPath",
                &[".status."],
                "should be a json path under .status",
            ),
            (
                "labelSelectorPath",
                &[".spec.", ".status."],
                "should be a json path under either .spec or .status",
            ),
        ] {
            let path = text(scale, field);
            let at = at.field(field);
            let is_below = parents.iter().any(|parent| path.starts_with(parent));
            if path.is_empty() {
                if field != "labelSelectorPath" {
                    self.report.required(&at, "");
                }
            } else if json_path::steps(path).is_none() || path.contains('[') {
                let detail = "must be a simple json path with leading .";
                self.report.invalid_text(&at, path, detail);
            } else if !is_below {
                self.report.invalid_text(&at, path, detail);
            }
        }
    }
}

/// The names of versions, as a message repeats them.
fn shown(versions: &[&Json]) -> String {
    let names: Vec<&str> = versions.iter().map(|version| text(version, "name")).collect();
    names.join(", ")
}
