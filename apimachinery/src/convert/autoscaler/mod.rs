//! autoscaling/v1 HorizontalPodAutoscaler, stored as autoscaling/v2's.
//!
//! v1 knows one metric, the use of CPU. The others, the behavior, what was measured and the conditions stand in annotations
//! of the v1 object, in upstream's form: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/>.
//!
//! Where v1's CPU target does not stand for the last metric, the annotation holds all of them, so that their order
//! survives; upstream would move CPU to the end.

mod annotations;
mod metrics;

use super::ConvertError;
use annotations::{Annotations, CONDITIONS, CURRENT_METRICS, METRICS};
use metrics::{
    condition_from_v1, condition_to_v1, reference_from_v1, reference_to_v1, spec_from_v1, spec_to_v1,
    status_from_v1, status_to_v1,
};
use proto::api::autoscaling::{v1, v2};

/// The resource whose use v1 knows.
const CPU: &str = "cpu";

pub(super) fn to_v1(
    stored: v2::HorizontalPodAutoscaler,
) -> Result<v1::HorizontalPodAutoscaler, ConvertError> {
    let mut metadata = stored.metadata;
    let mut annotations = Annotations::of(&mut metadata);
    annotations.clear();
    if let Some(spec) = &stored.spec {
        annotations.put_list(METRICS, annotated(&spec.metrics))?;
        annotations.put_behavior(spec.behavior.as_ref())?;
    }
    if let Some(status) = &stored.status {
        let measured = status.current_metrics.iter().cloned().map(status_to_v1);
        annotations.put_list(CURRENT_METRICS, measured.collect())?;
        let conditions = status.conditions.iter().cloned().map(condition_to_v1);
        annotations.put_list(CONDITIONS, conditions.collect())?;
    }
    let spec = stored.spec.map(|spec| v1::HorizontalPodAutoscalerSpec {
        scale_target_ref: spec.scale_target_ref.map(reference_to_v1),
        min_replicas: spec.min_replicas,
        max_replicas: spec.max_replicas,
        target_cpu_utilization_percentage: spec.metrics.iter().find_map(cpu_target),
    });
    let status = stored.status.map(|status| v1::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale_time,
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        current_cpu_utilization_percentage: status.current_metrics.iter().find_map(cpu_use),
    });
    Ok(v1::HorizontalPodAutoscaler {
        metadata,
        spec,
        status,
    })
}

pub(super) fn from_v1(
    view: v1::HorizontalPodAutoscaler,
) -> Result<v2::HorizontalPodAutoscaler, ConvertError> {
    let mut metadata = view.metadata;
    let mut annotations = Annotations::of(&mut metadata);
    let mut metrics: Vec<v2::MetricSpec> = annotations
        .take_list::<v1::MetricSpec>(METRICS)?
        .into_iter()
        .map(spec_from_v1)
        .collect();
    let behavior = annotations.take_behavior()?;
    let statuses: Vec<v1::MetricStatus> = annotations.take_list(CURRENT_METRICS)?;
    let conditions: Vec<v1::HorizontalPodAutoscalerCondition> = annotations.take_list(CONDITIONS)?;
    let mut spec = view.spec.map(|spec| {
        set_cpu_target(&mut metrics, spec.target_cpu_utilization_percentage);
        v2::HorizontalPodAutoscalerSpec {
            scale_target_ref: spec.scale_target_ref.map(reference_from_v1),
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            ..v2::HorizontalPodAutoscalerSpec::default()
        }
    });
    if behavior.is_some() || !metrics.is_empty() {
        let spec = spec.get_or_insert_default();
        spec.metrics = metrics;
        spec.behavior = behavior;
    }
    let mut status = view.status.map(|status| v2::HorizontalPodAutoscalerStatus {
        observed_generation: status.observed_generation,
        last_scale_time: status.last_scale_time,
        current_replicas: status.current_replicas,
        desired_replicas: status.desired_replicas,
        current_metrics: status
            .current_cpu_utilization_percentage
            .filter(|_| statuses.is_empty())
            .map(cpu_status)
            .into_iter()
            .collect(),
        conditions: Vec::new(),
    });
    if !statuses.is_empty() || !conditions.is_empty() {
        let status = status.get_or_insert_default();
        if !statuses.is_empty() {
            status.current_metrics = statuses.into_iter().map(status_from_v1).collect();
        }
        status.conditions = conditions.into_iter().map(condition_from_v1).collect();
    }
    Ok(v2::HorizontalPodAutoscaler {
        metadata,
        spec,
        status,
    })
}

/// The percentage that a metric aims at, if it is the one that v1 knows.
fn cpu_target(metric: &v2::MetricSpec) -> Option<i32> {
    let resource = metric.resource.as_ref().filter(|_| metric.r#type == "Resource")?;
    let target = resource.target.as_ref().filter(|_| resource.name == CPU)?;
    target.average_utilization
}

/// The metrics that the annotation holds: all but the CPU target that v1 has a field for. Where that one would not come
/// back to its place, all.
fn annotated(metrics: &[v2::MetricSpec]) -> Vec<v1::MetricSpec> {
    let first = metrics.iter().position(|metric| cpu_target(metric).is_some());
    let kept = match first {
        Some(at) if at + 1 == metrics.len() => &metrics[..at],
        _ => metrics,
    };
    kept.iter().cloned().map(spec_to_v1).collect()
}

/// Brings v1's CPU target back among the metrics of the annotation.
fn set_cpu_target(metrics: &mut Vec<v2::MetricSpec>, percentage: Option<i32>) {
    let at = metrics.iter().position(|metric| cpu_target(metric).is_some());
    match (at, percentage) {
        (Some(at), Some(percentage)) => {
            let resource = metrics[at].resource.get_or_insert_default();
            resource.target.get_or_insert_default().average_utilization = Some(percentage);
        }
        (Some(at), None) => {
            metrics.remove(at);
        }
        (None, Some(percentage)) => metrics.push(v2::MetricSpec {
            r#type: "Resource".into(),
            resource: Some(v2::ResourceMetricSource {
                name: CPU.into(),
                target: Some(v2::MetricTarget {
                    r#type: "Utilization".into(),
                    average_utilization: Some(percentage),
                    ..v2::MetricTarget::default()
                }),
            }),
            ..v2::MetricSpec::default()
        }),
        (None, None) => {}
    }
}

/// The percentage that was measured, if the metric is the one that v1 knows.
fn cpu_use(metric: &v2::MetricStatus) -> Option<i32> {
    let resource = metric.resource.as_ref().filter(|_| metric.r#type == "Resource")?;
    let current = resource.current.as_ref().filter(|_| resource.name == CPU)?;
    current.average_utilization
}

fn cpu_status(percentage: i32) -> v2::MetricStatus {
    v2::MetricStatus {
        r#type: "Resource".into(),
        resource: Some(v2::ResourceMetricStatus {
            name: CPU.into(),
            current: Some(v2::MetricValueStatus {
                average_utilization: Some(percentage),
                ..v2::MetricValueStatus::default()
            }),
        }),
        ..v2::MetricStatus::default()
    }
}

#[cfg(test)]
mod tests;
