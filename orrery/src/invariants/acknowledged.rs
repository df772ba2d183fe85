//! An acknowledged write survives.
//!
//! Two witnesses: the watch tells of the revision that was acknowledged; and every list that was made later shows the
//! object as it was written or as somebody wrote it after that.

use super::Violation;
use super::history::{Acknowledged, Change, History, Listing, Wrote};
use client::ObjectKey;
use std::collections::HashMap;

/// The invariant's name.
pub const NAME: &str = "acknowledged writes survive";

/// One violation for each write that is lost.
pub fn check(history: &History) -> Vec<Violation> {
    let told: HashMap<i64, &ObjectKey> = history
        .entries
        .iter()
        .map(|entry| (entry.revision, &entry.key))
        .collect();
    let mut deleted: HashMap<&ObjectKey, Vec<i64>> = HashMap::new();
    for entry in history
        .entries
        .iter()
        .filter(|entry| entry.change == Change::Delete)
    {
        deleted.entry(&entry.key).or_default().push(entry.revision);
    }
    let no_deletions = Vec::new();
    let mut lost = Vec::new();
    for (index, write) in history.acknowledged.iter().enumerate() {
        let later = history.listings.iter().filter(|list| list.acknowledged > index);
        let deletions = deleted.get(&write.key).unwrap_or(&no_deletions);
        let missing = match &write.wrote {
            Wrote::Put { revision } if told.get(revision) != Some(&&write.key) => Some(format!(
                "revision {revision} was acknowledged, but the watch never told of it"
            )),
            _ => later
                .filter(|list| !shows(list, write, deletions))
                .map(|list| format!("is not in the list at revision {}", list.state.revision))
                .next(),
        };
        if let Some(why) = missing {
            let (revision, what) = match &write.wrote {
                Wrote::Put { revision } => (*revision, "a write"),
                Wrote::Deleted { .. } => (write.after, "a deletion"),
            };
            lost.push(Violation::new(
                NAME,
                revision,
                format!("{what} of {}: {why}", write.key),
            ));
        }
    }
    lost
}

/// Whether a list that was made later agrees with the write.
fn shows(list: &Listing, write: &Acknowledged, deletions: &[i64]) -> bool {
    let now = list.state.objects.get(&write.key);
    match &write.wrote {
        Wrote::Put { revision } => match now {
            Some(facts) => facts.revision >= *revision,
            None => deletions
                .iter()
                .any(|deletion| deletion > revision && *deletion <= list.state.revision),
        },
        Wrote::Deleted { uid } => now.is_none_or(|facts| facts.uid != *uid || facts.deleting),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, note, note_key};
    use super::*;

    #[test]
    fn a_write_that_no_watch_told_of_is_lost() {
        let mut story = Story::default();
        let revision = story.put(&note_key("a"), note("a", 1));
        story.acknowledge(&note_key("a"), revision);
        assert_eq!(check(&story.history), []);
        story.acknowledge(&note_key("b"), revision);
        story.acknowledge(&note_key("a"), revision + 1);
        assert_eq!(check(&story.history).len(), 2);
    }

    #[test]
    fn a_write_that_a_later_list_lacks_is_lost_unless_the_object_was_deleted() {
        let mut story = Story::default();
        let key = note_key("a");
        story.put(&key, note("a", 1));
        story.list();
        let revision = story.put(&key, note("a", 2));
        story.acknowledge(&key, revision);
        story.list();
        assert_eq!(check(&story.history), [], "an earlier list need not show it");
        let mut stale = story.history.clone();
        stale.listings[1].state = stale.listings[0].state.clone();
        assert_eq!(check(&stale).len(), 1);
        let mut gone = story.history.clone();
        gone.listings[1].state.objects.clear();
        assert_eq!(check(&gone).len(), 1);
        story.delete(&key);
        story.list();
        assert_eq!(check(&story.history), []);
    }

    #[test]
    fn a_deletion_is_lost_when_the_same_object_is_there_as_if_nothing_had_happened() {
        let mut story = Story::default();
        let key = note_key("a");
        story.put(&key, note("a", 1));
        let wrote = Wrote::Deleted { uid: "a".into() };
        story.history.acknowledged.push(Acknowledged {
            key: key.clone(),
            after: 1,
            wrote,
        });
        story.list();
        assert_eq!(check(&story.history).len(), 1);
        story.history.listings.clear();
        story.put(&key, note("a second of that name", 1));
        story.list();
        assert_eq!(check(&story.history), []);
    }
}
