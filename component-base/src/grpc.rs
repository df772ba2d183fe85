//! How Kubernetes' `Status` travels over gRPC, and who is calling.
//!
//! In: `meta.v1.Status`, whose `reason` decides. Out: a `tonic::Status` whose code follows from the reason and whose
//! details are a `google.rpc.Status` holding the same `meta.v1.Status` (and a `google.rpc.RetryInfo` when the caller is
//! told when to come back). Clients take it apart again with [`from_tonic`] and branch on the reason.
//! Invariant: `from_tonic(&to_tonic(s)) == s`, unless `s` is too large for HTTP/2 headers and had to be cut.

mod caller;
mod google_rpc;

pub use caller::{ACTOR_KEY, ANONYMOUS, CAUSE_KEY, Caller};

use prost::Message;
use proto::meta::v1::{Status, StatusCause, StatusDetails};
use std::error::Error;
use tonic::Code;

/// The most bytes that the encoded details take. Statuses travel in HTTP/2 headers, in base64, and common clients
/// refuse headers above 8 KiB together.
pub const MAX_DETAILS_BYTES: usize = 4608;

/// The most bytes of a message that the `grpc-message` header repeats from the details; percent-encoding may triple them.
pub const MAX_MESSAGE_HEADER_BYTES: usize = 512;

/// One row for each reason that Kubernetes gives: gRPC code and HTTP code. The first row of a gRPC code is also what
/// a status without details is taken for.
const REASONS: &[(&str, Code, i32)] = &[
    ("BadRequest", Code::InvalidArgument, 400),
    ("Invalid", Code::InvalidArgument, 422),
    ("NotAcceptable", Code::InvalidArgument, 406),
    ("UnsupportedMediaType", Code::InvalidArgument, 415),
    ("Unauthorized", Code::Unauthenticated, 401),
    ("Forbidden", Code::PermissionDenied, 403),
    ("NotFound", Code::NotFound, 404),
    ("MethodNotAllowed", Code::Unimplemented, 405),
    ("AlreadyExists", Code::AlreadyExists, 409),
    ("Conflict", Code::Aborted, 409),
    ("Conflict", Code::FailedPrecondition, 409),
    ("Expired", Code::OutOfRange, 410),
    ("Gone", Code::OutOfRange, 410),
    ("TooManyRequests", Code::ResourceExhausted, 429),
    ("RequestEntityTooLarge", Code::ResourceExhausted, 413),
    ("NoSpace", Code::ResourceExhausted, 507),
    ("InternalError", Code::Internal, 500),
    ("InternalError", Code::Unknown, 500),
    ("DataLoss", Code::DataLoss, 500),
    ("ServiceUnavailable", Code::Unavailable, 503),
    // The one who cancels is the caller or a dying connection; both may try again.
    ("ServiceUnavailable", Code::Cancelled, 503),
    ("Timeout", Code::DeadlineExceeded, 504),
    ("ServerTimeout", Code::DeadlineExceeded, 500),
];

/// A failure with one of Kubernetes' reasons, for what fails below the API itself.
pub fn failure(reason: &str, message: impl Into<String>) -> Status {
    Status {
        status: "Failure".into(),
        message: message.into(),
        reason: reason.into(),
        code: http_code(reason),
        ..Status::default()
    }
}

/// A refusal for want of room, with the time after which another try makes sense.
pub fn overloaded(message: impl Into<String>, retry_after_seconds: i32) -> Status {
    Status {
        details: Some(StatusDetails {
            retry_after_seconds,
            ..StatusDetails::default()
        }),
        ..failure("TooManyRequests", message)
    }
}

fn http_code(reason: &str) -> i32 {
    REASONS
        .iter()
        .find(|(name, ..)| *name == reason)
        .map_or(500, |&(.., http)| http)
}

/// The gRPC code that a `Status` travels under: its reason decides, else its HTTP code.
pub fn code(status: &Status) -> Code {
    let by_reason = REASONS.iter().find(|(reason, ..)| *reason == status.reason);
    let by_http = || REASONS.iter().find(|(.., http)| *http == status.code);
    by_reason
        .or_else(by_http)
        .map_or(Code::Unknown, |&(_, code, _)| code)
}

/// What a handler answers. Causes that do not fit into the headers are left out, and their number told.
pub fn to_tonic(status: Status) -> tonic::Status {
    let code = code(&status);
    let header = cut(&status.message, MAX_MESSAGE_HEADER_BYTES).to_owned();
    let details = google_rpc::encode(code as i32, &header, &fitted(status));
    tonic::Status::with_details(code, header, details.into())
}

/// What the server meant. A status without details (another server's, or the transport's) gets the reason that fits
/// its code best; what the transport made up itself is `ServiceUnavailable`, because a retry may help.
pub fn from_tonic(status: &tonic::Status) -> Status {
    if let Some(carried) = google_rpc::decode(status.details()) {
        return carried;
    }
    let from_transport = status.source().is_some() && status.code() != Code::DeadlineExceeded;
    let reason = if from_transport {
        "ServiceUnavailable"
    } else {
        REASONS
            .iter()
            .find(|(_, code, _)| *code == status.code())
            .map_or("InternalError", |&(reason, ..)| reason)
    };
    failure(reason, status.message())
}

/// The status, small enough for the headers.
fn fitted(mut status: Status) -> Status {
    // The details' other parts (names of types, the repeated message) are the same for all.
    const OVERHEAD: usize = MAX_MESSAGE_HEADER_BYTES + 256;
    let fits = |status: &Status| status.encoded_len() + OVERHEAD <= MAX_DETAILS_BYTES;
    if fits(&status) {
        return status;
    }
    status.message = cut(&status.message, MAX_MESSAGE_HEADER_BYTES).to_owned();
    let mut left_out = 0;
    while !fits(&status) {
        let Some(details) = status.details.as_mut() else {
            break;
        };
        if details.causes.pop().is_none() {
            // Names and kinds are short; one that is not was never ours to repeat.
            status.details = None;
            break;
        }
        left_out += 1;
    }
    if let Some(details) = status.details.as_mut().filter(|_| left_out > 0) {
        // Makes room for the last line by leaving out one more.
        left_out += usize::from(details.causes.pop().is_some());
        details.causes.push(StatusCause {
            message: format!("and {left_out} more"),
            ..StatusCause::default()
        });
    }
    status
}

/// The longest start of `text` within `limit` bytes that ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_travels_under_its_code_and_comes_back_equal() {
        for (reason, code) in [
            ("BadRequest", Code::InvalidArgument),
            ("Invalid", Code::InvalidArgument),
            ("Unauthorized", Code::Unauthenticated),
            ("Forbidden", Code::PermissionDenied),
            ("NotFound", Code::NotFound),
            ("MethodNotAllowed", Code::Unimplemented),
            ("AlreadyExists", Code::AlreadyExists),
            ("Conflict", Code::Aborted),
            ("Expired", Code::OutOfRange),
            ("RequestEntityTooLarge", Code::ResourceExhausted),
            ("TooManyRequests", Code::ResourceExhausted),
            ("NoSpace", Code::ResourceExhausted),
            ("InternalError", Code::Internal),
            ("DataLoss", Code::DataLoss),
            ("ServiceUnavailable", Code::Unavailable),
            ("Timeout", Code::DeadlineExceeded),
        ] {
            let status = failure(reason, "why – and where");
            let sent = to_tonic(status.clone());
            assert_eq!(
                (sent.code(), sent.message()),
                (code, "why – and where"),
                "{reason}"
            );
            assert_eq!(from_tonic(&sent), status);
        }
    }

    #[test]
    fn a_status_without_a_known_reason_goes_by_its_http_code() {
        let status = Status {
            reason: "Odd".into(),
            code: 404,
            ..Status::default()
        };
        assert_eq!(code(&status), Code::NotFound);
        assert_eq!(code(&Status::default()), Code::Unknown);
    }

    #[test]
    fn a_status_without_details_gets_the_reason_of_its_code() {
        for (code, reason, http) in [
            (Code::InvalidArgument, "BadRequest", 400),
            (Code::NotFound, "NotFound", 404),
            (Code::Aborted, "Conflict", 409),
            (Code::FailedPrecondition, "Conflict", 409),
            (Code::OutOfRange, "Expired", 410),
            (Code::ResourceExhausted, "TooManyRequests", 429),
            (Code::Unavailable, "ServiceUnavailable", 503),
            (Code::Cancelled, "ServiceUnavailable", 503),
            (Code::DeadlineExceeded, "Timeout", 504),
            (Code::Unknown, "InternalError", 500),
        ] {
            let status = from_tonic(&tonic::Status::new(code, "m"));
            assert_eq!((status.reason.as_str(), status.code), (reason, http), "{code:?}");
        }
        let broken = tonic::Status::from_error("connection reset".into());
        assert_eq!(from_tonic(&broken).reason, "ServiceUnavailable");
    }

    #[test]
    fn too_many_causes_are_left_out_and_told() {
        let cause = |i| StatusCause {
            reason: "FieldValueInvalid".into(),
            message: "Invalid value: must be greater than or equal to 0".into(),
            field: format!("spec.containers[{i}].resources.limits[memory]"),
        };
        let status = Status {
            details: Some(StatusDetails {
                causes: (0..500).map(cause).collect(),
                ..StatusDetails::default()
            }),
            ..failure("Invalid", "ö".repeat(10_000))
        };
        let sent = to_tonic(status);
        assert!(
            sent.details().len() <= MAX_DETAILS_BYTES,
            "{}",
            sent.details().len()
        );
        assert!(sent.message().len() <= MAX_MESSAGE_HEADER_BYTES);
        let causes = from_tonic(&sent).details.unwrap().causes;
        assert!(causes.len() > 10);
        assert_eq!(
            causes.last().unwrap().message,
            format!("and {} more", 501 - causes.len())
        );
    }

    #[test]
    fn a_huge_name_cannot_break_the_headers() {
        let status = Status {
            details: Some(StatusDetails {
                name: "x".repeat(1 << 20),
                ..StatusDetails::default()
            }),
            ..failure("NotFound", "x".repeat(1 << 20))
        };
        assert!(to_tonic(status).details().len() <= MAX_DETAILS_BYTES);
    }
}
