//! NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory would be taken evenly.
//!
//! Score. Where a Pod would leave a node with 50% of its CPU and 50% of its memory taken, it scores 100; with 90% and 10%,
//! 60: much memory would be left that nobody can use for lack of CPU.
//! <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>

use crate::framework::{MAX_SCORE, Plugin, PreScore, Score};
use crate::plugins::scoring::{ResourceWeight, share};
use crate::pod::PodClass;
use crate::snapshot::{Node, Snapshot};

/// See the module; and upstream's NodeResourcesBalancedAllocationArgs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancedAllocation {
    /// The resources that are to be taken evenly. Their weights count for nothing.
    pub resources: Vec<ResourceWeight>,
}

impl Default for BalancedAllocation {
    /// As upstream.
    fn default() -> Self {
        Self {
            resources: ResourceWeight::defaults(),
        }
    }
}

/// What the Pod asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    pod: &'a PodClass,
    resources: &'a [ResourceWeight],
}

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }
}

impl PreScore for BalancedAllocation {
    type State<'a> = Asked<'a>;

    /// A Pod that asks for nothing changes no balance.
    fn pre_score<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> Option<Asked<'a>> {
        let asks = |resource: &ResourceWeight| match resource.name.as_str() {
            "cpu" => pod.requests.cpu > 0,
            "memory" => pod.requests.memory > 0,
            "ephemeral-storage" => pod.requests.ephemeral_storage > 0,
            name => pod.requests.extended(name) > 0,
        };
        self.resources.iter().any(asks).then_some(Asked {
            pod,
            resources: &self.resources,
        })
    }
}

impl Score for Asked<'_> {
    fn score(&self, node: &Node) -> i64 {
        let shares = || {
            let shares = self.resources.iter();
            let shares = shares.filter_map(|resource| share(&resource.name, self.pod, node, false));
            shares.map(|(has, taken)| (taken as f64 / has as f64).min(1.0))
        };
        let count = shares().count() as f64;
        let deviation = if count == 2.0 {
            // The standard deviation of two numbers is half their distance.
            shares().reduce(|a, b| (a - b).abs()).unwrap_or(0.0) / 2.0
        } else if count > 2.0 {
            let mean = shares().sum::<f64>() / count;
            (shares().map(|share| (share - mean) * (share - mean)).sum::<f64>() / count).sqrt()
        } else {
            0.0
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
        assert_eq!(
            rate(&BalancedAllocation::default(), &pod, &nodes),
            Some(expected.to_vec())
        );
        assert_eq!(rate(&BalancedAllocation::default(), &class(&[]), &nodes), None);
    }
}
