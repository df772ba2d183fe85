//! The garbage collector leaves no orphan and deletes nothing owned.
//!
//! Once the cluster has settled, every object that names owners has one that exists. And an object that no controller
//! deletes by itself goes by the cluster's hand only when all of its owners are gone or going: Pods and ReplicaSets
//! are left out here, as scaling down deletes them too (see `replicas`).

use super::Violation;
use super::facts::{Body, Facts};
use super::history::{Change, History, State};
use std::collections::HashSet;

/// The invariant's name.
pub const NAME: &str = "garbage and nothing else goes";
/// Who runs the garbage collector.
const COLLECTOR: &str = "controller-manager";

/// One violation for each orphan that stayed, and for each owned object that went.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    // UIDs of what exists and is not on its way out.
    let mut staying: HashSet<String> = uids(&history.start, |facts| !facts.deleting);
    history.replay(|state, entry| {
        let before = state.objects.get(&entry.key);
        if let Some(before) = before {
            let starts_to_go = match &entry.change {
                Change::Delete => true,
                Change::Upsert(now) => now.deleting && !before.deleting,
            };
            if starts_to_go && !before.deleting && entry.actor.as_ref() == COLLECTOR && only_collected(before)
            {
                let owner = before.owners.iter().find(|owner| staying.contains(*owner));
                broken.extend(owner.map(|owner| {
                    let what = format!("{} was deleted while its owner {owner} is there", entry.key);
                    Violation::new(NAME, entry.revision, what)
                }));
            }
            staying.remove(&before.uid);
        }
        if let Change::Upsert(now) = &entry.change
            && !now.deleting
        {
            staying.insert(now.uid.clone());
        }
    });
    let revisions = history.settled.iter().map(|settled| settled.to);
    history.at_revisions(revisions, |_, state| broken.extend(orphans(state)));
    broken
}

/// Whether nobody but the collector deletes such an object.
fn only_collected(facts: &Facts) -> bool {
    !facts.owners.is_empty() && !matches!(facts.body, Body::Pod(_) | Body::ReplicaSet(_))
}

fn uids(state: &State, which: impl Fn(&Facts) -> bool) -> HashSet<String> {
    let chosen = state.objects.values().filter(|facts| which(facts));
    chosen.map(|facts| facts.uid.clone()).collect()
}

fn orphans(state: &State) -> Vec<Violation> {
    let there = uids(state, |_| true);
    let mut found = Vec::new();
    for (key, facts) in &state.objects {
        if !facts.owners.is_empty() && !facts.owners.iter().any(|owner| there.contains(owner)) {
            let what = format!("{key} is still there, and its owners are gone");
            found.push(Violation::new(NAME, state.revision, what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, deployment, deployment_key, note, note_key, owned};
    use super::*;

    fn dependent(uid: &str) -> Facts {
        owned(uid, "d", Body::Other)
    }

    #[test]
    fn what_is_owned_goes_only_after_its_owner() {
        for (owner_first, expected) in [(true, 0), (false, 1)] {
            let mut story = Story::default();
            story.put(&deployment_key("web"), deployment("d", 1));
            story.put(&note_key("a"), dependent("a"));
            if owner_first {
                story.delete(&deployment_key("web"));
            }
            story.delete_by("controller-manager", &note_key("a"));
            assert_eq!(check(&story.history).len(), expected);
        }
    }

    #[test]
    fn a_user_may_delete_what_is_owned() {
        let mut story = Story::default();
        story.put(&deployment_key("web"), deployment("d", 1));
        story.put(&note_key("a"), dependent("a"));
        story.delete_by("user", &note_key("a"));
        assert_eq!(check(&story.history), []);
    }

    #[test]
    fn an_orphan_is_found_once_all_is_quiet() {
        let mut story = Story::default();
        story.put(&deployment_key("web"), deployment("d", 1));
        story.put(&note_key("a"), dependent("a"));
        story.put(&note_key("free"), note("f", 1));
        story.delete(&deployment_key("web"));
        assert_eq!(check(&story.history), []);
        story.settle(|_| {});
        assert_eq!(check(&story.history).len(), 1);
    }
}
