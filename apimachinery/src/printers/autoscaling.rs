//! What bounds or drives the number of Pods: Scales, PodDisruptionBudgets and HorizontalPodAutoscalers.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{age, quantity};
use crate::int_or_string;
use jiff::Timestamp;
use proto::api::autoscaling::v1::Scale;
use proto::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus, MetricTarget,
    MetricValueStatus,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::{IntOrString, Kind, Quantity};

pub(super) const SCALES: &[Column] = &[
    NAME,
    Column::integer("Desired", "Replicas that are wanted."),
    Column::integer("Available", "Replicas that were last seen."),
    AGE,
];

pub(super) fn scale(object: &Scale, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.spec.as_ref().map_or(0, |spec| spec.replicas),
        object.status.as_ref().map_or(0, |status| status.replicas),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const BUDGETS: &[Column] = &[
    NAME,
    Column::text("Min Available", "Pods that must stay healthy."),
    Column::text("Max Unavailable", "Pods that may be missing."),
    Column::integer("Allowed Disruptions", "Evictions that would be granted now."),
    AGE,
];

pub(super) fn budget(object: &PodDisruptionBudget, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let shown = |value: Option<&IntOrString>| value.map_or_else(|| "N/A".into(), int_or_string::display);
    let allowed = object
        .status
        .as_ref()
        .map_or(0, |status| status.disruptions_allowed);
    row![
        object.name(),
        shown(spec.min_available.as_ref()),
        shown(spec.max_unavailable.as_ref()),
        allowed,
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const AUTOSCALERS: &[Column] = &[
    NAME,
    Column::text("Reference", "The object that is scaled."),
    Column::text("Targets", "What is measured, and what is aimed at."),
    Column::text("MinPods", "Fewest replicas."),
    Column::text("MaxPods", "Most replicas."),
    Column::text("Replicas", "Replicas that were last seen."),
    AGE,
];

pub(super) fn autoscaler(object: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let reference = spec.scale_target_ref.unwrap_or_default();
    row![
        object.name(),
        format!("{}/{}", reference.kind, reference.name),
        targets(&spec.metrics, &status),
        spec.min_replicas
            .map_or_else(|| "<unset>".into(), |least| least.to_string()),
        spec.max_replicas,
        status.current_replicas,
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

/// How many metrics a cell names before it only counts the rest.
const NAMED: usize = 2;

/// `cpu: 40%/80%, 3/5 + 1 more...`: what is measured, and what is aimed at.
fn targets(metrics: &[MetricSpec], status: &HorizontalPodAutoscalerStatus) -> String {
    let measured = |index: usize| status.current_metrics.get(index).cloned().unwrap_or_default();
    let named = metrics.iter().enumerate().take(NAMED);
    let named: Vec<String> = named
        .map(|(index, metric)| target(metric, measured(index)))
        .collect();
    match metrics.len() {
        0 => "<none>".into(),
        all if all > NAMED => format!("{} + {} more...", named.join(", "), all - NAMED),
        _ => named.join(", "),
    }
}

fn target(metric: &MetricSpec, current: MetricStatus) -> String {
    let metric = metric.clone();
    match metric.r#type.as_str() {
        "Resource" => {
            let resource = metric.resource.unwrap_or_default();
            let current = current.resource.and_then(|resource| resource.current);
            format!("{}: {}", resource.name, progress(resource.target, current, ""))
        }
        "ContainerResource" => {
            let resource = metric.container_resource.unwrap_or_default();
            let current = current.container_resource.and_then(|resource| resource.current);
            format!("{}: {}", resource.name, progress(resource.target, current, ""))
        }
        "Pods" => {
            let target = metric.pods.and_then(|pods| pods.target);
            progress(target, current.pods.and_then(|pods| pods.current), "")
        }
        "Object" => {
            let target = metric.object.and_then(|object| object.target);
            progress(target, current.object.and_then(|object| object.current), " (avg)")
        }
        "External" => {
            let target = metric.external.and_then(|external| external.target);
            progress(
                target,
                current.external.and_then(|external| external.current),
                " (avg)",
            )
        }
        _ => "<unknown type>".into(),
    }
}

/// `40%/80%`. `average` follows a target that is an average, where that is not plain from the kind of metric.
fn progress(target: Option<MetricTarget>, current: Option<MetricValueStatus>, average: &str) -> String {
    let (target, current) = (target.unwrap_or_default(), current.unwrap_or_default());
    let shown = |amount: Option<&Quantity>| amount.map_or_else(|| "<unknown>".into(), quantity);
    if let Some(wanted) = &target.average_value {
        return format!(
            "{}/{}{average}",
            shown(current.average_value.as_ref()),
            quantity(wanted)
        );
    }
    if let Some(wanted) = target.average_utilization {
        let current = current.average_utilization.map(|current| format!("{current}%"));
        return format!("{}/{wanted}%", current.unwrap_or_else(|| "<unknown>".into()));
    }
    let wanted = target.value.as_ref().map_or_else(|| "<auto>".into(), quantity);
    format!("{}/{wanted}", shown(current.value.as_ref()))
}
