//! Stands before every HTTP handler: limits, deadline, shedding, panics, errors as `Status`, metrics.

use super::super::account::{self, Account};
use super::super::admission::Place;
use super::super::guard::Guard;
use super::super::limits::MAX_ERROR_TEXT_BYTES;
use super::super::methods::MethodKind;
use super::contained::Contained;
use super::stream::Lasting;
use super::{RequestLabels, body, request, status};
use crate::clock::Elapsed;
use crate::grpc::failure;
use crate::panics::contain;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use proto::meta::v1::Status;

/// Answers one request.
pub(in super::super) async fn run(guard: &Guard, request: Request, next: Next) -> Response {
    let kind = request::kind(request.method(), request.uri());
    let unknown = RequestLabels::of(request.method());
    let version = request.version();
    let start = guard.clock.now();
    let mut response = match admitted(guard, kind, request, next).await {
        Ok(response) => response,
        Err(status) => {
            let mut refusal = status::response(&status);
            // What is left of the request is not read, so that nothing can follow it.
            if version <= Version::HTTP_11 && matches!(status.code, 408 | 413) {
                let close = HeaderValue::from_static("close");
                refusal.headers_mut().insert(header::CONNECTION, close);
            }
            refusal
        }
    };
    let labels = response.extensions_mut().remove().unwrap_or(unknown);
    let took = guard.clock.now().saturating_duration_since(start);
    let took = (kind != MethodKind::Stream).then_some(took);
    guard.http.answered(labels, response.status().as_u16(), took);
    response
}

async fn admitted(guard: &Guard, kind: MethodKind, request: Request, next: Next) -> Result<Response, Status> {
    let Some(account) = request.extensions().get::<Account>().cloned() else {
        return Err(failure("InternalError", "the request came through no connection"));
    };
    request::from_another_site(request.method(), request.headers())?;
    account.solvent()?;
    let tab = account.tab();
    let (head, body) = request.into_parts();
    let body = body::read(body, &tab, &guard.clock).await?;
    let place = guard.admission.admit(kind)?;
    let request = Request::from_parts(head, Body::from(body));

    let answer = contain(next.run(request));
    let response = match guard.clock.timeout(guard.limits.request_deadline, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panicked)) => {
            tracing::error!(%panicked, "a request ran into a bug");
            return Err(failure(
                "InternalError",
                "the server ran into a bug with this request; its log says where",
            ));
        }
        Err(Elapsed) => {
            let limit = guard.limits.request_deadline;
            return Err(failure(
                "Timeout",
                format!("no answer within {limit:?}; whether it was done is unknown: read before you retry"),
            ));
        }
    };
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && kind != MethodKind::Vital && is_bare(&response) {
        return Err(mend(response).await);
    }
    Ok(match place {
        // What a stream holds is bounded by its send buffer, and the streams are counted.
        Place::Stream(permit) if !failed => {
            response.map(|body| Body::new(Lasting::new(body, permit, &guard.shutdown)))
        }
        Place::Vital | Place::Call(_) | Place::Stream(_) => {
            // Other answers may have piled up meanwhile. This one would wait behind them, so it is not even begun.
            account.solvent()?;
            response.map(|body| account::outgoing(Body::new(Contained::new(body)), tab))
        }
    })
}

/// Whether an error carries nothing, or only text: then axum made it itself.
fn is_bare(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// The `Status` that an error without one stands for.
async fn mend(response: Response) -> Status {
    let code = response.status();
    let text = to_bytes(response.into_body(), MAX_ERROR_TEXT_BYTES).await;
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let (reason, words) = match code {
        StatusCode::BAD_REQUEST => ("BadRequest", "the request cannot be read"),
        StatusCode::NOT_FOUND => ("NotFound", "the server could not find the requested resource"),
        StatusCode::METHOD_NOT_ALLOWED => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
        ),
        code if code.is_client_error() => ("BadRequest", "the request cannot be served"),
        _ => ("InternalError", "the request failed"),
    };
    let message = text.ok().filter(|text| !text.is_empty());
    Status {
        code: code.as_u16().into(),
        ..failure(reason, message.unwrap_or_else(|| words.into()))
    }
}
