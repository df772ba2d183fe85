//! Deployments, ReplicaSets and the other kinds that keep Pods of a template running.

use super::{Faults, Validate, labels, pod};
use crate::int_or_string;
use crate::path::Path;
use crate::selector;
use proto::api::apps::v1::{
    ControllerRevision, DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, ReplicaSet, StatefulSet,
    StatefulSetSpec,
};
use proto::api::core::v1::{
    EmptyDirVolumeSource, PodTemplateSpec, ReplicationController, Volume, VolumeSource,
};
use proto::meta::v1::LabelSelector;
use proto::{IntOrString, Kind};
use std::collections::BTreeMap;

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
            &at,
            faults,
        );
        strategy(spec, &at.field("strategy"), faults);
        pace(spec.min_ready_seconds, spec.revision_history_limit, &at, faults);
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
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        faults.non_negative(&at.field("unavailableReplicas"), status.unavailable_replicas);
        let counts = [
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        replica_counts(status.replicas, &counts, &at, faults);
    }
}

impl Validate for ReplicaSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        pace(spec.min_ready_seconds, None, &at, faults);
        workload(
            "ReplicaSet",
            spec.selector.as_ref(),
            spec.template.as_ref(),
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
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        let counts = [
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        replica_counts(status.replicas, &counts, &at, faults);
    }
}

/// The template of the Pods, with a volume for every claim that each of them gets: containers mount those by name.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates>
fn with_claims(spec: &StatefulSetSpec) -> Option<PodTemplateSpec> {
    let mut template = spec.template.clone()?;
    let volumes = &mut template.spec.get_or_insert_default().volumes;
    for claim in &spec.volume_claim_templates {
        let name = claim.name();
        // The claim takes the place of a volume of the same name.
        if volumes.iter().all(|volume| volume.name != name) {
            volumes.push(Volume {
                name: name.to_owned(),
                volume_source: Some(VolumeSource {
                    empty_dir: Some(EmptyDirVolumeSource::default()),
                    ..VolumeSource::default()
                }),
            });
        }
    }
    Some(template)
}

impl Validate for StatefulSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        pace(spec.min_ready_seconds, spec.revision_history_limit, &at, faults);
        faults.one_of(
            &at.field("podManagementPolicy"),
            &spec.pod_management_policy,
            &["OrderedReady", "Parallel"],
        );
        stateful_update(spec, &at.field("updateStrategy"), faults);
        if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
            let at = at.field("persistentVolumeClaimRetentionPolicy");
            for (name, policy) in [
                ("whenDeleted", &policy.when_deleted),
                ("whenScaled", &policy.when_scaled),
            ] {
                faults.one_of(&at.field(name), policy, &["Retain", "Delete"]);
            }
        }
        if let Some(ordinals) = &spec.ordinals {
            faults.non_negative(&at.field("ordinals.start"), ordinals.start);
        }
        workload(
            "StatefulSet",
            spec.selector.as_ref(),
            with_claims(spec).as_ref(),
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

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        faults.non_negative(&at.field("collisionCount"), status.collision_count.unwrap_or(0));
        let counts = [
            ("readyReplicas", status.ready_replicas),
            ("currentReplicas", status.current_replicas),
            ("updatedReplicas", status.updated_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        replica_counts(status.replicas, &counts, &at, faults);
    }
}

impl Validate for DaemonSet {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        pace(spec.min_ready_seconds, spec.revision_history_limit, &at, faults);
        daemon_update(spec, &at.field("updateStrategy"), faults);
        workload(
            "DaemonSet",
            spec.selector.as_ref(),
            spec.template.as_ref(),
            &at,
            faults,
        );
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let selector = |ds: &Self| ds.spec.as_ref().and_then(|s| s.selector.clone());
        selector_update(&selector(old), &selector(self), faults);
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        for (name, count) in [
            ("currentNumberScheduled", status.current_number_scheduled),
            ("numberMisscheduled", status.number_misscheduled),
            ("desiredNumberScheduled", status.desired_number_scheduled),
            ("numberReady", status.number_ready),
            ("updatedNumberScheduled", status.updated_number_scheduled),
            ("numberAvailable", status.number_available),
            ("numberUnavailable", status.number_unavailable),
        ] {
            faults.non_negative(&at.field(name), count);
        }
    }
}

impl Validate for ReplicationController {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        faults.non_negative(&at.field("replicas"), spec.replicas.unwrap_or(0));
        pace(spec.min_ready_seconds, None, &at, faults);
        if spec.selector.is_empty() {
            faults.required(&at.field("selector"), "");
        }
        labels::labels(&spec.selector, &at.field("selector"), faults);
        let selector = LabelSelector {
            match_labels: spec.selector.clone(),
            ..LabelSelector::default()
        };
        template(Some(&selector), spec.template.as_ref(), &at, faults);
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("observedGeneration"), status.observed_generation);
        let counts = [
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ];
        replica_counts(status.replicas, &counts, &at, faults);
    }
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

/// How long a Pod is watched before it counts, and how many old states are kept.
fn pace(min_ready_seconds: i32, revision_history_limit: Option<i32>, at: &Path<'_>, faults: &mut Faults) {
    faults.non_negative(&at.field("minReadySeconds"), min_ready_seconds);
    faults.non_negative(
        &at.field("revisionHistoryLimit"),
        revision_history_limit.unwrap_or(0),
    );
}

/// Counts of replicas: none is negative, none above all of them, and no more are available than ready.
fn replica_counts(all: i32, counts: &[(&str, i32)], at: &Path<'_>, faults: &mut Faults) {
    faults.non_negative(&at.field("replicas"), all);
    for &(name, count) in counts {
        faults.non_negative(&at.field(name), count);
        if count > all {
            faults.invalid(&at.field(name), count, "cannot be greater than status.replicas");
        }
    }
    let of = |wanted: &str| counts.iter().find(|(name, _)| *name == wanted);
    if let (Some((_, ready)), Some((name, available))) = (of("readyReplicas"), of("availableReplicas"))
        && available > ready
    {
        faults.invalid(
            &at.field(name),
            *available,
            "cannot be greater than readyReplicas",
        );
    }
}

/// What all workloads have: a selector that is not empty, and a template that it selects.
fn workload(
    kind: &str,
    selector: Option<&LabelSelector>,
    pods: Option<&PodTemplateSpec>,
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
    template(selector, pods, at, faults);
    if pods
        .and_then(|t| t.spec.as_ref())
        .is_some_and(|s| s.active_deadline_seconds.is_some())
    {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        faults.forbidden(&at.field("template.spec.activeDeadlineSeconds"), &detail);
    }
}

/// A template: its labels match the selector, and its Pods are started again whenever they end.
fn template(
    selector: Option<&LabelSelector>,
    pods: Option<&PodTemplateSpec>,
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
    if let Some(selector) = selector.filter(|selector| **selector != LabelSelector::default()) {
        selects(selector, &labels, &at, faults);
    }
    let policy = pods.spec.as_ref().map_or("", |s| &s.restart_policy);
    if ["OnFailure", "Never"].contains(&policy) {
        faults.unsupported(&at.field("spec.restartPolicy"), policy, &["Always"]);
    }
}

/// A selector picks the Pods of the template at `at`.
pub(super) fn selects(
    selector: &LabelSelector,
    labels: &BTreeMap<String, String>,
    at: &Path<'_>,
    faults: &mut Faults,
) {
    if let Ok(selector) = selector::LabelSelector::from_proto(Some(selector))
        && !selector.matches_labels(labels)
    {
        let detail = "`selector` does not match template `labels`";
        faults.invalid(&at.field("metadata.labels"), labels, detail);
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

fn stateful_update(spec: &StatefulSetSpec, at: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let strategy = spec.update_strategy.as_ref().unwrap_or(&empty);
    faults.one_of(
        &at.field("type"),
        &strategy.r#type,
        &["RollingUpdate", "OnDelete"],
    );
    let Some(rolling) = &strategy.rolling_update else {
        return;
    };
    let place = at.field("rollingUpdate");
    if strategy.r#type == "OnDelete" {
        let detail = "only allowed for updateStrategy 'RollingUpdate'";
        return faults.invalid(&place, "", detail);
    }
    faults.non_negative(&place.field("partition"), rolling.partition.unwrap_or(0));
    if let Some(unavailable) = &rolling.max_unavailable {
        let at = place.field("maxUnavailable");
        share(unavailable, &at, faults);
        if int_or_string::scaled(unavailable, 100, true) == Some(0) {
            faults.invalid(&at, int_or_string::display(unavailable), "cannot be 0");
        }
        at_most_all(unavailable, &at, faults);
    }
}

fn daemon_update(spec: &DaemonSetSpec, at: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let strategy = spec.update_strategy.as_ref().unwrap_or(&empty);
    faults.one_of(
        &at.field("type"),
        &strategy.r#type,
        &["RollingUpdate", "OnDelete"],
    );
    if strategy.r#type != "RollingUpdate" {
        return;
    }
    let at = at.field("rollingUpdate");
    let Some(rolling) = &strategy.rolling_update else {
        return faults.required(&at, "");
    };
    let zero = IntOrString::default();
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    for (name, value) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
        share(value, &at.field(name), faults);
        at_most_all(value, &at.field(name), faults);
    }
    let is_zero = |value| int_or_string::scaled(value, 100, true) == Some(0);
    match (is_zero(unavailable), is_zero(surge)) {
        (true, true) => faults.required(&at.field("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        (false, false) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            faults.invalid(&at.field("maxSurge"), int_or_string::display(surge), detail);
        }
        _ => {}
    }
}

/// A number that is not negative, or a percentage.
pub(super) fn share(value: &IntOrString, at: &Path<'_>, faults: &mut Faults) {
    match int_or_string::as_string(value) {
        None => faults.non_negative(at, value.int_val),
        Some(text) if int_or_string::as_percent(value).is_none() => {
            faults.invalid(at, text, "must be an integer or percentage (e.g '5' or '5%')");
        }
        Some(_) => {}
    }
}

pub(super) fn at_most_all(value: &IntOrString, at: &Path<'_>, faults: &mut Faults) {
    if int_or_string::as_percent(value).is_some_and(|percent| percent > 100) {
        faults.invalid(at, int_or_string::display(value), "must not be greater than 100%");
    }
}

#[cfg(test)]
mod tests;
