//! [`Matcher`]: which Pods a term of affinity, or a constraint of spreading, means.

use crate::pod::PodTemplate;
use crate::snapshot::Objects;
use apimachinery::selector::{LabelSelector, Operator, Requirement};
use proto::api::core::v1::{PodAffinityTerm, TopologySpreadConstraint};
use proto::meta::v1 as meta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pods of certain namespaces with certain labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matcher {
    namespaces: BTreeSet<Arc<str>>,
    /// Namespaces besides those, by their labels.
    namespace_selector: Option<LabelSelector>,
    labels: LabelSelector,
}

impl Matcher {
    /// The Pods that a term means which a Pod of this template has.
    pub fn of_term(term: &PodAffinityTerm, pod: &PodTemplate) -> Self {
        let mut namespaces: BTreeSet<Arc<str>> =
            term.namespaces.iter().map(|name| name.as_str().into()).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(pod.namespace.clone());
        }
        let namespaces_by_label = term.namespace_selector.as_ref();
        let keys = [
            (&term.match_label_keys, Operator::In),
            (&term.mismatch_label_keys, Operator::NotIn),
        ];
        Self {
            namespaces,
            namespace_selector: namespaces_by_label.map(|selector| compile(Some(selector))),
            labels: with_keys(term.label_selector.as_ref(), &keys, &pod.labels),
        }
    }

    /// The Pods that a constraint counts which a Pod of this template has.
    pub fn of_constraint(constraint: &TopologySpreadConstraint, pod: &PodTemplate) -> Self {
        let keys = [(&constraint.match_label_keys, Operator::In)];
        Self {
            namespaces: [pod.namespace.clone()].into(),
            namespace_selector: None,
            labels: with_keys(constraint.label_selector.as_ref(), &keys, &pod.labels),
        }
    }

    /// The Pods of a namespace that a selector means.
    pub fn in_namespace(namespace: &Arc<str>, labels: LabelSelector) -> Self {
        Self {
            namespaces: [namespace.clone()].into(),
            namespace_selector: None,
            labels,
        }
    }

    /// Whether it means Pods of a template.
    pub fn matches(&self, pod: &PodTemplate, objects: &Objects) -> bool {
        self.labels.matches_labels(&pod.labels)
            && (self.namespaces.contains(&pod.namespace)
                || self.namespace_selector.as_ref().is_some_and(|selector| {
                    // A namespace that is not known yet has no labels.
                    let none = BTreeMap::new();
                    selector.matches_labels(objects.namespace_labels(&pod.namespace).unwrap_or(&none))
                }))
    }

    /// Whether which Pods it means depends on the labels of namespaces.
    pub fn asks_namespaces(&self) -> bool {
        self.namespace_selector
            .as_ref()
            .is_some_and(|selector| !selector.is_everything())
    }
}

/// A selector that does not parse means nothing: validation has refused it.
fn compile(selector: Option<&meta::LabelSelector>) -> LabelSelector {
    LabelSelector::from_proto(selector).unwrap_or(LabelSelector::Nothing)
}

/// The selector, and those of the keys that the Pod has: with its own values, or with any but those.
fn with_keys(
    selector: Option<&meta::LabelSelector>,
    keys: &[(&Vec<String>, Operator)],
    labels: &BTreeMap<String, String>,
) -> LabelSelector {
    let selector = compile(selector);
    let LabelSelector::All(mut requirements) = selector else {
        return selector;
    };
    for (keys, operator) in keys {
        for key in *keys {
            if let Some(value) = labels.get(key)
                && let Ok(requirement) = Requirement::new(key, *operator, [value])
            {
                requirements.push(requirement);
            }
        }
    }
    LabelSelector::All(requirements)
}
