//! A list and the watch after it give the list now.
//!
//! The first state with every change that was told, applied up to the revision of a later list, is that list: the same
//! objects at the same revisions with the same content. A watch that could not be resumed breaks this by itself.

use super::Violation;
use super::history::{History, State};

/// The invariant's name.
pub const NAME: &str = "list and watch agree";

/// One violation for each object that differs, and for each gap of the watch.
pub fn check(history: &History) -> Vec<Violation> {
    let gaps = history.gaps.iter();
    let mut broken: Vec<_> = gaps
        .map(|gap| {
            Violation::new(
                NAME,
                gap.after,
                format!("the watch cannot be resumed: {}", gap.why),
            )
        })
        .collect();
    let revisions = history.listings.iter().map(|list| list.state.revision);
    history.at_revisions(revisions, |index, replayed| {
        broken.extend(differences(replayed, &history.listings[index].state));
    });
    broken
}

fn differences(replayed: &State, listed: &State) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut differ = |what: String| found.push(Violation::new(NAME, listed.revision, what));
    for (key, told) in &replayed.objects {
        match listed.objects.get(key) {
            None => differ(format!(
                "{key} is not listed; the watch told of it at {}",
                told.revision
            )),
            Some(list) if list.revision != told.revision => differ(format!(
                "{key} is listed at {}, but the watch told of it at {}",
                list.revision, told.revision
            )),
            Some(list) if list.digest != told.digest => {
                differ(format!(
                    "{key} is listed with another content than the watch told"
                ));
            }
            Some(_) => {}
        }
    }
    for (key, list) in &listed.objects {
        if !replayed.objects.contains_key(key) {
            differ(format!(
                "{key} is listed at {}, but the watch did not tell of it",
                list.revision
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::history::Gap;
    use super::super::testing::{Story, note, note_key};
    use super::*;

    #[test]
    fn what_the_watch_left_out_added_or_changed_is_found() {
        let mut story = Story::default();
        story.put(&note_key("a"), note("a", 1));
        story.put(&note_key("b"), note("b", 1));
        story.list();
        story.put(&note_key("b"), note("b", 2));
        story.delete(&note_key("a"));
        story.list();
        assert_eq!(check(&story.history), []);
        for (index, part) in [
            (0, "did not tell"),
            (1, "did not tell"),
            (2, "listed at 3"),
            (3, "is not listed"),
        ] {
            let mut history = story.history.clone();
            history.entries.remove(index);
            let found = check(&history);
            assert!(found[0].what.contains(part), "{found:?}");
        }
        let mut history = story.history.clone();
        let mut facts = note("b", 3);
        facts.revision = 3;
        let entry = &mut history.entries[2];
        entry.change = super::super::history::Change::Upsert(facts.into());
        assert!(check(&history)[0].what.contains("another content"));
    }

    #[test]
    fn a_watch_that_cannot_be_resumed_is_found() {
        let mut story = Story::default();
        let why = "too old".to_owned();
        story.history.gaps.push(Gap { after: 7, why });
        assert_eq!(check(&story.history)[0].revision, 7);
    }
}
