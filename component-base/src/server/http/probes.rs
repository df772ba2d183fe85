//! `/metrics` and the probes, as Kubernetes' components have them.
//!
//! `/livez` (and its older name `/healthz`) says that the process answers; `/readyz` that it does its work. Each is a
//! list of checks, and each check has a path of its own below. `?verbose` lists them, `?exclude=` leaves one out.
//! <https://kubernetes.io/docs/reference/using-api/health-checks/>

use crate::metrics::{CONTENT_TYPE, Registry};
use crate::ready::{Progress, Readiness};
use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// One thing that a probe looks at, and what is wrong with it.
struct Check {
    name: &'static str,
    fault: Option<String>,
}

/// The routes.
pub(in super::super) fn routes(registry: Registry, progress: Progress) -> Router {
    let metrics = async move || ([(header::CONTENT_TYPE, CONTENT_TYPE)], registry.encode());
    let mut router = Router::new().route("/metrics", get(metrics));
    for probe in ["livez", "healthz", "readyz"] {
        let checks = {
            let progress = progress.clone();
            move || checks(probe, &progress)
        };
        let all = {
            let checks = checks.clone();
            async move |RawQuery(query): RawQuery| {
                report(probe, &checks(), query.as_deref().unwrap_or_default())
            }
        };
        let one = async move |Path(name): Path<String>| single(&checks(), &name);
        router = router
            .route(&format!("/{probe}"), get(all))
            .route(&format!("/{probe}/{{check}}"), get(one));
    }
    router
}

fn checks(probe: &str, progress: &Progress) -> Vec<Check> {
    let mut checks = vec![Check {
        name: "ping",
        fault: None,
    }];
    if probe == "readyz" {
        let fault = match progress.readiness() {
            Readiness::Ready => None,
            Readiness::NotReady(reason) => Some(format!("{reason} (at revision {})", progress.revision())),
        };
        checks.push(Check { name: "ready", fault });
    }
    checks
}

/// A probe's answer: "ok", or what each check says.
fn report(probe: &str, checks: &[Check], query: &str) -> (StatusCode, String) {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let verbose = pairs.clone().any(|(name, _)| name == "verbose");
    let mut excluded: Vec<_> = pairs
        .filter(|(name, _)| *name == "exclude")
        .map(|(_, value)| value)
        .collect();
    let (mut text, mut failed) = (String::new(), false);
    for check in checks {
        let before = excluded.len();
        excluded.retain(|name| *name != check.name);
        text += &match &check.fault {
            _ if excluded.len() < before => format!("[+]{} excluded: ok\n", check.name),
            None => format!("[+]{} ok\n", check.name),
            Some(fault) => {
                failed = true;
                format!("[-]{} failed: {fault}\n", check.name)
            }
        };
    }
    if !excluded.is_empty() {
        text += "warn: some health checks cannot be excluded: no such check\n";
    }
    if failed {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{text}{probe} check failed\n"),
        );
    }
    let text = if verbose {
        format!("{text}{probe} check passed\n")
    } else {
        "ok".into()
    };
    (StatusCode::OK, text)
}

/// One check's answer.
fn single(checks: &[Check], name: &str) -> axum::response::Response {
    let Some(check) = checks.iter().find(|check| check.name == name) else {
        return super::status::response(&crate::grpc::failure("NotFound", "there is no such check"));
    };
    match &check.fault {
        None => (StatusCode::OK, "ok").into_response(),
        Some(fault) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{name} check failed: {fault}\n"),
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readyz_says_why_not() {
        let progress = Progress::new("replaying the log");
        progress.reach(42);
        let ask = |query| report("readyz", &checks("readyz", &progress), query);
        let (code, text) = ask("");
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            "[+]ping ok\n[-]ready failed: replaying the log (at revision 42)\nreadyz check failed\n"
        );
        assert_eq!(ask("exclude=ready").0, StatusCode::OK);
        assert_eq!(
            report("livez", &checks("livez", &progress), ""),
            (StatusCode::OK, "ok".into())
        );

        progress.ready();
        assert_eq!(ask(""), (StatusCode::OK, "ok".into()));
        for (query, expected) in [
            ("verbose", "[+]ping ok\n[+]ready ok\nreadyz check passed\n"),
            (
                "a=b&verbose=true",
                "[+]ping ok\n[+]ready ok\nreadyz check passed\n",
            ),
            (
                "verbose&exclude=ready",
                "[+]ping ok\n[+]ready excluded: ok\nreadyz check passed\n",
            ),
            (
                "verbose&exclude=etcd",
                "[+]ping ok\n[+]ready ok\nwarn: some health checks cannot be excluded: no such check\nreadyz check passed\n",
            ),
            ("verbosity=1", "ok"),
        ] {
            assert_eq!(ask(query).1, expected, "{query}");
        }
    }

    #[test]
    fn each_check_can_be_asked_alone() {
        let progress = Progress::new("replaying the log");
        let checks = checks("readyz", &progress);
        for (name, expected) in [
            ("ping", StatusCode::OK),
            ("ready", StatusCode::SERVICE_UNAVAILABLE),
            ("etcd", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(single(&checks, name).status(), expected, "{name}");
        }
    }
}
