//! Get: one object.

use super::answer::Shown;
use super::call::Call;
use crate::registry::errors::Result;
use axum::http::StatusCode;
use axum::response::Response;
use proto::orrery::v1::GetRequest;

/// One object.
pub(crate) async fn get(call: &Call) -> Result<Response> {
    let form = call.form()?;
    let revision = call.query.revision()?;
    call.api.registry.not_older(revision).await?;
    let object = call
        .api
        .registry
        .get(GetRequest {
            kind: call.kind(),
            namespace: call.namespace().to_owned(),
            name: call.name().to_owned(),
            subresource: call.subresource().to_owned(),
            ..GetRequest::default()
        })
        .await?;
    let shown = Shown {
        resource: &call.resource,
        object: &object,
        stored: true,
    };
    call.api.object(form, StatusCode::OK, &shown)
}
