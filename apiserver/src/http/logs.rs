//! `pods/log`: the kubelet of the Pod's node knows what its containers have said; the apiserver passes it on.
//!
//! ```text
//! client ── GET …/pods/web/log?follow=true ──▶ apiserver ── orrery.v1.Kubelet/ContainerLogs ──▶ kubelet-sim
//!        ◀──────── text/plain, as it comes ───          ◀────────────── pieces ────────────────
//! ```
//! Where the kubelet is, its Node says. Errors are in upstream's words.

mod options;

use super::answer;
use super::call::Call;
use crate::limits::{KUBELET_ANSWER, KUBELET_CONNECT, MAX_LOG_PIECE_BYTES};
use crate::registry::errors::{self, Result};
use apimachinery::status::Reason;
use apimachinery::well_known::KUBELET_ENDPOINT;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::Response;
use component_base::clock::Elapsed;
use component_base::grpc::from_tonic;
use futures::StreamExt;
use options::LogOptions;
use proto::Kind;
use proto::api::core::v1::{Node, Pod};
use proto::meta::v1::Status;
use proto::orrery::v1::kubelet_client::KubeletClient;
use proto::orrery::v1::{ContainerLogsRequest, GetRequest};
use std::error::Error;
use tonic::transport::{Channel, Endpoint};

/// The log of one of a Pod's containers.
pub(crate) async fn log(call: &Call) -> Result<Response> {
    let options = LogOptions::of(&call.query)?;
    let pod: Pod = get(call, call.namespace(), call.name()).await?;
    let container = container(&pod, &options.container)?;
    let node = pod.spec.as_ref().map_or("", |spec| spec.node_name.as_str());
    // What runs nowhere has said nothing; and everything that a container says here goes to its standard output.
    if node.is_empty() || options.stderr_only {
        return Ok(plain(Body::empty()));
    }
    let request = ContainerLogsRequest {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        container,
        ..options.request
    };
    let mut kubelet = kubelet(call, node).await?;
    let answer = kubelet.logs.container_logs(request);
    let pieces = match call.api.clock.timeout(KUBELET_ANSWER, answer).await {
        Ok(Ok(pieces)) => pieces.into_inner(),
        Ok(Err(error)) => return Err(kubelet.refused(from_tonic(&error))),
        Err(Elapsed) => {
            let why = format!("nothing within {KUBELET_ANSWER:?}");
            return Err(unreachable(&kubelet.node, &kubelet.address, why));
        }
    };
    let pieces = pieces.map(|piece| piece.map(|piece| piece.data));
    Ok(plain(Body::from_stream(pieces)))
}

fn plain(body: Body) -> Response {
    let mut response = Response::new(body);
    answer::dress(response.headers_mut(), HeaderValue::from_static("text/plain"));
    response
}

async fn get<K: Kind>(call: &Call, namespace: &str, name: &str) -> Result<K> {
    let request = GetRequest {
        kind: K::NAME.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..GetRequest::default()
    };
    let object = call.api.registry.get(request).await?;
    object
        .decode_as()
        .map_err(|error| errors::internal(format!("a stored {} cannot be read: {error}", K::NAME)))
}

/// The container that is meant: the Pod's only one when none is named.
fn container(pod: &Pod, asked: &str) -> Result<String> {
    let name = pod.name();
    let spec = pod.spec.as_ref();
    let main: Vec<&str> = spec.map_or(Vec::new(), |spec| {
        spec.containers
            .iter()
            .map(|container| container.name.as_str())
            .collect()
    });
    let init: Vec<&str> = spec.map_or(Vec::new(), |spec| {
        spec.init_containers
            .iter()
            .map(|container| container.name.as_str())
            .collect()
    });
    let ephemeral = spec.into_iter().flat_map(|spec| &spec.ephemeral_containers);
    let mut ephemeral = ephemeral.filter_map(|container| container.ephemeral_container_common.as_ref());
    if !asked.is_empty() {
        let known = main.contains(&asked)
            || init.contains(&asked)
            || ephemeral.any(|container| container.name == asked);
        return known
            .then(|| asked.to_owned())
            .ok_or_else(|| errors::bad_request(format!("container {asked} is not valid for pod {name}")));
    }
    if let [only] = main[..] {
        return Ok(only.to_owned());
    }
    let mut message = format!(
        "a container name must be specified for pod {name}, choose one of: [{}]",
        main.join(" ")
    );
    if !init.is_empty() {
        message += &format!(" or one of the init containers: [{}]", init.join(" "));
    }
    Err(errors::bad_request(message))
}

/// A connection to the kubelet of a node.
struct Kubelet {
    logs: KubeletClient<Channel>,
    node: String,
    address: String,
}

async fn kubelet(call: &Call, node: &str) -> Result<Kubelet> {
    let object: Node = get(call, "", node).await?;
    let Some(address) = object.meta().annotations.get(KUBELET_ENDPOINT) else {
        return Err(errors::internal(format!(
            "node {node} does not say where its kubelet is: it has no annotation {KUBELET_ENDPOINT}"
        )));
    };
    let connected = match Endpoint::from_shared(format!("http://{address}")) {
        Ok(endpoint) => {
            let endpoint = endpoint
                .connect_timeout(KUBELET_CONNECT)
                .http2_keep_alive_interval(KUBELET_ANSWER)
                .keep_alive_timeout(KUBELET_ANSWER);
            endpoint.connect().await
        }
        Err(error) => Err(error),
    };
    match connected {
        Ok(channel) => Ok(Kubelet {
            logs: KubeletClient::new(channel).max_decoding_message_size(MAX_LOG_PIECE_BYTES),
            node: node.to_owned(),
            address: address.clone(),
        }),
        Err(error) => Err(unreachable(node, address, root(&error))),
    }
}

impl Kubelet {
    /// What the kubelet would not do: what is the client's affair is passed on.
    fn refused(&self, status: Status) -> Box<Status> {
        match Reason::of(&status) {
            Some(Reason::BadRequest | Reason::NotFound) => Box::new(status),
            _ => unreachable(&self.node, &self.address, status.message),
        }
    }
}

fn unreachable(node: &str, address: &str, why: impl std::fmt::Display) -> Box<Status> {
    errors::internal(format!(
        "Get \"http://{address}/containerLogs\": the kubelet of node {node} does not answer: {why}"
    ))
}

/// What is at the bottom of an error: transports wrap it often, and say little above.
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{Container, EphemeralContainer, EphemeralContainerCommon, PodSpec};

    #[test]
    fn the_only_container_needs_no_name_and_of_several_one_is_chosen() {
        let named = |names: &[&str]| {
            let container = |name: &&str| Container {
                name: (*name).into(),
                ..Container::default()
            };
            names.iter().map(container).collect::<Vec<_>>()
        };
        let pod = |init: &[&str], main: &[&str]| {
            let mut pod = Pod::default();
            pod.metadata_mut().name = "web".into();
            let common = EphemeralContainerCommon {
                name: "debug".into(),
                ..EphemeralContainerCommon::default()
            };
            pod.spec = Some(PodSpec {
                init_containers: named(init),
                containers: named(main),
                ephemeral_containers: vec![EphemeralContainer {
                    ephemeral_container_common: Some(common),
                    ..EphemeralContainer::default()
                }],
                ..PodSpec::default()
            });
            pod
        };
        for (init, main, asked, expected) in [
            (&[][..], &["a"][..], "", Ok("a")),
            (&["i"], &["a"], "", Ok("a")),
            (&["i"], &["a"], "i", Ok("i")),
            (&[], &["a"], "debug", Ok("debug")),
            (&[], &["a"], "x", Err("container x is not valid for pod web")),
            (
                &[],
                &["a", "b"],
                "",
                Err("a container name must be specified for pod web, choose one of: [a b]"),
            ),
            (
                &["i"],
                &["a", "b"],
                "",
                Err(
                    "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]",
                ),
            ),
        ] {
            let chosen = container(&pod(init, main), asked).map_err(|status| {
                assert_eq!(status.code, 400);
                status.message
            });
            assert_eq!(chosen, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
