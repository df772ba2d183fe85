//! After convergence, writes to specs stop.
//!
//! While nobody asks for anything, no object is made, deleted, or changed in what it asks for. Leases are renewed in
//! their spec and Events are notes to people; both go on.

use super::Violation;
use super::history::{Change, History};
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::Event;

/// The invariant's name.
pub const NAME: &str = "writes to specs stop";

/// One violation for each write of a spec in a quiet time.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    history.replay(|state, entry| {
        let quiet = |revision| {
            let mut times = history.settled.iter();
            times.any(|settled| settled.from < revision && revision <= settled.to)
        };
        if [Lease::NUMBER, Event::NUMBER].contains(&entry.key.kind) || !quiet(entry.revision) {
            return;
        }
        let did = match (state.objects.get(&entry.key), &entry.change) {
            (None, Change::Upsert(_)) => "made",
            (Some(before), Change::Upsert(now)) if before.content != now.content => "changed",
            (Some(before), Change::Upsert(now)) if before.deleting != now.deleting => "began to delete",
            (_, Change::Delete) => "deleted",
            (Some(_), Change::Upsert(_)) => return,
        };
        let what = format!("{:?} {did} {}", entry.actor, entry.key);
        broken.push(Violation::new(NAME, entry.revision, what));
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, note, note_key, pod, pod_key, set, set_key};
    use super::*;
    use client::ObjectKey;

    #[test]
    fn only_writes_of_specs_in_a_quiet_time_are_found() {
        let lease = ObjectKey::new::<Lease>("kube-node-lease", "n");
        let mut story = Story::default();
        story.put(&set_key("web"), set("r", "d", 1));
        story.put(&pod_key("p"), pod("p", "r", "n", "Pending"));
        story.put(&lease, note("l", 1));
        story.settle(|story| {
            story.put(&lease, note("l", 2));
            story.put(&pod_key("p"), pod("p", "r", "n", "Running"));
        });
        story.put(&set_key("web"), set("r", "d", 2));
        assert_eq!(check(&story.history), []);
        story.settle(|story| {
            story.put(&set_key("web"), set("r", "d", 3));
            story.put(&note_key("new"), note("x", 1));
            story.delete(&pod_key("p"));
        });
        assert_eq!(check(&story.history).len(), 3);
    }
}
