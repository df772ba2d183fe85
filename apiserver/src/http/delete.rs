//! Delete: one object, or a collection.

use super::answer::{self, Shown};
use super::body;
use super::call::Call;
use crate::registry::errors::{self, Result};
use apimachinery::wire::MetaView;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use proto::meta::v1::{DeleteOptions, StatusDetails};
use proto::orrery::v1::{DeleteCollectionRequest, DeleteRequest};

/// Kinds whose objects are shown when they are gone, as upstream does; of others a Status tells what is gone.
const SHOWN_WHEN_GONE: [&str; 10] = [
    "Pod",
    "PodTemplate",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "ServiceAccount",
    "StorageClass",
    "CSIDriver",
    "CSINode",
    "VolumeAttachment",
];

/// DELETE of an object.
pub(crate) async fn one(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let options = options(call, body).await?;
    let cascades = options.orphan_dependents == Some(false);
    let asked = DeleteRequest {
        kind: call.kind(),
        namespace: call.namespace().to_owned(),
        name: call.name().to_owned(),
        options: Some(options),
    };
    let deleted = call.api.registry.delete(&call.caller(), asked).await?;
    let object = deleted
        .object
        .ok_or_else(|| errors::internal("an object was deleted and is nowhere"))?;
    let info = call.resource.info;
    if deleted.gone && !SHOWN_WHEN_GONE.contains(&info.kind) {
        let meta = MetaView::parse(&object.bytes).map_err(|error| errors::internal(error.to_string()))?;
        let details = StatusDetails {
            name: meta.name.into(),
            group: info.group.into(),
            kind: info.plural.into(),
            uid: meta.uid.into(),
            ..StatusDetails::default()
        };
        return answer::success(form, StatusCode::OK, details);
    }
    let code = if !deleted.gone && cascades {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let shown = Shown {
        resource: &call.resource,
        object: &object,
        stored: false,
    };
    call.api.object(form, code, &shown)
}

/// DELETE of a collection.
pub(crate) async fn collection(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let asked = DeleteCollectionRequest {
        kind: call.kind(),
        namespace: call.namespace().to_owned(),
        label_selector: call.query.text("labelSelector").to_owned(),
        field_selector: call.field_selector()?,
        options: Some(options(call, body).await?),
    };
    call.api.registry.delete_collection(&call.caller(), asked).await?;
    let info = call.resource.info;
    let details = StatusDetails {
        group: info.group.into(),
        kind: info.plural.into(),
        ..StatusDetails::default()
    };
    answer::success(form, StatusCode::OK, details)
}

/// The options of a delete: the body's, or without one the query's.
async fn options(call: &Call, body: Body) -> Result<DeleteOptions> {
    if let Some(options) = body::delete_options(call, body).await? {
        return Ok(options);
    }
    let query = &call.query;
    let policy = query.text("propagationPolicy");
    Ok(DeleteOptions {
        grace_period_seconds: query.number("gracePeriodSeconds")?,
        orphan_dependents: query.switch("orphanDependents"),
        propagation_policy: (!policy.is_empty()).then(|| policy.to_owned()),
        dry_run: query.all("dryRun").map(str::to_owned).collect(),
        ..DeleteOptions::default()
    })
}
