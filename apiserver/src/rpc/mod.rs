//! gRPC over the registry: one file a service, each a thin adapter. What goes wrong is decided below, and only turned
//! into a `tonic::Status` here.

mod history;
mod pods;
mod resources;

pub(crate) use history::HistoryService;
pub(crate) use pods::PodsService;
pub(crate) use resources::ResourcesService;

use component_base::grpc::{Caller, to_tonic};
use proto::meta::v1::Status;
use tonic::{Request, Response};

/// A message and who sent it.
#[allow(clippy::result_large_err, reason = "handlers return tonic::Status as it is")]
fn called<T>(request: Request<T>) -> Result<(Caller, T), tonic::Status> {
    let caller = Caller::from_metadata(request.metadata())?;
    Ok((caller, request.into_inner()))
}

/// The registry's answer as gRPC gives it.
#[allow(clippy::result_large_err, reason = "handlers return tonic::Status as it is")]
fn answer<T>(result: Result<T, Box<Status>>) -> Result<Response<T>, tonic::Status> {
    result.map(Response::new).map_err(|status| to_tonic(*status))
}
