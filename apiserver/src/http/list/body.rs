//! The body of a list, made while it is sent: what is not sent yet costs no more than the objects, which the cache holds
//! anyway.

use crate::http::answer::{self, MAGIC};
use crate::http::call::Call;
use crate::http::media::{Format, TableForm};
use crate::http::{table, views};
use crate::registry::errors::Result;
use crate::registry::{Item, Listed};
use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes};
use component_base::server::SizeAtLeast;
use futures::{StreamExt, stream};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use proto::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use proto::meta::v1::Status;
use serde_json::Value;
use std::io;
use std::sync::Arc;

/// How much of a body is made at a time: enough that a write to the socket pays, little enough that other tasks are not
/// kept waiting.
const CHUNK_BYTES: usize = 128 << 10;

/// A list in JSON.
pub(crate) fn json(call: &Call, listed: Listed) -> Response {
    let api_version = call.resource.info.api_version();
    let metadata = super::metadata(&listed);
    let head = head(&call.resource.list_kind(), &api_version, &metadata);
    let (api, resource) = (Arc::clone(&call.api), call.resource.clone());
    let body = chunks(head, listed.items, END, move |first, item, out| {
        if !first {
            out.push(b',');
        }
        let text = api
            .json_at(&resource, &item.object, item.revision)
            .map_err(broken)?;
        out.extend_from_slice(&text);
        Ok(())
    });
    respond(Format::Json, body)
}

/// A Table of a list.
pub(crate) fn table(call: &Call, listed: Listed, form: TableForm) -> Response {
    let printer = table::Printer::new(&call.resource, form, &call.api);
    let head = printer.head(&super::metadata(&listed), true);
    let api = Arc::clone(&call.api);
    let body = chunks(head, listed.items, table::END, move |first, item, out| {
        if !first {
            out.push(b',');
        }
        printer.row(&item.object, &api, out).map_err(broken)
    });
    respond(Format::Json, body)
}

/// Everything of a list that comes before its items.
pub(crate) fn head(kind: &str, api_version: &str, metadata: &Value) -> Vec<u8> {
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
        .into_bytes()
}

/// What ends a list.
pub(crate) const END: &[u8] = b"]}";

fn broken(status: Box<Status>) -> io::Error {
    io::Error::other(status.message)
}

/// A list in Kubernetes' protobuf: `{metadata = 1, items = 2}` of any kind.
pub(crate) fn protobuf(call: &Call, mut listed: Listed) -> Result<Response> {
    const METADATA: u32 = 1;
    const ITEMS: u32 = 2;
    const RAW: u32 = 2;
    if call.resource.view.is_some() {
        for item in &mut listed.items {
            item.object = views::shown(&call.resource, &item.object)?.into_owned();
        }
    }
    let metadata = super::list_meta(&listed);
    let item_len = |item: &Item| {
        let len = item.object.bytes.len();
        key_len(ITEMS) + encoded_len_varint(len as u64) + len
    };
    let metadata_len = metadata.encoded_len();
    let head_len = key_len(METADATA) + encoded_len_varint(metadata_len as u64) + metadata_len;
    let raw_len = head_len + listed.items.iter().map(item_len).sum::<usize>();
    let type_meta = TypeMeta {
        api_version: call.resource.info.api_version(),
        kind: call.resource.list_kind(),
    };
    let mut head = MAGIC.to_vec();
    let envelope = Unknown {
        type_meta: Some(type_meta),
        ..Unknown::default()
    };
    envelope.encode_raw(&mut head);
    encode_key(RAW, WireType::LengthDelimited, &mut head);
    encode_varint(raw_len as u64, &mut head);
    prost::encoding::message::encode(METADATA, &metadata, &mut head);
    let body = chunks(head, listed.items, b"", |_, item, out| {
        encode_key(ITEMS, WireType::LengthDelimited, out);
        encode_varint(item.object.bytes.len() as u64, out);
        out.put_slice(&item.object.bytes);
        Ok(())
    });
    Ok(respond(Format::Protobuf, body))
}

fn respond(format: Format, (body, size): (Body, SizeAtLeast)) -> Response {
    let mut response = Response::new(body);
    response.extensions_mut().insert(size);
    answer::dress(response.headers_mut(), format.content_type());
    response
}

/// A body of `head`, the items as `put` writes them, and `tail`. One that cannot be written ends the body early, which
/// the client notices. JSON is longer than what is stored; a Table may be
/// shorter, and is compressed a little too early then.
fn chunks(
    head: Vec<u8>,
    items: Vec<Item>,
    tail: &'static [u8],
    put: impl Fn(bool, &Item, &mut Vec<u8>) -> io::Result<()> + Send + 'static,
) -> (Body, SizeAtLeast) {
    let size = items.iter().map(|item| item.object.bytes.len() as u64).sum();
    let state = Some((head, items.into_iter(), true));
    let body = stream::unfold((state, put), move |(state, put)| async move {
        let (mut out, mut items, mut first) = state?;
        while out.len() < CHUNK_BYTES {
            let Some(item) = items.next() else {
                out.extend_from_slice(tail);
                return Some((Ok(Bytes::from(out)), (None, put)));
            };
            if let Err(error) = put(first, &item, &mut out) {
                tracing::error!(%error, "a list cannot be written");
                return Some((Err(error), (None, put)));
            }
            first = false;
        }
        let rest = (Vec::with_capacity(CHUNK_BYTES * 2), items, first);
        Some((Ok(Bytes::from(out)), (Some(rest), put)))
    });
    // Whoever compresses it asks again after the end.
    (Body::from_stream(body.fuse()), SizeAtLeast(size))
}
