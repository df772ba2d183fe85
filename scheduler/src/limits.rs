//! Every limit of the scheduler's process, with its reason.

/// How many batches of bindings are on their way at a time. One waits for its fsync while the next is decided; more would
/// only queue at the server's committer.
pub(crate) const BATCHES_IN_FLIGHT: usize = 4;

/// The most bindings in one batch: some milliseconds of deciding, so that the first does not wait long for the last.
pub(crate) const BINDINGS_A_BATCH: usize = 500;

/// How many Pods are decided on before changes and answers are looked at again, also when none finds a node.
pub(crate) const DECISIONS_A_TURN: usize = 500;

/// How many batches of evictions are on their way at a time, as [`BATCHES_IN_FLIGHT`].
pub(crate) const EVICTIONS_IN_FLIGHT: usize = 2;

/// How often a batch of evictions is sent before those that wait for it look for other victims.
pub(crate) const EVICTION_TRIES: u32 = 5;

/// How often a write that a Pod waits for is sent while there is no answer.
pub(crate) const WRITE_TRIES: u32 = 20;

/// How many changes are taken in before the next decisions, so that a storm of them does not stop scheduling.
pub(crate) const CHANGES_A_TURN: usize = 4096;

/// How many status writes wait to be sent. More are dropped: the next attempt writes them again.
pub(crate) const CONDITIONS_WAITING: usize = 4096;

/// The most bytes that an extender answers with. Whole nodes of a large cluster take some megabytes.
pub(crate) const EXTENDER_ANSWER_BYTES: usize = 256 << 20;

/// How many explanations are waited for. Each costs a look at every node, on the task that decides.
pub(crate) const EXPLANATIONS_WAITING: usize = 16;

/// The most nodes in one explanation: it must fit into a message of 4 MiB, and a node takes up to 250 bytes.
pub(crate) const NODES_EXPLAINED: usize = 10_000;

/// How long a shutdown waits for bindings that are on their way.
pub(crate) const DRAIN_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
