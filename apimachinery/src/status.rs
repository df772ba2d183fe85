//! Kubernetes' `Status`: every error that the API gives, with its reason and HTTP code.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>. Clients branch on
//! [`Reason`], never on a gRPC or HTTP code. Turning a `Status` into a `tonic::Status` and back is component-base's.

use proto::meta::v1::{Status, StatusCause, StatusDetails};

/// Why a request failed: `Status.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request cannot be read: 400.
    BadRequest,
    /// No credentials: 401.
    Unauthorized,
    /// Not allowed: 403.
    Forbidden,
    /// No such object or kind: 404.
    NotFound,
    /// The method does not exist for this kind: 405.
    MethodNotAllowed,
    /// The answer is wanted in a form that there is not: 406.
    NotAcceptable,
    /// The name is taken: 409.
    AlreadyExists,
    /// A stale resourceVersion or a failed precondition: 409.
    Conflict,
    /// The revision is compacted away: 410.
    Expired,
    /// The object is too large: 413.
    RequestEntityTooLarge,
    /// The body is in a form that nobody reads: 415.
    UnsupportedMediaType,
    /// The object breaks a rule; the causes name every one: 422.
    Invalid,
    /// Too many requests, or a disruption budget refuses: 429.
    TooManyRequests,
    /// Something broke in the server: 500.
    InternalError,
    /// The store is damaged: 500.
    DataLoss,
    /// Not ready, or shutting down: 503.
    ServiceUnavailable,
    /// The deadline passed: 504.
    Timeout,
    /// The disk is full: 507.
    NoSpace,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Expired,
        Self::RequestEntityTooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::TooManyRequests,
        Self::InternalError,
        Self::DataLoss,
        Self::ServiceUnavailable,
        Self::Timeout,
        Self::NoSpace,
    ];

    /// As `Status.reason` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::DataLoss => "DataLoss",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
            Self::NoSpace => "NoSpace",
        }
    }

    /// The HTTP code that goes with it.
    pub fn code(self) -> i32 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError | Self::DataLoss => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
            Self::NoSpace => 507,
        }
    }

    /// The reason of a `Status`; `None` when it is one that we never give.
    pub fn of(status: &Status) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == status.reason)
    }
}

/// A failure with this reason and message.
pub fn failure(reason: Reason, message: impl Into<String>) -> Status {
    Status {
        status: "Failure".into(),
        message: message.into(),
        reason: reason.as_str().into(),
        code: reason.code(),
        ..Status::default()
    }
}

/// A failure that concerns one object. `resource` is its plural, as Kubernetes puts it into `details.kind`.
pub fn about(reason: Reason, group: &str, resource: &str, name: &str, message: impl Into<String>) -> Status {
    let details = StatusDetails {
        name: name.into(),
        group: group.into(),
        kind: resource.into(),
        ..StatusDetails::default()
    };
    Status {
        details: Some(details),
        ..failure(reason, message)
    }
}

/// One fault of an object: where, what, and which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// `FieldValueRequired`, `FieldValueInvalid`, … as `StatusCause.reason` spells it.
    pub reason: &'static str,
    /// The path: `spec.containers[0].name`.
    pub field: String,
    /// What is wrong: `Required value: …`.
    pub message: String,
}

/// An object that breaks rules: one `Status` that names every fault.
pub fn invalid(group: &str, kind: &str, name: &str, faults: &[FieldError]) -> Status {
    let list: Vec<String> = faults
        .iter()
        .map(|f| format!("{}: {}", f.field, f.message))
        .collect();
    let list = if list.len() == 1 {
        list[0].clone()
    } else {
        format!("[{}]", list.join(", "))
    };
    let qualified = if group.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}.{group}")
    };
    let mut status = about(
        Reason::Invalid,
        group,
        kind,
        name,
        format!("{qualified} \"{name}\" is invalid: {list}"),
    );
    let causes = faults.iter().map(|f| StatusCause {
        reason: f.reason.into(),
        message: f.message.clone(),
        field: f.field.clone(),
    });
    status.details.get_or_insert_default().causes = causes.collect();
    status
}
