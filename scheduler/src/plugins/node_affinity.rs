//! NodeAffinity: a Pod says by labels which nodes it must have, and which it would rather have.
//!
//! Filter, Score. `nodeSelector: {disk: ssd}` and required node affinity both must hold; each preferred term that a node
//! meets adds its weight to the node's score.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Normalize, Plugin, PreFilter, PreFiltered, PreScore,
    Rejection, Requeue, Score,
};
use crate::pod::{PodClass, PodTemplate};
use crate::snapshot::{Node, Snapshot};
use apimachinery::selector::{node_matches, node_matches_term};
use proto::api::core::v1::{NodeAffinity as Affinity, NodeSelector, PreferredSchedulingTerm};
use std::collections::BTreeMap;

const REASON: &str = "node(s) didn't match Pod's node affinity/selector";

const ENFORCED: &str = "node(s) didn't match scheduler-enforced node affinity";

/// See the module; and upstream's NodeAffinityArgs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeAffinity {
    /// What every Pod must have and would rather have, besides its own.
    pub added_affinity: Affinity,
}

/// What the Pod must have.
#[derive(Debug)]
pub struct Required<'a> {
    labels: &'a BTreeMap<String, String>,
    affinity: Option<&'a NodeSelector>,
    added: Option<&'a NodeSelector>,
}

/// What the Pod would rather have, and what is added to that.
#[derive(Debug)]
pub struct Preferred<'a> {
    own: &'a [PreferredSchedulingTerm],
    added: &'a [PreferredSchedulingTerm],
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }
}

impl Requeue for NodeAffinity {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[ClusterEvent::NodeAdded, ClusterEvent::NodeLabels])
    }

    /// A node that the Pod may go to.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, snapshot: &Snapshot) -> bool {
        let Changed::Node(node) = change.what else {
            return true;
        };
        match self.pre_filter(&pod.class, snapshot) {
            PreFiltered::Filter(required) => required.filter(node).is_ok(),
            PreFiltered::Skip => true,
            PreFiltered::Reject(_) => false,
        }
    }
}

impl PreFilter for NodeAffinity {
    type State<'a> = Required<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Required<'a>> {
        let labels = &pod.node_selector;
        let affinity = pod
            .node_affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref();
        let added = { &self.added_affinity }
            .required_during_scheduling_ignored_during_execution
            .as_ref();
        if labels.is_empty() && affinity.is_none() && added.is_none() {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Required {
                labels,
                affinity,
                added,
            })
        }
    }
}

/// Whether a node meets what Pods of a class must have.
pub fn selects(class: &PodClass, node: &Node) -> bool {
    let required = &class.node_affinity;
    let required = Required {
        labels: &class.node_selector,
        affinity: required
            .required_during_scheduling_ignored_during_execution
            .as_ref(),
        added: None,
    };
    required.selects(node)
}

impl Required<'_> {
    fn selects(&self, node: &Node) -> bool {
        let selected = self
            .labels
            .iter()
            .all(|(key, value)| node.labels.get(key) == Some(value));
        selected
            && self
                .affinity
                .is_none_or(|selector| node_matches(selector, &node.name, &node.labels))
    }
}

impl Filter for Required<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        let matches = |selector| node_matches(selector, &node.name, &node.labels);
        if !self.added.is_none_or(matches) {
            Err(Rejection::unresolvable(ENFORCED))
        } else if self.selects(node) {
            Ok(())
        } else {
            Err(Rejection::unresolvable(REASON))
        }
    }
}

impl PreScore for NodeAffinity {
    type State<'a> = Preferred<'a>;

    fn pre_score<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> Option<Preferred<'a>> {
        let terms = &pod
            .node_affinity
            .preferred_during_scheduling_ignored_during_execution;
        let added = { &self.added_affinity }
            .preferred_during_scheduling_ignored_during_execution
            .as_slice();
        (!terms.is_empty() || !added.is_empty()).then_some(Preferred { own: terms, added })
    }
}

impl Score for Preferred<'_> {
    fn score(&self, node: &Node) -> i64 {
        let met = |term: &&PreferredSchedulingTerm| {
            let preference = term.preference.as_ref();
            preference.is_some_and(|term| node_matches_term(term, &node.name, &node.labels))
        };
        self.own
            .iter()
            .chain(self.added)
            .filter(met)
            .map(|term| i64::from(term.weight))
            .sum()
    }

    fn normalize(&self) -> Normalize {
        Normalize::HighestBest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, node, rate};
    use proto::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};

    fn term(field: bool, key: &str, operator: &str, values: &[&str]) -> NodeSelectorTerm {
        let requirement = vec![NodeSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: values.iter().map(ToString::to_string).collect(),
        }];
        let (match_fields, match_expressions) = if field {
            (requirement, vec![])
        } else {
            (vec![], requirement)
        };
        NodeSelectorTerm {
            match_expressions,
            match_fields,
        }
    }

    fn labelled(name: &str, labels: &[(&str, &str)]) -> Node {
        let mut node = node(name, &[]);
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        node.labels = std::sync::Arc::new(labels.collect());
        node
    }

    #[test]
    fn selector_and_required_terms_must_hold() {
        let node = labelled("node-1", &[("disk", "ssd"), ("cores", "8")]);
        let rejected = Err(Rejection::unresolvable(REASON));
        let label = |key, operator, values: &[&str]| vec![term(false, key, operator, values)];
        for (selector, terms, expected) in [
            (None, None, Ok(())),
            (Some(("disk", "ssd")), None, Ok(())),
            (Some(("disk", "hdd")), None, rejected.clone()),
            (Some(("zone", "a")), None, rejected.clone()),
            (None, Some(label("disk", "In", &["hdd", "ssd"])), Ok(())),
            (None, Some(label("disk", "NotIn", &["ssd"])), rejected.clone()),
            (None, Some(label("disk", "Exists", &[])), Ok(())),
            (None, Some(label("disk", "DoesNotExist", &[])), rejected.clone()),
            (None, Some(label("cores", "Gt", &["7"])), Ok(())),
            (None, Some(label("cores", "Lt", &["8"])), rejected.clone()),
            (None, Some(vec![]), rejected.clone()),
            (
                None,
                Some(vec![term(true, "metadata.name", "In", &["node-1"])]),
                Ok(()),
            ),
            (
                None,
                Some(vec![term(true, "metadata.name", "In", &["node-2"])]),
                rejected.clone(),
            ),
            (
                None,
                Some([label("disk", "In", &["hdd"]), label("cores", "Exists", &[])].concat()),
                Ok(()),
            ),
            (
                Some(("disk", "hdd")),
                Some(label("cores", "Exists", &[])),
                rejected,
            ),
        ] {
            let required = terms.map(|node_selector_terms| NodeSelector { node_selector_terms });
            let pod = PodClass {
                node_selector: selector.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
                node_affinity: Affinity {
                    required_during_scheduling_ignored_during_execution: required,
                    ..Affinity::default()
                },
                ..PodClass::default()
            };
            assert_eq!(judge(&NodeAffinity::default(), &pod, &node), expected, "{pod:?}");
        }
    }

    #[test]
    fn the_weights_of_preferred_terms_add_up() {
        let prefer = |weight, term| PreferredSchedulingTerm {
            weight,
            preference: Some(term),
        };
        let mut pod = PodClass::default();
        pod.node_affinity
            .preferred_during_scheduling_ignored_during_execution = vec![
            prefer(30, term(false, "disk", "In", &["ssd"])),
            prefer(10, term(false, "zone", "In", &["a"])),
            prefer(90, NodeSelectorTerm::default()),
        ];
        let nodes = [
            labelled("node-1", &[("disk", "ssd"), ("zone", "a")]),
            labelled("node-2", &[("disk", "ssd")]),
            labelled("node-3", &[("zone", "a")]),
            labelled("node-4", &[]),
        ];
        assert_eq!(
            rate(&NodeAffinity::default(), &pod, &nodes),
            Some(vec![(40, 100), (30, 75), (10, 25), (0, 0)])
        );
        assert_eq!(rate(&NodeAffinity::default(), &PodClass::default(), &nodes), None);
    }

    #[test]
    fn what_the_configuration_adds_holds_for_every_pod() {
        let plugin = NodeAffinity {
            added_affinity: Affinity {
                required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                    node_selector_terms: vec![term(false, "pool", "In", &["blue"])],
                }),
                preferred_during_scheduling_ignored_during_execution: vec![PreferredSchedulingTerm {
                    weight: 5,
                    preference: Some(term(false, "disk", "In", &["ssd"])),
                }],
            },
        };
        let pod = PodClass::default();
        let (blue, red) = (
            labelled("blue", &[("pool", "blue"), ("disk", "ssd")]),
            labelled("red", &[("pool", "red")]),
        );
        assert_eq!(judge(&plugin, &pod, &blue), Ok(()));
        assert_eq!(judge(&plugin, &pod, &red), Err(Rejection::unresolvable(ENFORCED)));
        assert_eq!(rate(&plugin, &pod, &[blue, red]), Some(vec![(5, 100), (0, 0)]));
    }
}
