//! Connections: accepted up to a cap, each served by a task of its own, all ended within a bound.
//!
//! ```text
//! accepted ─ too many ──▶ closed
//!    │
//!    ▼ first bytes say HTTP/1 or HTTP/2 (or the time is over ──▶ closed)
//! serving ─ shutdown ──▶ draining (no new requests) ─ idle or time over ──▶ closed
//! ```

use super::account::Account;
use super::limits::{
    CONNECTION_WINDOW_BYTES, FIRST_BYTES, HTTP1_IDLE, KEEPALIVE, Limits, MAX_HEADER_LIST_BYTES,
    MAX_HTTP1_BUFFER_BYTES, MAX_PENDING_RESETS, SEND_BUFFER_BYTES, STREAM_WINDOW_BYTES,
};
use crate::clock::Clock;
use crate::metrics::{Counter, Gauge, Registry};
use crate::shutdown::{Shutdown, drain};
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
#[cfg(target_os = "linux")]
use rustix::net::sockopt::set_tcp_user_timeout;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// How every HTTP/2 connection begins.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait for the rest of a preface that came in pieces.
const PREFACE_POLL: Duration = Duration::from_millis(10);

/// How long accepting rests after an error that is the system's (no file descriptors, no memory): trying again at
/// once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections of one server.
pub(super) struct Connections {
    limits: Limits,
    clock: Clock,
    builder: auto::Builder<TokioExecutor>,
    accepted: Counter,
    refused: Counter,
    open: Gauge,
}

impl Connections {
    pub(super) fn new(limits: Limits, clock: Clock, registry: &Registry) -> Self {
        let registry = registry.sub("server_connections");
        Self {
            limits,
            clock,
            builder: builder(&limits),
            accepted: registry.register("accepted", "Connections served", Counter::default()),
            refused: registry.register(
                "refused",
                "Connections closed for want of room",
                Counter::default(),
            ),
            open: registry.register("open", "Open connections", Gauge::default()),
        }
    }

    /// Serves `app` until `shutdown`, then calls `on_shutdown` and lets the connections end, within the limit.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        app: axum::Router,
        shutdown: &Shutdown,
        on_shutdown: impl FnOnce(),
    ) {
        let (limits, clock) = (self.limits, self.clock.clone());
        let room = Arc::new(Semaphore::new(limits.connections));
        let this = Arc::new(self);
        let mut tasks = JoinSet::new();
        while let Some(accepted) = shutdown.unless_triggered(listener.accept()).await {
            // What has ended must not pile up.
            while tasks.try_join_next().is_some() {}
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    this.rest_after(&error).await;
                    continue;
                }
            };
            let Ok(place) = room.clone().try_acquire_owned() else {
                this.refused.inc();
                continue;
            };
            this.accepted.inc();
            let (this, app, shutdown) = (this.clone(), app.clone(), shutdown.clone());
            tasks.spawn(async move {
                this.open.inc();
                this.connection(stream, app, &shutdown).await;
                this.open.dec();
                drop(place);
            });
        }
        // New connections are refused by the system from here on.
        drop(listener);
        on_shutdown();
        let cut_off = drain(&clock, limits.drain, &mut tasks).await;
        if cut_off > 0 {
            tracing::warn!(connections = cut_off, "cut off connections that did not end");
        }
    }

    async fn rest_after(&self, error: &io::Error) {
        // The client gave up before it was accepted; the listener itself is well.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        tracing::error!(%error, "cannot accept connections");
        self.clock.sleep(ACCEPT_PAUSE).await;
    }

    async fn connection(&self, stream: TcpStream, app: axum::Router, shutdown: &Shutdown) {
        if let Err(error) = prepare(&stream, self.limits.unread) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let begun = self.clock.timeout(FIRST_BYTES, begins(&stream, &self.clock));
        match shutdown.unless_triggered(begun).await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return tracing::debug!(%error, "a connection ended before it began"),
            Some(Err(elapsed)) => return tracing::debug!(%elapsed, "a connection said nothing"),
            None => return,
        }
        let account = Account::new(self.limits.connection_bytes);
        let service = TowerToHyperService::new(app.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(account.clone());
            request
        }));
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            // A client that breaks off or breaks the protocol is everyday, and the client's affair.
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// Sets what the system does for us.
fn prepare(stream: &TcpStream, unread: Duration) -> io::Result<()> {
    // Small answers must not wait for more to send.
    stream.set_nodelay(true)?;
    // A client that never reads is cut off even where nothing is left to send it. HTTP/2's pings do that everywhere;
    // HTTP/1 has none.
    #[cfg(target_os = "linux")]
    set_tcp_user_timeout(stream, u32::try_from(unread.as_millis()).unwrap_or(u32::MAX))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unread;
    Ok(())
}

/// Waits for the client to say which protocol it speaks, without taking it from the stream. Hyper would wait for ever.
async fn begins(stream: &TcpStream, clock: &Clock) -> io::Result<()> {
    let mut start = [0; HTTP2_PREFACE.len()];
    loop {
        let read = stream.peek(&mut start).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if read == start.len() || start[..read] != HTTP2_PREFACE[..read] {
            return Ok(());
        }
        clock.sleep(PREFACE_POLL).await;
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP1_IDLE)
        .max_buf_size(MAX_HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    builder
}
