//! `orrery.v1.Resources`.

use super::{answer, called};
use crate::registry::{Registry, WatchFrames};
use component_base::grpc::to_tonic;
use futures::StreamExt;
use futures::stream::Map;
use proto::orrery::v1::{
    BatchRequest, BatchResponse, CreateRequest, DeleteCollectionRequest, DeleteCollectionResponse,
    DeleteRequest, DeleteResponse, GetRequest, ListRequest, ListResponse, PatchRequest, UpdateRequest,
    WatchRequest, resources_server::Resources,
};
use proto::{EventFrame, Object, meta};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Turns a failure into gRPC's, and leaves frames as they are.
type ToTonic = fn(Result<EventFrame, Box<meta::v1::Status>>) -> Result<EventFrame, Status>;

#[allow(
    clippy::result_large_err,
    reason = "streams of tonic give tonic::Status as it is"
)]
fn to_tonic_frame(frame: Result<EventFrame, Box<meta::v1::Status>>) -> Result<EventFrame, Status> {
    frame.map_err(|status| to_tonic(*status))
}

/// Serves objects of every kind from the registry.
pub(crate) struct ResourcesService(pub(crate) Arc<Registry>);

#[tonic::async_trait]
impl Resources for ResourcesService {
    type WatchStream = Map<WatchFrames, ToTonic>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Object>, Status> {
        answer(self.0.get(request.into_inner()).await)
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        answer(self.0.list(request.into_inner()).await)
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let frames = self.0.watch(request.into_inner()).await;
        answer(frames.map(|frames| frames.map(to_tonic_frame as ToTonic)))
    }

    async fn create(&self, request: Request<CreateRequest>) -> Result<Response<Object>, Status> {
        let (caller, request) = called(request)?;
        answer(
            self.0
                .create(&caller, request)
                .await
                .map(|written| written.object),
        )
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Result<Response<Object>, Status> {
        let (caller, request) = called(request)?;
        answer(
            self.0
                .update(&caller, request)
                .await
                .map(|written| written.object),
        )
    }

    async fn patch(&self, request: Request<PatchRequest>) -> Result<Response<Object>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.patch(&caller, request).await.map(|written| written.object))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.delete(&caller, request).await)
    }

    async fn delete_collection(
        &self,
        request: Request<DeleteCollectionRequest>,
    ) -> Result<Response<DeleteCollectionResponse>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.delete_collection(&caller, request).await)
    }

    async fn batch(&self, request: Request<BatchRequest>) -> Result<Response<BatchResponse>, Status> {
        let (caller, request) = called(request)?;
        answer(self.0.batch(&caller, request).await)
    }
}
