//! List: many objects of one kind, all at one revision.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>

mod body;
mod options;

use super::answer;
use super::call::Call;
use super::media::{Format, Shape, not_acceptable};
use super::{partial, table};
use crate::registry::errors::Result;
use crate::registry::{Item, Listed};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use options::ListOptions;
use proto::Object;
use proto::meta::v1::ListMeta;
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
            field_selector: call.field_selector()?,
            limit: options.limit,
            r#continue: call.query.text("continue").to_owned(),
            revision: options.exact,
        })
        .await?;
    match (form.shape, form.format) {
        (Shape::Whole, Format::Json) if !form.pretty => Ok(body::json(call, listed)),
        (Shape::Whole, Format::Protobuf) => body::protobuf(call, listed),
        (Shape::Table(table), Format::Json) if !form.pretty => Ok(body::table(call, listed, table)),
        (Shape::PartialList(version), Format::Protobuf) => {
            let list = partial::list_envelope(&listed, &list_meta(&listed), version)?;
            Ok(answer::body(form.format, StatusCode::OK, list))
        }
        (Shape::Partial(_), _) => Err(not_acceptable()),
        (shape, _) => {
            let metadata = metadata(&listed);
            let text = match shape {
                Shape::Table(table) => {
                    let printer = table::Printer::new(&call.resource, table, &call.api);
                    let row = |object: &Object, out: &mut Vec<u8>| printer.row(object, &call.api, out);
                    joined(printer.head(&metadata, true), &listed.items, table::END, row)?
                }
                Shape::PartialList(version) => {
                    let kind = "PartialObjectMetadataList";
                    let head = body::head(kind, &partial::api_version(version), &metadata);
                    let item =
                        |object: &Object, out: &mut Vec<u8>| partial::put_json(&object.bytes, version, out);
                    joined(head, &listed.items, body::END, item)?
                }
                Shape::Whole | Shape::Partial(_) => {
                    let api_version = call.resource.info.api_version();
                    let head = body::head(&call.resource.list_kind(), &api_version, &metadata);
                    let item = |object: &Object, out: &mut Vec<u8>| {
                        out.extend_from_slice(&call.api.json(&call.resource, object)?);
                        Ok(())
                    };
                    joined(head, &listed.items, body::END, item)?
                }
            };
            answer::printed(form, StatusCode::OK, text)
        }
    }
}

/// A text of items between commas.
fn joined(
    head: Vec<u8>,
    items: &[Item],
    end: &[u8],
    put: impl Fn(&Object, &mut Vec<u8>) -> Result<()>,
) -> Result<Bytes> {
    let mut out = head;
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put(&item.object, &mut out)?;
    }
    out.extend_from_slice(end);
    Ok(out.into())
}

/// The list's own metadata, as a message.
fn list_meta(listed: &Listed) -> ListMeta {
    ListMeta {
        resource_version: listed.revision.to_string(),
        remaining_item_count: listed.remaining.filter(|_| !listed.r#continue.is_empty()),
        r#continue: listed.r#continue.clone(),
        ..ListMeta::default()
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
