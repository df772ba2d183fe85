//! List: many objects of one kind, all at one revision.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>

mod body;
mod options;

use super::answer::{self, Shown};
use super::call::Call;
use super::media::{Format, Shape, not_acceptable};
use super::table;
use crate::registry::Listed;
use crate::registry::errors::Result;
use axum::http::StatusCode;
use axum::response::Response;
use options::ListOptions;
use proto::Object;
use proto::orrery::v1::ListRequest;
use serde_json::{Value, json};

/// The objects of a collection.
pub(crate) async fn list(call: &Call) -> Result<Response> {
    let form = call.form()?;
    let options = ListOptions::of(&call.query)?;
    call.api.registry.not_older(options.not_older).await?;
    let listed = call
        .api
        .registry
        .list_whole(ListRequest {
            kind: call.kind(),
            namespace: call.namespace().to_owned(),
            label_selector: call.query.text("labelSelector").to_owned(),
            field_selector: call.query.text("fieldSelector").to_owned(),
            limit: options.limit,
            r#continue: call.query.text("continue").to_owned(),
            revision: options.exact,
        })
        .await?;
    match (form.shape, form.format) {
        (Shape::Whole, Format::Json) if !form.pretty => Ok(body::json(call, listed)),
        (Shape::Whole, Format::Protobuf) => Ok(body::protobuf(call, listed)),
        (Shape::Partial(_), _) => Err(not_acceptable()),
        (shape, _) => {
            let metadata = metadata(&listed);
            let rows: Vec<Shown<'_>> = listed
                .items
                .iter()
                .map(|item| shown(call, &item.object))
                .collect();
            let text = match shape {
                Shape::Table(version) => table::of_list(&rows, &metadata, version, &call.api)?,
                Shape::PartialList(version) => table::partial_list(&rows, &metadata, version)?,
                Shape::Whole | Shape::Partial(_) => {
                    let items = rows.iter().map(|row| {
                        apimachinery::json::to_value(row.object.number, &row.object.bytes)
                            .map_err(|fault| answer::unshown(&fault))
                    });
                    json!({
                        "kind": call.resource.list_kind(),
                        "apiVersion": call.resource.info.api_version(),
                        "metadata": metadata,
                        "items": items.collect::<Result<Vec<_>>>()?,
                    })
                    .to_string()
                    .into()
                }
            };
            answer::printed(form, StatusCode::OK, text)
        }
    }
}

fn shown<'a>(call: &'a Call, object: &'a Object) -> Shown<'a> {
    Shown {
        resource: &call.resource,
        object,
        stored: true,
    }
}

/// The list's own metadata.
fn metadata(listed: &Listed) -> Value {
    let mut metadata = json!({ "resourceVersion": listed.revision.to_string() });
    if !listed.r#continue.is_empty() {
        metadata["continue"] = json!(listed.r#continue);
        if let Some(remaining) = listed.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
    }
    metadata
}
