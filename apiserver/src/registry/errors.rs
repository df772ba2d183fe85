//! The failures of the registry, in Kubernetes' words: each is a `Status` that says what was wrong, where, what to do.
//!
//! The registry knows no transport; `rpc` turns these into gRPC, and an HTTP layer can turn them into JSON.

use apimachinery::kinds::KindInfo;
use apimachinery::status::{self, Reason};
use proto::meta::v1::{Status, StatusCause};
use storage::store::StoreError;

/// What the registry returns. Boxed, because a `Status` is several times the size of what it stands for.
pub(crate) type Result<T, E = Box<Status>> = std::result::Result<T, E>;

/// How clients are told to wait when the text of an error cannot say better.
const RETRY_SOON_SECONDS: i32 = 1;

/// The request cannot be read.
pub(crate) fn bad_request(message: impl Into<String>) -> Box<Status> {
    Box::new(status::failure(Reason::BadRequest, message))
}

/// Something that cannot happen did.
pub(crate) fn internal(message: impl Into<String>) -> Box<Status> {
    Box::new(status::failure(Reason::InternalError, message))
}

/// No kind has this name.
pub(crate) fn unknown_kind(name: &str) -> Box<Status> {
    let message = if name.is_empty() {
        "the request names no kind".to_owned()
    } else {
        format!("the server doesn't have a resource type {name:?}")
    };
    Box::new(not_served(status::about(
        Reason::MethodNotAllowed,
        "",
        name,
        "",
        message,
    )))
}

/// The kind or the subresource is not there: UNIMPLEMENTED in gRPC, and 404 in HTTP, where it is a path.
fn not_served(status: Status) -> Status {
    Status {
        code: Reason::NotFound.code(),
        ..status
    }
}

/// No path leads here.
pub(crate) fn unknown_path() -> Box<Status> {
    Box::new(status::failure(
        Reason::NotFound,
        "the server could not find the requested resource",
    ))
}

/// The path is there, and cannot be used in this way.
pub(crate) fn method_not_allowed() -> Box<Status> {
    Box::new(status::failure(
        Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource",
    ))
}

/// The kind's definition is being deleted.
pub(crate) fn terminating() -> Box<Status> {
    Box::new(status::failure(
        Reason::MethodNotAllowed,
        "create not allowed while custom resource definition is terminating",
    ))
}

/// The client wants its answer in no form that there is.
pub(crate) fn not_acceptable(message: impl Into<String>) -> Box<Status> {
    Box::new(status::failure(Reason::NotAcceptable, message))
}

/// The client sends a form that nobody reads.
pub(crate) fn unsupported_media_type(supported: &[&str]) -> Box<Status> {
    Box::new(status::failure(
        Reason::UnsupportedMediaType,
        format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            supported.join(", ")
        ),
    ))
}

/// The request's body is larger than any that is read.
pub(crate) fn body_too_large(limit: usize) -> Box<Status> {
    Box::new(status::failure(
        Reason::RequestEntityTooLarge,
        format!("Request entity too large: limit is {limit}"),
    ))
}

fn concerning(reason: Reason, info: &KindInfo, name: &str, message: String) -> Box<Status> {
    Box::new(status::about(reason, info.group, info.plural, name, message))
}

/// No such object.
pub(crate) fn not_found(info: &KindInfo, name: &str) -> Box<Status> {
    concerning(
        Reason::NotFound,
        info,
        name,
        format!("{} {name:?} not found", info.resource()),
    )
}

/// The name is taken.
pub(crate) fn already_exists(info: &KindInfo, name: &str) -> Box<Status> {
    concerning(
        Reason::AlreadyExists,
        info,
        name,
        format!("{} {name:?} already exists", info.resource()),
    )
}

/// A precondition does not hold.
pub(crate) fn conflict(info: &KindInfo, name: &str, why: &str) -> Box<Status> {
    concerning(
        Reason::Conflict,
        info,
        name,
        format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            info.resource()
        ),
    )
}

/// The resourceVersion is not the object's.
pub(crate) fn stale(info: &KindInfo, name: &str) -> Box<Status> {
    conflict(
        info,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// A rule of the cluster refuses.
pub(crate) fn forbidden(info: &KindInfo, name: &str, why: &str) -> Box<Status> {
    concerning(
        Reason::Forbidden,
        info,
        name,
        format!("{} {name:?} is forbidden: {why}", info.resource()),
    )
}

/// The kind has no such subresource.
pub(crate) fn no_subresource(info: &KindInfo, subresource: &str) -> Box<Status> {
    let message = format!(
        "the server could not find the requested resource: {} has no subresource {subresource:?}",
        info.resource()
    );
    Box::new(not_served(status::about(
        Reason::MethodNotAllowed,
        info.group,
        info.plural,
        "",
        message,
    )))
}

/// The encoded object is larger than the store takes.
pub(crate) fn too_large(bytes: usize) -> Box<Status> {
    Box::new(status::failure(
        Reason::RequestEntityTooLarge,
        format!(
            "the object is {bytes} bytes large; at most {} are allowed",
            crate::limits::MAX_OBJECT_BYTES
        ),
    ))
}

/// Adds a machine-readable cause.
pub(crate) fn with_cause(mut status: Box<Status>, reason: &str, field: &str, message: String) -> Box<Status> {
    status.details.get_or_insert_default().causes.push(StatusCause {
        reason: reason.into(),
        message,
        field: field.into(),
    });
    status
}

/// Says when a retry may help.
pub(crate) fn with_retry(mut status: Box<Status>, seconds: i32) -> Box<Status> {
    status.details.get_or_insert_default().retry_after_seconds = seconds;
    status
}

/// What the store could not do, as the API says it.
pub(crate) fn store(error: &StoreError) -> Box<Status> {
    let failure = |reason, message: String| Box::new(status::failure(reason, message));
    match error {
        StoreError::Expired { asked, compacted } => failure(
            Reason::Expired,
            format!("too old resource version: {asked} ({compacted})"),
        ),
        StoreError::Future { asked, current } => with_retry(
            with_cause(
                failure(
                    Reason::Timeout,
                    format!("Too large resource version: {asked}, current: {current}"),
                ),
                "ResourceVersionTooLarge",
                "",
                "Too large resource version".into(),
            ),
            RETRY_SOON_SECONDS,
        ),
        StoreError::Overloaded { retry_after } => with_retry(
            failure(Reason::TooManyRequests, error.to_string()),
            i32::try_from(retry_after.as_secs())
                .unwrap_or(i32::MAX)
                .max(RETRY_SOON_SECONDS),
        ),
        StoreError::NoSpace(_) => failure(Reason::NoSpace, error.to_string()),
        StoreError::Corrupt(_) => failure(Reason::DataLoss, error.to_string()),
        StoreError::Locked(_) => failure(Reason::InternalError, error.to_string()),
        StoreError::Unavailable(_) => with_retry(
            failure(Reason::ServiceUnavailable, error.to_string()),
            RETRY_SOON_SECONDS,
        ),
    }
}
