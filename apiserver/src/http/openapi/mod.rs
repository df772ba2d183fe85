//! OpenAPI, made from the schema: what `kubectl explain`, validation on the client and generated clients read.
//!
//! ```text
//! descriptors, comments ─▶ definitions ─┐
//! custom kinds' schemas ────────────────┼─▶ document ─▶ JSON
//! groups ─▶ operations ─────────────────┘       └─▶ protobuf (version 2 alone)
//! ```
//! - `/openapi/v2`: Swagger 2.0 of everything.
//! - `/openapi/v3`: an index, and OpenAPI 3.0 of each group and version below it.
//!
//! A document is made when it is first asked for, and kept as long as what is served does not change.

mod definitions;
mod document;
mod names;
mod operations;
mod protobuf;

use super::Api;
use super::answer;
use super::discovery::groups::{Group, Gvk, Version, group_version};
use super::edition::{Document, Edition};
use super::media;
use crate::registry::Resource;
use crate::registry::errors::{self, Result};
use crate::version::GIT_VERSION;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use document::CustomSchemas;
use names::Dialect;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// What clients ask for Swagger in protobuf by, and by what name it is answered: `@` is none of a media type's characters.
const V2_PROTOBUF: [&str; 3] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.googleapis.gnostic.openapiv2@68f4ded+protobuf",
];
const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const JSON: &str = "application/json";

/// The documents of an edition.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    v2: OnceLock<Document>,
    v2_protobuf: OnceLock<Document>,
    index: OnceLock<Document>,
    /// By path below `/openapi/v3/`. One for each group and version that is served.
    v3: Mutex<HashMap<String, Arc<OnceLock<Document>>>>,
}

/// The routes.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for path in ["/openapi/v2", "/openapi/v2/"] {
        router = router.route(path, any(v2));
    }
    for path in ["/openapi/v3", "/openapi/v3/"] {
        router = router.route(path, any(v3_index));
    }
    router
        .route("/openapi/v3/api/{version}", any(v3_core))
        .route("/openapi/v3/apis/{group}/{version}", any(v3_group))
        .with_state(api)
}

async fn v2(State(api): State<Arc<Api>>, request: Request) -> Response {
    settle(request, move |headers| {
        let edition = api.edition();
        let clauses = media::clauses(headers);
        let found = clauses.iter().find_map(|clause| {
            if V2_PROTOBUF
                .iter()
                .any(|name| name.eq_ignore_ascii_case(clause.media_type))
            {
                return Some(true);
            }
            clause.is_json().then_some(false)
        });
        let protobuf = found.ok_or_else(not_acceptable)?;
        let tree = || {
            let served = edition.served.all().iter();
            document::v2(&edition.groups, &custom_schemas(served, Dialect::V2), GIT_VERSION)
        };
        Ok(if protobuf {
            let made = &edition.openapi.v2_protobuf;
            made.get_or_init(|| Document::new(protobuf::encode(&tree())))
                .answer(headers, V2_PROTOBUF_TYPE)
        } else {
            let made = &edition.openapi.v2;
            made.get_or_init(|| Document::json(&tree())).answer(headers, JSON)
        })
    })
    .await
}

async fn v3_index(State(api): State<Arc<Api>>, request: Request) -> Response {
    settle(request, move |headers| {
        let edition = api.edition();
        let index = edition
            .openapi
            .index
            .get_or_init(|| Document::json(&index(&edition)));
        Ok(index.answer(headers, JSON))
    })
    .await
}

async fn v3_core(
    State(api): State<Arc<Api>>,
    Path(version): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    settle(request, move |headers| {
        v3(&api.edition(), "", &version, query.as_deref(), headers)
    })
    .await
}

async fn v3_group(
    State(api): State<Arc<Api>>,
    Path((group, version)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    settle(request, move |headers| {
        if group.is_empty() {
            return Err(errors::unknown_path());
        }
        v3(&api.edition(), &group, &version, query.as_deref(), headers)
    })
    .await
}

/// Runs what may have to make a document, which takes longer than a worker of the runtime should be held up.
async fn settle(
    request: Request,
    read: impl FnOnce(&HeaderMap) -> Result<Response> + Send + 'static,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::failure(&errors::method_not_allowed());
    }
    let headers = request.headers().clone();
    let made = tokio::task::spawn_blocking(move || read(&headers)).await;
    made.unwrap_or_else(|error| Err(errors::internal(format!("the document cannot be made: {error}"))))
        .unwrap_or_else(|status| answer::failure(&status))
}

fn not_acceptable() -> Box<proto::meta::v1::Status> {
    errors::not_acceptable(
        "only the following media types are accepted: application/json; for /openapi/v2 also \
         application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    )
}

fn v3(
    edition: &Edition,
    group: &str,
    version: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response> {
    let found = edition.groups.iter().find(|known| known.name == group);
    let found = found.and_then(|group| {
        let version = group.versions.iter().find(|known| known.name == version)?;
        Some((group, version))
    });
    let (group, version) = found.ok_or_else(errors::unknown_path)?;
    if !media::clauses(headers).iter().any(media::Clause::is_json) {
        return Err(not_acceptable());
    }
    let path = path(group, version);
    let asked = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("hash=")));
    let hash = hash(edition, group, version);
    if asked.is_some_and(|asked| asked != hash) {
        return Ok(moved(&path, &hash));
    }
    let document = {
        // The table is whole whatever panics.
        let mut documents = edition.openapi.v3.lock().unwrap_or_else(PoisonError::into_inner);
        documents.entry(path).or_default().clone()
    };
    let document = document.get_or_init(|| {
        let custom = custom_schemas(of_version(edition, group, version), Dialect::V3);
        Document::json(&document::v3(version, &custom, GIT_VERSION))
    });
    let mut response = document.answer(headers, JSON);
    if asked.is_some() {
        // What stands behind a hash never changes.
        let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    Ok(response)
}

/// The client's index is old: the document has another hash by now.
fn moved(path: &str, hash: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(place) = HeaderValue::from_str(&url(path, hash)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// `api/v1`, `apis/apps/v1`.
fn path(group: &Group, version: &Version) -> String {
    let root = if group.name.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", group_version(group.name, version.name))
}

fn url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

/// Where each group and version has its document.
fn index(edition: &Edition) -> Value {
    let mut paths = Map::new();
    for group in &edition.groups {
        for version in &group.versions {
            let path = path(group, version);
            let url = url(&path, &hash(edition, group, version));
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// The resources of one group and version.
fn of_version<'a>(
    edition: &'a Edition,
    group: &'a Group,
    version: &'a Version,
) -> impl Iterator<Item = &'a Resource> {
    let resources = edition.served.all().iter();
    resources.filter(|resource| (resource.info.group, resource.info.version) == (group.name, version.name))
}

/// Tells a document from what it was before: a hash of all that it is made of, so that the index needs none of the
/// documents.
fn hash(edition: &Edition, group: &Group, version: &Version) -> String {
    static BUILD: LazyLock<u64> = LazyLock::new(|| xxh3_64(proto::FILE_DESCRIPTOR_SET));
    let mut hash = Xxh3::new();
    hash.update(&BUILD.to_le_bytes());
    hash.update(GIT_VERSION.as_bytes());
    hash.update(format!("{version:?}").as_bytes());
    for (_, schema) in custom_schemas(of_version(edition, group, version), Dialect::V3) {
        hash.update(schema.to_string().as_bytes());
    }
    format!("{:032X}", hash.digest128())
}

/// The schemas of the custom kinds among these resources.
fn custom_schemas<'a>(served: impl Iterator<Item = &'a Resource>, dialect: Dialect) -> CustomSchemas {
    let schema = |resource: &'a Resource| {
        let version = resource.custom.as_ref()?;
        let schema = match (&version.schema, dialect) {
            (Some(schema), Dialect::V2) => schema.openapi_v2(),
            (Some(schema), Dialect::V3) => schema.openapi(),
            // A schema that does not compile says nothing of its objects.
            (None, _) => json!({"type": "object"}),
        };
        Some((Gvk::of(resource.info), schema))
    };
    served.filter_map(schema).collect()
}
