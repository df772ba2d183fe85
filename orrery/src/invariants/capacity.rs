//! The sum of requests never exceeds a node's allocatable, at any revision.
//!
//! Counted are all pods bound to the node whose containers have not ended for good, as the scheduler counts them.
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-requests-are-scheduled>

use super::Violation;
use super::facts::{Facts, Milli};
use super::history::{Change, History, State};
use client::ObjectKey;
use proto::api::core::v1::Node;
use std::collections::HashMap;

/// The invariant's name.
pub const NAME: &str = "requests fit";

/// Requests by node and resource.
type Sums = HashMap<String, Milli>;

/// One violation for each change that puts more on a node than it has.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut sums = Sums::new();
    for facts in history.start.objects.values() {
        count(&mut sums, facts, 1);
    }
    history.replay(|state, entry| {
        if let Some(before) = state.objects.get(&entry.key) {
            count(&mut sums, before, -1);
        }
        let Change::Upsert(now) = &entry.change else {
            return;
        };
        count(&mut sums, now, 1);
        let Some(node) = placed(now) else { return };
        let before = state.objects.get(&entry.key).and_then(|before| placed(before));
        // Only the change that takes the room is to blame, not every later one of the same pod.
        if before != Some(node) {
            let too_much = excess(state, &sums, node);
            broken.extend(
                too_much.map(|what| Violation::new(NAME, entry.revision, format!("{}: {what}", entry.key))),
            );
        }
    });
    broken
}

/// The node on which the pod takes room.
fn placed(facts: &Facts) -> Option<&str> {
    let pod = facts.pod()?;
    (!pod.node.is_empty() && !pod.finished()).then_some(pod.node.as_str())
}

fn count(sums: &mut Sums, facts: &Facts, sign: i64) {
    if let (Some(node), Some(pod)) = (placed(facts), facts.pod()) {
        let sums = sums.entry(node.to_owned()).or_default();
        for (resource, amount) in &pod.requests {
            *sums.entry(resource.clone()).or_default() += sign * amount;
        }
    }
}

/// What of the node is overcommitted. A node that is gone has nothing to exceed.
fn excess(state: &State, sums: &Sums, name: &str) -> Option<String> {
    let node = state.objects.get(&ObjectKey::new::<Node>("", name))?.node()?;
    sums.get(name)?.iter().find_map(|(resource, sum)| {
        let has = node.allocatable.get(resource).copied().unwrap_or(0);
        (*sum > has).then(|| format!("{sum}m of {resource} on {name}, which has {has}m"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node, node_key, pod, pod_key};
    use super::*;

    #[test]
    fn the_pod_that_does_not_fit_is_found_and_finished_pods_do_not_count() {
        let mut story = Story::default();
        story.put(&node_key("n"), node("n", 2));
        story.put(&pod_key("a"), pod("a", "r", "n", "Running"));
        story.put(&pod_key("b"), pod("b", "r", "n", "Pending"));
        story.put(&pod_key("waits"), pod("w", "r", "", "Pending"));
        story.put(&pod_key("a"), pod("a", "r", "n", "Succeeded"));
        story.put(&pod_key("c"), pod("c", "r", "n", "Pending"));
        story.delete(&pod_key("b"));
        story.put(&pod_key("d"), pod("d", "r", "n", "Pending"));
        assert_eq!(check(&story.history), []);
        let revision = story.put(&pod_key("e"), pod("e", "r", "n", "Pending"));
        story.put(&pod_key("e"), pod("e", "r", "n", "Running"));
        let found = check(&story.history);
        assert_eq!((found.len(), found[0].revision), (1, revision));
        assert!(
            found[0].what.contains("3000m of cpu on n, which has 2000m"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_there_at_the_start_counts() {
        let mut story = Story::default();
        story.put(&node_key("n"), node("n", 1));
        story.put(&pod_key("a"), pod("a", "r", "n", "Running"));
        let start = story.history.replay(|_, _| {});
        story.history = History {
            start,
            ..History::default()
        };
        story.put(&pod_key("b"), pod("b", "r", "n", "Pending"));
        assert_eq!(check(&story.history).len(), 1);
    }
}
