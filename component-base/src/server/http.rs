//! The HTTP routes of every component: `/metrics` and the probes, as Kubernetes' components have them.
//!
//! `/livez` (and its older name `/healthz`) says that the process answers; `/readyz` that it does its work. `?verbose`
//! says why not. <https://kubernetes.io/docs/reference/using-api/health-checks/>

use crate::metrics::{CONTENT_TYPE, Registry};
use crate::ready::{Progress, Readiness};
use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// The routes.
pub(super) fn routes(registry: Registry, progress: Progress) -> Router {
    let metrics = async move || ([(header::CONTENT_TYPE, CONTENT_TYPE)], registry.encode());
    let ready = async move |RawQuery(query): RawQuery| readyz(&progress, query.as_deref());
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok"))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
}

/// What answers paths that nobody serves.
pub(super) async fn not_found() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "not found; this port serves gRPC (with reflection), /metrics, /livez and /readyz\n",
    )
}

fn readyz(progress: &Progress, query: Option<&str>) -> (StatusCode, String) {
    let readiness = progress.readiness();
    let code = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let asks = |name: &str| {
        query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .any(|part| part == name || part.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    };
    let text = match &readiness {
        Readiness::Ready if !asks("verbose") => "ok".into(),
        Readiness::Ready => format!(
            "[+]ready ok\n[+]revision {}\nreadyz check passed\n",
            progress.revision()
        ),
        Readiness::NotReady(reason) => format!(
            "[-]ready failed: {reason}\n[+]revision {}\nreadyz check failed\n",
            progress.revision()
        ),
    };
    (code, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readyz_says_why_not() {
        let progress = Progress::new("replaying the log");
        progress.reach(42);
        let (code, text) = readyz(&progress, None);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            text.contains("replaying the log") && text.contains("42"),
            "{text}"
        );
        progress.ready();
        assert_eq!(readyz(&progress, None), (StatusCode::OK, "ok".into()));
        for query in ["verbose", "verbose=true", "a=b&verbose"] {
            assert!(
                readyz(&progress, Some(query)).1.contains("[+]ready ok"),
                "{query}"
            );
        }
        assert_eq!(readyz(&progress, Some("verbosity=1")).1, "ok");
    }
}
