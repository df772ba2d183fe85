//! A Kubernetes `Status` as the body of an HTTP answer.
//!
//! JSON by hand: this crate knows no other object, and the transcoder for all of them lives above it.

use crate::grpc::failure;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::meta::v1::Status;
use serde_json::{Map, Value, json};

/// The answer that says what `status` says.
pub(in super::super) fn response(status: &Status) -> Response {
    let code = u16::try_from(status.code).ok();
    let code = code.and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    let mut answer = (code, [(header::CONTENT_TYPE, json)], body(status)).into_response();
    let wait = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if wait > 0 {
        answer.headers_mut().insert(header::RETRY_AFTER, wait.into());
    }
    answer
}

/// What answers paths that nobody serves, in upstream's words.
pub(in super::super) async fn not_found() -> Response {
    response(&failure(
        "NotFound",
        "the server could not find the requested resource",
    ))
}

fn body(status: &Status) -> String {
    let mut object = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": status.status,
        "message": status.message,
        "reason": status.reason,
    });
    if let Some(details) = &status.details {
        let mut shown = Map::new();
        for (name, text) in [
            ("name", &details.name),
            ("group", &details.group),
            ("kind", &details.kind),
            ("uid", &details.uid),
        ] {
            if !text.is_empty() {
                shown.insert(name.into(), Value::from(text.as_str()));
            }
        }
        if !details.causes.is_empty() {
            let causes = details.causes.iter();
            let causes = causes
                .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}));
            shown.insert("causes".into(), causes.collect());
        }
        if details.retry_after_seconds > 0 {
            shown.insert("retryAfterSeconds".into(), details.retry_after_seconds.into());
        }
        object["details"] = Value::Object(shown);
    }
    object["code"] = status.code.into();
    let mut text = object.to_string();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::overloaded;
    use proto::meta::v1::{StatusCause, StatusDetails};

    #[test]
    fn a_status_reads_as_kubernetes_writes_it() {
        let mut status = overloaded("too much", 3);
        status.details.get_or_insert_default().causes = vec![StatusCause {
            reason: "FieldValueInvalid".into(),
            message: "must not be".into(),
            field: "spec".into(),
        }];
        assert_eq!(
            body(&status),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too much","reason":"TooManyRequests","details":{"causes":[{"reason":"FieldValueInvalid","message":"must not be","field":"spec"}],"retryAfterSeconds":3},"code":429}"#.to_owned() + "\n"
        );
        let answer = response(&status);
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "3");
    }

    #[test]
    fn a_code_that_is_none_is_an_internal_error() {
        let status = Status {
            code: 7,
            details: Some(StatusDetails::default()),
            ..Status::default()
        };
        assert_eq!(response(&status).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
