//! `orrery.v1.Component`: what a process tells of itself.

use crate::clock::Clock;
use crate::metrics::resident_bytes;
use crate::ready::Progress;
use crate::time::micro_time;
use jiff::Timestamp;
use proto::orrery::v1::{ComponentStatus, GetStatusRequest, component_server};
use tonic::{Request, Response, Status};

/// Answers from the component's [`Progress`].
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    started: Timestamp,
    progress: Progress,
}

impl Service {
    pub(super) fn new(name: &'static str, clock: &Clock, progress: &Progress) -> Self {
        Self {
            name,
            started: clock.wall(),
            progress: progress.clone(),
        }
    }
}

#[tonic::async_trait]
impl component_server::Component for Service {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<ComponentStatus>, Status> {
        let readiness = self.progress.readiness();
        Ok(Response::new(ComponentStatus {
            name: self.name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started: Some(micro_time(self.started)),
            ready: readiness.is_ready(),
            reason: readiness.reason().into(),
            revision: self.progress.revision(),
            resident_bytes: resident_bytes(),
        }))
    }
}
