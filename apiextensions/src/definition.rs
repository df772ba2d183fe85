//! What a CustomResourceDefinition must keep.

use crate::report::Report;
use crate::schema::Schema;
use apimachinery::path::Path;
use apimachinery::status::FieldError;
use serde_json::Value;

/// Every fault of a CustomResourceDefinition (`apiextensions.k8s.io/v1`), given as its JSON with defaults set.
///
/// Its metadata is checked as every object's is, elsewhere; here is everything under `spec`.
pub fn validate_definition(definition: &Value) -> Vec<FieldError> {
    let mut report = Report::default();
    let spec = Path::ROOT.field("spec");
    let versions = spec.field("versions");
    let list = definition["spec"]["versions"].as_array();
    for (index, version) in list.into_iter().flatten().enumerate() {
        let at = versions.index(index);
        let at = at.field("schema.openAPIV3Schema");
        if let Err(faults) = Schema::compile_at(&version["schema"]["openAPIV3Schema"], &at) {
            for fault in faults {
                report.push_text(fault.reason, fault.field, fault.message);
            }
        }
    }
    report.into_vec()
}
