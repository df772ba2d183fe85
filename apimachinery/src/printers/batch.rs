//! Jobs and CronJobs.

use super::cell::{AGE, CONTAINERS, Cell, Column, IMAGES, NAME, SELECTOR, row};
use super::text::{age, containers, duration, or, selector};
use crate::meta::is_condition_true;
use jiff::Timestamp;
use proto::Kind;
use proto::api::batch::v1::{CronJob, Job};

pub(super) const JOBS: &[Column] = &[
    NAME,
    Column::text("Status", "How far the job is."),
    Column::text("Completions", "Pods that succeeded, of those that must."),
    Column::text("Duration", "Time that the job took, or takes so far."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn job(object: &Job, now: Timestamp) -> Vec<Cell> {
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
    row![
        object.name(),
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
    NAME,
    Column::text("Schedule", "When jobs are made, in cron's notation."),
    Column::text("Timezone", "Time zone of the schedule."),
    Column::boolean("Suspend", "Whether no jobs are made for now."),
    Column::integer("Active", "Jobs that are running."),
    Column::text("Last Schedule", "Time since a job was last made."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn cron_job(object: &CronJob, now: Timestamp) -> Vec<Cell> {
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
    row![
        object.name(),
        spec.schedule,
        or(&spec.time_zone.unwrap_or_default(), "<none>"),
        suspended.to_owned(),
        status.active.len(),
        last.map_or_else(|| "<none>".into(), |last| age(Some(last), now)),
        age(object.meta().creation_timestamp.as_ref(), now),
        names,
        images,
        selector(job.selector.as_ref()),
    ]
}
