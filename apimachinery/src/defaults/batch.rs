//! Jobs, CronJobs, HorizontalPodAutoscalers, PodDisruptionBudgets.

use super::pod::pod_template;
use super::{Defaults, optional, string};
use proto::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HpaScalingPolicy, HpaScalingRules, MetricSpec, MetricTarget,
    ResourceMetricSource,
};
use proto::api::batch::v1::{CronJob, Job, JobSpec};
use proto::api::policy::v1::PodDisruptionBudget;

/// How often a Job is tried again.
const BACKOFF_LIMIT: i32 = 6;
/// The CPU use that an autoscaler without metrics aims at, in percent.
const CPU_UTILIZATION: i32 = 80;
/// How often an autoscaler's policies count anew.
const POLICY_SECONDS: i32 = 15;

impl Defaults for Job {
    fn set_defaults(&mut self) {
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
