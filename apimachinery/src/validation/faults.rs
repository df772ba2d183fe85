//! The faults of an object, collected until all are known.

use crate::names::Problems;
use crate::path::Path;
use crate::status::FieldError;
use std::fmt::Debug;

/// The most faults that are told. A hostile object can have one in every byte; nobody reads more than this.
pub const MAX_FAULTS: usize = 200;
/// The most bytes of a bad value that are repeated in a message.
const MAX_SHOWN: usize = 128;

/// Collects faults, in the order they are found.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Everything that was found.
    pub fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many were found.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, reason: &'static str, at: &Path<'_>, message: String) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldError {
                reason,
                field: at.to_string(),
                message,
            });
        }
    }

    /// The field must be there. `detail` may be empty.
    pub fn required(&mut self, at: &Path<'_>, detail: &str) {
        self.push(
            "FieldValueRequired",
            at,
            with_detail("Required value".into(), detail),
        );
    }

    /// The value breaks a rule.
    pub fn invalid(&mut self, at: &Path<'_>, value: impl Debug, detail: &str) {
        self.push(
            "FieldValueInvalid",
            at,
            with_detail(format!("Invalid value: {}", shown(value)), detail),
        );
    }

    /// The value breaks the rules of names.
    pub fn problems(&mut self, at: &Path<'_>, value: &str, problems: Problems) {
        for problem in problems {
            self.invalid(at, value, &problem);
        }
    }

    /// The value is none of those that are allowed.
    pub fn unsupported(&mut self, at: &Path<'_>, value: impl Debug, supported: &[&str]) {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let list = list.join(", ");
        self.push(
            "FieldValueNotSupported",
            at,
            format!("Unsupported value: {}: supported values: {list}", shown(value)),
        );
    }

    /// The value is there twice.
    pub fn duplicate(&mut self, at: &Path<'_>, value: impl Debug) {
        self.push(
            "FieldValueDuplicate",
            at,
            format!("Duplicate value: {}", shown(value)),
        );
    }

    /// The field may not be set here.
    pub fn forbidden(&mut self, at: &Path<'_>, detail: &str) {
        self.push("FieldValueForbidden", at, with_detail("Forbidden".into(), detail));
    }

    /// The value is longer than `max` bytes.
    pub fn too_long(&mut self, at: &Path<'_>, max: usize) {
        self.push(
            "FieldValueTooLong",
            at,
            format!("Too long: may not be more than {max} bytes"),
        );
    }

    /// The list has more than `max` items.
    pub fn too_many(&mut self, at: &Path<'_>, max: usize) {
        self.push(
            "FieldValueTooMany",
            at,
            format!("Too many: must have at most {max} items"),
        );
    }

    /// The value refers to something that does not exist.
    pub fn not_found(&mut self, at: &Path<'_>, value: impl Debug) {
        self.push("FieldValueNotFound", at, format!("Not found: {}", shown(value)));
    }

    /// The value must be one of those that are allowed; an empty one is missing.
    pub fn one_of(&mut self, at: &Path<'_>, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(at, "");
        } else {
            self.one_of_or_empty(at, value, supported);
        }
    }

    /// The value must be empty or one of those that are allowed.
    pub fn one_of_or_empty(&mut self, at: &Path<'_>, value: &str, supported: &[&str]) {
        if !value.is_empty() && !supported.contains(&value) {
            self.unsupported(at, value, supported);
        }
    }

    /// The number may not be below zero.
    pub fn non_negative(&mut self, at: &Path<'_>, value: impl Into<i64>) {
        let value = value.into();
        if value < 0 {
            self.invalid(at, value, "must be greater than or equal to 0");
        }
    }

    /// The field cannot change once the object exists.
    pub fn immutable<T: PartialEq + ?Sized>(&mut self, at: &Path<'_>, old: &T, new: &T, shown: impl Debug) {
        if old != new {
            self.invalid(at, shown, "field is immutable");
        }
    }
}

fn with_detail(message: String, detail: &str) -> String {
    if detail.is_empty() {
        message
    } else {
        format!("{message}: {detail}")
    }
}

fn shown(value: impl Debug) -> String {
    let mut text = format!("{value:?}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_kubernetes_writes_them() {
        let mut faults = Faults::default();
        let at = Path::ROOT.field("spec.x");
        faults.required(&at, "");
        faults.invalid(&at, "a\"b", "is odd");
        faults.invalid(&at, 5, "is odd");
        faults.unsupported(&at, "z", &["x", "y"]);
        faults.duplicate(&at, "z");
        faults.forbidden(&at, "not here");
        faults.too_long(&at, 63);
        faults.not_found(&at, "v");
        faults.one_of(&at, "", &["x"]);
        faults.non_negative(&at, -1);
        faults.immutable(&at, &1, &2, "new");
        let messages: Vec<String> = faults.into_vec().into_iter().map(|f| f.message).collect();
        assert_eq!(
            messages,
            [
                "Required value",
                r#"Invalid value: "a\"b": is odd"#,
                "Invalid value: 5: is odd",
                r#"Unsupported value: "z": supported values: "x", "y""#,
                r#"Duplicate value: "z""#,
                "Forbidden: not here",
                "Too long: may not be more than 63 bytes",
                r#"Not found: "v""#,
                "Required value",
                "Invalid value: -1: must be greater than or equal to 0",
                r#"Invalid value: "new": field is immutable"#,
            ]
        );
    }

    #[test]
    fn a_hostile_object_gets_a_bounded_answer() {
        let mut faults = Faults::default();
        for _ in 0..2 * MAX_FAULTS {
            faults.invalid(&Path::ROOT, "é".repeat(1000), "");
        }
        let faults = faults.into_vec();
        assert_eq!(faults.len(), MAX_FAULTS);
        assert!(faults[0].message.len() < 200);
    }
}
