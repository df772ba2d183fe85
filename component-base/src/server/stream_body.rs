//! The body of a server stream: holds its place among the streams, ends at shutdown, and tells how it ended.

use super::guard::status_of;
use super::rpc_metrics::Ending;
use crate::grpc::{failure, to_tonic};
use crate::shutdown::Shutdown;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::OwnedSemaphorePermit;

/// The body of one stream. Dropping it frees its place.
pub(super) struct StreamBody {
    inner: Body,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
    ending: Ending,
}

impl StreamBody {
    pub(super) fn new(
        inner: Body,
        permit: OwnedSemaphorePermit,
        shutdown: &Shutdown,
        ending: Ending,
    ) -> Self {
        Self {
            inner,
            shutdown: Box::pin(shutdown.cancelled()),
            _permit: permit,
            ending,
        }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ending.is_over() {
            return Poll::Ready(None);
        }
        // The shutdown is looked at only between events: asking costs a lock that all streams share. A stream that
        // never pauses is cut off when the drain is over.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let frame = frame.map(|frame| {
                frame.map(|mut frame| {
                    if let Some(code) = frame.trailers_mut().and_then(status_of) {
                        self.ending.with(code);
                    }
                    frame
                })
            });
            return Poll::Ready(frame);
        }
        ready!(self.shutdown.as_mut().poll(cx));
        let status = to_tonic(failure(
            "ServiceUnavailable",
            "the server shuts down; reconnect, and resume after the last revision",
        ));
        self.ending.with(status.code());
        let mut trailers = HeaderMap::new();
        Poll::Ready(match status.add_header(&mut trailers) {
            Ok(()) => Some(Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(axum::Error::new(error))),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
