//! Whether a PodDisruptionBudget lets a Pod be evicted, and what an eviction takes from it. Pure.
//!
//! <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>.

use super::errors::{self, Result};
use super::pod;
use apimachinery::kinds;
use apimachinery::status::{self, Reason};
use proto::api::core::v1::Pod;
use proto::api::policy::v1::PodDisruptionBudget;
use proto::meta::v1::{Condition, Status};
use proto::{Kind, Timestamp};

/// More evictions than this, not yet seen by the budget's controller, mean that it does not run.
const MAX_DISRUPTED_PODS: usize = 2_000;
/// The cause that clients look for in a refusal.
const CAUSE: &str = "DisruptionBudget";
/// When to ask again while the budget's own status is stale.
const RETRY_SECONDS: i32 = 10;
/// The condition that tells whether the budget has anything left.
const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// Whether the Pod counts for no budget: it does not run, or goes already.
pub(crate) fn is_exempt(pod: &Pod) -> bool {
    pod::is_finished(pod) || pod::phase(pod) == "Pending" || pod.meta().deletion_timestamp.is_some()
}

/// Whether an unready Pod may go without touching the budget, because it is no part of what the budget counts.
pub(crate) fn spares_unready(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    if pod::is_ready(pod) {
        return false;
    }
    let policy = budget
        .spec
        .as_ref()
        .map_or("", |spec| spec.unhealthy_pod_eviction_policy());
    let enough = budget
        .status
        .as_ref()
        .is_some_and(|s| s.current_healthy >= s.desired_healthy && s.desired_healthy > 0);
    policy == "AlwaysAllow" || enough
}

/// Takes one disruption from the budget, or says why there is none to take.
pub(crate) fn take(budget: &mut PodDisruptionBudget, pod: &str, now: Timestamp) -> Result<()> {
    let generation = budget.meta().generation;
    let name = budget.name().to_owned();
    let status = budget.status.get_or_insert_default();
    if status.observed_generation < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(errors::with_retry(refusal(why), RETRY_SECONDS));
    }
    let info = kinds::of::<PodDisruptionBudget>();
    if status.disruptions_allowed < 0 {
        return Err(errors::forbidden(
            info,
            &name,
            "pdb disruptions allowed is negative",
        ));
    }
    if status.disrupted_pods.len() > MAX_DISRUPTED_PODS {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(errors::forbidden(info, &name, why));
    }
    if status.disruptions_allowed == 0 {
        return Err(refusal(format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            status.desired_healthy, status.current_healthy
        )));
    }
    let now = Timestamp { nanos: 0, ..now };
    status.disruptions_allowed -= 1;
    status.disrupted_pods.insert(pod.to_owned(), now);
    if status.disruptions_allowed == 0 {
        let exhausted = Condition {
            r#type: DISRUPTION_ALLOWED.into(),
            status: "False".into(),
            observed_generation: generation,
            last_transition_time: Some(now),
            reason: "InsufficientPods".into(),
            message: String::new(),
        };
        status.conditions.retain(|c| c.r#type != DISRUPTION_ALLOWED);
        status.conditions.push(exhausted);
    }
    Ok(())
}

/// More than one budget selects the Pod: nobody can say which one counts.
pub(crate) fn ambiguous() -> Box<Status> {
    errors::internal(
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    )
}

fn refusal(why: String) -> Box<Status> {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let status = Box::new(status::failure(Reason::TooManyRequests, message));
    errors::with_cause(status, CAUSE, "", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{PodCondition, PodStatus};
    use proto::api::policy::v1::{PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};

    const NOW: Timestamp = Timestamp { seconds: 9, nanos: 9 };

    fn budget(allowed: i32) -> PodDisruptionBudget {
        PodDisruptionBudget {
            status: Some(PodDisruptionBudgetStatus {
                disruptions_allowed: allowed,
                current_healthy: 2,
                desired_healthy: 2,
                ..PodDisruptionBudgetStatus::default()
            }),
            ..PodDisruptionBudget::default()
        }
    }

    fn pod(phase: &str, ready: bool) -> Pod {
        Pod {
            status: Some(PodStatus {
                phase: phase.into(),
                conditions: vec![PodCondition {
                    r#type: "Ready".into(),
                    status: if ready { "True" } else { "False" }.into(),
                    ..PodCondition::default()
                }],
                ..PodStatus::default()
            }),
            ..Pod::default()
        }
    }

    #[test]
    fn a_budget_gives_what_it_has_and_then_refuses() {
        let mut budget = budget(1);
        take(&mut budget, "web", NOW).unwrap();
        let status = budget.status.as_ref().unwrap();
        assert_eq!(status.disruptions_allowed, 0);
        assert!(status.disrupted_pods.contains_key("web"));
        assert_eq!(status.conditions[0].reason, "InsufficientPods");
        let refused = take(&mut budget, "web-2", NOW).unwrap_err();
        assert_eq!(refused.reason, "TooManyRequests");
        assert_eq!(refused.details.unwrap().causes[0].reason, CAUSE);
    }

    #[test]
    fn a_budget_whose_status_is_stale_or_broken_refuses() {
        let mut stale = budget(1);
        stale.metadata_mut().generation = 2;
        let refused = take(&mut stale, "web", NOW).unwrap_err();
        assert_eq!(refused.details.unwrap().retry_after_seconds, RETRY_SECONDS);
        assert_eq!(take(&mut budget(-1), "web", NOW).unwrap_err().reason, "Forbidden");
    }

    #[test]
    fn pods_that_do_not_run_need_no_budget() {
        for (phase, exempt) in [
            ("Running", false),
            ("Pending", true),
            ("Failed", true),
            ("Succeeded", true),
        ] {
            assert_eq!(is_exempt(&pod(phase, true)), exempt, "{phase}");
        }
    }

    #[test]
    fn an_unready_pod_is_spared_only_while_enough_others_are_healthy() {
        let short = |policy: Option<&str>| PodDisruptionBudget {
            spec: Some(PodDisruptionBudgetSpec {
                unhealthy_pod_eviction_policy: policy.map(Into::into),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: Some(PodDisruptionBudgetStatus {
                desired_healthy: 3,
                ..PodDisruptionBudgetStatus::default()
            }),
            ..PodDisruptionBudget::default()
        };
        assert!(spares_unready(&budget(0), &pod("Running", false)));
        assert!(!spares_unready(&budget(0), &pod("Running", true)));
        assert!(!spares_unready(&short(None), &pod("Running", false)));
        assert!(spares_unready(
            &short(Some("AlwaysAllow")),
            &pod("Running", false)
        ));
    }
}
