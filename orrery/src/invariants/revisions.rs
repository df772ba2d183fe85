//! Revisions never fall or repeat, across restarts too.
//!
//! In what the watch tells, every revision is larger than the one before; and a write is acknowledged with a revision
//! larger than every one that was acknowledged before the write was sent.

use super::Violation;
use super::history::{History, Wrote};

/// The invariant's name.
pub const NAME: &str = "revisions rise";

/// One violation for each revision that falls or repeats.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut last = history.start.revision;
    for entry in &history.entries {
        if entry.revision <= last {
            let what = format!("told after revision {last}, for {}", entry.key);
            broken.push(Violation::new(NAME, entry.revision, what));
        }
        last = last.max(entry.revision);
    }
    for write in &history.acknowledged {
        if let Wrote::Put { revision } = write.wrote
            && revision <= write.after
        {
            let what = format!(
                "given to a write of {} that was sent after revision {} was acknowledged",
                write.key, write.after
            );
            broken.push(Violation::new(NAME, revision, what));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, note, note_key};
    use super::*;

    #[test]
    fn a_revision_that_repeats_or_falls_is_found() {
        let mut story = Story::default();
        for content in 1..4 {
            story.put(&note_key("a"), note("a", content));
        }
        assert_eq!(check(&story.history), []);
        story.history.entries[2].revision = 2;
        assert_eq!(check(&story.history)[0].revision, 2);
        story.history.entries[2].revision = 1;
        assert_eq!(check(&story.history)[0].revision, 1);
    }

    #[test]
    fn an_acknowledged_revision_lies_after_those_acknowledged_before() {
        let mut story = Story::default();
        let revision = story.put(&note_key("a"), note("a", 1));
        story.acknowledge(&note_key("a"), revision);
        assert_eq!(check(&story.history), []);
        story.history.acknowledged[0].after = revision;
        assert_eq!(check(&story.history).len(), 1);
    }
}
