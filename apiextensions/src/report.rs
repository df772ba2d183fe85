//! Faults, collected until all are known, in the words of upstream's `field.Error`.

use crate::limits::{MAX_FAULTS, MAX_SHOWN};
use apimachinery::path::Path;
use apimachinery::status::FieldError;
use serde_json::Value;

/// Collects faults, in the order they are found.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<FieldError>);

impl Report {
    /// Everything that was found.
    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FAULTS
    }

    /// Adds one fault with whatever reason.
    pub(crate) fn push(&mut self, reason: &'static str, at: &Path<'_>, message: String) {
        self.push_text(reason, at.to_string(), message);
    }

    /// Adds one fault at a path that is text already.
    pub(crate) fn push_text(&mut self, reason: &'static str, field: String, message: String) {
        if !self.is_full() {
            self.0.push(FieldError {
                reason,
                field: if field.is_empty() { "<nil>".into() } else { field },
                message,
            });
        }
    }

    pub(crate) fn required(&mut self, at: &Path<'_>, detail: &str) {
        self.push(
            "FieldValueRequired",
            at,
            detailed("Required value".into(), detail),
        );
    }

    pub(crate) fn forbidden(&mut self, at: &Path<'_>, detail: &str) {
        self.push("FieldValueForbidden", at, detailed("Forbidden".into(), detail));
    }

    pub(crate) fn invalid(&mut self, at: &Path<'_>, value: &Value, detail: &str) {
        let message = format!("Invalid value: {}", shown(value));
        self.push("FieldValueInvalid", at, detailed(message, detail));
    }

    /// The value breaks a rule of its schema, in the words of upstream's validators: `spec.x in body should …`.
    pub(crate) fn broken(&mut self, at: &Path<'_>, value: &Value, rule: &str) {
        self.invalid(at, value, &format!("{at} in body {rule}"));
    }

    /// Whether a fault has one of these reasons.
    pub(crate) fn has_any(&self, reasons: &[&str]) -> bool {
        self.0.iter().any(|fault| reasons.contains(&fault.reason))
    }

    /// As [`Report::invalid`], of a text.
    pub(crate) fn invalid_text(&mut self, at: &Path<'_>, value: &str, detail: &str) {
        let message = format!("Invalid value: {}", cut(format!("{value:?}")));
        self.push("FieldValueInvalid", at, detailed(message, detail));
    }

    /// The value is of the wrong type; `found` is the name of the type that it has.
    pub(crate) fn type_invalid(&mut self, at: &Path<'_>, found: &str, wanted: &str) {
        let message = format!("Invalid value: {found:?}: {at} in body must be of type {wanted}: {found:?}");
        self.push("FieldValueTypeInvalid", at, message);
    }

    pub(crate) fn unsupported(&mut self, at: &Path<'_>, value: &Value, supported: &[String]) {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let message = format!(
            "Unsupported value: {}: supported values: {}",
            shown(value),
            list.join(", ")
        );
        self.push("FieldValueNotSupported", at, message);
    }

    pub(crate) fn duplicate(&mut self, at: &Path<'_>, value: &Value) {
        self.push(
            "FieldValueDuplicate",
            at,
            format!("Duplicate value: {}", shown(value)),
        );
    }

    pub(crate) fn too_long(&mut self, at: &Path<'_>, max: u64) {
        let message = format!("Too long: may not be more than {max} bytes");
        self.push("FieldValueTooLong", at, message);
    }

    pub(crate) fn too_many(&mut self, at: &Path<'_>, actual: usize, max: u64) {
        let message = format!("Too many: {actual}: must have at most {max} items");
        self.push("FieldValueTooMany", at, message);
    }
}

fn detailed(message: String, detail: &str) -> String {
    if detail.is_empty() {
        message
    } else {
        format!("{message}: {detail}")
    }
}

/// A value as a message repeats it: JSON, cut at [`MAX_SHOWN`].
pub(crate) fn shown(value: &Value) -> String {
    cut(value.to_string())
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_SHOWN {
        let mut end = MAX_SHOWN;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
