//! Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, ControllerRevisions.

use super::pod::pod_template;
use super::{Defaults, string};
use crate::int_or_string;
use proto::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, RollingUpdateStatefulSetStrategy, StatefulSet,
};
use proto::api::core::v1::ReplicationController;

/// How many old revisions are kept for an undo.
const HISTORY_LIMIT: i32 = 10;
/// How long a rollout may stand still before it counts as failed.
const PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// How far a rolling update may stray from the wanted number, either way.
const ROLLING_SHARE: &str = "25%";
const ROLLING_UPDATE: &str = "RollingUpdate";

impl Defaults for Deployment {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        let strategy = spec.strategy.get_or_insert_default();
        string(&mut strategy.r#type, ROLLING_UPDATE);
        if strategy.r#type == ROLLING_UPDATE {
            let rolling = strategy.rolling_update.get_or_insert_default();
            rolling
                .max_unavailable
                .get_or_insert_with(|| int_or_string::string(ROLLING_SHARE));
            rolling
                .max_surge
                .get_or_insert_with(|| int_or_string::string(ROLLING_SHARE));
        }
        spec.revision_history_limit.get_or_insert(HISTORY_LIMIT);
        spec.progress_deadline_seconds
            .get_or_insert(PROGRESS_DEADLINE_SECONDS);
        pod_template(&mut spec.template);
    }
}

impl Defaults for ReplicaSet {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        pod_template(&mut spec.template);
    }
}

impl Defaults for StatefulSet {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        string(&mut spec.pod_management_policy, "OrderedReady");
        let strategy = spec.update_strategy.get_or_insert_default();
        if strategy.r#type.is_empty() {
            ROLLING_UPDATE.clone_into(&mut strategy.r#type);
            strategy
                .rolling_update
                .get_or_insert_with(RollingUpdateStatefulSetStrategy::default);
        }
        if strategy.r#type == ROLLING_UPDATE
            && let Some(rolling) = &mut strategy.rolling_update
        {
            rolling.partition.get_or_insert(0);
        }
        let retention = spec
            .persistent_volume_claim_retention_policy
            .get_or_insert_default();
        string(&mut retention.when_deleted, "Retain");
        string(&mut retention.when_scaled, "Retain");
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(HISTORY_LIMIT);
        pod_template(&mut spec.template);
        for claim in &mut spec.volume_claim_templates {
            claim.set_defaults();
        }
    }
}

impl Defaults for DaemonSet {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        let strategy = spec.update_strategy.get_or_insert_default();
        string(&mut strategy.r#type, ROLLING_UPDATE);
        if strategy.r#type == ROLLING_UPDATE {
            let rolling = strategy.rolling_update.get_or_insert_default();
            rolling
                .max_unavailable
                .get_or_insert_with(|| int_or_string::int(1));
            rolling.max_surge.get_or_insert_with(|| int_or_string::int(0));
        }
        spec.revision_history_limit.get_or_insert(HISTORY_LIMIT);
        pod_template(&mut spec.template);
    }
}

impl Defaults for ReplicationController {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.replicas.get_or_insert(1);
        let labels = spec
            .template
            .as_ref()
            .and_then(|t| t.metadata.as_ref())
            .map(|m| &m.labels);
        if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
            if spec.selector.is_empty() {
                spec.selector.clone_from(labels);
            }
            let meta = self.metadata.get_or_insert_default();
            if meta.labels.is_empty() {
                meta.labels.clone_from(labels);
            }
        }
        pod_template(&mut spec.template);
    }
}

impl Defaults for ControllerRevision {
    fn set_defaults(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_rolls_by_a_quarter() {
        let mut deployment = Deployment::default();
        deployment.set_defaults();
        let spec = deployment.spec.unwrap();
        assert_eq!(spec.replicas, Some(1));
        assert_eq!(spec.revision_history_limit, Some(10));
        assert_eq!(spec.progress_deadline_seconds, Some(600));
        let rolling = spec.strategy.unwrap().rolling_update.unwrap();
        assert_eq!(rolling.max_surge, Some(int_or_string::string("25%")));
        assert_eq!(spec.template.unwrap().spec.unwrap().restart_policy, "Always");
    }

    #[test]
    fn a_deployment_that_recreates_has_no_rolling_update() {
        let mut deployment = Deployment::default();
        deployment
            .spec
            .get_or_insert_default()
            .strategy
            .get_or_insert_default()
            .r#type = "Recreate".into();
        deployment.set_defaults();
        assert_eq!(deployment.spec.unwrap().strategy.unwrap().rolling_update, None);
    }
}
