//! Every limit of this server, each with its reason. Nothing here can be set: a limit that must be tuned is a flag in
//! [`crate::config`].

use std::time::Duration;

/// The largest encoded object: what etcd takes in one request by default, so that both engines refuse alike.
pub const MAX_OBJECT_BYTES: usize = 1_572_864;

/// The most items in a page of a list, whatever the request asks for.
pub const MAX_PAGE_ITEMS: usize = 5_000;

/// The most bytes of items in a page: a page must fit into a 4 MiB message, with room for the largest object that ends
/// it and for the page's own fields.
pub const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The most kinds (or kinds in a namespace) that one watch follows. There are 29 kinds, all custom ones together being one;
/// the rest is for namespaces.
pub const MAX_WATCH_TARGETS: usize = 64;

/// The most writes in one batch, as `resources.proto` says.
pub const MAX_BATCH_OPERATIONS: usize = 1_000;

/// The most bytes of objects and errors in the answer to a batch: it must fit into a 4 MiB message with its other
/// fields. Objects beyond are answered by their identity alone, and errors by their reason and first words.
pub const MAX_BATCH_ANSWER_BYTES: usize = 3 * 1024 * 1024;

/// What is left of the message of an error that does not fit into the answer to a batch. Those of a whole batch fit
/// into what [`MAX_BATCH_ANSWER_BYTES`] leaves.
pub const MAX_SHORT_MESSAGE_CHARS: usize = 128;

/// The most bytes of objects in the answer to History/ListChanges; older changes are left out.
pub const MAX_HISTORY_BYTES: usize = 2 * 1024 * 1024;

/// The most changes that History/ListChanges returns.
pub const MAX_HISTORY: usize = 1_000;

/// How long a kubelet may take to accept a connection, before it counts as down: it is one hop away.
pub const KUBELET_CONNECT: Duration = Duration::from_secs(5);

/// How long a kubelet may take to begin its answer, and to answer a ping while a log is followed: a process that is
/// stopped takes connections all the same.
pub const KUBELET_ANSWER: Duration = Duration::from_secs(10);

/// The most of a log that is taken from a kubelet in one message; it sends pieces of 32 KiB.
pub const MAX_LOG_PIECE_BYTES: usize = 256 * 1024;

/// How often a generated name is drawn again when it is taken, as upstream.
pub const MAX_NAME_ATTEMPTS: usize = 8;

/// How often an apply is planned again when its object goes while it is planned to change it: each time somebody else has
/// deleted it once more.
pub const MAX_APPLY_ATTEMPTS: usize = 4;

/// The longest selector, continue token, name or kind in a request. Kubernetes' longest name has 253 characters; a
/// selector of this length already costs more to match than to send.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The most objects that one DeleteCollection or expiry pass removes in one commit: bounds the time that other writes
/// wait behind it.
pub const MAX_DELETES_PER_COMMIT: usize = 500;
