//! `orrery.v1.History`.

use super::answer;
use crate::registry::Registry;
use proto::orrery::v1::{
    Change, GetChangeRequest, ListChangesRequest, ListChangesResponse, history_server::History,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Reads the log through the registry.
pub(crate) struct HistoryService(pub(crate) Arc<Registry>);

#[tonic::async_trait]
impl History for HistoryService {
    async fn get_change(&self, request: Request<GetChangeRequest>) -> Result<Response<Change>, Status> {
        answer(self.0.get_change(request.into_inner()).await)
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        answer(self.0.list_changes(request.into_inner()).await)
    }
}
