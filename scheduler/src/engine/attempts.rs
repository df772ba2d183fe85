//! [`Attempts`]: the last decisions, for whoever asks why. A ring: to note one costs a few pointers, and the oldest fall out.

use crate::diagnosis::Diagnosis;
use crate::framework::Room;
use client::ObjectKey;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many attempts are kept, of all Pods together: about 2 MiB, as diagnoses are shared between Pods of a class.
const KEPT: usize = 16_384;
/// How many of one Pod's are told.
const TOLD: usize = 16;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Result {
    /// The node that was chosen.
    Scheduled(Arc<str>),
    /// The node on which the Pod waits for leave to be bound.
    Waiting(Arc<str>),
    /// No node took it; and what else was said.
    Unschedulable(Arc<Diagnosis>, Arc<str>),
    /// No node took it, and room is made.
    Preempting(Arc<Diagnosis>, Arc<Room>),
    /// A plugin failed, or the API refused the binding.
    Failed(Arc<str>),
}

/// One decision about a Pod.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from another Pod of its name.
    pub uid: Arc<str>,
    /// The revision of the cluster that it was decided on.
    pub revision: i64,
    /// When.
    pub time: Timestamp,
    /// What came of it.
    pub result: Result,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Attempts(VecDeque<Attempt>);

impl Attempts {
    pub(super) fn note(&mut self, attempt: Attempt) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(attempt);
    }

    /// A Pod's last attempts, the oldest first. An earlier Pod of its name has no part in them.
    pub fn of(&self, key: &ObjectKey) -> Vec<&Attempt> {
        let mut found: Vec<&Attempt> = Vec::new();
        for attempt in self.0.iter().rev().filter(|attempt| attempt.key == *key) {
            if found.len() == TOLD || found.first().is_some_and(|last| last.uid != attempt.uid) {
                break;
            }
            found.push(attempt);
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Pod;

    fn attempt(name: &str, uid: &str, revision: i64) -> Attempt {
        Attempt {
            key: ObjectKey::new::<Pod>("default", name),
            uid: uid.into(),
            revision,
            time: Timestamp::UNIX_EPOCH,
            result: Result::Scheduled("node-1".into()),
        }
    }

    #[test]
    fn the_last_attempts_of_a_pod_are_told_and_the_oldest_of_all_fall_out() {
        let mut attempts = Attempts::default();
        let revisions = |attempts: &Attempts, name: &str| -> Vec<i64> {
            let key = ObjectKey::new::<Pod>("default", name);
            attempts.of(&key).iter().map(|attempt| attempt.revision).collect()
        };
        attempts.note(attempt("a", "old", 1));
        attempts.note(attempt("b", "b", 2));
        attempts.note(attempt("a", "new", 3));
        attempts.note(attempt("a", "new", 4));
        assert_eq!(
            revisions(&attempts, "a"),
            [3, 4],
            "those of the Pod that has the name now"
        );
        assert!(revisions(&attempts, "none").is_empty());
        for revision in 0..KEPT as i64 {
            attempts.note(attempt("c", "c", revision));
        }
        assert!(revisions(&attempts, "b").is_empty());
        assert_eq!(revisions(&attempts, "c").len(), TOLD);
        assert_eq!(attempts.0.len(), KEPT);
    }
}
