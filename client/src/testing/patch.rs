//! Applies a [`PatchAction`] to an encoded object, through its JSON.

use crate::controller::{PatchAction, PatchType};
use apimachinery::json::{self, Unknown};
use apimachinery::status::{Reason, failure};
use proto::Object;
use proto::meta::v1::Status;
use std::fmt::Display;

/// The object with the patch laid over it; its encoding is canonical.
pub(super) fn apply(object: &Object, patch: &PatchAction) -> Result<Object, Box<Status>> {
    let mut value = json::to_value(object.number, &object.bytes).map_err(refuse)?;
    match patch.r#type {
        PatchType::Json => {
            let operations: json_patch::Patch = serde_json::from_str(&patch.patch).map_err(refuse)?;
            json_patch::patch(&mut value, &operations).map_err(refuse)?;
        }
        PatchType::Merge => {
            json_patch::merge(&mut value, &serde_json::from_str(&patch.patch).map_err(refuse)?);
        }
        other => {
            return Err(refuse(format!(
                "controllers in a test patch with JSON or MERGE, not {other:?}"
            )));
        }
    }
    let decoded = json::from_value_as(object.number, &value, Unknown::Strict).map_err(refuse)?;
    Ok(Object {
        number: object.number,
        bytes: decoded.bytes,
    })
}

fn refuse(error: impl Display) -> Box<Status> {
    Box::new(failure(Reason::Invalid, error.to_string()))
}
