//! PodDisruptionBudgets.

use super::workload::{at_most_all, share};
use super::{Faults, Validate, labels};
use crate::path::Path;
use proto::api::policy::v1::PodDisruptionBudget;

impl Validate for PodDisruptionBudget {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        if spec.min_available.is_some() && spec.max_unavailable.is_some() {
            faults.invalid(&at, "", "minAvailable and maxUnavailable cannot be both set");
        }
        for (name, value) in [
            ("minAvailable", &spec.min_available),
            ("maxUnavailable", &spec.max_unavailable),
        ] {
            if let Some(value) = value {
                share(value, &at.field(name), faults);
                at_most_all(value, &at.field(name), faults);
            }
        }
        if let Some(selector) = &spec.selector {
            labels::selector(selector, &at.field("selector"), faults);
        }
        if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
            let supported = ["AlwaysAllow", "IfHealthyBudget"];
            faults.one_of(&at.field("unhealthyPodEvictionPolicy"), policy, &supported);
        }
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        for (name, count) in [
            ("disruptionsAllowed", status.disruptions_allowed),
            ("currentHealthy", status.current_healthy),
            ("desiredHealthy", status.desired_healthy),
            ("expectedPods", status.expected_pods),
        ] {
            faults.non_negative(&at.field(name), count);
        }
    }
}
