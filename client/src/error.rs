//! [`Error`]: why a request failed, and whether asking again helps.

use apimachinery::status::{Reason, failure};
use prost::DecodeError;
use proto::meta::v1::Status;
use std::time::Duration;

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, and says why.
    #[error("{}", .0.message)]
    Api(Box<Status>),
    /// The server could not be reached, or the connection broke before the answer. A write may have been done.
    #[error("no answer from {server}: {source}")]
    Transport {
        /// The server's address.
        server: String,
        /// What the connection says.
        source: Box<tonic::Status>,
    },
    /// The answer does not decode as what was asked for.
    #[error("the server's answer does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The client is not set up right; the text says what is wrong.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// Reads what tonic gives. A status without details was made on the way, not by the API.
    pub(crate) fn from_tonic(server: &str, status: tonic::Status) -> Self {
        use tonic::Code;
        let on_the_way = matches!(
            status.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
        );
        if status.details().is_empty() && on_the_way {
            return Self::Transport {
                server: server.into(),
                source: Box::new(status),
            };
        }
        if status.details().is_empty() && status.code() == Code::OutOfRange {
            // Our server always says Expired in the details; this is tonic refusing an answer over its size limit.
            return Self::Api(Box::new(failure(Reason::RequestEntityTooLarge, status.message())));
        }
        Self::Api(Box::new(component_base::grpc::from_tonic(&status)))
    }

    /// No answer came in time.
    pub(crate) fn deadline(server: &str, after: Duration) -> Self {
        let status = tonic::Status::deadline_exceeded(format!("no answer within {after:?}"));
        Self::Transport {
            server: server.into(),
            source: Box::new(status),
        }
    }

    /// Why the server refused; `None` when it did not, or when it gave a reason that is not Kubernetes'.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Api(status) => Reason::of(status),
            _ => None,
        }
    }

    /// The server's `Status`, when it refused.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(status) => Some(status),
            _ => None,
        }
    }

    /// No such object or kind.
    pub fn is_not_found(&self) -> bool {
        self.reason() == Some(Reason::NotFound)
    }

    /// The name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == Some(Reason::AlreadyExists)
    }

    /// A stale resourceVersion or a failed precondition.
    pub fn is_conflict(&self) -> bool {
        self.reason() == Some(Reason::Conflict)
    }

    /// The revision is compacted away.
    pub fn is_expired(&self) -> bool {
        self.reason() == Some(Reason::Expired)
    }

    /// Whether the same request may succeed later without anything being changed about it. A write that is sent again
    /// after [`Error::Transport`] must be safe to do twice.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Api(_) => matches!(
                self.reason(),
                Some(
                    Reason::TooManyRequests | Reason::ServiceUnavailable | Reason::Timeout | Reason::NoSpace
                )
            ),
            Self::Decode(_) | Self::Config(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::grpc::to_tonic;
    use tonic::Code;

    #[test]
    fn an_answer_of_the_api_keeps_its_reason_and_knows_whether_to_retry() {
        for reason in Reason::ALL {
            let error = Error::from_tonic("test", to_tonic(failure(reason, "why")));
            assert_eq!(error.reason(), Some(reason));
            assert_eq!(error.to_string(), "why");
            let retryable = ["TooManyRequests", "ServiceUnavailable", "Timeout", "NoSpace"];
            assert_eq!(
                error.retryable(),
                retryable.contains(&reason.as_str()),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn what_was_made_on_the_way_is_no_answer_of_the_api() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Cancelled,
            Code::Unknown,
            Code::Internal,
        ] {
            let error = Error::from_tonic("127.0.0.1:1", tonic::Status::new(code, "reset"));
            assert!(
                matches!(error, Error::Transport { .. }) && error.retryable(),
                "{code:?}"
            );
            assert!(error.to_string().starts_with("no answer from 127.0.0.1:1"));
        }
        let large = Error::from_tonic("test", tonic::Status::out_of_range("message too large"));
        assert_eq!(large.reason(), Some(Reason::RequestEntityTooLarge));
        assert!(!large.is_expired());
    }
}
