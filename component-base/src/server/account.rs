//! Counts the bytes that a connection makes the server hold, so that a client that sends without end, or asks and
//! never reads, hurts only itself.
//!
//! ```text
//! Account (one a connection) ◀── Tab (one a call): bytes of its request + bytes of its answer that are not sent yet
//! ```
//! Invariant: a tab's bytes are off the account once nobody holds the tab: handler, request and unsent frames are gone.
//! HTTP/2's windows do not do this: they bound what a client may send, not what it leaves unread here.

use super::limits::RETRY_AFTER_SECONDS;
use crate::grpc::{overloaded, to_tonic};
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use proto::meta::v1::Status;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// What one connection makes the server hold.
#[derive(Clone, Debug)]
pub(super) struct Account {
    held: Arc<AtomicUsize>,
    limit: usize,
}

impl Account {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            held: Arc::default(),
            limit,
        }
    }

    /// An account for one call.
    pub(super) fn tab(&self) -> Arc<Tab> {
        Arc::new(Tab {
            account: self.clone(),
            bytes: AtomicUsize::new(0),
        })
    }

    /// Whether more is taken from this connection; the error says why not.
    pub(super) fn solvent(&self) -> Result<(), Status> {
        let held = self.held.load(Ordering::Relaxed);
        if held > self.limit {
            let message = format!(
                "this connection makes the server hold {held} bytes of requests and unread answers, {} are allowed: \
                 read the answers first",
                self.limit
            );
            return Err(overloaded(message, RETRY_AFTER_SECONDS));
        }
        Ok(())
    }
}

/// What one call makes the server hold.
#[derive(Debug)]
pub(super) struct Tab {
    account: Account,
    bytes: AtomicUsize,
}

impl Tab {
    /// Puts bytes on the tab; the error says that the account has no more.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Status> {
        self.add(bytes);
        self.account.solvent()
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.account
            .held
            .fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A request's body that puts what arrives on the tab, and fails when the account has no more.
pub(super) fn incoming(body: Body, tab: Arc<Tab>) -> Body {
    Body::new(Counted {
        inner: body,
        tab,
        on_frame: |tab, bytes| {
            let charged = tab.charge(bytes.len());
            charged.map_or_else(|status| Err(axum::Error::new(to_tonic(status))), |()| Ok(bytes))
        },
    })
}

/// An answer's body that keeps what it yields on the tab until it has been written to the connection.
pub(super) fn outgoing(body: Body, tab: Arc<Tab>) -> Body {
    Body::new(Counted {
        inner: body,
        tab,
        on_frame: |tab, bytes| {
            tab.add(bytes.len());
            Ok(Bytes::from_owner(Unsent {
                bytes,
                _tab: tab.clone(),
            }))
        },
    })
}

/// Bytes that stay on the tab for as long as anybody holds them.
struct Unsent {
    bytes: Bytes,
    _tab: Arc<Tab>,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

struct Counted {
    inner: Body,
    tab: Arc<Tab>,
    on_frame: fn(&Arc<Tab>, Bytes) -> Result<Bytes, axum::Error>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        Pin::new(&mut this.inner).poll_frame(cx).map(|frame| {
            frame.map(|frame| match frame?.into_data() {
                Ok(bytes) => (this.on_frame)(&this.tab, bytes).map(Frame::data),
                Err(trailers) => Ok(trailers),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    #[tokio::test]
    async fn bytes_are_held_from_arrival_until_the_last_holder_is_gone() {
        let account = Account::new(10);
        let held = || account.held.load(Ordering::Relaxed);
        let tab = account.tab();
        let mut request = incoming(Body::from("12345"), tab.clone()).into_data_stream();
        assert_eq!(request.next().await.unwrap().unwrap(), "12345");
        drop(request);
        let mut answer = outgoing(Body::from("123456"), tab).into_data_stream();
        let unsent = answer.next().await.unwrap().unwrap();
        drop(answer);
        assert_eq!((held(), unsent.as_ref()), (11, b"123456".as_slice()));
        assert!(account.solvent().is_err());
        let more = incoming(Body::from("x"), account.tab())
            .into_data_stream()
            .next()
            .await;
        assert!(more.unwrap().is_err());
        drop(unsent);
        assert_eq!(held(), 0);
        assert!(account.solvent().is_ok());
    }
}
