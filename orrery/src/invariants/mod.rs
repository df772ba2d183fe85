//! What must always hold, as pure functions over a recorded [`History`].
//!
//! One file an invariant; [`ALL`] lists them. Each gives every way in which the history breaks it, and nothing for a
//! history that is right. None of them looks at a clock or asks a server: a history that breaks an invariant can be
//! kept and checked again.
//!
//! | invariant | what it says |
//! | --- | --- |
//! | [`acknowledged`] | an acknowledged write survives |
//! | [`revisions`] | revisions never fall or repeat |
//! | [`replay`] | a list and the watch after it give the list now |
//! | [`binding`] | a pod's nodeName goes from empty to a value once |
//! | [`one_node`] | one pod never runs on two nodes |
//! | [`capacity`] | requests never exceed a node's allocatable |
//! | [`replicas`] | a ReplicaSet never has too many pods, and settles at the right number |
//! | [`finalizers`] | a finalized object stays until its list is empty |
//! | [`garbage`] | no orphan stays, nothing owned goes |
//! | [`quiet`] | after convergence, writes to specs stop |
//! | [`restarts`] | no container starts again because a process of the cluster did |
//! | [`same_end`] | a run with faults ends as one without (compares two states) |

pub mod acknowledged;
pub mod binding;
pub mod capacity;
pub mod facts;
pub mod finalizers;
pub mod garbage;
pub mod history;
pub mod one_node;
pub mod quiet;
pub mod replay;
pub mod replicas;
pub mod restarts;
pub mod revisions;
pub mod same_end;
#[cfg(test)]
pub(crate) mod testing;

use history::History;
use serde::Serialize;

/// One way in which a history breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// Where in the history.
    pub revision: i64,
    /// What is wrong, for people.
    pub what: String,
}

impl Violation {
    fn new(invariant: &'static str, revision: i64, what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            invariant,
            revision,
            what,
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} at revision {}: {}",
            self.invariant, self.revision, self.what
        )
    }
}

/// An invariant over one history.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// Every way in which the history breaks it.
    pub check: fn(&History) -> Vec<Violation>,
}

/// Every invariant over one history.
pub const ALL: [Invariant; 11] = [
    Invariant {
        name: acknowledged::NAME,
        check: acknowledged::check,
    },
    Invariant {
        name: revisions::NAME,
        check: revisions::check,
    },
    Invariant {
        name: replay::NAME,
        check: replay::check,
    },
    Invariant {
        name: binding::NAME,
        check: binding::check,
    },
    Invariant {
        name: one_node::NAME,
        check: one_node::check,
    },
    Invariant {
        name: capacity::NAME,
        check: capacity::check,
    },
    Invariant {
        name: replicas::NAME,
        check: replicas::check,
    },
    Invariant {
        name: finalizers::NAME,
        check: finalizers::check,
    },
    Invariant {
        name: garbage::NAME,
        check: garbage::check,
    },
    Invariant {
        name: quiet::NAME,
        check: quiet::check,
    },
    Invariant {
        name: restarts::NAME,
        check: restarts::check,
    },
];

/// Checks every invariant.
pub fn check_all(history: &History) -> Vec<Violation> {
    ALL.iter()
        .flat_map(|invariant| (invariant.check)(history))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_holds_for_a_cluster_that_does_what_it_should() {
        assert_eq!(check_all(&testing::ordinary()), []);
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<_> = ALL.iter().map(|invariant| invariant.name).collect();
        names.push(same_end::NAME);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
