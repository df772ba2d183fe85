//! [`Budgets`]: which Pods a PodDisruptionBudget asks to keep.

use crate::pod::PodTemplate;
use crate::snapshot::{PlacedPod, Snapshot};
use apimachinery::selector::LabelSelector;
use proto::Kind;
use proto::api::policy::v1::PodDisruptionBudget;
use std::collections::HashMap;
use std::sync::Arc;

/// A budget that may have a say.
struct Budget {
    namespace: Arc<str>,
    selector: LabelSelector,
    allowed: i32,
    /// Pods that are on their way out already, and were counted.
    disrupted: Vec<String>,
}

/// The cluster's budgets, as the disruption controller keeps them.
#[derive(Default)]
pub(super) struct Budgets(Vec<Budget>);

impl Budgets {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let budgets = snapshot.objects().disruption_budgets.values();
        Self(budgets.filter_map(|budget| Budget::of(budget)).collect())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parts Pods, the most important first, into those whose leaving would break a budget and the others. A budget that allows
    /// two to leave protects all but the first two.
    pub(super) fn split<'a>(&self, pods: Vec<&'a PlacedPod>) -> (Vec<&'a PlacedPod>, Vec<&'a PlacedPod>) {
        let mut left: HashMap<usize, i32> = HashMap::new();
        pods.into_iter().partition(|pod| {
            let mut breaks = false;
            for (place, budget) in self.0.iter().enumerate() {
                if budget.protects(&pod.template)
                    && !budget.disrupted.iter().any(|name| **name == *pod.key.name)
                {
                    let allowed = left.entry(place).or_insert(budget.allowed);
                    *allowed -= 1;
                    breaks |= *allowed < 0;
                }
            }
            breaks
        })
    }
}

impl Budget {
    fn of(budget: &PodDisruptionBudget) -> Option<Self> {
        let selector = budget.spec.as_ref()?.selector.as_ref();
        let selector = LabelSelector::from_proto(selector).ok()?;
        let status = budget.status.as_ref();
        (!selector.is_nothing()).then(|| Self {
            namespace: budget.namespace().into(),
            selector,
            allowed: status.map_or(0, |status| status.disruptions_allowed),
            disrupted: status.map_or_else(Vec::new, |status| status.disrupted_pods.keys().cloned().collect()),
        })
    }

    fn protects(&self, pod: &PodTemplate) -> bool {
        self.namespace == pod.namespace && !pod.labels.is_empty() && self.selector.matches_labels(&pod.labels)
    }
}
