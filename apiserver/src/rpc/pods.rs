//! `orrery.v1.Pods`.

use super::{answer, called};
use crate::registry::Registry;
use proto::Object;
use proto::orrery::v1::{BindRequest, EvictRequest, EvictResponse, pods_server::Pods};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Binds and evicts Pods through the registry.
pub(crate) struct PodsService(pub(crate) Arc<Registry>);

#[tonic::async_trait]
impl Pods for PodsService {
    async fn bind(&self, request: Request<BindRequest>) -> Result<Response<Object>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.bind(&caller, request).await)
    }

    async fn evict(&self, request: Request<EvictRequest>) -> Result<Response<EvictResponse>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.evict(&caller, request).await)
    }
}
