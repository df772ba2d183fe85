//! [`History`]: what a cluster did and was asked to do, as one observer recorded it.
//!
//! Everything a checker sees is here: every change that one watch stream told, resumed across every crash; every write
//! that was acknowledged; complete lists taken in between; the moments at which the cluster stood still.

use super::facts::Facts;
use client::ObjectKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects as they were at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The revision.
    pub revision: i64,
    /// Every object.
    pub objects: BTreeMap<ObjectKey, Arc<Facts>>,
}

impl State {
    /// Takes in a change.
    pub fn apply(&mut self, entry: &Entry) {
        self.revision = entry.revision;
        match &entry.change {
            Change::Upsert(facts) => {
                self.objects.insert(entry.key.clone(), facts.clone());
            }
            Change::Delete => {
                self.objects.remove(&entry.key);
            }
        }
    }

    /// How many live Pods each controller has, by its UID.
    pub fn live_pods(&self) -> BTreeMap<&str, i64> {
        let mut counts = BTreeMap::new();
        for facts in self.objects.values().filter(|facts| facts.is_live_pod()) {
            if let Some(controller) = &facts.controller {
                *counts.entry(controller.as_str()).or_default() += 1;
            }
        }
        counts
    }
}

/// One change that the watch told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The revision that the change made.
    pub revision: i64,
    /// The object.
    pub key: ObjectKey,
    /// What became of it.
    pub change: Change,
    /// Who wrote.
    pub actor: Arc<str>,
    /// The revision that the writer acted on; 0 when it names none.
    pub cause: i64,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new or has changed.
    Upsert(Arc<Facts>),
    /// It is gone.
    Delete,
}

/// A write that the API acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The object.
    pub key: ObjectKey,
    /// The newest revision that had been acknowledged to anybody when this write was first sent.
    pub after: i64,
    /// What was acknowledged.
    pub wrote: Wrote,
}

/// What an acknowledged write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// The object has this revision, or a later one.
    Put {
        /// The revision.
        revision: i64,
    },
    /// The object with this UID is gone or going.
    Deleted {
        /// The UID.
        uid: String,
    },
}

/// The load was about to take its finalizer off an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The object.
    pub key: ObjectKey,
    /// The newest revision that had been acknowledged to anybody when the release was first sent.
    pub after: i64,
}

/// All objects, read by lists at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// How many of the history's acknowledged writes came before the list.
    pub acknowledged: usize,
    /// What was listed.
    pub state: State,
}

/// A time in which nobody asked for anything, after the cluster had converged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The revision at which the cluster had converged.
    pub from: i64,
    /// The revision at the end of the quiet time.
    pub to: i64,
}

/// A promise of the watch that was broken while it was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last revision that had been told.
    pub after: i64,
    /// What happened instead.
    pub why: String,
}

/// The whole record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The objects before the first change.
    pub start: State,
    /// Every change, in the order in which the watch told them.
    pub entries: Vec<Entry>,
    /// Every write that was acknowledged to the load, in that order.
    pub acknowledged: Vec<Acknowledged>,
    /// Every release of a finalizer that the load began.
    pub releases: Vec<Release>,
    /// Complete lists, in the order in which they were made.
    pub listings: Vec<Listing>,
    /// The quiet times.
    pub settled: Vec<Settled>,
    /// Where the watch broke.
    pub gaps: Vec<Gap>,
}

impl History {
    /// Goes through the changes; `visit` sees each with the state before it. Gives the last state.
    pub fn replay(&self, mut visit: impl FnMut(&State, &Entry)) -> State {
        let mut state = self.start.clone();
        for entry in &self.entries {
            visit(&state, entry);
            state.apply(entry);
        }
        state
    }

    /// Shows `visit` the state at each of these revisions, which must rise.
    pub fn at_revisions(
        &self,
        revisions: impl IntoIterator<Item = i64>,
        mut visit: impl FnMut(usize, &State),
    ) {
        let mut state = self.start.clone();
        let mut entries = self.entries.iter().peekable();
        for (index, revision) in revisions.into_iter().enumerate() {
            while let Some(entry) = entries.next_if(|entry| entry.revision <= revision) {
                state.apply(entry);
            }
            visit(index, &state);
        }
    }
}
