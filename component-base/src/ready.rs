//! How far a component has come: ready or why not, and the revision that it has reached.
//!
//! The component updates its [`Progress`]; health, `/readyz` and `orrery.v1.Component` read it. A revision never falls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;

/// Whether a component does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not (yet, or any more), and why: "replaying the log", "no connection to the apiserver".
    NotReady(String),
}

impl Readiness {
    /// Whether it is [`Readiness::Ready`].
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// Why it is not ready; empty when it is.
    pub fn reason(&self) -> &str {
        match self {
            Self::Ready => "",
            Self::NotReady(reason) => reason,
        }
    }
}

/// A component's readiness and revision. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    readiness: watch::Sender<Readiness>,
    revision: AtomicI64,
}

impl Progress {
    /// Not ready, at revision 0.
    pub fn new(reason: impl Into<String>) -> Self {
        let (readiness, _) = watch::channel(Readiness::NotReady(reason.into()));
        Self {
            shared: Arc::new(Shared {
                readiness,
                revision: AtomicI64::new(0),
            }),
        }
    }

    /// From now on the component does its work.
    pub fn ready(&self) {
        self.set(Readiness::Ready);
    }

    /// The component does not do its work, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Readiness::NotReady(reason.into()));
    }

    fn set(&self, next: Readiness) {
        self.shared.readiness.send_if_modified(|current| {
            let changed = *current != next;
            if changed {
                *current = next;
            }
            changed
        });
    }

    /// Whether the component does its work.
    pub fn readiness(&self) -> Readiness {
        self.shared.readiness.borrow().clone()
    }

    /// Follows the readiness. The receiver's first value is the present one.
    pub fn follow(&self) -> watch::Receiver<Readiness> {
        self.shared.readiness.subscribe()
    }

    /// The component works from a cache of the cluster: whether that shows the cluster, and at which revision.
    pub fn shows(&self, synced: bool, revision: i64) {
        if synced {
            self.reach(revision);
            self.ready();
        } else if self.shared.readiness.borrow().is_ready() {
            self.not_ready("listing the objects again");
        }
    }

    /// The component has reached `revision`. An older one than before changes nothing.
    pub fn reach(&self, revision: i64) {
        self.shared.revision.fetch_max(revision, Ordering::Relaxed);
    }

    /// The newest revision that the component has reached; 0 before the first.
    pub fn revision(&self) -> i64 {
        self.shared.revision.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_wakes_followers_only_when_it_changes_and_revisions_never_fall() {
        let progress = Progress::new("starting");
        let mut follower = progress.follow();
        assert_eq!(follower.borrow_and_update().reason(), "starting");
        progress.not_ready("starting");
        assert!(!follower.has_changed().unwrap());
        progress.clone().ready();
        assert!(follower.has_changed().unwrap() && progress.readiness().is_ready());
        progress.reach(7);
        progress.reach(5);
        assert_eq!(progress.revision(), 7);
    }

    #[test]
    fn a_component_is_ready_while_its_cache_shows_the_cluster() {
        let progress = Progress::new("starting");
        progress.shows(false, 0);
        assert_eq!(progress.readiness().reason(), "starting");
        progress.shows(true, 7);
        assert!(progress.readiness().is_ready());
        progress.shows(false, 7);
        assert_eq!(progress.readiness().reason(), "listing the objects again");
        assert_eq!(progress.revision(), 7);
    }
}
