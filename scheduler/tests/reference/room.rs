//! Preemption once more: for each node, everybody of lower priority leaves, and comes back one by one where there is room.

use super::naive::World;
use apimachinery::selector::LabelSelector;
use proto::Kind;
use proto::api::core::v1::{Node, Pod};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What room on a node costs, in upstream's order of criteria.
pub(crate) type Cost = (usize, i32, i64, usize, Reverse<i64>);

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

fn started(pod: &Pod) -> i64 {
    let status = pod.status.as_ref();
    let time = status.and_then(|status| status.start_time.as_ref());
    time.map_or(i64::MAX, |time| time.seconds)
}

impl World {
    fn without(&self, names: &BTreeSet<String>) -> Self {
        let mut world = self.clone();
        world.pods.retain(|name, _| !names.contains(name));
        world
    }

    /// Where room can be made for a Pod: who must go, and what that costs.
    pub(crate) fn rooms(&self, pod: &Pod) -> BTreeMap<String, (BTreeSet<String>, Cost)> {
        let mut rooms = BTreeMap::new();
        for node in self.nodes.values() {
            if self.is_past_help(pod, node) {
                continue;
            }
            let mut lower: Vec<&Pod> = self
                .on(node)
                .filter(|other| priority(other) < priority(pod))
                .collect();
            lower.sort_by_key(|other| {
                (
                    Reverse(priority(other)),
                    started(other),
                    other.namespace(),
                    other.name(),
                )
            });
            let mut gone: BTreeSet<String> = lower.iter().map(|other| other.name().to_owned()).collect();
            if gone.is_empty() || self.without(&gone).refusal(pod, node).is_some() {
                continue;
            }
            let protected = self.protected(&lower);
            let is_protected = |other: &Pod| protected.contains(other.name());
            // Those that budgets protect come back first.
            lower.sort_by_key(|other| !is_protected(other));
            for other in &lower {
                gone.remove(other.name());
                if self.without(&gone).refusal(pod, node).is_some() {
                    gone.insert(other.name().to_owned());
                }
            }
            let victims: Vec<&&Pod> = lower.iter().filter(|other| gone.contains(other.name())).collect();
            let Some(highest) = victims.iter().map(|victim| priority(victim)).max() else {
                continue;
            };
            let important = victims.iter().filter(|victim| priority(victim) == highest);
            let cost = (
                victims.iter().filter(|victim| is_protected(victim)).count(),
                highest,
                { victims.iter() }
                    .map(|victim| i64::from(priority(victim)) - i64::from(i32::MIN))
                    .sum(),
                victims.len(),
                Reverse(important.map(|victim| started(victim)).min().unwrap_or(i64::MAX)),
            );
            rooms.insert(node.name().to_owned(), (gone, cost));
        }
        rooms
    }

    /// Whether the first refusal is one that no eviction takes away.
    fn is_past_help(&self, pod: &Pod, node: &Node) -> bool {
        self.refuses_all(pod).is_some()
            || match self.refusal(pod, node) {
                None | Some("NodePorts" | "NodeResourcesFit" | "VolumeRestrictions" | "NodeVolumeLimits") => {
                    false
                }
                Some("PodTopologySpread") => !self.has_spread_labels(pod, node),
                Some("InterPodAffinity") => !self.is_near(pod, node),
                Some(_) => true,
            }
    }

    /// The Pods, of these in their order, whose leaving would break a budget.
    fn protected(&self, pods: &[&Pod]) -> BTreeSet<String> {
        let mut left: Vec<i32> = { self.budgets.iter() }
            .map(|budget| {
                budget
                    .status
                    .as_ref()
                    .map_or(0, |status| status.disruptions_allowed)
            })
            .collect();
        let mut protected = BTreeSet::new();
        for pod in pods {
            for (budget, left) in self.budgets.iter().zip(&mut left) {
                let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                let selector = LabelSelector::from_proto(selector).expect("valid");
                let labels = &pod.meta().labels;
                if budget.namespace() == pod.namespace()
                    && !labels.is_empty()
                    && selector.matches_labels(labels)
                {
                    *left -= 1;
                    if *left < 0 {
                        protected.insert(pod.name().to_owned());
                    }
                }
            }
        }
        protected
    }
}
