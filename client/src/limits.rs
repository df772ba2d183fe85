//! Every limit of the client, with its reason.

use std::time::Duration;

/// How long a connection attempt may take. An apiserver on the same network answers in milliseconds; a longer wait only
/// delays the next attempt.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take. The server's own deadline is shorter; this one is for when the server hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often a quiet connection is probed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a probe may stay unanswered before the connection counts as lost.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// HTTP/2 window of a stream. A watch of a large cluster starts with hundreds of megabytes; with the default of 64 KiB
/// it would wait for a round trip after every few objects.
pub const STREAM_WINDOW: u32 = 4 << 20;

/// HTTP/2 window of the connection: a watch that is read slowly leaves room for other requests.
pub const CONNECTION_WINDOW: u32 = 16 << 20;

/// The largest message that is accepted. Requests are held to 4 MiB by the server, but an answer can be larger: a batch
/// of a thousand patches answers with a thousand whole objects.
pub const MAX_RECEIVED: usize = 64 << 20;

/// The most writes in one Batch call: the server's limit.
pub const BATCH_OPERATIONS: usize = 1000;

/// The most bytes of writes in one Batch call: the server's limit of 4 MiB a message, less room for framing.
pub const BATCH_BYTES: usize = (4 << 20) - (64 << 10);

/// A watch on which nothing comes for this long, not even a bookmark, is taken for dead and opened again. Many times
/// the pace of the server's bookmarks, so that a late one costs nothing.
pub const STALLED_AFTER: Duration = Duration::from_secs(15);

/// How many deltas wait between the task that reads the stream and the one that applies them. Enough to keep both
/// busy; a reader that stays behind makes the stream wait, and the server feeds it from history later.
pub const DELTAS: usize = 1024;

/// How many batches of a runtime are on their way at a time. One waits for its fsync while the next is planned; more
/// would only queue at the server's committer.
pub const BATCHES_IN_FLIGHT: usize = 4;

/// A batch is sent when it holds so many writes. One plan may bring more, and is then sent in several calls.
pub const FLIGHT_ACTIONS: usize = 500;

/// A batch is sent when its writes hold about so many bytes, which leaves room for one more large object in the call.
pub const FLIGHT_BYTES: usize = 2 << 20;

/// After so many reconciles the runtime looks for new deltas and results, so that neither waits for a long queue.
pub const RECONCILES_A_TURN: usize = 256;

/// Evictions have no batch form; so many are asked for at a time.
pub const EVICTIONS_AT_ONCE: usize = 16;

/// How long a shutdown waits for writes that are on their way.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How many events for people wait to be written. More are dropped: they must never hold up the work they tell of.
pub const EVENTS_WAITING: usize = 1024;

/// How many events for people are written at a time.
pub const EVENTS_A_BATCH: usize = 200;

/// How many different events are remembered, so that a repeat counts up the first instead of making a new one. As
/// client-go's cache.
pub const EVENTS_REMEMBERED: usize = 4096;
