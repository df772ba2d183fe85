//! One pod UID never runs on two nodes.
//!
//! A node that runs a pod says so in the pod's status, with its own address: all who ever said that they run a UID are
//! one node, and it is the one that the pod is bound to.

use super::Violation;
use super::history::{Change, History};
use client::ObjectKey;
use proto::api::core::v1::Node;
use std::collections::HashMap;

/// The invariant's name.
pub const NAME: &str = "one pod, one node";

/// One violation for each report from a second node.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    // By UID: the node's name and address with the first report that it runs.
    let mut runs: HashMap<String, (String, String)> = HashMap::new();
    history.replay(|state, entry| {
        let Change::Upsert(facts) = &entry.change else {
            return;
        };
        let Some(pod) = facts.pod().filter(|pod| !pod.host_ip.is_empty()) else {
            return;
        };
        let mut wrong = |what| broken.push(Violation::new(NAME, entry.revision, what));
        let node = state.objects.get(&ObjectKey::new::<Node>("", &pod.node));
        let address = node
            .and_then(|node| node.node())
            .map(|node| node.address.as_str());
        if pod.node.is_empty() {
            wrong(format!(
                "{} runs at {} and is bound to no node",
                entry.key, pod.host_ip
            ));
        } else if address.is_some_and(|address| address != pod.host_ip) {
            wrong(format!(
                "{} is bound to {} and runs at {}",
                entry.key, pod.node, pod.host_ip
            ));
        }
        let here = (pod.node.clone(), pod.host_ip.clone());
        let first = runs.entry(facts.uid.clone()).or_insert_with(|| here.clone());
        if *first != here {
            wrong(format!(
                "{} ran on {} ({}) and runs on {} ({})",
                entry.key, first.0, first.1, here.0, here.1
            ));
        }
    });
    broken
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Body, Facts};
    use super::super::testing::{Story, node, node_key, pod, pod_key};
    use super::*;

    fn at(mut facts: Facts, address: &str) -> Facts {
        if let Body::Pod(pod) = &mut facts.body {
            pod.host_ip = address.into();
        }
        facts
    }

    #[test]
    fn a_second_node_that_runs_the_pod_is_found() {
        let mut story = Story::default();
        story.put(&node_key("n"), node("n", 1));
        story.put(&pod_key("p"), pod("u", "r", "n", "Running"));
        story.put(&pod_key("p"), pod("u", "r", "n", "Running"));
        story.put(&pod_key("p"), pod("another", "r", "m", "Running"));
        assert_eq!(check(&story.history), []);
        story.put(&pod_key("p"), pod("u", "r", "m", "Running"));
        assert_eq!(check(&story.history).len(), 1);
    }

    #[test]
    fn a_pod_that_runs_elsewhere_than_it_is_bound_to_is_found() {
        let mut story = Story::default();
        story.put(&node_key("n"), node("n", 1));
        story.put(&pod_key("p"), at(pod("u", "r", "n", "Running"), "ip-m"));
        story.put(&pod_key("q"), at(pod("v", "r", "", "Pending"), "ip-n"));
        assert_eq!(check(&story.history).len(), 2);
    }
}
