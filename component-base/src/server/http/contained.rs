//! The body of an answer: a panic while it is made ends it alone, and nobody asks it for more after its end.

use crate::panics::contained;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body whose panics are errors.
pub(super) struct Contained {
    inner: Option<Body>,
}

impl Contained {
    pub(super) fn new(inner: Body) -> Self {
        Self { inner: Some(inner) }
    }
}

impl http_body::Body for Contained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = match contained(|| Pin::new(inner).poll_frame(cx)) {
            Ok(polled) => ready!(polled),
            Err(panicked) => {
                tracing::error!(%panicked, "an answer ran into a bug");
                Some(Err(axum::Error::new(panicked)))
            }
        };
        if !matches!(polled, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.as_ref();
        inner.map_or(SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
