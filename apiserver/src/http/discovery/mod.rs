//! What is served, told to clients: `/`, `/version`, `/api`, `/apis` and what lies right below them.
//!
//! - `groups`: what is served, as groups, versions and resources.
//! - `documents`: the same as the JSON that clients read.
//!
//! `/api` and `/apis` answer with everything at once where the client understands that
//! (`application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`).
//! <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>

mod documents;
pub(crate) mod groups;

use super::Api;
use super::answer;
use super::edition::{Document, Edition};
use super::media::{self, Clause, Format};
use super::query::Query;
use crate::registry::errors::{self, Result};
use crate::version;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use groups::{Group, group_version};
use std::sync::{Arc, OnceLock};

/// The forms of aggregated discovery, the stable one first: its version, the `apiVersion` and the content type.
const AGGREGATED: [(&str, &str, &str); 2] = [
    (
        "v2",
        "apidiscovery.k8s.io/v2",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    ),
    (
        "v2beta1",
        "apidiscovery.k8s.io/v2beta1",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    ),
];

/// Paths that are served whatever the API has.
const FIXED_PATHS: [&str; 9] = [
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
];

/// The aggregated documents of an edition; the others are small enough to be made for each request.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// By whether they are of the core group, and by form.
    aggregated: [[OnceLock<Document>; AGGREGATED.len()]; 2],
}

/// The routes.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for path in ["/", "/version", "/version/", "/api", "/api/", "/apis", "/apis/"] {
        router = router.route(path, any(at_root));
    }
    for path in ["/api/{version}", "/api/{version}/"] {
        router = router.route(path, any(core_version));
    }
    for path in ["/apis/{group}", "/apis/{group}/"] {
        router = router.route(path, any(one_group));
    }
    for path in ["/apis/{group}/{version}", "/apis/{group}/{version}/"] {
        router = router.route(path, any(one_version));
    }
    router.with_state(api)
}

async fn at_root(State(api): State<Arc<Api>>, request: Request) -> Response {
    let edition = api.edition();
    settle(&request, || match request.uri().path().trim_end_matches('/') {
        "" => plain(&request, &serde_json::json!({ "paths": paths(&edition.groups) })),
        "/version" => plain(&request, &version::Info::new()),
        path => all(&edition, path == "/api", &request),
    })
}

async fn core_version(
    State(api): State<Arc<Api>>,
    Path(version): Path<String>,
    request: Request,
) -> Response {
    let edition = api.edition();
    settle(&request, || resources(&edition.groups, "", &version, &request))
}

async fn one_group(State(api): State<Arc<Api>>, Path(group): Path<String>, request: Request) -> Response {
    let edition = api.edition();
    settle(&request, || {
        let found = edition
            .groups
            .iter()
            .find(|known| !group.is_empty() && known.name == group);
        let group = found.ok_or_else(errors::unknown_path)?;
        plain(&request, &documents::api_group_alone(group))
    })
}

async fn one_version(
    State(api): State<Arc<Api>>,
    Path((group, version)): Path<(String, String)>,
    request: Request,
) -> Response {
    let edition = api.edition();
    settle(&request, || {
        if group.is_empty() {
            return Err(errors::unknown_path());
        }
        resources(&edition.groups, &group, &version, &request)
    })
}

/// Discovery is read, and no more.
fn settle(request: &Request, read: impl FnOnce() -> Result<Response>) -> Response {
    let result = match *request.method() {
        Method::GET | Method::HEAD => read(),
        _ => Err(errors::method_not_allowed()),
    };
    result.unwrap_or_else(|status| answer::failure(&status))
}

/// `/api` and `/apis`, in the form that the client wants most.
fn all(edition: &Edition, core: bool, request: &Request) -> Result<Response> {
    let headers = request.headers();
    let clauses = media::clauses(headers);
    for clause in &clauses {
        if let Some(form) = AGGREGATED.iter().position(|(version, ..)| wants(clause, version)) {
            let (_, api_version, content_type) = AGGREGATED[form];
            let document = edition.discovery.aggregated[usize::from(core)][form].get_or_init(|| {
                let groups = edition.groups.iter();
                let groups: Vec<_> = groups.filter(|group| group.name.is_empty() == core).collect();
                Document::json(&documents::aggregated(&groups, api_version))
            });
            return Ok(document.answer(headers, content_type));
        }
        if clause.shape.is_empty() && clause.format().is_some() {
            break;
        }
    }
    if core {
        plain(request, &documents::api_versions(&edition.groups, host(headers)))
    } else {
        plain(request, &documents::api_group_list(&edition.groups))
    }
}

/// Whether a clause asks for aggregated discovery of this version.
fn wants(clause: &Clause<'_>, version: &str) -> bool {
    clause.media_type == "application/json"
        && (clause.group, clause.version, clause.shape)
            == ("apidiscovery.k8s.io", version, "APIGroupDiscoveryList")
}

/// The address that the client used, which therefore leads here.
fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn resources(groups: &[Group], group: &str, version: &str, request: &Request) -> Result<Response> {
    let group = groups.iter().find(|known| known.name == group);
    let found = group.and_then(|group| {
        let version = group.versions.iter().find(|known| known.name == version)?;
        Some(documents::api_resource_list(group, version))
    });
    plain(request, &found.ok_or_else(errors::unknown_path)?)
}

/// A document as JSON or YAML. It has no protobuf form here: every client that would take one takes JSON too.
fn plain(request: &Request, value: &impl serde::Serialize) -> Result<Response> {
    let headers = request.headers();
    let pretty = Query::parse(request.uri().query())?.switch("pretty");
    let formats = media::clauses(headers);
    let whole = formats.iter().filter(|clause| clause.shape.is_empty());
    let format = whole
        .filter_map(Clause::format)
        .find(|format| *format != Format::Protobuf);
    let document = Document::json(value);
    let form = media::Form {
        format: format.ok_or_else(media::not_acceptable)?,
        shape: media::Shape::Whole,
        pretty: media::is_pretty(headers, pretty),
    };
    if form.format == Format::Json && !form.pretty {
        return Ok(document.answer(headers, "application/json"));
    }
    answer::printed(form, StatusCode::OK, document.body().clone())
}

/// What `/` lists.
fn paths(groups: &[Group]) -> Vec<String> {
    let mut paths: Vec<String> = FIXED_PATHS.map(str::to_owned).to_vec();
    for group in groups {
        let versions = group.versions.iter().map(|version| version.name);
        if group.name.is_empty() {
            paths.extend(versions.map(|version| format!("/api/{version}")));
            continue;
        }
        paths.push(format!("/apis/{}", group.name));
        paths.extend(versions.map(|version| format!("/apis/{}", group_version(group.name, version))));
    }
    paths.sort();
    paths
}
