//! Jobs and CronJobs.

use super::text::{age, containers, duration, or, selector};
use super::{Column, always, wide};
use apimachinery::meta::is_condition_true;
use jiff::Timestamp;
use proto::Kind;
use proto::api::batch::v1::{CronJob, Job};

pub(super) const JOBS: &[Column] = &[
    always("NAME"),
    always("STATUS"),
    always("COMPLETIONS"),
    always("DURATION"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
    wide("SELECTOR"),
];

pub(super) fn job(object: &Job, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let has = |condition: &&str| is_condition_true(&status.conditions, condition);
    let state = match ["Complete", "Failed"].into_iter().find(has) {
        Some(ended) => ended,
        None if object.meta().deletion_timestamp.is_some() => "Terminating",
        None => ["Suspended", "FailureTarget", "SuccessCriteriaMet"]
            .into_iter()
            .find(has)
            .unwrap_or("Running"),
    };
    let completions = match (spec.completions, spec.parallelism) {
        (Some(wanted), _) => format!("{}/{wanted}", status.succeeded),
        (None, Some(parallelism)) if parallelism > 1 => format!("{}/1 of {parallelism}", status.succeeded),
        (None, _) => format!("{}/1", status.succeeded),
    };
    let took = match (&status.start_time, &status.completion_time) {
        (Some(start), Some(end)) => duration(end.seconds - start.seconds),
        (Some(start), None) => age(Some(start), now),
        (None, _) => String::new(),
    };
    let [names, images] = containers(spec.template.as_ref());
    vec![
        object.name().to_owned(),
        state.to_owned(),
        completions,
        took,
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(super) const CRON_JOBS: &[Column] = &[
    always("NAME"),
    always("SCHEDULE"),
    always("TIMEZONE"),
    always("SUSPEND"),
    always("ACTIVE"),
    always("LAST SCHEDULE"),
    always("AGE"),
    wide("CONTAINERS"),
    wide("IMAGES"),
    wide("SELECTOR"),
];

pub(super) fn cron_job(object: &CronJob, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let job = spec
        .job_template
        .and_then(|template| template.spec)
        .unwrap_or_default();
    let [names, images] = containers(job.template.as_ref());
    let last = status.last_schedule_time.as_ref();
    let suspended = if spec.suspend.unwrap_or(false) {
        "True"
    } else {
        "False"
    };
    vec![
        object.name().to_owned(),
        spec.schedule,
        or(&spec.time_zone.unwrap_or_default(), "<none>"),
        suspended.to_owned(),
        status.active.len().to_string(),
        last.map_or_else(|| "<none>".into(), |last| age(Some(last), now)),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(job.selector.as_ref()),
    ]
}
