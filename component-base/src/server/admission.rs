//! Who is let in: calls and streams are counted apart, across gRPC and HTTP, and one too many is refused.

use super::limits::{Limits, RETRY_AFTER_SECONDS};
use super::methods::MethodKind;
use crate::grpc::overloaded;
use proto::meta::v1::Status;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of one server.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    pub(super) calls: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
}

/// A place among those that a semaphore counts, for as long as it is held.
pub(super) enum Place {
    Vital,
    Call(#[allow(dead_code, reason = "held, never read")] OwnedSemaphorePermit),
    Stream(OwnedSemaphorePermit),
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            calls: Arc::new(Semaphore::new(limits.calls)),
            streams: Arc::new(Semaphore::new(limits.watches)),
        }
    }

    /// A place for one more call or stream, if there is one.
    pub(super) fn admit(&self, kind: MethodKind) -> Result<Place, Status> {
        let take = |semaphore: &Arc<Semaphore>| semaphore.clone().try_acquire_owned().ok();
        let place = match kind {
            MethodKind::Vital => Some(Place::Vital),
            MethodKind::Call => take(&self.calls).map(Place::Call),
            MethodKind::Stream => take(&self.streams).map(Place::Stream),
        };
        place.ok_or_else(|| match kind {
            MethodKind::Stream => too_many("watch streams", self.limits.watches),
            MethodKind::Vital | MethodKind::Call => too_many("calls", self.limits.calls),
        })
    }
}

fn too_many(what: &str, limit: usize) -> Status {
    let message = format!("the server works on {limit} {what} already; try again in {RETRY_AFTER_SECONDS} s");
    overloaded(message, RETRY_AFTER_SECONDS)
}
