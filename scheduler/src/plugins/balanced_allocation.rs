//! NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory would be taken evenly.
//!
//! Score. Where a Pod would leave a node with 50% of its CPU and 50% of its memory taken, it scores 100; with 90% and 10%,
//! 60: much memory would be left that nobody can use for lack of CPU.
//! <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>

use crate::framework::{MAX_SCORE, Plugin, PreScore, Score};
use crate::pod::PodClass;
use crate::snapshot::{Node, Snapshot};

/// See the module.
#[derive(Debug)]
pub struct BalancedAllocation;

/// What the Pod asks for.
#[derive(Debug)]
pub struct Asked<'a>(&'a PodClass);

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }
}

impl PreScore for BalancedAllocation {
    type State<'a> = Asked<'a>;

    /// A Pod that asks for nothing changes no balance.
    fn pre_score<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> Option<Asked<'a>> {
        (pod.requests.cpu > 0 || pod.requests.memory > 0).then_some(Asked(pod))
    }
}

impl Score for Asked<'_> {
    fn score(&self, node: &Node) -> i64 {
        let share = |has: i64, taken: i64, asked: i64| {
            (has > 0).then(|| ((taken + asked) as f64 / has as f64).min(1.0))
        };
        let (has, taken, asked) = (&node.allocatable, &node.requested, &self.0.requests);
        let cpu = share(has.cpu, taken.cpu, asked.cpu);
        let memory = share(has.memory, taken.memory, asked.memory);
        // The standard deviation of two numbers is half their distance.
        let deviation = match (cpu, memory) {
            (Some(cpu), Some(memory)) => (cpu - memory).abs() / 2.0,
            _ => 0.0,
        };
        ((1.0 - deviation) * MAX_SCORE as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{class, node, rate, sized};

    #[test]
    fn the_evenly_used_node_scores_higher() {
        let capacity = [("cpu", "10"), ("memory", "10Gi"), ("pods", "10")];
        let pod = class(&[("cpu", "1"), ("memory", "1Gi")]);
        let taken = |cpu: &str, memory: &str| class(&[("cpu", cpu), ("memory", memory)]);
        let nodes = [
            sized("node-1", &capacity, &[taken("4", "4Gi")]),
            sized("node-2", &capacity, &[taken("8", "0")]),
            sized("node-3", &capacity, &[taken("20", "0")]),
            node("node-4", &[("cpu", "10")]),
        ];
        let expected = [100, 60, 55, 100].map(|score| (score, score));
        assert_eq!(rate(&BalancedAllocation, &pod, &nodes), Some(expected.to_vec()));
        assert_eq!(rate(&BalancedAllocation, &class(&[]), &nodes), None);
    }
}
