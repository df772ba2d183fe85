//! Which verb a request is, and whether the resource it names has that verb.
//!
//! What is not there is 404; what is there and cannot be done that way is 405.

use super::call::Call;
use super::path::{self, Address};
use super::query::Query;
use super::{Api, answer, delete, list, read, review, subresource, watch, write};
use crate::registry::Resource;
use crate::registry::errors::{self, Result};
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use component_base::server::RequestLabels;
use proto::Kind;
use proto::api::core::v1::{Binding, Namespace};
use std::sync::Arc;

/// Answers a request below `/api` or `/apis`.
pub(crate) async fn dispatch(api: Arc<Api>, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let address = path::parse(parts.uri.path()).ok_or_else(errors::unknown_path)?;
    let query = Query::parse(parts.uri.query())?;
    let resource = resource(&api, &address).ok_or_else(errors::unknown_path)?;
    let call = Call {
        api,
        resource,
        address,
        query,
        method: parts.method,
        headers: parts.headers,
    };
    let labels = labels(&call);
    let answered = perform(&call, body).await;
    let mut response = answered.unwrap_or_else(|status| answer::failure(&status));
    response.extensions_mut().insert(labels);
    Ok(response)
}

/// What the metrics call a request, in upstream's words.
fn labels(call: &Call) -> RequestLabels {
    let verb = match (&call.method, call.name()) {
        (&Method::GET, _) if call.is_watch() => "WATCH",
        (&Method::GET, "") => "LIST",
        (&Method::GET, _) => "GET",
        (&Method::DELETE, "") => "DELETECOLLECTION",
        (&Method::DELETE, _) => "DELETE",
        (&Method::POST, _) => "POST",
        (&Method::PUT, _) => "PUT",
        (&Method::PATCH, _) => "PATCH",
        _ => "other",
    };
    RequestLabels {
        verb,
        resource: call.resource.info.plural,
    }
}

/// Does what is asked.
async fn perform(call: &Call, body: Body) -> Result<Response> {
    match (&call.address.subresource, &call.address.name) {
        _ if call.is_create_only() => match (&call.address.name, &call.method) {
            (Some(_), _) => Err(errors::unknown_path()),
            (None, &Method::POST) if call.resource.info.number == Binding::NUMBER => {
                subresource::bind(call, body).await
            }
            (None, &Method::POST) => review::create(call, body).await,
            _ => Err(errors::method_not_allowed()),
        },
        (Some(_), _) => subresource::serve(call, body).await,
        (None, Some(_)) => match call.method {
            Method::GET if call.is_watch() => watch::watch(call).await,
            Method::GET => read::get(call).await,
            Method::PUT => write::update(call, body).await,
            Method::PATCH => write::patch(call, body).await,
            Method::DELETE => delete::one(call, body).await,
            _ => Err(errors::method_not_allowed()),
        },
        (None, None) => match call.method {
            Method::GET if call.is_watch() => watch::watch(call).await,
            Method::GET => list::list(call).await,
            // Objects in namespaces are written where they live, not across all namespaces.
            _ if call.resource.info.namespaced && call.address.namespace.is_none() => {
                Err(errors::method_not_allowed())
            }
            Method::POST => write::create(call, body).await,
            // As upstream: too much would go at one word.
            Method::DELETE if call.resource.info.number == Namespace::NUMBER => {
                Err(errors::method_not_allowed())
            }
            Method::DELETE => delete::collection(call, body).await,
            _ => Err(errors::method_not_allowed()),
        },
    }
}

/// The resource that a path names, if the path is one of its paths.
fn resource(api: &Api, address: &Address) -> Option<Resource> {
    let served = api.registry.served();
    let (group, version, plural) = (&address.group, &address.version, &address.plural);
    let stored = served.find(group, version, plural).cloned();
    let resource = stored.or_else(|| served.find_create_only(group, version, plural))?;
    let fits = match (resource.info.namespaced, &address.namespace) {
        (true, Some(_)) | (false, None) => true,
        (true, None) => address.name.is_none(),
        (false, Some(_)) => false,
    };
    fits.then_some(resource)
}
