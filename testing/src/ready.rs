//! When a cluster is ready: every component says so, and every node is Ready in the API. Nothing is polled: each
//! component's health and the Nodes are watched.

use client::informer::{Informer, target};
use client::{Cache, Client, Delta, Watch};
use proto::api::core::v1::Node;
use std::net::SocketAddr;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Waits until the component at `address` serves. A connection is accepted before it does, and waits with us.
pub(crate) async fn component(address: SocketAddr) -> Result<(), tonic::Status> {
    let broken = |error: tonic::transport::Error| tonic::Status::unavailable(error.to_string());
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .map_err(broken)?
        .connect()
        .await
        .map_err(broken)?;
    let mut health = HealthClient::new(channel);
    let mut statuses = health.watch(HealthCheckRequest::default()).await?.into_inner();
    while let Some(HealthCheckResponse { status }) = statuses.message().await? {
        if status == i32::from(ServingStatus::Serving) {
            return Ok(());
        }
    }
    Err(tonic::Status::unavailable("it ended before it served"))
}

/// Waits until `count` nodes are Ready.
pub(crate) async fn nodes(client: &Client, count: usize) -> anyhow::Result<()> {
    let mut informer = Informer::spawn(client, vec![target::<Node>()]);
    let mut cache = Cache::new([Watch::of::<Node>()]);
    while !(cache.synced() && ready(&cache) >= count) {
        let delta: Delta = informer
            .next()
            .await
            .ok_or_else(|| anyhow::anyhow!("the watch of the Nodes ended"))?;
        cache.apply(&delta)?;
    }
    Ok(())
}

fn ready(cache: &Cache) -> usize {
    let is_ready = |node: &&std::sync::Arc<Node>| {
        let status = node.status.as_ref();
        status.is_some_and(|status| apimachinery::meta::is_condition_true(&status.conditions, "Ready"))
    };
    cache.list::<Node>(None).filter(is_ready).count()
}
