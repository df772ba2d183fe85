//! Validation: whether an object is what its schema says.
//!
//! In: a node, a value, and on an update the stored value. Out: faults in the words of upstream's validators. What did
//! not change is not checked again, so that an object that an older schema took can still be written (ratcheting).
//! CEL rules run last, and only when no fault would make them stumble.

use crate::cel;
use crate::format;
use crate::node::{Correlation, ListType, Node, Type, canonical, equal, list_key};
use crate::report::{Report, shown};
use apimachinery::path::Path;
use apimachinery::status::FieldError;
use serde_json::{Map, Number, Value};
use std::collections::HashSet;

/// Faults after which rules do not run: they would stumble over the same.
const BLOCKING: [&str; 4] = [
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// Every fault of a whole object.
pub(crate) fn validate(root: &Node, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut report = Report::default();
    walk(root, object, old, &Path::ROOT, true, &mut report);
    if !root.rules_below {
        return report.into_vec();
    }
    if report.has_any(&BLOCKING) {
        report.invalid_text(
            &Path::ROOT,
            "null",
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        );
    } else {
        cel::run(root, object, old, &mut report);
    }
    report.into_vec()
}

/// Every fault of a value that stands alone, as a default does. Rules are not run.
pub(crate) fn values_at(node: &Node, value: &Value, at: &Path<'_>, report: &mut Report) {
    walk(node, value, None, at, false, report);
}

fn walk(node: &Node, value: &Value, old: Option<&Value>, at: &Path<'_>, is_root: bool, report: &mut Report) {
    if report.is_full() || old.is_some_and(|old| equal(old, value)) {
        return;
    }
    if value.is_null() && (node.nullable || node.ty.is_none() && !node.int_or_string) {
        return;
    }
    if let Err(wanted) = typed(node, value) {
        report.type_invalid(at, type_name(value), wanted);
        return;
    }
    match value {
        Value::Object(map) => object(node, map, old, at, is_root, report),
        Value::Array(items) => list(node, value, items, old, at, report),
        Value::String(text) => string(node, text, value, at, report),
        Value::Number(n) => number(node, n, value, at, report),
        Value::Bool(_) | Value::Null => {}
    }
    if let Some(allowed) = &node.checks.enumeration
        && !allowed.iter().any(|one| equal(one, value))
    {
        let allowed: Vec<String> = allowed.iter().map(bare).collect();
        report.unsupported(at, value, &allowed);
    }
    junctors(node, value, at, report);
}

/// Whether the value has the node's type; else the name of that.
pub(crate) fn typed(node: &Node, value: &Value) -> Result<(), &'static str> {
    if node.int_or_string {
        let fits = value.is_string() || is_integer(value);
        return if fits { Ok(()) } else { Err("integer,string") };
    }
    let Some(ty) = node.ty else {
        return Ok(());
    };
    let fits = match ty {
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Integer => is_integer(value),
        Type::Number => value.is_number(),
        Type::Boolean => value.is_boolean(),
    };
    if fits { Ok(()) } else { Err(ty.name()) }
}

fn is_integer(value: &Value) -> bool {
    match value {
        Value::Number(n) => !n.is_f64() || n.as_f64().is_some_and(|float| float.fract() == 0.0),
        _ => false,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value of an enumeration as a message lists it.
fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

fn object(
    node: &Node,
    map: &Map<String, Value>,
    old: Option<&Value>,
    at: &Path<'_>,
    is_root: bool,
    report: &mut Report,
) {
    let checks = &node.checks;
    for name in &checks.required {
        if !map.contains_key(name) {
            report.required(&at.field(name), "");
        }
    }
    if let Some(max) = checks.max_properties
        && map.len() as u64 > max
    {
        report.too_many(at, map.len(), max);
    }
    if let Some(min) = checks.min_properties
        && (map.len() as u64) < min
    {
        report.broken(
            at,
            &Value::Object(map.clone()),
            &format!("should have at least {min} properties"),
        );
    }
    if node.embedded && !is_root {
        resource(map, at, report);
    }
    let old = old.and_then(Value::as_object).filter(|_| !node.map_atomic);
    for (name, value) in map {
        if let Some(child) = node.field(name) {
            let old = old.and_then(|old| old.get(name));
            walk(child, value, old, &at.field(name), false, report);
        }
    }
}

/// What every resource inside of another must have.
fn resource(map: &Map<String, Value>, at: &Path<'_>, report: &mut Report) {
    for name in ["apiVersion", "kind"] {
        match map.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(Value::String(_)) | None => report.required(&at.field(name), "must not be empty"),
            Some(other) => report.type_invalid(&at.field(name), type_name(other), "string"),
        }
    }
    if let Some(metadata) = map.get("metadata")
        && !metadata.is_object()
    {
        report.type_invalid(&at.field("metadata"), type_name(metadata), "object");
    }
}

fn list(
    node: &Node,
    whole: &Value,
    items: &[Value],
    old: Option<&Value>,
    at: &Path<'_>,
    report: &mut Report,
) {
    let checks = &node.checks;
    if let Some(max) = checks.max_items
        && items.len() as u64 > max
    {
        // What is in a list that is too long need not be read.
        report.too_many(at, items.len(), max);
        return;
    }
    if let Some(min) = checks.min_items
        && (items.len() as u64) < min
    {
        report.broken(at, whole, &format!("should have at least {min} items"));
    }
    if checks.unique_items && has_duplicates(items) {
        report.broken(at, whole, "shouldn't contain duplicates");
    }
    let Some(child) = node.items.as_deref() else {
        return;
    };
    let correlation = Correlation::of(node, old);
    for (index, item) in items.iter().enumerate() {
        let old = correlation.as_ref().and_then(|old| old.find(node, item));
        walk(child, item, old, &at.index(index), false, report);
    }
    unique(node, items, at, report);
}

fn has_duplicates(items: &[Value]) -> bool {
    let mut seen = HashSet::new();
    items.iter().any(|item| !seen.insert(text_of(item)))
}

fn text_of(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    text
}

/// Items of a set differ; items of a list-map differ in their keys.
fn unique(node: &Node, items: &[Value], at: &Path<'_>, report: &mut Report) {
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let key = match node.list_type {
            ListType::Atomic => return,
            ListType::Set => text_of(item),
            ListType::Map => list_key(item, &node.list_keys, node.items.as_deref()),
        };
        if seen.insert(key) {
            continue;
        }
        let shown = match node.list_type {
            ListType::Map => {
                let keys = node.list_keys.iter();
                Value::Object(
                    keys.filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
                        .collect(),
                )
            }
            ListType::Atomic | ListType::Set => item.clone(),
        };
        report.duplicate(&at.index(index), &shown);
    }
}

fn string(node: &Node, text: &str, whole: &Value, at: &Path<'_>, report: &mut Report) {
    let checks = &node.checks;
    if checks.max_length.is_some() || checks.min_length.is_some() {
        let length = text.chars().count() as u64;
        if let Some(max) = checks.max_length
            && length > max
        {
            report.too_long(at, max);
        }
        if let Some(min) = checks.min_length
            && length < min
        {
            report.broken(at, whole, &format!("should be at least {min} chars long"));
        }
    }
    if let Some(pattern) = &checks.pattern
        && !pattern.is_match(text)
    {
        report.broken(at, whole, &format!("should match '{pattern}'"));
    }
    if let Some(name) = &checks.format
        && !format::accepts(name, text)
    {
        let message = format!(
            "Invalid value: {0}: {at} in body must be of type {name}: {0}",
            shown(whole)
        );
        report.push("FieldValueTypeInvalid", at, message);
    }
}

fn number(node: &Node, number: &Number, whole: &Value, at: &Path<'_>, report: &mut Report) {
    let checks = &node.checks;
    let Some(value) = number.as_f64() else {
        return;
    };
    if let Some(min) = checks.minimum {
        if checks.exclusive_minimum && value <= min {
            report.broken(at, whole, &format!("should be greater than {min}"));
        } else if value < min {
            report.broken(at, whole, &format!("should be greater than or equal to {min}"));
        }
    }
    if let Some(max) = checks.maximum {
        if checks.exclusive_maximum && value >= max {
            report.broken(at, whole, &format!("should be less than {max}"));
        } else if value > max {
            report.broken(at, whole, &format!("should be less than or equal to {max}"));
        }
    }
    if let Some(of) = checks.multiple_of {
        let times = value / of;
        if (times - times.round()).abs() > f64::EPSILON * times.abs().max(1.0) {
            report.broken(at, whole, &format!("should be a multiple of {of}"));
        }
    }
    let fits = match checks.format.as_deref() {
        Some("int32") => i32::try_from(number.as_i64().unwrap_or(value as i64)).is_ok(),
        Some("int64") => number.as_i64().is_some() || value.abs() < 9.3e18 && number.is_f64(),
        _ => true,
    };
    if !fits {
        let name = checks.format.as_deref().unwrap_or_default();
        report.broken(at, whole, &format!("must be of type integer with format {name}"));
    }
}

fn junctors(node: &Node, value: &Value, at: &Path<'_>, report: &mut Report) {
    let checks = &node.checks;
    let faults_of = |member: &Node| {
        let mut faults = Report::default();
        walk(member, value, None, at, false, &mut faults);
        faults.into_vec()
    };
    let mut failed = |detail: &str, faults: Vec<FieldError>| {
        report.invalid_text(at, "", &format!("\"{at}\" {detail}"));
        for fault in faults {
            report.push_text(fault.reason, fault.field, fault.message);
        }
    };
    let all_of: Vec<FieldError> = checks.all_of.iter().flat_map(faults_of).collect();
    if !all_of.is_empty() {
        failed("must validate all the schemas (allOf)", all_of);
    }
    if !checks.any_of.is_empty() {
        let (valid, best) = alternatives(&checks.any_of, &faults_of);
        if valid == 0 {
            failed("must validate at least one schema (anyOf)", best);
        }
    }
    if !checks.one_of.is_empty() {
        let (valid, best) = alternatives(&checks.one_of, &faults_of);
        match valid {
            1 => {}
            0 => failed(
                "must validate one and only one schema (oneOf). Found none valid",
                best,
            ),
            more => failed(
                &format!("must validate one and only one schema (oneOf). Found {more} valid alternatives"),
                Vec::new(),
            ),
        }
    }
    if let Some(member) = &checks.not
        && faults_of(member).is_empty()
    {
        failed("must not validate the schema (not)", Vec::new());
    }
}

/// How many members take the value, and the faults of the one that comes nearest.
fn alternatives(members: &[Node], faults_of: &impl Fn(&Node) -> Vec<FieldError>) -> (usize, Vec<FieldError>) {
    let all: Vec<Vec<FieldError>> = members.iter().map(faults_of).collect();
    let valid = all.iter().filter(|faults| faults.is_empty()).count();
    let best = all.into_iter().min_by_key(Vec::len);
    (valid, best.unwrap_or_default())
}
