//! From the JSON of a schema to the tree that everything else reads.
//!
//! In: an `openAPIV3Schema`. Out: its [`Node`], or faults. Four steps, each on what the one before found sound: the
//! schema is structural, its values are readable, its defaults keep its own rules, its CEL rules compile within bounds.

use crate::limits::{MAX_PATTERN_BYTES, MAX_SHOWN};
use crate::node::{Additional, Checks, ListType, Node, Type};
use crate::report::Report;
use crate::structural::{self, Json, entries, flag, strings, text};
use crate::{cel, prune, validate};
use apimachinery::path::Path;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// Compiles a whole schema. `None` only together with faults.
pub(crate) fn compile(schema: &Value, at: &Path<'_>, report: &mut Report) -> Option<Node> {
    structural::check(schema, at, report);
    let json = schema.as_object()?;
    if !report.is_empty() {
        return None;
    }
    let mut root = node(json, at, report);
    // The object itself is a resource: what its schema says of apiVersion, kind and metadata does not shape them.
    root.embedded = true;
    if !report.is_empty() {
        return None;
    }
    defaults(&root, at, report);
    cel::measure(&mut root);
    if report.is_empty() {
        cel::attach(&mut root, json, at, report);
    }
    summarize(&mut root);
    Some(root)
}

/// Builds one node and all below it. The structural check has bounded how deep that is.
fn node(json: &Json, at: &Path<'_>, report: &mut Report) -> Node {
    let mut node = Node {
        ty: Type::parse(text(json, "type")),
        nullable: flag(json, "nullable"),
        int_or_string: flag(json, "x-kubernetes-int-or-string"),
        embedded: flag(json, "x-kubernetes-embedded-resource"),
        preserve: flag(json, "x-kubernetes-preserve-unknown-fields"),
        list_type: match text(json, "x-kubernetes-list-type") {
            "map" => ListType::Map,
            "set" => ListType::Set,
            _ => ListType::Atomic,
        },
        list_keys: strings(json, "x-kubernetes-list-map-keys")
            .map(Into::into)
            .collect(),
        map_atomic: text(json, "x-kubernetes-map-type") == "atomic",
        default: json.get("default").cloned(),
        checks: checks(json, at, report),
        ..Node::default()
    };
    for (name, child) in entries(json, "properties") {
        if let Some(child) = child.as_object() {
            let child = self::node(child, &at.field("properties").key(name), report);
            node.properties.insert(name.into(), child);
        }
    }
    node.additional = match json.get("additionalProperties") {
        Some(Value::Bool(true)) => Additional::Any,
        Some(Value::Object(child)) => Additional::Of(Box::new(self::node(
            child,
            &at.field("additionalProperties"),
            report,
        ))),
        _ => Additional::None,
    };
    if let Some(child) = json.get("items").and_then(Value::as_object) {
        node.items = Some(Box::new(self::node(child, &at.field("items"), report)));
    }
    node
}

fn checks(json: &Json, at: &Path<'_>, report: &mut Report) -> Checks {
    let float = |name: &str| json.get(name).and_then(Value::as_f64);
    let mut count = |name: &str| {
        let value = json.get(name)?;
        let count = value.as_u64();
        if count.is_none() {
            report.invalid(&at.field(name), value, "must be greater than or equal to 0");
        }
        count
    };
    let mut checks = Checks {
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        minimum: float("minimum"),
        maximum: float("maximum"),
        exclusive_minimum: flag(json, "exclusiveMinimum"),
        exclusive_maximum: flag(json, "exclusiveMaximum"),
        multiple_of: float("multipleOf"),
        enumeration: json.get("enum").and_then(Value::as_array).cloned(),
        format: json.get("format").and_then(Value::as_str).map(Into::into),
        unique_items: flag(json, "uniqueItems"),
        required: strings(json, "required").map(Into::into).collect(),
        ..Checks::default()
    };
    if checks.multiple_of.is_some_and(|of| of <= 0.0) {
        let value = &json["multipleOf"];
        report.invalid(&at.field("multipleOf"), value, "must be greater than 0");
    }
    if let Some(pattern) = json.get("pattern").and_then(Value::as_str) {
        match regex(pattern) {
            Ok(regex) => checks.pattern = Some(regex),
            Err(why) => report.invalid_text(
                &at.field("pattern"),
                pattern,
                &format!("must be a valid regular expression, but isn't: {why}"),
            ),
        }
    }
    let mut members = |name: &str| {
        let list = json.get(name).and_then(Value::as_array);
        let members = list.into_iter().flatten().enumerate();
        members
            .filter_map(|(index, member)| {
                Some(node(member.as_object()?, &at.field(name).index(index), report))
            })
            .collect()
    };
    checks.all_of = members("allOf");
    checks.any_of = members("anyOf");
    checks.one_of = members("oneOf");
    checks.not = json
        .get("not")
        .and_then(Value::as_object)
        .map(|member| Box::new(node(member, &at.field("not"), report)));
    checks
}

/// A regular expression that runs in linear time and takes bounded memory.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    regex_within(pattern, MAX_PATTERN_BYTES)
}

/// As [`regex()`], with the bytes that it may take.
pub(crate) fn regex_within(pattern: &str, bytes: usize) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .size_limit(bytes)
        .dfa_size_limit(bytes)
        .build();
    built.map_err(|why| {
        // The last line says what is wrong; those before repeat the pattern.
        let text = why.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ")
            .chars()
            .take(MAX_SHOWN)
            .collect()
    })
}

/// Every default must be what it would become as part of an object: pruned, and without fault.
fn defaults(node: &Node, at: &Path<'_>, report: &mut Report) {
    if let Some(value) = &node.default {
        let at = at.field("default");
        let mut pruned = value.clone();
        let mut dropped = Vec::new();
        prune::prune(node, &mut pruned, &Path::ROOT, &mut dropped);
        if !dropped.is_empty() {
            let detail = format!("must not have unspecified fields: {}", dropped.join(", "));
            report.invalid(&at, value, &detail);
        }
        // Defaults below it stand in for what it leaves out, as they will in objects.
        let mut whole = value.clone();
        crate::default::default(node, &mut whole);
        validate::values_at(node, &whole, &at, report);
    }
    for (name, child) in &node.properties {
        defaults(child, &at.field("properties").key(name), report);
    }
    if let Additional::Of(child) = &node.additional {
        defaults(child, &at.field("additionalProperties"), report);
    }
    if let Some(child) = node.items.as_deref() {
        defaults(child, &at.field("items"), report);
    }
}

/// Notes on each node what stands below it, so that walks can skip the rest.
fn summarize(node: &mut Node) {
    node.rules_below = !node.rules.is_empty();
    node.transitions_below = node.rules.iter().any(cel::Rule::is_transition);
    let mut below = (false, false);
    let mut visit = |child: &mut Node| {
        summarize(child);
        below.0 |= child.rules_below;
        below.1 |= child.transitions_below;
    };
    node.properties.values_mut().for_each(&mut visit);
    if let Additional::Of(child) = &mut node.additional {
        visit(child);
    }
    if let Some(child) = node.items.as_deref_mut() {
        visit(child);
    }
    node.rules_below |= below.0;
    node.transitions_below |= below.1;
}
