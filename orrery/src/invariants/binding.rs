//! A pod's nodeName goes from empty to a value once per UID, and then never changes.

use super::Violation;
use super::history::{Change, History};

/// The invariant's name.
pub const NAME: &str = "pods are bound once";

/// One violation for each change of a node that was given already.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    history.replay(|state, entry| {
        let Change::Upsert(now) = &entry.change else {
            return;
        };
        let Some(before) = state
            .objects
            .get(&entry.key)
            .filter(|before| before.uid == now.uid)
        else {
            return;
        };
        if let (Some(was), Some(is)) = (before.pod(), now.pod())
            && !was.node.is_empty()
            && was.node != is.node
        {
            let what = format!("{} moved from {:?} to {:?}", entry.key, was.node, is.node);
            broken.push(Violation::new(NAME, entry.revision, what));
        }
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, pod, pod_key};
    use super::*;

    #[test]
    fn a_node_is_given_once_and_a_new_pod_of_the_name_may_have_another() {
        let mut story = Story::default();
        let key = pod_key("p");
        story.put(&key, pod("u", "r", "", "Pending"));
        story.put(&key, pod("u", "r", "n", "Pending"));
        story.put(&key, pod("u", "r", "n", "Running"));
        story.put(&key, pod("v", "r", "m", "Pending"));
        assert_eq!(check(&story.history), []);
        story.put(&key, pod("v", "r", "n", "Pending"));
        story.put(&key, pod("v", "r", "", "Pending"));
        assert_eq!(check(&story.history).len(), 2);
    }
}
