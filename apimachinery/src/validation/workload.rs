//! Deployments, ReplicaSets and the other kinds that make Pods from a template.

use super::{Faults, Validate, labels, pod};
use crate::int_or_string;
use crate::path::Path;
use crate::selector;
use proto::IntOrString;
use proto::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, DeploymentSpec, ReplicaSet, StatefulSet,
};
use proto::api::autoscaling::v2::HorizontalPodAutoscaler;
use proto::api::batch::v1::{CronJob, Job, JobSpec};
use proto::api::core::v1::{PodTemplateSpec, ReplicationController};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::meta::v1::LabelSelector;

impl Validate for Deployment {
    fn validate(&self, faults: &mut Faults) {
        let empty = DeploymentSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        workload(
            "Deployment",
            spec.selector.as_ref(),
            spec.template.as_ref(),
            &["Always"],
            &at,
            faults,
        );
        strategy(spec, &at.field("strategy"), faults);
        faults.non_negative(&at.field("minReadySeconds"), spec.min_ready_seconds);
        faults.non_negative(
            &at.field("revisionHistoryLimit"),
            spec.revision_history_limit.unwrap_or(0),
        );
        if let Some(deadline) = spec.progress_deadline_seconds {
            let at = at.field("progressDeadlineSeconds");
            faults.non_negative(&at, deadline);
            if deadline <= spec.min_ready_seconds {
                faults.invalid(&at, deadline, "must be greater than minReadySeconds");
            }
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let selector = |d: &Self| d.spec.as_ref().and_then(|s| s.selector.clone());
        selector_update(&selector(old), &selector(self), faults);
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let at = Path::ROOT.field("status");
        let Some(status) = &self.status else { return };
        for (name, value) in [
            ("observedGeneration", status.observed_generation),
            ("replicas", status.replicas.into()),
            ("updatedReplicas", status.updated_replicas.into()),
            ("readyReplicas", status.ready_replicas.into()),
            ("availableReplicas", status.available_replicas.into()),
            ("unavailableReplicas", status.unavailable_replicas.into()),
        ] {
            faults.non_negative(&at.field(name), value);
        }
        let more_than_all = "cannot be greater than status.replicas";
        let counts = [
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        for (name, value) in counts {
            if value > status.replicas {
                faults.invalid(&at.field(name), value, more_than_all);
            }
        }
        if status.available_replicas > status.ready_replicas {
            let detail = "cannot be greater than readyReplicas";
            faults.invalid(&at.field("availableReplicas"), status.available_replicas, detail);
        }
    }
}

impl Validate for ReplicaSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        faults.non_negative(&at.field("minReadySeconds"), spec.min_ready_seconds);
        workload(
            "ReplicaSet",
            spec.selector.as_ref(),
            spec.template.as_ref(),
            &["Always"],
            &at,
            faults,
        );
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let selector = |rs: &Self| rs.spec.as_ref().and_then(|s| s.selector.clone());
        selector_update(&selector(old), &selector(self), faults);
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let at = Path::ROOT.field("status");
        let Some(status) = &self.status else { return };
        faults.non_negative(&at.field("replicas"), status.replicas);
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        for (name, value) in [
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ] {
            faults.non_negative(&at.field(name), value);
            if value > status.replicas {
                faults.invalid(&at.field(name), value, "cannot be greater than status.replicas");
            }
        }
        if status.available_replicas > status.ready_replicas {
            let detail = "cannot be greater than readyReplicas";
            faults.invalid(&at.field("availableReplicas"), status.available_replicas, detail);
        }
    }
}

impl Validate for StatefulSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        faults.non_negative(&at.field("minReadySeconds"), spec.min_ready_seconds);
        faults.one_of(
            &at.field("podManagementPolicy"),
            &spec.pod_management_policy,
            &["OrderedReady", "Parallel"],
        );
        let update = spec.update_strategy.as_ref().map_or("", |s| &s.r#type);
        faults.one_of(
            &at.field("updateStrategy.type"),
            update,
            &["RollingUpdate", "OnDelete"],
        );
        workload(
            "StatefulSet",
            spec.selector.as_ref(),
            spec.template.as_ref(),
            &["Always"],
            &at,
            faults,
        );
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let (Some(old), Some(new)) = (&old.spec, &self.spec) else {
            return;
        };
        // All that may change is made equal; whatever still differs may not.
        let mut rest = new.clone();
        rest.replicas = old.replicas;
        rest.ordinals.clone_from(&old.ordinals);
        rest.template.clone_from(&old.template);
        rest.update_strategy.clone_from(&old.update_strategy);
        rest.revision_history_limit = old.revision_history_limit;
        rest.min_ready_seconds = old.min_ready_seconds;
        rest.persistent_volume_claim_retention_policy
            .clone_from(&old.persistent_volume_claim_retention_policy);
        if rest != *old {
            faults.forbidden(
                &Path::ROOT.field("spec"),
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                 'minReadySeconds' are forbidden",
            );
        }
    }
}

impl Validate for DaemonSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("minReadySeconds"), spec.min_ready_seconds);
        let update = spec.update_strategy.as_ref().map_or("", |s| &s.r#type);
        faults.one_of(
            &at.field("updateStrategy.type"),
            update,
            &["RollingUpdate", "OnDelete"],
        );
        workload(
            "DaemonSet",
            spec.selector.as_ref(),
            spec.template.as_ref(),
            &["Always"],
            &at,
            faults,
        );
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let selector = |ds: &Self| ds.spec.as_ref().and_then(|s| s.selector.clone());
        selector_update(&selector(old), &selector(self), faults);
    }
}

impl Validate for ReplicationController {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        faults.non_negative(&at.field("minReadySeconds"), spec.min_ready_seconds);
        if spec.selector.is_empty() {
            faults.required(&at.field("selector"), "");
        }
        labels::labels(&spec.selector, &at.field("selector"), faults);
        let selector = LabelSelector {
            match_labels: spec.selector.clone(),
            ..LabelSelector::default()
        };
        template(Some(&selector), spec.template.as_ref(), &["Always"], &at, faults);
    }
}

impl Validate for Job {
    fn validate(&self, faults: &mut Faults) {
        job_spec(
            self.spec.as_ref().unwrap_or(&JobSpec::default()),
            &Path::ROOT.field("spec"),
            faults,
        );
    }
}

impl Validate for CronJob {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        if spec.schedule.is_empty() {
            faults.required(&at.field("schedule"), "");
        }
        faults.one_of(
            &at.field("concurrencyPolicy"),
            &spec.concurrency_policy,
            &["Allow", "Forbid", "Replace"],
        );
        let job = spec.job_template.as_ref().and_then(|t| t.spec.as_ref());
        job_spec(
            job.unwrap_or(&JobSpec::default()),
            &at.field("jobTemplate.spec"),
            faults,
        );
    }
}

fn job_spec(spec: &JobSpec, at: &Path<'_>, faults: &mut Faults) {
    for (name, value) in [
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
    ] {
        faults.non_negative(&at.field(name), value.unwrap_or(0));
    }
    if let Some(mode) = &spec.completion_mode {
        faults.one_of(&at.field("completionMode"), mode, &["NonIndexed", "Indexed"]);
    }
    // A Job's selector is made by the server, so that there is none to match yet.
    template(None, spec.template.as_ref(), &["OnFailure", "Never"], at, faults);
}

impl Validate for ControllerRevision {
    fn validate(&self, faults: &mut Faults) {
        faults.non_negative(&Path::ROOT.field("revision"), self.revision);
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        faults.immutable(&Path::ROOT.field("data"), &old.data, &self.data, "");
    }
}

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
}

impl Validate for HorizontalPodAutoscaler {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        let least = spec.min_replicas.unwrap_or(1);
        if least < 1 {
            faults.invalid(
                &at.field("minReplicas"),
                least,
                "must be greater than or equal to 1",
            );
        }
        if spec.max_replicas < 1 {
            faults.invalid(
                &at.field("maxReplicas"),
                spec.max_replicas,
                "must be greater than 0",
            );
        } else if spec.max_replicas < least {
            let detail = "must be greater than or equal to `minReplicas`";
            faults.invalid(&at.field("maxReplicas"), spec.max_replicas, detail);
        }
        let at = at.field("scaleTargetRef");
        let target = spec.scale_target_ref.clone().unwrap_or_default();
        for (name, value) in [("kind", &target.kind), ("name", &target.name)] {
            if value.is_empty() {
                faults.required(&at.field(name), "");
            }
        }
    }
}

/// What all workloads have: a selector that is not empty, and a template that it selects.
fn workload(
    kind: &str,
    selector: Option<&LabelSelector>,
    pods: Option<&PodTemplateSpec>,
    restart: &[&str],
    at: &Path<'_>,
    faults: &mut Faults,
) {
    let place = at.field("selector");
    match selector {
        None => faults.required(&place, ""),
        Some(selector) => {
            labels::selector(selector, &place, faults);
            if *selector == LabelSelector::default() {
                faults.invalid(
                    &place,
                    "{}",
                    &format!("empty selector is invalid for {}", kind.to_lowercase()),
                );
            }
        }
    }
    template(selector, pods, restart, at, faults);
    if pods
        .and_then(|t| t.spec.as_ref())
        .is_some_and(|s| s.active_deadline_seconds.is_some())
    {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        faults.forbidden(&at.field("template.spec.activeDeadlineSeconds"), &detail);
    }
}

/// A template: its labels match the selector, and its Pods restart as this kind needs them to.
fn template(
    selector: Option<&LabelSelector>,
    pods: Option<&PodTemplateSpec>,
    restart: &[&str],
    at: &Path<'_>,
    faults: &mut Faults,
) {
    let at = at.field("template");
    pod::pod_template(pods, &at, faults);
    let Some(pods) = pods else { return };
    let labels = pods
        .metadata
        .as_ref()
        .map(|m| m.labels.clone())
        .unwrap_or_default();
    if let Some(selector) = selector
        && *selector != LabelSelector::default()
        && let Ok(selector) = selector::LabelSelector::from_proto(Some(selector))
        && !selector.matches_labels(&labels)
    {
        faults.invalid(
            &at.field("metadata.labels"),
            &labels,
            "`selector` does not match template `labels`",
        );
    }
    let policy = pods.spec.as_ref().map_or("", |s| &s.restart_policy);
    if ["Always", "OnFailure", "Never"].contains(&policy) && !restart.contains(&policy) {
        faults.unsupported(&at.field("spec.restartPolicy"), policy, restart);
    }
}

fn selector_update(old: &Option<LabelSelector>, new: &Option<LabelSelector>, faults: &mut Faults) {
    let text = selector::LabelSelector::from_proto(new.as_ref())
        .map(|s| s.to_string())
        .unwrap_or_default();
    faults.immutable(&Path::ROOT.field("spec.selector"), old, new, text);
}

fn strategy(spec: &DeploymentSpec, at: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let strategy = spec.strategy.as_ref().unwrap_or(&empty);
    faults.one_of(
        &at.field("type"),
        &strategy.r#type,
        &["Recreate", "RollingUpdate"],
    );
    let at = at.field("rollingUpdate");
    let rolling = match (strategy.r#type.as_str(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            return faults.forbidden(&at, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("RollingUpdate", None) => {
            return faults.required(&at, "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(rolling)) => rolling,
        _ => return,
    };
    let zero = IntOrString::default();
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    share(unavailable, &at.field("maxUnavailable"), faults);
    share(surge, &at.field("maxSurge"), faults);
    let is_zero = |value| int_or_string::scaled(value, 100, true) == Some(0);
    if is_zero(unavailable) && is_zero(surge) {
        let shown = int_or_string::display(unavailable);
        faults.invalid(
            &at.field("maxUnavailable"),
            shown,
            "may not be 0 when `maxSurge` is 0",
        );
    }
    at_most_all(unavailable, &at.field("maxUnavailable"), faults);
}

/// A number that is not negative, or a percentage.
fn share(value: &IntOrString, at: &Path<'_>, faults: &mut Faults) {
    match int_or_string::as_string(value) {
        None => faults.non_negative(at, value.int_val),
        Some(text) if int_or_string::as_percent(value).is_none() => {
            faults.invalid(at, text, "must be an integer or percentage (e.g '5' or '5%')");
        }
        Some(_) => {}
    }
}

fn at_most_all(value: &IntOrString, at: &Path<'_>, faults: &mut Faults) {
    if int_or_string::as_percent(value).is_some_and(|percent| percent > 100) {
        faults.invalid(at, int_or_string::display(value), "must not be greater than 100%");
    }
}

#[cfg(test)]
mod tests;
