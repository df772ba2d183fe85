//! Label and field selectors: which objects a list, a watch, a controller or a rule means.
//!
//! [`LabelSelector`] reads both forms that Kubernetes has, the text of `kubectl -l` and `meta.v1.LabelSelector`.
//! [`FieldSelector`] reads the text of `--field-selector`; [`fields`] says which fields each kind can be selected by,
//! and reads them straight from encoded bytes.
//! Rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors> and
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>.

mod field;
pub mod fields;
mod label;
mod lexer;
mod node;

pub use field::{FieldRequirement, FieldSelector};
pub use label::{LabelSelector, Operator, Requirement};
pub use node::{node_matches, node_matches_term};

/// Why a selector cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The text breaks the grammar.
    #[error("unable to parse {selector:?}: found {found}, expected {expected}")]
    Syntax {
        /// The whole text.
        selector: String,
        /// What stands where something else should.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A key, value or operator breaks its own rule.
    #[error("{part} {text:?}: {problem}")]
    Invalid {
        /// `key`, `values`, `operator`.
        part: &'static str,
        /// What was given.
        text: String,
        /// Which rule it breaks.
        problem: String,
    },
    /// The kind cannot be selected by this field.
    #[error(
        "{field:?} is not a known field selector for {resource}: only {}",
        quoted(supported)
    )]
    UnknownField {
        /// What was asked for.
        field: String,
        /// The kind's plural.
        resource: &'static str,
        /// What the kind can be selected by.
        supported: Vec<&'static str>,
    },
    /// More than [`MAX_TEXT`] bytes.
    #[error("selector is longer than {MAX_TEXT} bytes")]
    TooLong,
}

/// The longest selector that is read: a list request evaluates it against every object, so its cost has a bound.
pub const MAX_TEXT: usize = 16 * 1024;

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
