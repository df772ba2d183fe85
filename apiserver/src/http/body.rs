//! What clients send: JSON, YAML, or Kubernetes' protobuf, read as the message that belongs there.
//!
//! In: a body and its `Content-Type`. Out: canonical protobuf bytes, and warnings. Every fault is named by its path.

use super::answer::MAGIC;
use super::call::Call;
use super::media::essence;
use crate::registry::errors::{self, Result};
use apimachinery::json::{self, Fault, FaultKind, Faults, Message, Unknown, yaml};
use apimachinery::kinds::{ANY_CUSTOM, KindInfo, custom};
use apimachinery::status::FieldError;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use prost::Message as _;
use proto::Object;
use proto::apimachinery::pkg::runtime::{self, TypeMeta};
use proto::meta::v1::{DeleteOptions, Status};
use serde_json::Value;
use std::error::Error;

/// The largest body, as upstream's: twice the largest object, because JSON is larger than what is stored.
pub(crate) const MAX_BODY_BYTES: usize = 3 << 20;

/// An object that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// It.
    pub(crate) object: Object,
    /// What its writer should know.
    pub(crate) warnings: Vec<String>,
}

/// Reads all of a body.
pub(crate) async fn read(body: Body) -> Result<Bytes> {
    axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let too_large = error
            .source()
            .is_some_and(<dyn Error + 'static>::is::<http_body_util::LengthLimitError>);
        if too_large {
            errors::body_too_large(MAX_BODY_BYTES)
        } else {
            errors::bad_request(format!("the request's body cannot be read: {error}"))
        }
    })
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

/// How `Content-Type` says that a body is encoded.
fn encoding(headers: &HeaderMap) -> Result<Encoding> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Encoding::Json);
    };
    match essence(value.to_str().unwrap_or("?")).as_str() {
        // Browsers and curl send this for any data, and upstream takes it for JSON.
        "application/json" | "" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => Err(errors::unsupported_media_type(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}

/// What becomes of unknown and double fields.
pub(crate) fn validation(call: &Call) -> Result<Unknown> {
    match call.query.text("fieldValidation") {
        "" | "Warn" => Ok(Unknown::Warn),
        "Strict" => Ok(Unknown::Strict),
        "Ignore" => Ok(Unknown::Ignore),
        other => Err(super::query::unsupported(
            "fieldValidation",
            other,
            &["Ignore", "Warn", "Strict"],
        )),
    }
}

/// The same as the registry is told it: over HTTP, the default is to warn.
pub(crate) fn field_validation(call: &Call) -> String {
    match call.query.text("fieldValidation") {
        "" => "Warn",
        given => given,
    }
    .to_owned()
}

/// Reads an object of the call's kind.
pub(crate) async fn object(call: &Call, body: Body) -> Result<Sent> {
    object_of(call, call.resource.info.into(), body).await
}

/// What an object that is sent must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// Its arm of `orrery.v1.Object`.
    pub(crate) number: u32,
    /// `Pod`.
    pub(crate) kind: &'a str,
    /// `v1`.
    pub(crate) version: &'a str,
}

impl<'a> From<&'a KindInfo> for Expected<'a> {
    fn from(info: &'a KindInfo) -> Self {
        Self {
            number: info.arm(),
            kind: info.kind,
            version: info.version,
        }
    }
}

/// Reads an object of a kind.
pub(crate) async fn object_of(call: &Call, expected: Expected<'_>, body: Body) -> Result<Sent> {
    let unknown = validation(call)?;
    let encoding = encoding(&call.headers)?;
    let bytes = read(body).await?;
    let sent = decode(encoding, expected, &bytes, unknown)?;
    if sent.object.number == ANY_CUSTOM.number {
        check_type(call, &sent.object)?;
    }
    Ok(sent)
}

/// The schema of a custom kind's message does not say which kind and version it is of; the path does.
fn check_type(call: &Call, object: &Object) -> Result<()> {
    let info = call.resource.info;
    let (api_version, kind) =
        custom::type_of(&object.bytes).map_err(|error| errors::bad_request(error.to_string()))?;
    if kind.is_empty() || api_version.is_empty() {
        let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
        return Err(errors::bad_request(format!(
            "Object '{missing}' is missing in the body"
        )));
    }
    if kind != info.kind {
        return Err(errors::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): it says that it is a {}",
            info.kind,
            shown(kind)
        )));
    }
    if api_version != info.api_version() {
        return Err(errors::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            shown(api_version),
            info.api_version()
        )));
    }
    Ok(())
}

fn decode(encoding: Encoding, expected: Expected<'_>, bytes: &Bytes, unknown: Unknown) -> Result<Sent> {
    let number = expected.number;
    let decoded = match encoding {
        Encoding::Json => json::from_json_as(number, bytes, unknown),
        Encoding::Yaml => tree(bytes).and_then(|value| json::from_value_as(number, &value, unknown)),
        Encoding::Protobuf => return enveloped(expected, bytes),
    };
    let decoded = decoded.map_err(|faults| unreadable(expected, faults))?;
    Ok(Sent {
        warnings: decoded.warnings.into_iter().map(plain).collect(),
        object: Object {
            number,
            bytes: decoded.bytes,
        },
    })
}

/// The first and only document of a YAML text.
pub(crate) fn tree(text: &[u8]) -> Result<Value, Faults> {
    let syntax = |message: &str| Faults(vec![Fault::syntax(message)]);
    let text = std::str::from_utf8(text).map_err(|_| syntax("the text is not UTF-8"))?;
    let mut documents = yaml::documents(text);
    let first = documents.next().ok_or_else(|| syntax("the text is empty"))?;
    let first = first.map_err(|error| Faults(vec![error.fault]))?;
    if documents.next().is_some() {
        return Err(syntax("one object is expected, and there are several documents"));
    }
    Ok(first.value)
}

/// The JSON of a YAML text. Most clients send JSON, of which YAML takes ten times as long to find out.
pub(crate) fn json_of_yaml(text: Bytes) -> Result<String> {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
    if is_json && let Ok(text) = String::from_utf8(text.to_vec()) {
        return Ok(text);
    }
    let tree = tree(&text).map_err(|faults| errors::bad_request(format!("error decoding YAML: {faults}")))?;
    Ok(tree.to_string())
}

fn enveloped(expected: Expected<'_>, bytes: &Bytes) -> Result<Sent> {
    let Expected {
        number,
        kind,
        version,
    } = expected;
    let (type_meta, raw) = open(bytes)?;
    if !type_meta.kind.is_empty() && type_meta.kind != kind {
        return Err(errors::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): it says that it is a {}",
            shown(&type_meta.kind)
        )));
    }
    let own = Message::by_number(number).and_then(Message::type_meta);
    if let Some((own, _)) = own
        && !type_meta.api_version.is_empty()
        && type_meta.api_version != own
    {
        return Err(errors::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({own})",
            shown(&type_meta.api_version)
        )));
    }
    // Upstream's encoders write what canonical bytes leave out; its decoders drop what their schema does not know.
    let bytes = json::canonical(number, &raw).map_err(|faults| {
        unreadable(
            Expected {
                number,
                kind,
                version,
            },
            faults,
        )
    })?;
    Ok(Sent {
        object: Object { number, bytes },
        warnings: Vec::new(),
    })
}

/// Opens Kubernetes' protobuf envelope.
fn open(bytes: &Bytes) -> Result<(TypeMeta, Bytes)> {
    let inside = bytes.strip_prefix(MAGIC).ok_or_else(|| {
        errors::bad_request("the body is not Kubernetes' protobuf: it does not begin with \"k8s\\0\"")
    })?;
    let unknown = runtime::Unknown::decode(inside)
        .map_err(|error| errors::bad_request(format!("the protobuf envelope cannot be read: {error}")))?;
    if !unknown.content_encoding.is_empty() {
        return Err(errors::bad_request("contentEncoding must be empty"));
    }
    Ok((unknown.type_meta.unwrap_or_default(), unknown.raw))
}

/// Reads the options of a delete. An empty body has none.
pub(crate) async fn delete_options(call: &Call, body: Body) -> Result<Option<DeleteOptions>> {
    const OPTIONS: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    let bytes = read(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let message = Message::by_name(OPTIONS).expect("the schema has DeleteOptions");
    let read = match encoding(&call.headers)? {
        Encoding::Json => message.from_json(&bytes, Unknown::Ignore),
        Encoding::Yaml => tree(&bytes).and_then(|value| message.from_value(&value, Unknown::Ignore)),
        Encoding::Protobuf => Ok((open(&bytes)?.1, Vec::new())),
    };
    let expected = Expected {
        number: 0,
        kind: "DeleteOptions",
        version: call.resource.info.version,
    };
    let (bytes, _) = read.map_err(|faults| unreadable(expected, faults))?;
    DeleteOptions::decode(bytes)
        .map(Some)
        .map_err(|error| errors::bad_request(error.to_string()))
}

/// An object that cannot be read, in upstream's words.
pub(crate) fn unreadable(expected: Expected<'_>, faults: Faults) -> Box<Status> {
    let Expected { kind, version, .. } = expected;
    let strict = |fault: &Fault| matches!(fault.kind, FaultKind::UnknownField | FaultKind::DuplicateField);
    let what = if faults.0.iter().all(strict) {
        "strict decoding error: "
    } else {
        ""
    };
    let causes: Vec<FieldError> = faults.0.iter().map(FieldError::from).collect();
    let list: Vec<_> = faults.0.into_iter().map(plain).collect();
    let message = format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {what}{}",
        list.join(", ")
    );
    causes
        .into_iter()
        .fold(errors::bad_request(message), |status, cause| {
            errors::with_cause(status, cause.reason, &cause.field, cause.message)
        })
}

/// A fault as upstream says it: where a field is on its own line helps nobody when the text is JSON.
fn plain(mut fault: Fault) -> String {
    if fault.kind != FaultKind::Syntax {
        fault.place = None;
    }
    fault.to_string()
}

/// A client's text in an error: short, and escaped.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::ConfigMap;

    const EXPECTED: Expected<'static> = Expected {
        number: ConfigMap::NUMBER,
        kind: "ConfigMap",
        version: "v1",
    };

    fn decoded(encoding: Encoding, text: &[u8], unknown: Unknown) -> Result<(String, Vec<String>)> {
        let sent = decode(encoding, EXPECTED, &Bytes::copy_from_slice(text), unknown)?;
        Ok((
            sent.object.decode_as::<ConfigMap>().unwrap().name().to_owned(),
            sent.warnings,
        ))
    }

    #[test]
    fn the_same_object_is_read_from_json_yaml_and_protobuf() {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = "a".into();
        let envelope = super::super::answer::envelope("v1", "ConfigMap", &object.encode_to_vec().into());
        for (encoding, text) in [
            (Encoding::Json, br#"{"metadata":{"name":"a"}}"#.as_slice()),
            (Encoding::Yaml, b"kind: ConfigMap\nmetadata:\n  name: a\n"),
            (Encoding::Protobuf, &envelope),
        ] {
            assert_eq!(
                decoded(encoding, text, Unknown::Strict).unwrap().0,
                "a",
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn unknown_and_double_fields_are_refused_told_or_dropped() {
        let text = br#"{"metadata":{"name":"a","nom":"b"},"x":1,"x":2}"#;
        let strict = decoded(Encoding::Json, text, Unknown::Strict).unwrap_err();
        assert!(
            strict.message.starts_with(
                "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"metadata.nom\""
            ),
            "{}",
            strict.message
        );
        let (_, warnings) = decoded(Encoding::Json, text, Unknown::Warn).unwrap();
        assert_eq!(warnings[0], "unknown field \"metadata.nom\"");
        assert!(
            decoded(Encoding::Json, text, Unknown::Ignore)
                .unwrap()
                .1
                .is_empty()
        );
    }

    #[test]
    fn yaml_becomes_json_and_json_stays_as_it_is() {
        let json = |text: &'static str| json_of_yaml(Bytes::from_static(text.as_bytes()));
        assert_eq!(json("{ \"a\": 1 }").unwrap(), "{ \"a\": 1 }");
        assert_eq!(json("a: [x]").unwrap(), "{\"a\":[\"x\"]}");
        assert_eq!(json("{").unwrap_err().reason, "BadRequest");
    }

    #[test]
    fn what_is_no_such_object_is_a_bad_request() {
        let envelope = super::super::answer::envelope("v1", "Secret", &Bytes::new());
        for (encoding, text) in [
            (Encoding::Json, b"".as_slice()),
            (Encoding::Json, b"{"),
            (Encoding::Json, b"[]"),
            (Encoding::Json, br#"{"kind":"Secret"}"#),
            (Encoding::Json, br#"{"apiVersion":"v2"}"#),
            (Encoding::Yaml, b"a: b: c"),
            (Encoding::Yaml, b""),
            (Encoding::Yaml, b"a: 1\n---\na: 2\n"),
            (Encoding::Yaml, b"\xff"),
            (Encoding::Protobuf, b"k8s"),
            (Encoding::Protobuf, b"k8s\0\xff"),
            (Encoding::Protobuf, &envelope),
        ] {
            let status = decoded(encoding, text, Unknown::Warn).unwrap_err();
            assert_eq!(
                (status.code, status.reason.as_str()),
                (400, "BadRequest"),
                "{encoding:?} {text:?}"
            );
        }
    }
}
