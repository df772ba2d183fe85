//! Jobs, CronJobs, HorizontalPodAutoscalers, PodDisruptionBudgets.

use super::pod::pod_template;
use super::{Defaults, optional, string};
use proto::Kind;
use proto::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HpaScalingPolicy, HpaScalingRules, MetricSpec, MetricTarget,
    ResourceMetricSource,
};
use proto::api::batch::v1::{CronJob, Job, JobSpec};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::meta::v1::LabelSelector;

/// The label by which a Job finds its Pods.
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
/// How often a Job is tried again.
const BACKOFF_LIMIT: i32 = 6;
/// The CPU use that an autoscaler without metrics aims at, in percent.
const CPU_UTILIZATION: i32 = 80;
/// How often an autoscaler's policies count anew.
const POLICY_SECONDS: i32 = 15;

impl Defaults for Job {
    fn set_defaults(&mut self) {
        // First, because a Job without labels takes those of its template.
        select_by_uid(self);
        let spec = self.spec.get_or_insert_default();
        job_spec(spec);
        spec.suspend.get_or_insert(false);
        let labels = spec
            .template
            .as_ref()
            .and_then(|t| t.metadata.as_ref())
            .map(|m| &m.labels);
        let meta = self.metadata.get_or_insert_default();
        if let Some(labels) = labels
            && meta.labels.is_empty()
        {
            meta.labels.clone_from(labels);
        }
        if spec.completions.is_none() && spec.parallelism.is_none() {
            spec.completions = Some(1);
        }
        spec.parallelism.get_or_insert(1);
        spec.manual_selector.get_or_insert(false);
        optional(&mut spec.completion_mode, "NonIndexed");
        let replacement = if spec.pod_failure_policy.is_some() {
            "Failed"
        } else {
            "TerminatingOrFailed"
        };
        optional(&mut spec.pod_replacement_policy, replacement);
        let limit = if spec.backoff_limit_per_index.is_some() {
            i32::MAX
        } else {
            BACKOFF_LIMIT
        };
        spec.backoff_limit.get_or_insert(limit);
    }
}

/// Gives the Job's Pods labels that no other Job's have, and a selector for them. A Job that has one keeps it.
fn select_by_uid(job: &mut Job) {
    let (uid, name) = (job.uid().to_owned(), job.name().to_owned());
    let spec = job.spec.get_or_insert_default();
    if uid.is_empty() || spec.selector.is_some() || spec.manual_selector == Some(true) {
        return;
    }
    let labels = &mut spec
        .template
        .get_or_insert_default()
        .metadata
        .get_or_insert_default()
        .labels;
    for (label, value) in [
        (CONTROLLER_UID, &uid),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
    ] {
        labels.insert(label.to_owned(), value.clone());
    }
    spec.selector = Some(LabelSelector {
        match_labels: [(CONTROLLER_UID.to_owned(), uid)].into(),
        ..LabelSelector::default()
    });
}

/// What a CronJob's template gets too.
fn job_spec(spec: &mut JobSpec) {
    for rule in spec
        .pod_failure_policy
        .iter_mut()
        .flat_map(|policy| &mut policy.rules)
    {
        for pattern in &mut rule.on_pod_conditions {
            string(&mut pattern.status, "True");
        }
    }
    pod_template(&mut spec.template);
}

impl Defaults for CronJob {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        string(&mut spec.concurrency_policy, "Allow");
        spec.suspend.get_or_insert(false);
        spec.successful_jobs_history_limit.get_or_insert(3);
        spec.failed_jobs_history_limit.get_or_insert(1);
        job_spec(
            spec.job_template
                .get_or_insert_default()
                .spec
                .get_or_insert_default(),
        );
    }
}

impl Defaults for PodDisruptionBudget {
    fn set_defaults(&mut self) {}
}

impl Defaults for HorizontalPodAutoscaler {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.min_replicas.get_or_insert(1);
        if spec.metrics.is_empty() {
            spec.metrics.push(MetricSpec {
                r#type: "Resource".into(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".into(),
                    target: Some(MetricTarget {
                        r#type: "Utilization".into(),
                        average_utilization: Some(CPU_UTILIZATION),
                        ..MetricTarget::default()
                    }),
                }),
                ..MetricSpec::default()
            });
        }
        if let Some(behavior) = &mut spec.behavior {
            let up = behavior.scale_up.get_or_insert_default();
            up.stabilization_window_seconds.get_or_insert(0);
            scaling_rules(up, &[("Pods", 4), ("Percent", 100)]);
            scaling_rules(behavior.scale_down.get_or_insert_default(), &[("Percent", 100)]);
        }
    }
}

fn scaling_rules(rules: &mut HpaScalingRules, policies: &[(&str, i32)]) {
    optional(&mut rules.select_policy, "Max");
    if rules.policies.is_empty() {
        rules.policies = policies
            .iter()
            .map(|(r#type, value)| HpaScalingPolicy {
                r#type: (*r#type).to_owned(),
                value: *value,
                period_seconds: POLICY_SECONDS,
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_pods_are_told_from_those_of_others_by_its_uid() {
        let mut job = Job::default();
        job.metadata_mut().name = "work".into();
        job.metadata_mut().uid = "u1".into();
        job.set_defaults();
        let spec = job.spec.as_ref().unwrap();
        let labels = &spec.template.as_ref().unwrap().metadata.as_ref().unwrap().labels;
        assert_eq!(
            (labels["job-name"].as_str(), labels[CONTROLLER_UID].as_str()),
            ("work", "u1")
        );
        assert_eq!(spec.selector.as_ref().unwrap().match_labels[CONTROLLER_UID], "u1");
        let mut manual = Job::default();
        manual.metadata_mut().uid = "u1".into();
        manual.spec.get_or_insert_default().manual_selector = Some(true);
        manual.set_defaults();
        assert_eq!(manual.spec.unwrap().selector, None);
    }

    #[test]
    fn a_job_runs_once_and_is_tried_seven_times() {
        let mut job = Job::default();
        job.set_defaults();
        let spec = job.spec.unwrap();
        assert_eq!(
            (spec.completions, spec.parallelism, spec.backoff_limit),
            (Some(1), Some(1), Some(6))
        );
        let mut queue = Job {
            spec: Some(JobSpec {
                parallelism: Some(5),
                ..JobSpec::default()
            }),
            ..Job::default()
        };
        queue.set_defaults();
        assert_eq!(queue.spec.unwrap().completions, None);
    }
}
