//! What the head of a request says about how to treat it. Pure.

use super::super::methods::MethodKind;
use crate::grpc::failure;
use axum::http::{HeaderMap, Method, Uri, header};
use proto::meta::v1::Status;

/// Paths that must answer under overload too, because they tell how the process fares.
const VITAL: [&str; 4] = ["/livez", "/readyz", "/healthz", "/metrics"];

/// Query parameters that make an answer last: a watch, and a log that is followed.
const LASTING: [&str; 2] = ["watch", "follow"];

/// Which limits apply to a request.
pub(super) fn kind(method: &Method, uri: &Uri) -> MethodKind {
    let vital = |name: &&str| {
        let rest = uri.path().strip_prefix(*name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if VITAL.iter().any(vital) {
        return MethodKind::Vital;
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let pairs = uri.query().unwrap_or_default().split('&');
    let lasts = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let lasts = lasts
        .into_iter()
        .any(|(name, value)| LASTING.contains(&name) && is_true(value));
    if reads && (lasts || is_old_watch(uri.path())) {
        MethodKind::Stream
    } else {
        MethodKind::Call
    }
}

/// Whether a path is one of those that ask for a watch themselves: `/api/v1/watch/pods`.
fn is_old_watch(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    let versions = if segments.next() == Some("apis") { 2 } else { 1 };
    segments.nth(versions) == Some("watch")
}

/// A boolean of a query, as Kubernetes reads it: true unless it says otherwise.
fn is_true(value: &str) -> bool {
    !(value == "0" || value.eq_ignore_ascii_case("false"))
}

/// Refuses what a web page made a browser send here. The API asks nobody who they are, and a browser takes a page's
/// word for where to send a body; but it says so, in a header that nobody else sends.
pub(super) fn from_another_site(method: &Method, headers: &HeaderMap) -> Result<(), Status> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let site = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if reads || site.is_some_and(|(_, site)| host == Some(site)) {
        return Ok(());
    }
    Err(failure(
        "Forbidden",
        "a web page of another site must not write here; use a client that is no browser",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_and_followed_logs_are_streams_and_probes_are_vital() {
        use MethodKind::{Call, Stream, Vital};
        for (method, uri, expected) in [
            (Method::GET, "/api/v1/pods", Call),
            (Method::GET, "/api/v1/pods?watch=true", Stream),
            (Method::GET, "/api/v1/pods?limit=5&watch=1", Stream),
            (Method::GET, "/api/v1/pods?watch", Stream),
            (Method::GET, "/api/v1/pods?watch=false", Call),
            (Method::GET, "/api/v1/pods?watch=False&a=b", Call),
            (Method::GET, "/api/v1/pods?watch=0", Call),
            (Method::GET, "/api/v1/pods?watching=1", Call),
            (Method::GET, "/api/v1/namespaces/a/pods/b/log?follow=true", Stream),
            (Method::GET, "/api/v1/watch/pods", Stream),
            (Method::GET, "/apis/apps/v1/watch/deployments", Stream),
            (Method::GET, "/api/v1/namespaces/watch", Call),
            (Method::POST, "/api/v1/pods?watch=true", Call),
            (Method::GET, "/livez", Vital),
            (Method::GET, "/readyz/ping?verbose", Vital),
            (Method::GET, "/readyzz", Call),
            (Method::GET, "/metrics", Vital),
        ] {
            assert_eq!(kind(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        }
    }

    #[test]
    fn pages_of_other_sites_do_not_write() {
        for (method, origin, allowed) in [
            (Method::POST, None, true),
            (Method::POST, Some("http://127.0.0.1:7443"), true),
            (Method::POST, Some("http://evil.example"), false),
            (Method::DELETE, Some("null"), false),
            (Method::GET, Some("http://evil.example"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:7443".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            let verdict = from_another_site(&method, &headers);
            assert_eq!(verdict.is_ok(), allowed, "{method} {origin:?}");
        }
    }
}
