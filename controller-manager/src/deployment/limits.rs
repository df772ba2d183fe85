//! How far a rollout may go at a time: `maxSurge` and `maxUnavailable`.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable>

use apimachinery::int_or_string::scaled;
use proto::IntOrString;
use proto::api::apps::v1::{Deployment, DeploymentStrategy};

fn strategy(deployment: &Deployment) -> Option<&DeploymentStrategy> {
    deployment.spec.as_ref()?.strategy.as_ref()
}

/// Whether all old Pods must be gone before the first new one.
pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    strategy(deployment).is_some_and(|strategy| strategy.r#type == "Recreate")
}

/// How many replicas are wanted.
pub(super) fn replicas(deployment: &Deployment) -> i32 {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// How many Pods above [`replicas`] a rollout may ask for.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        0
    } else {
        limits(deployment).0
    }
}

/// How many Pods below [`replicas`] a rollout may leave available.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        0
    } else {
        limits(deployment).1.min(replicas(deployment))
    }
}

fn limits(deployment: &Deployment) -> (i32, i32) {
    let rolling = strategy(deployment).and_then(|strategy| strategy.rolling_update.as_ref());
    let limit = |value: Option<&IntOrString>, round_up| {
        value
            .and_then(|value| scaled(value, replicas(deployment), round_up))
            .unwrap_or(0)
            .max(0)
    };
    let surge = limit(rolling.and_then(|rolling| rolling.max_surge.as_ref()), true);
    let unavailable = limit(
        rolling.and_then(|rolling| rolling.max_unavailable.as_ref()),
        false,
    );
    // Both may round to nothing, and then a rollout could never take a step.
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::int_or_string;
    use proto::api::apps::v1::{DeploymentSpec, RollingUpdateDeployment};

    fn value(text: &str) -> IntOrString {
        text.parse()
            .map_or_else(|_| int_or_string::string(text), int_or_string::int)
    }

    #[test]
    fn surge_rounds_up_and_unavailable_rounds_down_and_never_both_to_nothing() {
        for (replicas, surge, unavailable, expected) in [
            (10, "25%", "25%", (3, 2)),
            (10, "2", "1", (2, 1)),
            (3, "25%", "25%", (1, 0)),
            (1, "0", "25%", (0, 1)),
            (4, "100%", "0", (4, 0)),
            (2, "0", "5", (0, 2)),
            (0, "25%", "25%", (0, 0)),
        ] {
            let rolling = RollingUpdateDeployment {
                max_surge: Some(value(surge)),
                max_unavailable: Some(value(unavailable)),
            };
            let strategy = DeploymentStrategy {
                r#type: "RollingUpdate".into(),
                rolling_update: Some(rolling),
            };
            let spec = DeploymentSpec {
                replicas: Some(replicas),
                strategy: Some(strategy),
                ..DeploymentSpec::default()
            };
            let deployment = Deployment {
                spec: Some(spec),
                ..Deployment::default()
            };
            let found = (max_surge(&deployment), max_unavailable(&deployment));
            assert_eq!(
                found, expected,
                "{replicas} replicas, surge {surge}, unavailable {unavailable}"
            );
        }
    }
}
