//! Create, update, patch: what was sent, in its place, to the registry.

use super::answer::{self, Shown};
use super::body::{self, Expected, Sent};
use super::call::Call;
use super::media::{Form, essence};
use super::views;
use crate::registry::errors::{self, Result};
use crate::registry::{Written, place};
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{CreateRequest, PatchRequest, UpdateRequest};
use storage::write::Effect;

/// POST: a new object.
pub(crate) async fn create(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let dry_run = call.query.dry_run()?;
    let mut sent = body::object(call, body).await?;
    sent.object = views::stored(&call.resource, sent.object)?;
    sent.object.bytes = place(call.resource.info, &sent.object.bytes, call.namespace(), None)?;
    let asked = CreateRequest {
        object: Some(sent.object),
        dry_run,
        field_manager: call.field_manager()?,
        field_validation: body::field_validation(call),
    };
    let written = call.api.registry.create(&call.caller(), asked).await?;
    answer(call, form, dry_run, sent.warnings, &written)
}

/// PUT: an object's new state.
pub(crate) async fn update(call: &Call, body: Body) -> Result<Response> {
    update_as(call, call.resource.info.into(), body).await
}

/// PUT of what stands for a part of an object.
pub(crate) async fn update_as(call: &Call, expected: Expected<'_>, body: Body) -> Result<Response> {
    let form = call.form()?;
    let dry_run = call.query.dry_run()?;
    let mut sent = body::object_of(call, expected, body).await?;
    sent.object = views::stored(&call.resource, sent.object)?;
    sent.object.bytes = place(
        call.resource.info,
        &sent.object.bytes,
        call.namespace(),
        Some(call.name()),
    )?;
    let Sent { object, warnings } = sent;
    let asked = UpdateRequest {
        object: Some(object),
        subresource: call.subresource().to_owned(),
        kind: call.kind(),
        dry_run,
        field_manager: call.field_manager()?,
        field_validation: body::field_validation(call),
    };
    let written = call.api.registry.update(&call.caller(), asked).await?;
    answer(call, form, dry_run, warnings, &written)
}

/// PATCH: a change to a part of an object.
pub(crate) async fn patch(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let dry_run = call.query.dry_run()?;
    let (r#type, yaml) = patch_type(call)?;
    let force = call.query.switch("force") == Some(true);
    if force && r#type != Type::Apply {
        return Err(errors::bad_request("force may be set for apply patches only"));
    }
    if r#type == Type::Apply && call.query.text("fieldManager").is_empty() {
        return Err(errors::bad_request("fieldManager is required for apply patch"));
    }
    // Checked here too, because no later step looks at it for kinds whose schema is fixed.
    body::validation(call)?;
    let text = body::read(body).await?;
    let patch = if yaml {
        body::json_of_yaml(text)?
    } else {
        String::from_utf8(text.into()).map_err(|_| errors::bad_request("the patch is not UTF-8"))?
    };
    let asked = PatchRequest {
        kind: call.kind(),
        namespace: call.namespace().to_owned(),
        name: call.name().to_owned(),
        subresource: call.subresource().to_owned(),
        r#type: r#type.into(),
        patch,
        dry_run,
        field_manager: call.field_manager()?,
        force,
        field_validation: body::field_validation(call),
    };
    let written = match call.resource.view {
        Some(view) => views::patch(call, view, asked).await?,
        None => call.api.registry.patch(&call.caller(), asked).await?,
    };
    answer(call, form, dry_run, Vec::new(), &written)
}

/// How a patch is to be read, and whether it is YAML.
fn patch_type(call: &Call) -> Result<(Type, bool)> {
    let value = call.headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(match essence(value).as_str() {
        "application/json-patch+json" => (Type::Json, false),
        "application/merge-patch+json" => (Type::Merge, false),
        "application/strategic-merge-patch+json" => (Type::StrategicMerge, false),
        // Both are read as YAML, of which JSON is a part.
        "application/apply-patch+yaml" => (Type::Apply, true),
        _ => {
            return Err(errors::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ]));
        }
    })
}

/// The object after a write.
pub(crate) fn answer(
    call: &Call,
    form: Form,
    dry_run: bool,
    mut warnings: Vec<String>,
    written: &Written,
) -> Result<Response> {
    let code = match written.effect {
        Effect::Created => StatusCode::CREATED,
        Effect::Updated | Effect::Deleted | Effect::Unchanged => StatusCode::OK,
    };
    let shown = Shown {
        resource: &call.resource,
        object: &written.object,
        // A rehearsal shows the revision of what is stored, and a deletion that of what was.
        stored: !dry_run && written.effect != Effect::Deleted,
    };
    let mut response = call.api.object(form, code, &shown)?;
    warnings.extend(written.warnings.iter().cloned());
    answer::warn(response.headers_mut(), &warnings);
    Ok(response)
}
