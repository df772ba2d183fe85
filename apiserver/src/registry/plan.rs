//! A write as a plan: a pure function from an object's present state to what becomes of it.
//!
//! Plans are made once from a request and run as often as the object changes under them; the store's compare-and-swap
//! decides which run counts. A plan reads no clock and draws no number: those were handed in when it was made.

use super::Resource;
use super::errors::Result;
use std::sync::{Arc, Mutex, PoisonError};
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

/// What a plan's writer should know though nothing is refused. A plan may run often; its last run counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Replaces what an earlier run had to say.
    pub(crate) fn set(&self, warnings: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
    }

    /// Says more of the same run.
    pub(crate) fn add(&self, mut warnings: Vec<String>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.append(&mut warnings);
    }

    /// What the last run had to say.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Vec<String>> for Warnings {
    fn from(warnings: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(warnings)))
    }
}

/// A write that is ready to run.
pub(crate) struct Prepared {
    /// The kind that is written.
    pub(crate) info: Resource,
    /// The object.
    pub(crate) key: Key,
    /// Why; 0 for the call's own cause.
    pub(crate) cause: Revision,
    /// Whether to decide only, and store nothing.
    pub(crate) dry_run: bool,
    /// What to answer.
    pub(crate) answer: Answer,
    /// What the decision makes known.
    pub(crate) warnings: Warnings,
    /// The decision.
    pub(crate) plan: Plan,
}
