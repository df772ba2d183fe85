//! Answers: an object, a Status, or an error, in the form that the client wants.

use super::Api;
use super::encodings::VersionKey;
use super::media::{Form, Format, Shape, not_acceptable};
use super::{partial, table, views};
use crate::registry::Resource;
use crate::registry::errors::{self, Result};
use apimachinery::json::{Fault, Message, yaml};
use apimachinery::wire::MetaView;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use prost::Message as _;
use proto::Object;
use proto::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use proto::meta::v1::{Status, StatusDetails};

/// What opens every message in Kubernetes' protobuf encoding.
pub(crate) const MAGIC: &[u8; 4] = b"k8s\0";

/// The schema's name of `Status`.
const STATUS: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.Status";

/// An object that is handed out.
pub(crate) struct Shown<'a> {
    /// What it is an object of.
    pub(crate) resource: &'a Resource,
    /// It, as it is stored.
    pub(crate) object: &'a Object,
    /// Whether it is as it was stored, so that its text may be shared. A rehearsal's is not.
    pub(crate) stored: bool,
}

impl Api {
    /// An object.
    pub(crate) fn object(&self, form: Form, code: StatusCode, shown: &Shown<'_>) -> Result<Response> {
        let text = match form.shape {
            Shape::PartialList(_) => return Err(not_acceptable()),
            Shape::Whole if form.format == Format::Protobuf => {
                return Ok(body(form.format, code, envelope_of(shown)?));
            }
            Shape::Whole if shown.stored => self.json(shown.resource, shown.object)?,
            Shape::Whole => json(shown)?,
            Shape::Table(table) => table::of_object(shown, table, self)?,
            Shape::Partial(version) if form.format == Format::Protobuf => {
                return Ok(body(
                    form.format,
                    code,
                    partial::envelope(&shown.object.bytes, version)?,
                ));
            }
            Shape::Partial(version) => partial::json(&shown.object.bytes, version)?.into(),
        };
        printed(form, code, text)
    }

    /// The JSON of an object that is stored; made once.
    pub(crate) fn json(&self, resource: &Resource, object: &Object) -> Result<Bytes> {
        let meta = MetaView::parse(&object.bytes).map_err(|error| errors::internal(error.to_string()))?;
        self.json_at(resource, object, meta.revision())
    }

    /// The JSON of an object that was stored at this revision; made once.
    pub(crate) fn json_at(&self, resource: &Resource, object: &Object, revision: i64) -> Result<Bytes> {
        let key = VersionKey {
            number: views::number(resource, object),
            version: resource.info.version,
            revision,
            departed: false,
        };
        self.encodings
            .json(key, &object.bytes)
            .map_err(|fault| unshown(&fault))
    }
}

/// The JSON of an object.
pub(crate) fn json(shown: &Shown<'_>) -> Result<Bytes> {
    let object = views::shown(shown.resource, shown.object)?;
    let mut text = Vec::with_capacity(object.bytes.len() * 2);
    apimachinery::json::to_json(object.number, &object.bytes, &mut text).map_err(|fault| unshown(&fault))?;
    Ok(text.into())
}

/// A stored object cannot be shown: a bug, or damage.
pub(crate) fn unshown(fault: &Fault) -> Box<Status> {
    errors::internal(format!("a stored object cannot be shown as JSON: {fault}"))
}

/// JSON in the form that is asked for.
pub(crate) fn printed(form: Form, code: StatusCode, json: Bytes) -> Result<Response> {
    let tree = || -> Result<serde_json::Value> {
        serde_json::from_slice(&json).map_err(|error| errors::internal(error.to_string()))
    };
    let text = match form.format {
        Format::Json if form.pretty => {
            let mut text =
                serde_json::to_vec_pretty(&tree()?).map_err(|error| errors::internal(error.to_string()))?;
            text.push(b'\n');
            text.into()
        }
        Format::Json => json,
        Format::Yaml => yaml::print(&tree()?).into(),
        Format::Protobuf => return Err(not_acceptable()),
    };
    Ok(body(form.format, code, text))
}

/// An answer of these bytes.
pub(crate) fn body(format: Format, code: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = code;
    dress(response.headers_mut(), format.content_type());
    response
}

/// The headers of every answer: its type, and that nobody may answer in our place.
pub(crate) fn dress(headers: &mut HeaderMap, content_type: HeaderValue) {
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
}

/// An object in Kubernetes' protobuf encoding.
pub(crate) fn envelope_of(shown: &Shown<'_>) -> Result<Bytes> {
    let object = views::shown(shown.resource, shown.object)?;
    let message = Message::by_number(object.number)
        .ok_or_else(|| errors::internal(format!("no kind has the number {}", object.number)))?;
    let (api_version, kind) = message.type_meta().unwrap_or_default();
    Ok(envelope(api_version, kind, &object.bytes))
}

/// Wraps an encoded message, so that a client knows what it is.
pub(crate) fn envelope(api_version: &str, kind: &str, raw: &Bytes) -> Bytes {
    let unknown = Unknown {
        type_meta: Some(TypeMeta {
            api_version: api_version.into(),
            kind: kind.into(),
        }),
        raw: raw.clone(),
        ..Unknown::default()
    };
    let mut out = Vec::with_capacity(MAGIC.len() + unknown.encoded_len());
    out.extend_from_slice(MAGIC);
    unknown.encode_raw(&mut out);
    out.into()
}

/// A `Status` as JSON.
pub(crate) fn status_json(status: &Status) -> Bytes {
    let message = Message::by_name(STATUS).expect("the schema has Status");
    let mut text = Vec::new();
    let written = message.to_json(&status.encode_to_vec(), &mut text);
    written.expect("what prost has just encoded can be read");
    text.into()
}

/// Done, and there is no object to show.
pub(crate) fn success(form: Form, code: StatusCode, details: StatusDetails) -> Result<Response> {
    let status = Status {
        status: "Success".into(),
        code: 0,
        details: Some(details),
        ..Status::default()
    };
    if form.format == Format::Protobuf {
        let raw = status.encode_to_vec().into();
        return Ok(body(form.format, code, envelope("v1", "Status", &raw)));
    }
    printed(form, code, status_json(&status))
}

/// What went wrong. Always JSON, which every client reads.
pub(crate) fn failure(status: &Status) -> Response {
    let code = u16::try_from(status.code).ok();
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = body(
        Format::Json,
        code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        status_json(status),
    );
    let retry = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, retry.into());
    }
    response
}

/// Tells the client what it should know though nothing was refused. One that would not fit a header is left out.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings.iter().take(MAX_WARNINGS) {
        let text: String = warning.chars().take(MAX_WARNING_CHARS).collect();
        let quoted = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace(['\r', '\n'], " ");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(header::WARNING, value);
        }
    }
}

/// Warnings in one answer; clients refuse answers with more than some hundred headers.
const MAX_WARNINGS: usize = 32;
/// Of one warning, as upstream cuts them.
const MAX_WARNING_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_as_the_header_asks() {
        let mut headers = HeaderMap::new();
        warn(
            &mut headers,
            &["unknown field \"spec.foo\"".into(), "two\nlines".into()],
        );
        let values: Vec<_> = headers.get_all(header::WARNING).iter().collect();
        assert_eq!(values[0], r#"299 - "unknown field \"spec.foo\"""#);
        assert_eq!(values[1], r#"299 - "two lines""#);
    }

    #[test]
    fn a_failure_is_a_status_with_its_own_code() {
        let refused = errors::with_retry(errors::bad_request("no"), 3);
        let response = failure(&refused);
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        let text = status_json(&refused);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (value["kind"].as_str(), value["apiVersion"].as_str()),
            (Some("Status"), Some("v1"))
        );
        assert_eq!(
            (value["code"].as_i64(), value["status"].as_str()),
            (Some(400), Some("Failure"))
        );
    }
}
