//! The body of an answer that lasts (a watch, a followed log): holds its place among the streams, ends at shutdown,
//! and a panic in it ends it alone.

use crate::panics::contained;
use crate::shutdown::Shutdown;
use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// The body of one such answer. Dropping it frees its place.
pub(super) struct Lasting {
    inner: Option<Body>,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

impl Lasting {
    pub(super) fn new(inner: Body, permit: OwnedSemaphorePermit, shutdown: &Shutdown) -> Self {
        Self {
            inner: Some(inner),
            shutdown: Box::pin(shutdown.cancelled()),
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
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = contained(|| Pin::new(inner).poll_frame(cx));
        let ended = match polled {
            // As with gRPC's streams, the shutdown is looked at only in a pause.
            Ok(Poll::Pending) => match self.shutdown.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                // Without a word, as upstream: clients resume after what they saw last.
                Poll::Ready(()) => None,
            },
            Ok(Poll::Ready(Some(Ok(frame)))) => return Poll::Ready(Some(Ok(frame))),
            Ok(Poll::Ready(end)) => end,
            Err(panicked) => Some(Err(axum::Error::new(panicked))),
        };
        self.inner = None;
        Poll::Ready(ended)
    }
}
