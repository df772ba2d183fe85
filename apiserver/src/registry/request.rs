//! Reads what requests name: kinds, keys, selectors. Every text has a bound, and every error says which field is wrong.

use super::errors::{self, Result};
use super::metadata;
use crate::limits::MAX_TEXT_BYTES;
use apimachinery::json::Unknown;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::names;
use apimachinery::selector::{FieldSelector, LabelSelector};
use proto::Object;
use storage::store::Key;

/// The kind that a user means.
pub(crate) fn kind(name: &str) -> Result<&'static KindInfo> {
    // What is longer than any kind is not repeated in the error.
    let name = if name.len() > names::MAX_SUBDOMAIN {
        ""
    } else {
        name
    };
    kinds::lookup(name).ok_or_else(|| errors::unknown_kind(name))
}

/// The kind of an object that is stored.
pub(crate) fn kind_of(object: Option<&Object>) -> Result<&'static KindInfo> {
    let Some(object) = object.filter(|object| !object.is_unset()) else {
        return Err(errors::bad_request("the request has no object"));
    };
    kinds::by_number(object.number)
        .ok_or_else(|| errors::unknown_kind(&format!("field {} of orrery.v1.Object", object.number)))
}

/// The key of one object.
pub(crate) fn key(info: &KindInfo, namespace: &str, name: &str) -> Result<Key> {
    if name.is_empty() {
        return Err(errors::bad_request("name must be given"));
    }
    let namespace = metadata::settled(info, namespace);
    // Such names were never stored, and a slash would reach into another key.
    for (field, text) in [("name", name), ("namespace", namespace)] {
        if text.len() > names::MAX_SUBDOMAIN || !names::path_segment(text).is_empty() {
            return Err(errors::bad_request(format!(
                "{field} is not a name: {}",
                shown(text)
            )));
        }
    }
    Ok(Key::new(&info.resource(), namespace, name))
}

/// The namespace of a request for many objects; `None` for all.
pub(crate) fn namespaces(info: &KindInfo, namespace: &str) -> Result<Option<String>> {
    if !info.namespaced || namespace.is_empty() {
        return Ok(None);
    }
    if namespace.len() > names::MAX_SUBDOMAIN || !names::path_segment(namespace).is_empty() {
        return Err(errors::bad_request(format!(
            "namespace is not a name: {}",
            shown(namespace)
        )));
    }
    Ok(Some(namespace.to_owned()))
}

/// A label selector; an error is the caller's.
pub(crate) fn labels(text: &str) -> Result<LabelSelector> {
    bounded("label_selector", text)?
        .parse()
        .map_err(|error| errors::bad_request(format!("label_selector: {error}")))
}

/// A field selector for a kind; an error is the caller's.
pub(crate) fn fields(info: &KindInfo, text: &str) -> Result<FieldSelector> {
    FieldSelector::parse_for_kind(info, bounded("field_selector", text)?)
        .map_err(|error| errors::bad_request(format!("field_selector: {error}")))
}

/// What becomes of fields that the schema does not have: refused, unless the request says otherwise.
pub(crate) fn unknown(field_validation: &str) -> Result<Unknown> {
    match field_validation {
        "" | "Strict" => Ok(Unknown::Strict),
        "Warn" => Ok(Unknown::Warn),
        "Ignore" => Ok(Unknown::Ignore),
        other => Err(errors::bad_request(format!(
            "field_validation must be \"Strict\", \"Warn\" or \"Ignore\", not {}",
            shown(other)
        ))),
    }
}

/// As [`unknown`]; what the schema of a custom kind does not have is dropped unless the request says otherwise.
pub(crate) fn unknown_to(info: &KindInfo, field_validation: &str) -> Result<Unknown> {
    if info.is_custom() && field_validation.is_empty() {
        return Ok(Unknown::Ignore);
    }
    unknown(field_validation)
}

fn bounded<'a>(field: &str, text: &'a str) -> Result<&'a str> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(errors::bad_request(format!(
            "{field} is {} bytes long; at most {MAX_TEXT_BYTES} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// A client's text in an error: short, and escaped.
fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 64;
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_of_names_only() {
        let pods = kind("po").unwrap();
        assert_eq!(key(pods, "", "web").unwrap().as_str(), "pods/default/web");
        assert_eq!(
            key(kind("Node").unwrap(), "ignored", "n1").unwrap().as_str(),
            "nodes//n1"
        );
        let long = "x".repeat(300);
        for (namespace, name) in [("a/b", "web"), ("", "../etc"), ("", ""), ("", &long), ("", "..")] {
            assert_eq!(
                key(pods, namespace, name).unwrap_err().reason,
                "BadRequest",
                "{namespace} {name}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_the_callers_fault() {
        let unknown = kind("ponies").unwrap_err();
        assert_eq!((unknown.reason.as_str(), unknown.code), ("MethodNotAllowed", 404));
        assert_eq!(labels("a in (").unwrap_err().reason, "BadRequest");
        assert_eq!(
            fields(kind("po").unwrap(), "spec.nothing=1").unwrap_err().reason,
            "BadRequest"
        );
        assert_eq!(
            labels(&"a,".repeat(MAX_TEXT_BYTES)).unwrap_err().reason,
            "BadRequest"
        );
        assert_eq!(kind_of(None).unwrap_err().reason, "BadRequest");
        let scale = Object {
            number: 1000,
            ..Object::default()
        };
        assert_eq!(kind_of(Some(&scale)).unwrap_err().reason, "MethodNotAllowed");
    }
}
