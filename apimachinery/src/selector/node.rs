//! Node selectors: which nodes a Pod's `nodeSelector` and required node affinity accept.
//!
//! Rules: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity>.

use super::label::{Operator, Requirement};
use proto::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm};
use std::collections::BTreeMap;

/// The one field that `matchFields` knows.
const NAME: &str = "metadata.name";

/// Whether a node meets any of the selector's terms. A requirement that breaks the rules is met by no node.
pub fn node_matches(selector: &NodeSelector, name: &str, labels: &BTreeMap<String, String>) -> bool {
    selector
        .node_selector_terms
        .iter()
        .any(|term| node_matches_term(term, name, labels))
}

/// Whether a node meets all of a term's requirements. A term without any is met by no node.
pub fn node_matches_term(term: &NodeSelectorTerm, name: &str, labels: &BTreeMap<String, String>) -> bool {
    if term.match_expressions.is_empty() && term.match_fields.is_empty() {
        return false;
    }
    let label = |key: &str| labels.get(key).map(String::as_str);
    let field = |key: &str| (key == NAME).then_some(name);
    term.match_expressions.iter().all(|r| meets(r, label(&r.key)))
        && term.match_fields.iter().all(|r| meets(r, field(&r.key)))
}

fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let read = Operator::parse(&requirement.operator)
        .and_then(|operator| Requirement::new(&requirement.key, operator, &requirement.values).ok());
    read.is_some_and(|requirement| requirement.matches(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: &str, values: &[&str]) -> NodeSelectorRequirement {
        NodeSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: values.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn terms_are_alternatives_and_their_requirements_all_count() {
        let labels = BTreeMap::from([
            ("zone".to_owned(), "a".to_owned()),
            ("cores".to_owned(), "8".to_owned()),
        ]);
        let expressions = |match_expressions: &[NodeSelectorRequirement]| NodeSelectorTerm {
            match_expressions: match_expressions.to_vec(),
            match_fields: vec![],
        };
        let named = |name| NodeSelectorTerm {
            match_expressions: vec![],
            match_fields: vec![requirement("metadata.name", "In", &[name])],
        };
        let in_zone = |zone| requirement("zone", "In", &[zone]);
        let cases = [
            (vec![], false),
            (vec![expressions(&[])], false),
            (vec![expressions(&[in_zone("a")])], true),
            (vec![expressions(&[in_zone("b")])], false),
            (
                vec![expressions(&[in_zone("b")]), expressions(&[in_zone("a")])],
                true,
            ),
            (
                vec![expressions(&[in_zone("a"), requirement("cores", "Gt", &["8"])])],
                false,
            ),
            (vec![expressions(&[requirement("cores", "Gt", &["4"])])], true),
            (
                vec![expressions(&[requirement("disk", "DoesNotExist", &[])])],
                true,
            ),
            (vec![expressions(&[requirement("zone", "Is", &["a"])])], false),
            (vec![named("node-1")], true),
            (vec![named("node-2")], false),
        ];
        for (node_selector_terms, expected) in cases {
            let selector = NodeSelector { node_selector_terms };
            assert_eq!(
                node_matches(&selector, "node-1", &labels),
                expected,
                "{selector:?}"
            );
        }
    }
}
