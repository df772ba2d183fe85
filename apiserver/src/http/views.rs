//! Versions that are served but not stored, converted at this edge: reads show the view, writes bring the stored form.
//!
//! A patch is made for the form that its author sees. So the view is read, patched and written back, a few times where
//! others write too.

use super::body;
use super::call::Call;
use crate::registry::errors::{self, Result};
use crate::registry::{Resource, Written};
use apimachinery::convert::View;
use apimachinery::json::{self, Unknown};
use apimachinery::patch;
use apimachinery::status::Reason;
use proto::Object;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{GetRequest, PatchRequest, UpdateRequest};
use serde_json::Value;
use std::borrow::Cow;

/// How often a patch is made anew because the object changed meanwhile; upstream's bound.
const MAX_TRIES: usize = 5;

/// The arm of `orrery.v1.Object` that an object is shown as.
pub(crate) fn number(resource: &Resource, object: &Object) -> u32 {
    resource.view.map_or(object.number, |view| view.info.number)
}

/// A stored object, as the resource shows it.
pub(crate) fn shown<'a>(resource: &Resource, object: &'a Object) -> Result<Cow<'a, Object>> {
    let Some(view) = resource.view else {
        return Ok(Cow::Borrowed(object));
    };
    let bytes = (view.to)(&object.bytes)
        .map_err(|error| errors::internal(format!("a stored {}: {error}", view.info.kind)))?;
    Ok(Cow::Owned(Object {
        number: view.info.number,
        bytes,
    }))
}

/// An object that was sent, as it is stored. What stands for a part of an object is the same for every version.
pub(crate) fn stored(resource: &Resource, sent: Object) -> Result<Object> {
    let Some(view) = resource.view.filter(|view| view.info.number == sent.number) else {
        return Ok(sent);
    };
    Ok(Object {
        number: view.stored,
        bytes: (view.from)(&sent.bytes).map_err(|error| errors::bad_request(error.to_string()))?,
    })
}

/// Patches an object as the view shows it.
pub(crate) async fn patch(call: &Call, view: &'static View, asked: PatchRequest) -> Result<Written> {
    if asked.r#type() == Type::Apply {
        return apply(call, view, asked).await;
    }
    let registry = &call.api.registry;
    let unknown = body::validation(call)?;
    let mut tries = 1;
    loop {
        let before = registry
            .get(GetRequest {
                kind: asked.kind.clone(),
                namespace: asked.namespace.clone(),
                name: asked.name.clone(),
                ..GetRequest::default()
            })
            .await?;
        let before = shown(&call.resource, &before)?;
        let before = tree(&before)?;
        let after = patched(&before, &asked, view)?;
        // A patch that says which version it is for means that one only.
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let is_for_any = version(&before) == version(&after);
        let (after, warnings) = read(&after, view, unknown)?;
        let after = stored(&call.resource, after)?;
        let written = registry.update(&call.caller(), update(after, &asked)).await;
        match written {
            Err(status)
                if is_for_any && tries < MAX_TRIES && Reason::of(&status) == Some(Reason::Conflict) =>
            {
                tries += 1;
            }
            written => {
                return written.map(|written| Written {
                    warnings: [warnings, written.warnings].concat(),
                    ..written
                });
            }
        }
    }
}

/// Server-side apply: what the manager wants, said in the stored form.
async fn apply(call: &Call, view: &'static View, asked: PatchRequest) -> Result<Written> {
    let wanted: Value =
        serde_json::from_str(&asked.patch).map_err(|error| errors::bad_request(error.to_string()))?;
    let (sent, warnings) = read(&wanted, view, body::validation(call)?)?;
    let mut wanted = tree(&stored(&call.resource, sent)?)?;
    said(&mut wanted, asked.subresource == "status");
    let asked = PatchRequest {
        patch: wanted.to_string(),
        ..asked
    };
    let written = call.api.registry.patch(&call.caller(), asked).await?;
    Ok(Written {
        warnings: [warnings, written.warnings].concat(),
        ..written
    })
}

/// Leaves out of an object's JSON what it prints only because JSON always does: who applies it would own it.
fn said(object: &mut Value, with_status: bool) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if !with_status {
        fields.remove("status");
    }
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    fields.retain(|_, value| says(value));
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| says(value));
    }
}

fn patched(before: &Value, asked: &PatchRequest, view: &View) -> Result<Value> {
    match asked.r#type() {
        Type::Json => patch::json_patch(before, &asked.patch),
        Type::StrategicMerge => patch::strategic_merge_patch(view.info.number, before, &asked.patch),
        _ => patch::merge_patch(before, &asked.patch),
    }
    .map_err(|error| Box::new(error.to_status()))
}

fn update(after: Object, asked: &PatchRequest) -> UpdateRequest {
    UpdateRequest {
        object: Some(after),
        subresource: asked.subresource.clone(),
        kind: asked.kind.clone(),
        dry_run: asked.dry_run,
        field_manager: asked.field_manager.clone(),
        field_validation: asked.field_validation.clone(),
    }
}

/// Reads an object of the view, and what its writer should know.
fn read(value: &Value, view: &View, unknown: Unknown) -> Result<(Object, Vec<String>)> {
    let decoded = json::from_value_as(view.info.number, value, unknown)
        .map_err(|faults| errors::bad_request(faults.to_string()))?;
    let warnings = decoded.warnings.iter().map(ToString::to_string).collect();
    let object = Object {
        number: view.info.number,
        bytes: decoded.bytes,
    };
    Ok((object, warnings))
}

fn tree(object: &Object) -> Result<Value> {
    json::to_value(object.number, &object.bytes).map_err(|fault| super::answer::unshown(&fault))
}
