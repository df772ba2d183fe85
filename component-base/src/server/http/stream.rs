//! The body of an answer that lasts (a watch, a followed log): holds its place among the streams, and ends at shutdown.

use super::contained::Contained;
use crate::shutdown::Shutdown;
use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// The body of one such answer. Dropping it frees its place.
pub(super) struct Lasting {
    inner: Contained,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lasting {
    pub(super) fn new(inner: Body, permit: OwnedSemaphorePermit, shutdown: &Shutdown) -> Self {
        Self {
            inner: Contained::new(inner),
            shutdown: Box::pin(shutdown.cancelled()),
            ended: false,
            _permit: permit,
        }
    }
}

impl http_body::Body for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // As with gRPC's streams, the shutdown is looked at only in a pause.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        // Without a word, as upstream: clients resume after what they saw last.
        self.shutdown.as_mut().poll(cx).map(|()| {
            self.ended = true;
            None
        })
    }
}
