//! A container's own `restartPolicy`, and the rules that make exceptions to it.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restart-rules>

use super::Faults;
use crate::path::Path;
use proto::api::core::v1::Container;

const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
/// Restarting the whole Pod is behind a feature gate that is off in Kubernetes 1.35.
const ACTIONS: [&str; 1] = ["Restart"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];

/// The most rules of a container: Kubernetes' limit.
const MOST_RULES: usize = 20;
/// The most exit codes of a rule: Kubernetes' limit.
const MOST_CODES: usize = 255;

/// The policy and the rules of a container at `at`.
pub(super) fn restart(container: &Container, at: &Path<'_>, faults: &mut Faults) {
    let policy = at.field("restartPolicy");
    match &container.restart_policy {
        Some(value) => faults.one_of(&policy, value, &POLICIES),
        None if container.restart_policy_rules.is_empty() => {}
        None => faults.required(&policy, "must specify restartPolicy when restart rules are used"),
    }
    let rules = at.field("restartPolicyRules");
    if container.restart_policy_rules.len() > MOST_RULES {
        faults.too_many(&rules, MOST_RULES);
    }
    for (i, rule) in container.restart_policy_rules.iter().enumerate() {
        let at = rules.index(i);
        faults.one_of(&at.field("action"), &rule.action, &ACTIONS);
        let at = at.field("exitCodes");
        let Some(on) = &rule.exit_codes else {
            faults.required(&at, "must be specified");
            continue;
        };
        faults.one_of(&at.field("operator"), &on.operator, &OPERATORS);
        if on.values.len() > MOST_CODES {
            faults.too_many(&at.field("values"), MOST_CODES);
        }
    }
}
