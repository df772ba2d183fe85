//! Stands before every gRPC handler: deadlines, load shedding, errors that carry a `Status`, metrics.
//!
//! What is not gRPC goes to `http/guard.rs`. tonic answers some errors by itself, without details and sometimes under a code that
//! means something else here; [`mend`] turns those into ours.

use super::account::{self, Account};
use super::admission::{Admission, Place};
use super::http::{self, HttpMetrics};
use super::limits::Limits;
use super::methods::{Method, MethodKind, Methods};
use super::rpc_metrics::{RpcMetrics, UNKNOWN};
use super::stream_body::StreamBody;
use crate::clock::{Clock, Elapsed};
use crate::grpc::{failure, from_tonic, to_tonic};
use crate::metrics::Registry;
use crate::panics::contain;
use crate::shutdown::Shutdown;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use proto::meta::v1;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};

/// What all requests share.
#[derive(Debug)]
pub(super) struct Guard {
    methods: Methods,
    metrics: RpcMetrics,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
    pub(super) admission: Admission,
    pub(super) http: HttpMetrics,
}

impl Guard {
    pub(super) fn new(
        component: &str,
        methods: Methods,
        limits: Limits,
        clock: Clock,
        registry: &Registry,
        shutdown: Shutdown,
    ) -> Self {
        let admission = Admission::new(limits);
        Self {
            methods,
            metrics: RpcMetrics::new(registry, limits, &admission.calls, &admission.streams),
            limits,
            clock,
            shutdown,
            admission,
            http: HttpMetrics::new(registry, component),
        }
    }

    /// Runs one method for the connection that `account` stands for.
    async fn run(&self, method: &Method, account: &Account, request: Request, next: Next) -> Response {
        let mut ending = self.metrics.begin(&method.name);
        let admitted = account.solvent().and_then(|()| self.admission.admit(method.kind));
        let place = match admitted {
            Ok(place) => place,
            Err(status) => return ending.refuse(status),
        };
        let tab = account.tab();
        let request = request.map(|body| account::incoming(body, tab.clone()));
        let start = self.clock.now();
        let mut response = self.in_time(request, next).await;
        if method.kind != MethodKind::Stream {
            let latency = self.clock.now().saturating_duration_since(start);
            self.metrics.latency(&method.name, latency);
        }
        if let Some(code) = status_of(response.headers_mut()) {
            ending.with(code);
            return response;
        }
        match place {
            // What a stream holds is bounded by its send buffer, and the streams are counted.
            Place::Stream(permit) => {
                response.map(|body| Body::new(StreamBody::new(body, permit, &self.shutdown, ending)))
            }
            // Other answers may have piled up meanwhile. This one would wait behind them, so it is not even begun.
            Place::Vital | Place::Call(_) => match account.solvent() {
                Err(status) => ending.refuse(status),
                Ok(()) => {
                    ending.with(Code::Ok);
                    response.map(|body| account::outgoing(body, tab))
                }
            },
        }
    }

    /// Runs the handler until it answers or its time is over.
    async fn in_time(&self, request: Request, next: Next) -> Response {
        let asked = grpc_timeout(request.headers());
        let limit = asked.map_or(self.limits.call_deadline, |asked| {
            asked.min(self.limits.call_deadline)
        });
        match self.clock.timeout(limit, contain(next.run(request))).await {
            Ok(Ok(response)) => response,
            Ok(Err(panicked)) => {
                tracing::error!(%panicked, "a call ran into a bug");
                let message = "the server ran into a bug with this call; its log says where";
                to_tonic(failure("InternalError", message)).into_http()
            }
            Err(Elapsed) => {
                let message = format!(
                    "no answer within {limit:?}; whether it was done is unknown: read before you retry"
                );
                to_tonic(failure("Timeout", message)).into_http()
            }
        }
    }
}

/// The middleware.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let grpc = is_grpc(request.headers());
    let Some(method) = guard.methods.get(request.uri().path()) else {
        if !grpc {
            return http::run(&guard, request, next).await;
        }
        let unknown = Status::unimplemented("this server has no such method; list them by reflection");
        return guard.metrics.begin(&UNKNOWN).refuse(mend(&unknown));
    };
    if !grpc {
        // A web page can make a browser send forms and text anywhere, but not this content type without asking.
        let hint = "gRPC methods take content-type application/grpc";
        return http::response(&failure("UnsupportedMediaType", hint));
    }
    let Some(account) = request.extensions().get::<Account>().cloned() else {
        let bug = failure("InternalError", "the request came through no connection");
        return guard.metrics.begin(&method.name).refuse(bug);
    };
    guard.run(method, &account, request, next).await
}

/// The gRPC status in these headers or trailers, if any. An error without details gets them.
pub(super) fn status_of(headers: &mut HeaderMap) -> Option<Code> {
    let code = Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes());
    if code == Code::Ok || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return Some(code);
    }
    let mended = to_tonic(mend(&Status::from_header_map(headers)?));
    match mended.add_header(headers) {
        Ok(()) => Some(mended.code()),
        Err(error) => Some(error.code()),
    }
}

/// tonic's words for requests that cannot be read, which it answers with INTERNAL. Tests send such requests.
const UNREADABLE: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error:",
    "Missing request message",
    "Unexpected EOF decoding stream",
    "Error decompressing",
];

/// A `Status` for an error that carries none, which tonic made itself.
fn mend(status: &Status) -> v1::Status {
    let unreadable = || UNREADABLE.iter().any(|words| status.message().starts_with(words));
    match status.code() {
        // Ours, for a compacted revision, always has details.
        Code::OutOfRange => failure("RequestEntityTooLarge", status.message()),
        Code::Internal if unreadable() => failure("BadRequest", status.message()),
        _ => from_tonic(status),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map(axum::http::HeaderValue::as_bytes);
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// The client's deadline: up to 8 digits and a unit.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. One that cannot be read is none.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_grpc_writes_them() {
        for (text, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("999999999n", None),
            ("+5S", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(grpc_timeout(&headers), expected, "{text:?}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn only_grpc_content_types_reach_grpc() {
        for (text, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("text/plain", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(is_grpc(&headers), expected, "{text}");
        }
    }

    #[test]
    fn errors_without_details_get_them_and_others_stay() {
        let check = |status: &Status, code, reason: &str| {
            let mut headers = HeaderMap::new();
            status.add_header(&mut headers).unwrap();
            assert_eq!(status_of(&mut headers), Some(code));
            let sent = Status::from_header_map(&headers).unwrap();
            assert_eq!((sent.code(), from_tonic(&sent).reason.as_str()), (code, reason));
        };
        check(
            &Status::out_of_range("decoded message length too large"),
            Code::ResourceExhausted,
            "RequestEntityTooLarge",
        );
        check(
            &Status::internal("failed to decode Protobuf message: x"),
            Code::InvalidArgument,
            "BadRequest",
        );
        check(&Status::internal("a bug"), Code::Internal, "InternalError");
        check(&to_tonic(failure("Expired", "gone")), Code::OutOfRange, "Expired");
        assert_eq!(status_of(&mut HeaderMap::new()), None);
    }
}
