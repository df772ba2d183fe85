//! Subresources: parts of an object that are read and written by themselves, and commands to it.

use super::body::{self, Expected};
use super::call::Call;
use super::{answer, interactive, logs, read, write};
use crate::registry::errors::{self, Result};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use proto::Kind;
use proto::api::autoscaling::v1::Scale;
use proto::api::core::v1::{Binding, Namespace, Pod};
use proto::api::policy::v1::Eviction;
use proto::meta::v1::StatusDetails;
use proto::orrery::v1::{BindRequest, EvictRequest};

/// What a subresource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The object itself, of which a write changes a part.
    Object,
    /// As the object, but it can only be replaced.
    Replaceable,
    /// Its Scale.
    Scale,
    /// A Pod's place.
    Binding,
    /// A Pod's end.
    Eviction,
    /// What a Pod's containers have said.
    Log,
}

impl Part {
    fn of(call: &Call) -> Option<Self> {
        let info = call.resource.info;
        match (call.subresource(), info.number) {
            ("status", _) if info.has_status => Some(Self::Object),
            ("scale", _) if info.has_scale => Some(Self::Scale),
            ("finalize", Namespace::NUMBER) => Some(Self::Replaceable),
            ("ephemeralcontainers" | "resize", Pod::NUMBER) => Some(Self::Object),
            ("binding", Pod::NUMBER) => Some(Self::Binding),
            ("eviction", Pod::NUMBER) => Some(Self::Eviction),
            ("log", Pod::NUMBER) => Some(Self::Log),
            _ => None,
        }
    }
}

/// Answers a request to a subresource.
pub(crate) async fn serve(call: &Call, body: Body) -> Result<Response> {
    if let Some(refusal) = interactive::refusal(call) {
        return Err(refusal);
    }
    if !call.address.rest.is_empty() {
        return Err(errors::unknown_path());
    }
    let part = Part::of(call).ok_or_else(errors::unknown_path)?;
    match (part, &call.method) {
        (Part::Object | Part::Scale, &Method::GET) => read::get(call).await,
        (Part::Object | Part::Replaceable, &Method::PUT) => write::update(call, body).await,
        (Part::Scale, &Method::PUT) => write::update_as(call, expected::<Scale>(), body).await,
        (Part::Object | Part::Scale, &Method::PATCH) => write::patch(call, body).await,
        (Part::Binding, &Method::POST) => bind(call, body).await,
        (Part::Eviction, &Method::POST) => evict(call, body).await,
        (Part::Log, &Method::GET) => logs::log(call).await,
        _ => Err(errors::method_not_allowed()),
    }
}

/// The body of a subresource whose version is 1, as all of them are.
fn expected<K: Kind>() -> Expected<'static> {
    Expected {
        number: K::NUMBER,
        kind: K::NAME,
        version: "v1",
    }
}

/// Gives a Pod its node: by its subresource, or by creating a Binding of its name.
pub(crate) async fn bind(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    if call.query.dry_run()? {
        return Err(errors::bad_request(
            "a binding cannot be rehearsed: leave out dryRun",
        ));
    }
    let sent = body::object_of(call, expected::<Binding>(), body).await?;
    let binding: Binding = decode(&sent.object)?;
    let target = binding.target.clone().unwrap_or_default();
    if !matches!(target.kind.as_str(), "" | "Node" | "Minion") {
        return Err(errors::bad_request(format!(
            "target.kind must be Node, not {:?}",
            target.kind
        )));
    }
    let name = named(call, binding.name())?;
    let asked = BindRequest {
        namespace: call.namespace().to_owned(),
        name,
        uid: binding.uid().to_owned(),
        node: target.name,
    };
    call.api.registry.bind(&call.caller(), asked).await?;
    answer::success(form, StatusCode::CREATED, StatusDetails::default())
}

/// Asks for a Pod's end, within its disruption budget.
async fn evict(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let sent = body::object_of(call, expected::<Eviction>(), body).await?;
    let eviction: Eviction = decode(&sent.object)?;
    let mut options = eviction.delete_options.clone().unwrap_or_default();
    if call.query.dry_run()? && options.dry_run.is_empty() {
        options.dry_run.push("All".into());
    }
    let asked = EvictRequest {
        namespace: call.namespace().to_owned(),
        name: named(call, eviction.name())?,
        options: Some(options),
    };
    call.api.registry.evict(&call.caller(), asked).await?;
    answer::success(form, StatusCode::CREATED, StatusDetails::default())
}

fn decode<K: Kind>(object: &proto::Object) -> Result<K> {
    object
        .decode_as()
        .map_err(|error| errors::bad_request(error.to_string()))
}

/// The name of the Pod: the path's, which the body's must not contradict.
fn named(call: &Call, name: &str) -> Result<String> {
    match call.name() {
        "" => Ok(name.to_owned()),
        path if name.is_empty() || name == path => Ok(path.to_owned()),
        path => Err(errors::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({path})"
        ))),
    }
}
