//! What bounds or drives the number of Pods: PodDisruptionBudgets and HorizontalPodAutoscalers.

use super::text::{age, or, quantity};
use super::{Column, always};
use apimachinery::int_or_string;
use jiff::Timestamp;
use proto::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricSpec, MetricTarget, MetricValueStatus,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::{IntOrString, Kind};

pub(super) const BUDGETS: &[Column] = &[
    always("NAME"),
    always("MIN AVAILABLE"),
    always("MAX UNAVAILABLE"),
    always("ALLOWED DISRUPTIONS"),
    always("AGE"),
];

pub(super) fn budget(object: &PodDisruptionBudget, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let shown = |value: Option<&IntOrString>| value.map_or_else(|| "N/A".into(), int_or_string::display);
    let allowed = object
        .status
        .as_ref()
        .map_or(0, |status| status.disruptions_allowed);
    vec![
        object.name().to_owned(),
        shown(spec.min_available.as_ref()),
        shown(spec.max_unavailable.as_ref()),
        allowed.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const AUTOSCALERS: &[Column] = &[
    always("NAME"),
    always("REFERENCE"),
    always("TARGETS"),
    always("MINPODS"),
    always("MAXPODS"),
    always("REPLICAS"),
    always("AGE"),
];

pub(super) fn autoscaler(object: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<String> {
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let reference = spec.scale_target_ref.unwrap_or_default();
    let targets = spec
        .metrics
        .iter()
        .enumerate()
        .map(|(index, metric)| target(index, metric, &status));
    vec![
        object.name().to_owned(),
        format!("{}/{}", reference.kind, reference.name),
        or(&targets.collect::<Vec<_>>().join(", "), "<none>"),
        spec.min_replicas
            .map_or_else(|| "<unset>".into(), |least| least.to_string()),
        spec.max_replicas.to_string(),
        status.current_replicas.to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

/// `cpu: 40%/80%`: what is measured, and what is aimed at.
fn target(index: usize, metric: &MetricSpec, status: &HorizontalPodAutoscalerStatus) -> String {
    let current = status.current_metrics.get(index).cloned().unwrap_or_default();
    let (name, target, now) = match metric.r#type.as_str() {
        "Resource" => {
            let resource = metric.resource.clone().unwrap_or_default();
            let now = current.resource.and_then(|resource| resource.current);
            (format!("{}: ", resource.name), resource.target, now)
        }
        "ContainerResource" => {
            let resource = metric.container_resource.clone().unwrap_or_default();
            let now = current.container_resource.and_then(|resource| resource.current);
            (format!("{}: ", resource.name), resource.target, now)
        }
        "Pods" => {
            let target = metric.pods.clone().and_then(|pods| pods.target);
            (String::new(), target, current.pods.and_then(|pods| pods.current))
        }
        "Object" => {
            let target = metric.object.clone().and_then(|object| object.target);
            (
                String::new(),
                target,
                current.object.and_then(|object| object.current),
            )
        }
        "External" => {
            let target = metric.external.clone().and_then(|external| external.target);
            (
                String::new(),
                target,
                current.external.and_then(|external| external.current),
            )
        }
        _ => return "<unknown type>".into(),
    };
    format!("{name}{}", progress(&target.unwrap_or_default(), now.as_ref()))
}

fn progress(target: &MetricTarget, now: Option<&MetricValueStatus>) -> String {
    let unknown = || "<unknown>".to_owned();
    if let Some(wanted) = target.average_utilization {
        let now = now.and_then(|now| now.average_utilization);
        return format!("{}/{wanted}%", now.map_or_else(unknown, |now| format!("{now}%")));
    }
    if let Some(wanted) = &target.average_value {
        let now = now.and_then(|now| now.average_value.as_ref());
        return format!(
            "{}/{} (avg)",
            now.map_or_else(unknown, quantity),
            quantity(wanted)
        );
    }
    let now = now.and_then(|now| now.value.as_ref());
    let wanted = target.value.as_ref().map_or_else(|| "<auto>".into(), quantity);
    format!("{}/{wanted}", now.map_or_else(unknown, quantity))
}
