//! A run with faults ends in the same state as one without.
//!
//! Compared is what a user declared and what it led to, without what differs from run to run: names that were drawn,
//! UIDs, times, revisions, and which node a pod landed on.

use super::Violation;
use super::facts::Body;
use super::history::State;
use std::collections::BTreeMap;

/// The invariant's name.
pub const NAME: &str = "faults leave no trace";

/// One violation for each difference. `namespace` is where the declared objects are.
pub fn compare(with_faults: &State, without: &State, namespace: &str) -> Vec<Violation> {
    let (ours, theirs) = (outline(with_faults, namespace), outline(without, namespace));
    let mut found = Vec::new();
    let mut differ = |what| found.push(Violation::new(NAME, with_faults.revision, what));
    for (name, line) in &ours {
        match theirs.get(name) {
            Some(other) if other == line => {}
            Some(other) => differ(format!("{name}: {line}; without faults: {other}")),
            None => differ(format!("{name}: {line}; without faults there is none")),
        }
    }
    for (name, line) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name)) {
        differ(format!("{name}: there is none; without faults: {line}"));
    }
    found
}

/// The state in the words that both runs must share, by the names that the user chose.
fn outline(state: &State, namespace: &str) -> BTreeMap<String, String> {
    let owners: BTreeMap<&str, _> = (state.objects.iter())
        .map(|(key, facts)| (facts.uid.as_str(), (key, facts)))
        .collect();
    let mut lines = BTreeMap::new();
    // The pods of a Deployment are counted by image and phase; their names are drawn.
    let mut pods: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for (key, facts) in &state.objects {
        let inside = key.namespace.as_ref() == namespace;
        match &facts.body {
            Body::Node(node) => {
                lines.insert(key.to_string(), format!("ready: {}", node.ready));
            }
            Body::Pod(pod) if inside => {
                let set = facts.controller.as_deref().and_then(|uid| owners.get(uid));
                let top = set
                    .and_then(|(_, set)| set.controller.as_deref())
                    .and_then(|uid| owners.get(uid));
                let owner = top.map_or_else(|| "nobody".to_owned(), |(key, _)| key.to_string());
                let kind = format!("{} of {}, ready: {}", pod.phase, pod.images, pod.ready);
                *pods.entry(owner).or_default().entry(kind).or_default() += 1;
            }
            Body::Deployment(deployment) if inside => {
                let line = format!(
                    "asks for {} of {} (content {:x}); has {} of them available",
                    deployment.replicas, deployment.images, facts.content, deployment.available
                );
                lines.insert(key.to_string(), line);
            }
            // Their names and number tell how many rollouts a controller saw, which faults may change.
            Body::ReplicaSet(_) => {}
            Body::Other if inside && is_declared(key) => {
                let line = format!("content {:x}, deleting: {}", facts.content, facts.deleting);
                lines.insert(key.to_string(), line);
            }
            _ => {}
        }
    }
    for (owner, kinds) in pods {
        let counted: Vec<_> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        lines.insert(format!("pods of {owner}"), counted.join("; "));
    }
    lines
}

/// Whether a user declares objects of the kind; Events and what the cluster makes by itself are not compared.
fn is_declared(key: &client::ObjectKey) -> bool {
    key.is::<proto::api::core::v1::ConfigMap>()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{deployment_key, note, note_key, ordinary, pod, pod_key};
    use super::*;

    fn end() -> State {
        ordinary().replay(|_, _| {})
    }

    #[test]
    fn names_and_uids_that_were_drawn_do_not_matter() {
        let mut other = end();
        for name in ["web-1-a", "web-1-b"] {
            let pod = other.objects.remove(&pod_key(name)).unwrap();
            let mut facts = pod.as_ref().clone();
            facts.uid += "-2";
            other.objects.insert(pod_key(&format!("{name}-2")), facts.into());
        }
        other.revision += 100;
        assert_eq!(compare(&end(), &other, "drill"), []);
    }

    #[test]
    fn a_pod_a_note_or_a_deployment_that_differs_is_found() {
        let mut other = end();
        other
            .objects
            .insert(pod_key("third"), pod("t", "r", "n", "Running").into());
        other.objects.insert(note_key("note"), note("x", 2).into());
        other.objects.remove(&deployment_key("web"));
        let found = compare(&end(), &other, "drill");
        // The pods have lost the name of their owner with the Deployment.
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
