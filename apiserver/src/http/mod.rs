//! HTTP in, HTTP out: the Kubernetes REST API, a thin layer over `registry`, which gRPC serves too.
//!
//! ```text
//! request ─▶ path, query: what is it about ─▶ dispatch ─▶ read, list, watch   ─▶ registry ─▶ answer
//!            media: which form is wanted                  write, delete, …        (Status)     (JSON, YAML, protobuf)
//!                                                         └ body: what was sent
//! ```
//! - `path`, `query`, `media`: a request's head, read by pure functions.
//! - `dispatch`: which verb it is, and whether the resource has it.
//! - `read`, `list`, `watch`, `write`, `delete`: the verbs; `subresource`, `review`: what has verbs of its own.
//! - `discovery`, `openapi`: what there is; `edition` keeps their documents.
//! - `logs`, `interactive`: what a Pod's containers have said, and what would need one that really runs.
//! - `table`, `partial`: objects as rows, and objects cut down to their metadata.
//! - `views`: versions that are served but not stored, converted at this edge.
//! - `encodings`: the text of an object's version is made once.
//!
//! Invariant: whatever a client sends, what it gets is the API's answer or a `Status` with the right code.

mod answer;
mod body;
mod call;
mod delete;
mod discovery;
mod dispatch;
mod edition;
mod encodings;
mod interactive;
mod list;
mod logs;
mod media;
mod openapi;
mod partial;
mod path;
mod query;
mod read;
mod review;
mod subresource;
mod table;
mod views;
mod watch;
mod write;

use crate::registry::Registry;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use component_base::clock::Clock;
use component_base::rng::{Rng, Seed};
use edition::Editions;
use encodings::Encodings;
use std::sync::{Arc, Mutex};

/// What every request needs.
pub(crate) struct Api {
    /// What is served, and its semantics.
    pub(crate) registry: Arc<Registry>,
    /// Times watches.
    pub(crate) clock: Clock,
    /// Spreads the ends of watches.
    pub(crate) rng: Mutex<Rng>,
    /// The text of objects.
    pub(crate) encodings: Encodings,
    /// What is told about what is served.
    pub(crate) editions: Editions,
}

impl Api {
    /// The API over a registry.
    pub(crate) fn new(registry: Arc<Registry>, clock: Clock, seed: Seed) -> Arc<Self> {
        Arc::new(Self {
            registry,
            clock,
            rng: Mutex::new(seed.fork("http")),
            encodings: Encodings::default(),
            editions: Editions::default(),
        })
    }
}

/// The routes of the API.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/{version}/{*rest}", any(serve))
        .route("/apis/{group}/{version}/{*rest}", any(serve))
        .with_state(api.clone())
        .merge(discovery::routes(api.clone()))
        .merge(openapi::routes(api))
}

async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    match dispatch::dispatch(api, request).await {
        Ok(response) => response,
        Err(status) => answer::failure(&status),
    }
}
