//! The schema of one version of a custom kind, compiled once and shared by every request.

use crate::limits::MAX_FAULTS;
use crate::node::Node;
use crate::report::Report;
use crate::{compile, default, merge, prune, publish, validate};
use apimachinery::managed_fields;
use apimachinery::path::Path;
use apimachinery::status::FieldError;
use serde_json::Value;
use std::sync::Arc;

/// What a version's `openAPIV3Schema` says about its objects.
///
/// Every method takes the whole object: `apiVersion`, `kind` and `metadata` with the rest. They are never pruned or
/// given defaults; `metadata` beyond `name` and `generateName` is not this crate's.
#[derive(Debug)]
pub struct Schema {
    root: Node,
    source: Value,
    merge: Arc<managed_fields::Schema>,
}

impl Schema {
    /// Compiles an `openAPIV3Schema`. Refuses one that is not structural, whose defaults break its own rules, or whose
    /// CEL rules do not compile or may cost too much. Paths in faults begin with `openAPIV3Schema`.
    pub fn compile(schema: &Value) -> Result<Self, Vec<FieldError>> {
        Self::compile_at(schema, &Path::ROOT.field("openAPIV3Schema"))
    }

    /// As [`Schema::compile`], with the path of the schema in what holds it.
    pub fn compile_at(schema: &Value, at: &Path<'_>) -> Result<Self, Vec<FieldError>> {
        let mut report = Report::default();
        let root = compile::compile(schema, at, &mut report);
        match root {
            Some(root) if report.is_empty() => Ok(Self {
                merge: Arc::new(merge::schema(&root)),
                root,
                source: schema.clone(),
            }),
            _ => Err(report.into_vec()),
        }
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// Drops every field that the schema does not specify, and gives the paths of what it dropped, as upstream writes
    /// them: `spec.foo[0].bar`. Fields under `x-kubernetes-preserve-unknown-fields` stay; so do `apiVersion`, `kind` and
    /// `metadata` of the object and of embedded resources.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        prune::prune(&self.root, object, &Path::ROOT, &mut dropped);
        dropped
    }

    /// Sets what is missing and has a default, under parents that are there. A `null` where none is allowed gives way to
    /// the default, or is dropped.
    pub fn default(&self, object: &mut Value) {
        default::default(&self.root, object);
    }

    /// Every fault of an object: of its values first; of CEL rules only when the values are sound enough to run them.
    ///
    /// `old` is the stored object on an update. Parts that did not change may stay wrong (ratcheting), and rules that
    /// name `oldSelf` run only then. At most [`MAX_FAULTS`] are told.
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut faults = validate::validate(&self.root, object, old);
        faults.truncate(MAX_FAULTS);
        faults
    }

    /// The schema as OpenAPI v3 publishes it.
    pub fn openapi(&self) -> Value {
        publish::v3(&self.source)
    }

    /// The schema as OpenAPI v2 publishes it: without what v2 cannot say.
    pub fn openapi_v2(&self) -> Value {
        publish::v2(&self.source)
    }

    /// What field managers know of the objects: how their parts are merged and owned.
    pub fn merge_schema(&self) -> &Arc<managed_fields::Schema> {
        &self.merge
    }
}
