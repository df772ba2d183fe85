//! [`Interest`]: what of the tallies concerns Pods of one template.

use super::{Matcher, TallyId};
use crate::pod::PodTemplate;
use apimachinery::selector::{LabelSelector, Requirement};
use proto::api::core::v1::{PodAffinityTerm, TopologySpreadConstraint, WeightedPodAffinityTerm};
use std::sync::Arc;

use super::super::Objects;

/// What of the tallies concerns Pods of one template.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    /// Of the terms that placed Pods carry, those that forbid such a Pod.
    pub forbidden: Vec<TallyId>,
    /// Those that required such a Pod.
    pub required_by: Vec<TallyId>,
    /// Those that like or dislike such a Pod, and by how much.
    pub liked_by: Vec<(TallyId, i64)>,
    /// Its required affinity: for each term, how many Pods meet all of its terms.
    pub affinity: Vec<TallyId>,
    /// Whether it meets its own required affinity.
    pub meets_itself: bool,
    /// Its required anti-affinity.
    pub anti_affinity: Vec<TallyId>,
    /// Its preferred terms, with their weights; those of anti-affinity below 0.
    pub preferred: Vec<(TallyId, i64)>,
    /// Its constraints of spreading.
    pub spread: Vec<SpreadInterest>,
    /// Whether the constraints are the built-in ones, which do without some of the keys.
    pub built_in: bool,
}

/// A constraint of spreading, and its counts.
#[derive(Clone, Debug)]
pub struct SpreadInterest {
    /// How many Pods it counts.
    pub tally: TallyId,
    /// The constraint.
    pub constraint: Arc<TopologySpreadConstraint>,
    /// Whether it counts the Pod itself.
    pub counts_itself: bool,
}

/// How Pods are spread that say nothing about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadDefaults {
    /// Their constraints, without selectors.
    pub constraints: Vec<Arc<TopologySpreadConstraint>>,
    /// Whether those are the built-in ones.
    pub built_in: bool,
}

impl Default for SpreadDefaults {
    /// Upstream's `defaultingType: System`.
    fn default() -> Self {
        let constraint = |key: &str, max_skew| {
            Arc::new(TopologySpreadConstraint {
                max_skew,
                topology_key: key.into(),
                when_unsatisfiable: "ScheduleAnyway".into(),
                ..TopologySpreadConstraint::default()
            })
        };
        Self {
            constraints: vec![
                constraint("kubernetes.io/hostname", 3),
                constraint("topology.kubernetes.io/zone", 5),
            ],
            built_in: true,
        }
    }
}

/// The Pods that Services and the Pod's controller take together with it: what the defaults spread. `None` when nothing does.
pub(super) fn default_matcher(pod: &PodTemplate, objects: &Objects) -> Option<Matcher> {
    let mut requirements: Vec<Requirement> = Vec::new();
    let mut take = |selector: LabelSelector| requirements.extend_from_slice(selector.requirements());
    for service in objects.in_namespace(&objects.services, &pod.namespace) {
        let selector = service.spec.as_ref().map(|spec| &spec.selector);
        if let Some(selector) = selector.filter(|selector| !selector.is_empty())
            && let Ok(selector) = LabelSelector::from_set(selector)
            && selector.matches_labels(&pod.labels)
        {
            take(selector);
        }
    }
    if let Some((kind, name)) = &pod.owner
        && let Some(selector) = objects.selector_of(kind, &pod.namespace, name)
    {
        take(selector);
    }
    requirements.sort();
    requirements.dedup();
    (!requirements.is_empty())
        .then(|| Matcher::in_namespace(&pod.namespace, LabelSelector::All(requirements)))
}

/// A template's own terms, in the order in which it has them.
pub(super) struct Terms<'a> {
    pub(super) affinity: &'a [PodAffinityTerm],
    pub(super) anti_affinity: &'a [PodAffinityTerm],
    pub(super) preferred: &'a [WeightedPodAffinityTerm],
    pub(super) avoided: &'a [WeightedPodAffinityTerm],
}

impl<'a> Terms<'a> {
    pub(super) fn of(pod: &'a PodTemplate) -> Self {
        let affinity = pod.spec.affinity.as_ref();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        Self {
            affinity: near.map_or(&[], |near| {
                &near.required_during_scheduling_ignored_during_execution
            }),
            anti_affinity: apart.map_or(&[], |apart| {
                &apart.required_during_scheduling_ignored_during_execution
            }),
            preferred: near.map_or(&[], |near| {
                &near.preferred_during_scheduling_ignored_during_execution
            }),
            avoided: apart.map_or(&[], |apart| {
                &apart.preferred_during_scheduling_ignored_during_execution
            }),
        }
    }

    /// The preferred terms with their weights, those to avoid below 0.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (&'a PodAffinityTerm, i32)> + use<'a> {
        let with_sign = |terms: &'a [WeightedPodAffinityTerm], sign: i32| {
            terms
                .iter()
                .filter_map(move |term| Some((term.pod_affinity_term.as_ref()?, sign * term.weight)))
        };
        with_sign(self.preferred, 1).chain(with_sign(self.avoided, -1))
    }
}
