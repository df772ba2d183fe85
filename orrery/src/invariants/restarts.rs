//! No container starts again because a process of the cluster did: the load's containers never end by themselves.

use super::Violation;
use super::history::{Change, History};

/// The invariant's name.
pub const NAME: &str = "pods run on";

/// One violation for each container that was started again.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    history.replay(|state, entry| {
        let Change::Upsert(now) = &entry.change else {
            return;
        };
        let before = state
            .objects
            .get(&entry.key)
            .filter(|before| before.uid == now.uid);
        let restarts = |facts: &super::facts::Facts| facts.pod().map_or(0, |pod| pod.restarts);
        let (was, is) = (before.map_or(0, |before| restarts(before)), restarts(now));
        if is > was {
            let what = format!(
                "containers of {} have started again {is} times, before that {was}",
                entry.key
            );
            broken.push(Violation::new(NAME, entry.revision, what));
        }
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::super::facts::Body;
    use super::super::testing::{Story, pod, pod_key};
    use super::*;

    #[test]
    fn a_container_that_starts_again_is_found() {
        let mut story = Story::default();
        let mut facts = pod("p", "r", "n", "Running");
        story.put(&pod_key("p"), facts.clone());
        story.put(&pod_key("p"), facts.clone());
        assert_eq!(check(&story.history), []);
        if let Body::Pod(pod) = &mut facts.body {
            pod.restarts = 1;
        }
        story.put(&pod_key("p"), facts.clone());
        story.put(&pod_key("p"), facts);
        assert_eq!(check(&story.history).len(), 1);
    }
}
