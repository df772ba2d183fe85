//! A finalized object stays until its list of finalizers is empty.
//!
//! An object that carried finalizers may only go by the hand of who answers for them: the load's own finalizer ends with
//! a release that the load began; those of Kubernetes' own (`orphan`, `foregroundDeletion`) with the garbage collector.

use super::Violation;
use super::history::{Change, History};
use apimachinery::well_known::{FOREGROUND_DELETION, ORPHAN};

/// The invariant's name.
pub const NAME: &str = "finalizers hold";
/// The finalizer of the load.
pub const HOLD: &str = "drill.orrery.dev/hold";
/// Who runs the garbage collector.
const COLLECTOR: &str = "controller-manager";

/// One violation for each object that went too early.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    history.replay(|state, entry| {
        let Some(before) = state.objects.get(&entry.key) else {
            return;
        };
        let gone = match &entry.change {
            Change::Delete => true,
            Change::Upsert(now) => now.uid != before.uid,
        };
        if !gone {
            return;
        }
        for finalizer in &before.finalizers {
            let answered = match finalizer.as_str() {
                HOLD => history
                    .releases
                    .iter()
                    .any(|release| release.key == entry.key && release.after < entry.revision),
                FOREGROUND_DELETION | ORPHAN => entry.actor.as_ref() == COLLECTOR,
                _ => false,
            };
            if !answered {
                let what = format!(
                    "{} went by the hand of {:?} while {finalizer} held it",
                    entry.key, entry.actor
                );
                broken.push(Violation::new(NAME, entry.revision, what));
            }
        }
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::super::history::Release;
    use super::super::testing::{Story, note, note_key};
    use super::*;

    fn held(uid: &str, finalizer: &str) -> Facts {
        Facts {
            finalizers: vec![finalizer.into()],
            deleting: true,
            ..note(uid, 1)
        }
    }

    #[test]
    fn an_object_goes_after_its_release_and_not_before() {
        let mut story = Story::default();
        let key = note_key("a");
        story.put(&key, held("a", HOLD));
        story.delete(&key);
        assert_eq!(check(&story.history).len(), 1);
        story.history.releases.push(Release { key, after: 1 });
        assert_eq!(check(&story.history), []);
    }

    #[test]
    fn a_second_object_of_the_name_does_not_take_its_place_either() {
        let mut story = Story::default();
        story.put(&note_key("a"), held("a", HOLD));
        story.put(&note_key("a"), held("b", HOLD));
        assert_eq!(check(&story.history).len(), 1);
    }

    #[test]
    fn only_the_collector_ends_a_foreground_deletion() {
        for (actor, expected) in [("controller-manager", 0), ("scheduler", 1)] {
            let mut story = Story::default();
            story.put(&note_key("a"), held("a", FOREGROUND_DELETION));
            story.delete_by(actor, &note_key("a"));
            assert_eq!(check(&story.history).len(), expected, "{actor}");
        }
    }
}
