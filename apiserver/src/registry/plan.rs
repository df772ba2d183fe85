//! A write as a plan: a pure function from an object's present state to what becomes of it.
//!
//! Plans are made once from a request and run as often as the object changes under them; the store's compare-and-swap
//! decides which run counts. A plan reads no clock and draws no number: those were handed in when it was made.

use super::errors::Result;
use apimachinery::kinds::KindInfo;
use storage::store::{Key, Revision, Versioned};
use storage::write::Desired;

/// Decides what becomes of the object, which is given without its resourceVersion; run again whenever the object has changed in between.
pub(crate) type Plan = Box<dyn Fn(Option<&Versioned>) -> Result<Desired> + Send + Sync>;

/// What a write answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The object.
    Object,
    /// The object's scale.
    Scale,
}

/// A write that is ready to run.
pub(crate) struct Prepared {
    /// The kind that is written.
    pub(crate) info: &'static KindInfo,
    /// The object.
    pub(crate) key: Key,
    /// Why; 0 for the call's own cause.
    pub(crate) cause: Revision,
    /// Whether to decide only, and store nothing.
    pub(crate) dry_run: bool,
    /// What to answer.
    pub(crate) answer: Answer,
    /// The decision.
    pub(crate) plan: Plan,
}
