//! CEL: the rules of `x-kubernetes-validations`.

use crate::node::Node;
use crate::report::Report;
use crate::structural::Json;
use apimachinery::path::Path;
use serde_json::Value;

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    transition: bool,
}

impl Rule {
    /// Whether it compares with the stored object.
    pub(crate) fn is_transition(&self) -> bool {
        self.transition
    }
}

/// Compiles the rules of a schema into its nodes.
pub(crate) fn attach(_root: &mut Node, _schema: &Json, _at: &Path<'_>, _report: &mut Report) {}

/// Runs every rule of an object.
pub(crate) fn run(_root: &Node, _object: &Value, _old: Option<&Value>, _report: &mut Report) {}
