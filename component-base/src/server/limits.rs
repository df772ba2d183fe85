//! Every limit of the server, with its reason.

use std::time::Duration;

/// The largest gRPC message that is read. Two objects of the largest size (1.5 MiB) fit into a batch with room to
/// spare. It is tonic's default for reading, and a test holds it to that.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The limits that a test or a deployment may want to change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; one more is closed at once. A fleet's kubelets share a few connections, so that thousands
    /// mean a leak or an attack, and each costs buffers and a file descriptor.
    pub connections: usize,
    /// Open HTTP/2 streams on one connection; one more waits at the client. A client that opens 1,000 watches on one
    /// connection must still get its other calls through.
    pub streams_per_connection: u32,
    /// Calls that handlers work on at one time, watches aside; one more is refused with a time to come back. Each may
    /// hold a request of [`MAX_MESSAGE_BYTES`].
    pub calls: usize,
    /// Open server streams (watches, mostly), counted apart because they last; one more is refused.
    pub watches: usize,
    /// Bytes of requests in progress and of answers not yet read that one connection makes the server hold; beyond
    /// them its calls are refused. Thirty of the largest messages, which no honest client has open at one time.
    pub connection_bytes: usize,
    /// How long a handler may work on a call, unless the client's `grpc-timeout` is shorter. Also how long a stream may
    /// take to begin.
    pub call_deadline: Duration,
    /// How long an HTTP handler may work on a request, watches and followed logs aside: upstream's. Also how long those
    /// may take to begin.
    pub request_deadline: Duration,
    /// How long a client may leave the system's send buffer full before its connection is cut.
    pub unread: Duration,
    /// How long the shutdown waits for answers to be read. Under the 10 s after which `docker stop` kills.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            streams_per_connection: 2048,
            calls: 4096,
            watches: 8192,
            connection_bytes: 30 * MAX_MESSAGE_BYTES,
            call_deadline: Duration::from_secs(30),
            request_deadline: Duration::from_secs(60),
            unread: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// When to come back after a refusal for overload: the queue that refused drains within milliseconds.
pub(super) const RETRY_AFTER_SECONDS: i32 = 1;

/// How long a new connection may take to say which protocol it speaks. Nobody honest is slower, and whoever says
/// nothing holds a connection of [`Limits::connections`].
pub(super) const FIRST_BYTES: Duration = Duration::from_secs(5);

/// How long an HTTP/1 connection may be idle between requests, and a request's headers may take: hyper has one clock
/// for both. As long as Go's clients keep idle connections, so that they close first and no request meets a close.
pub(super) const HTTP1_IDLE: Duration = Duration::from_secs(90);

/// The largest body of an HTTP request: upstream's. An object is half of it at most, and JSON is longer than protobuf.
pub(super) const MAX_BODY_BYTES: usize = 3 << 20;

/// How long the body of an HTTP request may take to arrive. The largest needs 100 KiB/s.
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// How much is kept of the text that a library gives with an error of its own.
pub(super) const MAX_ERROR_TEXT_BYTES: usize = 4 << 10;

/// HTTP/2 pings an idle connection this often, and gives up on an answer after as long again: a client that lost its
/// network is noticed within 10 s, and its watches are freed.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(5);

/// All headers of one request together. Ours need less than 1 KiB.
pub(super) const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// HTTP/1 reads requests into a buffer of at most this size, which their headers must fit into. Long selectors and
/// continue tokens do.
pub(super) const MAX_HTTP1_BUFFER_BYTES: usize = 32 << 10;

/// Streams that a client opened and reset before they were accepted: more, and the connection is closed (rapid reset,
/// CVE-2023-44487). A client that drops all its watches at once resets accepted streams, which do not count.
pub(super) const MAX_PENDING_RESETS: usize = 128;

/// What a client may send on a stream before it waits for us. Large, so that batches need no round trips; fixed, so
/// that the memory it stands for is known, which an adaptive window's is not.
pub(super) const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// What a client may send on a connection before it waits for us: one message of the largest size.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = MAX_MESSAGE_BYTES as u32;

/// What the server buffers for a stream whose client does not read. 1,000 watchers that never read hold 64 MiB.
pub(super) const SEND_BUFFER_BYTES: usize = 64 << 10;
