//! The body of a server stream: holds its place among the streams, ends at shutdown, and tells how it ended.

use super::guard::status_of;
use crate::grpc::{failure, to_tonic};
use crate::shutdown::Shutdown;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Code;

/// Told once, with the code that the stream ended with.
type Ended = Box<dyn FnOnce(Code) + Send>;

/// The body of one stream. Dropping it frees its place.
pub(super) struct StreamBody {
    inner: Body,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
    ended: Option<Ended>,
}

impl StreamBody {
    pub(super) fn new(inner: Body, permit: OwnedSemaphorePermit, shutdown: &Shutdown, ended: Ended) -> Self {
        Self {
            inner,
            shutdown: Box::pin(shutdown.cancelled()),
            _permit: permit,
            ended: Some(ended),
        }
    }

    fn end(&mut self, code: Code) {
        if let Some(ended) = self.ended.take() {
            ended(code);
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
        if self.ended.is_none() {
            return Poll::Ready(None);
        }
        // The shutdown is looked at only between events: asking costs a lock that all streams share. A stream that
        // never pauses is cut off when the drain is over.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let frame = frame.map(|frame| {
                frame.map(|mut frame| {
                    if let Some(code) = frame.trailers_mut().and_then(status_of) {
                        self.end(code);
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
        self.end(status.code());
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

impl Drop for StreamBody {
    fn drop(&mut self) {
        // No trailers were sent: the client went away.
        self.end(Code::Cancelled);
    }
}
