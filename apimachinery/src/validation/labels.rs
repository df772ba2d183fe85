//! Labels and selectors inside objects, and what else is written like them: node selectors, affinity, spread
//! constraints, taints and tolerations.

use super::Faults;
use crate::names;
use crate::path::Path;
use proto::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Taint, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use proto::meta::v1::LabelSelector;
use std::collections::{BTreeMap, HashSet};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A map of labels. Upstream names the map, not the key.
pub(super) fn labels(labels: &BTreeMap<String, String>, at: &Path<'_>, faults: &mut Faults) {
    for (key, value) in labels {
        faults.problems(at, key, names::qualified_name(key));
        faults.problems(at, value, names::label_value(value));
    }
}

/// A name that must be there and be a qualified one.
pub(super) fn qualified(name: &str, at: &Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        faults.required(at, "");
    } else {
        faults.problems(at, name, names::qualified_name(name));
    }
}

/// A word of Kubernetes' own, or a qualified name.
pub(super) fn qualified_or_standard(name: &str, standard: &[&str], at: &Path<'_>, faults: &mut Faults) {
    if !standard.contains(&name) && !name.contains('/') {
        faults.one_of(at, name, standard);
    } else {
        qualified(name, at, faults);
    }
}

/// A selector; a missing one is the caller's to judge.
pub(super) fn selector(selector: &LabelSelector, at: &Path<'_>, faults: &mut Faults) {
    labels(&selector.match_labels, &at.field("matchLabels"), faults);
    let list = at.field("matchExpressions");
    for (i, expression) in selector.match_expressions.iter().enumerate() {
        let at = list.index(i);
        let values = at.field("values");
        match expression.operator.as_str() {
            "In" | "NotIn" if expression.values.is_empty() => {
                faults.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !expression.values.is_empty() => {
                faults.forbidden(
                    &values,
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => faults.invalid(&at.field("operator"), other, "not a valid selector operator"),
        }
        faults.problems(
            &at.field("key"),
            &expression.key,
            names::qualified_name(&expression.key),
        );
        for (i, value) in expression.values.iter().enumerate() {
            faults.problems(&values.index(i), value, names::label_value(value));
        }
    }
}

/// A Pod's affinity.
pub(super) fn affinity(affinity: &Affinity, at: &Path<'_>, faults: &mut Faults) {
    if let Some(node) = &affinity.node_affinity {
        node_affinity(node, &at.field("nodeAffinity"), faults);
    }
    let pod = affinity.pod_affinity.as_ref().map(|a| {
        let required = &a.required_during_scheduling_ignored_during_execution;
        (required, &a.preferred_during_scheduling_ignored_during_execution)
    });
    let anti = affinity.pod_anti_affinity.as_ref().map(|a| {
        let required = &a.required_during_scheduling_ignored_during_execution;
        (required, &a.preferred_during_scheduling_ignored_during_execution)
    });
    for (name, terms) in [("podAffinity", pod), ("podAntiAffinity", anti)] {
        if let Some((required, preferred)) = terms {
            pod_affinity(required, preferred, &at.field(name), faults);
        }
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn node_affinity(affinity: &NodeAffinity, at: &Path<'_>, faults: &mut Faults) {
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        let at = at.field(REQUIRED);
        let terms = at.field("nodeSelectorTerms");
        if required.node_selector_terms.is_empty() {
            faults.required(&terms, "must have at least one node selector term");
        }
        for (i, term) in required.node_selector_terms.iter().enumerate() {
            node_selector_term(term, &terms.index(i), faults);
        }
    }
    let preferred = at.field(PREFERRED);
    for (i, term) in affinity
        .preferred_during_scheduling_ignored_during_execution
        .iter()
        .enumerate()
    {
        let at = preferred.index(i);
        weight(term.weight, &at, faults);
        if let Some(preference) = &term.preference {
            node_selector_term(preference, &at.field("preference"), faults);
        }
    }
}

fn weight(weight: i32, at: &Path<'_>, faults: &mut Faults) {
    if !(1..=100).contains(&weight) {
        faults.invalid(&at.field("weight"), weight, "must be in the range 1-100");
    }
}

fn node_selector_term(term: &NodeSelectorTerm, at: &Path<'_>, faults: &mut Faults) {
    let list = at.field("matchExpressions");
    for (i, requirement) in term.match_expressions.iter().enumerate() {
        let at = list.index(i);
        node_requirement(requirement, &at, faults);
        faults.problems(
            &at.field("key"),
            &requirement.key,
            names::qualified_name(&requirement.key),
        );
    }
    let list = at.field("matchFields");
    for (i, requirement) in term.match_fields.iter().enumerate() {
        let at = list.index(i);
        if requirement.key != "metadata.name" {
            faults.invalid(
                &at.field("key"),
                &requirement.key,
                "not a valid field selector key",
            );
        }
        match (requirement.operator.as_str(), requirement.values.as_slice()) {
            ("In" | "NotIn", [name]) => {
                faults.problems(&at.field("values").index(0), name, names::dns1123_subdomain(name));
            }
            ("In" | "NotIn", _) => faults.required(
                &at.field("values"),
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            (other, _) => faults.invalid(&at.field("operator"), other, "not a valid selector operator"),
        }
    }
}

fn node_requirement(requirement: &NodeSelectorRequirement, at: &Path<'_>, faults: &mut Faults) {
    let values = at.field("values");
    match (requirement.operator.as_str(), requirement.values.len()) {
        ("In" | "NotIn", 0) => {
            faults.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        ("Exists" | "DoesNotExist", 1..) => {
            faults.forbidden(
                &values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            );
        }
        ("Gt" | "Lt", 1) => {
            let value = &requirement.values[0];
            if value.parse::<i64>().is_err() {
                faults.invalid(
                    &values.index(0),
                    value,
                    "must be an integer when `operator` is 'Lt' or 'Gt'",
                );
            }
        }
        ("Gt" | "Lt", _) => {
            faults.required(
                &values,
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            );
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
        (other, _) => faults.invalid(&at.field("operator"), other, "not a valid selector operator"),
    }
    if matches!(requirement.operator.as_str(), "In" | "NotIn") {
        for (i, value) in requirement.values.iter().enumerate() {
            faults.problems(&values.index(i), value, names::label_value(value));
        }
    }
}

fn pod_affinity(
    required: &[PodAffinityTerm],
    preferred: &[WeightedPodAffinityTerm],
    at: &Path<'_>,
    faults: &mut Faults,
) {
    let list = at.field(REQUIRED);
    for (i, term) in required.iter().enumerate() {
        pod_affinity_term(term, &list.index(i), faults);
    }
    let list = at.field(PREFERRED);
    for (i, term) in preferred.iter().enumerate() {
        let at = list.index(i);
        weight(term.weight, &at, faults);
        if let Some(term) = &term.pod_affinity_term {
            pod_affinity_term(term, &at.field("podAffinityTerm"), faults);
        }
    }
}

fn pod_affinity_term(term: &PodAffinityTerm, at: &Path<'_>, faults: &mut Faults) {
    let selectors = [
        ("labelSelector", &term.label_selector),
        ("namespaceSelector", &term.namespace_selector),
    ];
    for (name, one) in selectors {
        if let Some(one) = one {
            selector(one, &at.field(name), faults);
        }
    }
    let namespaces = at.field("namespaces");
    for (i, namespace) in term.namespaces.iter().enumerate() {
        faults.problems(&namespaces.index(i), namespace, names::dns1123_label(namespace));
    }
    topology_key(&term.topology_key, &at.field("topologyKey"), faults);
}

fn topology_key(key: &str, at: &Path<'_>, faults: &mut Faults) {
    if key.is_empty() {
        faults.required(at, "can not be empty");
    } else {
        faults.problems(at, key, names::qualified_name(key));
    }
}

/// How a Pod's copies spread.
pub(super) fn topology_spread(constraints: &[TopologySpreadConstraint], at: &Path<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (i, one) in constraints.iter().enumerate() {
        let at = at.index(i);
        if one.max_skew <= 0 {
            faults.invalid(&at.field("maxSkew"), one.max_skew, "must be greater than zero");
        }
        topology_key(&one.topology_key, &at.field("topologyKey"), faults);
        let when = &one.when_unsatisfiable;
        faults.one_of(
            &at.field("whenUnsatisfiable"),
            when,
            &["DoNotSchedule", "ScheduleAnyway"],
        );
        if !seen.insert((&one.topology_key, when)) {
            faults.duplicate(&at, format!("{{{}, {when}}}", one.topology_key));
        }
        if let Some(domains) = one.min_domains {
            if domains <= 0 {
                faults.invalid(&at.field("minDomains"), domains, "must be greater than zero");
            } else if when != "DoNotSchedule" {
                let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule";
                faults.invalid(&at.field("minDomains"), domains, detail);
            }
        }
        for (name, policy) in [
            ("nodeAffinityPolicy", &one.node_affinity_policy),
            ("nodeTaintsPolicy", &one.node_taints_policy),
        ] {
            if let Some(policy) = policy {
                faults.one_of(&at.field(name), policy, &["Honor", "Ignore"]);
            }
        }
        if let Some(one) = &one.label_selector {
            selector(one, &at.field("labelSelector"), faults);
        }
    }
}

/// What a Pod bears.
pub(super) fn tolerations(tolerations: &[Toleration], at: &Path<'_>, faults: &mut Faults) {
    for (i, one) in tolerations.iter().enumerate() {
        let at = at.index(i);
        let operator = at.field("operator");
        if !one.key.is_empty() {
            faults.problems(&at.field("key"), &one.key, names::qualified_name(&one.key));
        } else if one.operator != "Exists" {
            faults.invalid(
                &operator,
                &one.operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if one.toleration_seconds.is_some() && one.effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            faults.invalid(&at.field("effect"), &one.effect, detail);
        }
        match one.operator.as_str() {
            "" | "Equal" => faults.problems(&at.field("value"), &one.value, names::label_value(&one.value)),
            "Exists" => {
                if !one.value.is_empty() {
                    faults.invalid(
                        &operator,
                        &one.value,
                        "value must be empty when `operator` is 'Exists'",
                    );
                }
            }
            other => faults.unsupported(&operator, other, &["Equal", "Exists"]),
        }
        faults.one_of_or_empty(&at.field("effect"), &one.effect, &EFFECTS);
    }
}

/// What keeps Pods away from a Node.
pub(super) fn taints(taints: &[Taint], at: &Path<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (i, taint) in taints.iter().enumerate() {
        let at = at.index(i);
        faults.problems(&at.field("key"), &taint.key, names::qualified_name(&taint.key));
        faults.problems(&at.field("value"), &taint.value, names::label_value(&taint.value));
        faults.one_of(&at.field("effect"), &taint.effect, &EFFECTS);
        if !seen.insert((&taint.key, &taint.effect)) {
            faults.duplicate(&at, format!("{}:{}", taint.key, taint.effect));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{NodeSelector, PodAffinity, PreferredSchedulingTerm};

    fn found(validate: impl Fn(&Path<'_>, &mut Faults)) -> Vec<String> {
        let mut faults = Faults::default();
        validate(&Path::ROOT.field("x"), &mut faults);
        faults
            .into_vec()
            .into_iter()
            .map(|f| format!("{}: {}", f.field, f.message))
            .collect()
    }

    #[test]
    fn tolerations_must_make_sense() {
        let toleration = |key: &str, operator: &str, value: &str, effect: &str, seconds| Toleration {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
            toleration_seconds: seconds,
        };
        for (one, field) in [
            (toleration("a", "Equal", "b", "NoSchedule", None), None),
            (toleration("", "Exists", "", "", None), None),
            (toleration("a", "Exists", "", "NoExecute", Some(5)), None),
            (toleration("", "Equal", "b", "", None), Some("x[0].operator")),
            (toleration("a", "Exists", "b", "", None), Some("x[0].operator")),
            (toleration("a", "Like", "b", "", None), Some("x[0].operator")),
            (toleration("a b", "Exists", "", "", None), Some("x[0].key")),
            (toleration("a", "Equal", "-", "", None), Some("x[0].value")),
            (toleration("a", "Exists", "", "Never", None), Some("x[0].effect")),
            (toleration("a", "Exists", "", "", Some(5)), Some("x[0].effect")),
        ] {
            let faults = found(|at, faults| tolerations(std::slice::from_ref(&one), at, faults));
            assert_eq!(faults.len(), usize::from(field.is_some()), "{one:?}: {faults:?}");
            assert!(
                field.is_none_or(|field| faults[0].starts_with(field)),
                "{one:?}: {faults:?}"
            );
        }
    }

    #[test]
    fn taints_are_unique_by_key_and_effect() {
        let taint = |effect: &str| Taint {
            key: "a".into(),
            effect: effect.into(),
            ..Taint::default()
        };
        let list = [
            taint("NoSchedule"),
            taint("NoExecute"),
            taint("NoSchedule"),
            taint(""),
        ];
        let faults = found(|at, faults| taints(&list, at, faults));
        assert_eq!(
            faults,
            [
                r#"x[2]: Duplicate value: "a:NoSchedule""#,
                "x[3].effect: Required value"
            ]
        );
    }

    #[test]
    fn affinity_is_checked_to_its_last_value() {
        let requirement = NodeSelectorRequirement {
            key: "a".into(),
            operator: "Gt".into(),
            values: vec!["x".into()],
        };
        let term = NodeSelectorTerm {
            match_expressions: vec![requirement],
            ..NodeSelectorTerm::default()
        };
        let whole = Affinity {
            node_affinity: Some(NodeAffinity {
                required_during_scheduling_ignored_during_execution: Some(NodeSelector::default()),
                preferred_during_scheduling_ignored_during_execution: vec![PreferredSchedulingTerm {
                    weight: 101,
                    preference: Some(term),
                }],
            }),
            pod_affinity: Some(PodAffinity {
                required_during_scheduling_ignored_during_execution: vec![PodAffinityTerm::default()],
                ..PodAffinity::default()
            }),
            ..Affinity::default()
        };
        let faults = found(|at, faults| affinity(&whole, at, faults));
        let fields: Vec<_> = faults.iter().map(|f| f.split(':').next().unwrap()).collect();
        let preferred = "x.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]";
        assert_eq!(
            fields,
            [
                "x.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms".to_owned(),
                format!("{preferred}.weight"),
                format!("{preferred}.preference.matchExpressions[0].values[0]"),
                "x.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey".to_owned(),
            ]
        );
    }

    #[test]
    fn spread_constraints_need_a_skew_a_key_and_a_policy() {
        let faults = found(|at, faults| topology_spread(&[TopologySpreadConstraint::default()], at, faults));
        assert_eq!(faults.len(), 3, "{faults:?}");
        let good = TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "zone".into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            ..TopologySpreadConstraint::default()
        };
        let list = [good.clone(), good];
        let faults = found(|at, faults| topology_spread(&list, at, faults));
        assert_eq!(faults, [r#"x[1]: Duplicate value: "{zone, ScheduleAnyway}""#]);
    }
}
