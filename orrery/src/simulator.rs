//! The kubelet-sim behind a Node: the Node says in an annotation where it is reached.

use anyhow::{Context, Result};
use client::{Api, Client, ClientConfig};
use kubelet_sim::node::object::ENDPOINT;
use proto::Kind;
use proto::api::core::v1::Node;
use proto::orrery::v1::kubelet_client::KubeletClient;
use proto::orrery::v1::simulator_client::SimulatorClient;
use tonic::transport::Channel;

/// The service that simulates a node.
pub(crate) async fn of_node(client: &Client, name: &str) -> Result<SimulatorClient<Channel>> {
    Ok(SimulatorClient::new(channel(client, name).await?))
}

/// The kubelet of a simulated node, which is the same process.
pub(crate) async fn kubelet_of_node(client: &Client, name: &str) -> Result<KubeletClient<Channel>> {
    Ok(KubeletClient::new(channel(client, name).await?))
}

async fn channel(client: &Client, name: &str) -> Result<Channel> {
    let node: Node = Api::new(client.clone()).get("", name).await?;
    let endpoint = node
        .meta()
        .annotations
        .get(ENDPOINT)
        .with_context(|| format!("node {name} is not simulated: it has no annotation {ENDPOINT}"))?;
    let config = ClientConfig::new(endpoint.clone(), client.actor());
    let channel = config.endpoint()?.connect().await;
    channel.with_context(|| {
        format!("the kubelet-sim of node {name} does not answer at {endpoint}: `orrery ps` shows it")
    })
}

/// What the kubelet-sim refused, in its own words.
pub(crate) fn refused(status: &tonic::Status) -> anyhow::Error {
    let message = component_base::grpc::from_tonic(status).message;
    anyhow::anyhow!("the kubelet-sim refused: {message}")
}
