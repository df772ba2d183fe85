//! Metrics, what was measured of them, and the other parts of an autoscaler that differ only in form.

use crate::quantity;
use proto::Quantity;
use proto::api::autoscaling::{v1, v2};

pub(super) fn reference_to_v1(to: v2::CrossVersionObjectReference) -> v1::CrossVersionObjectReference {
    v1::CrossVersionObjectReference {
        kind: to.kind,
        name: to.name,
        api_version: to.api_version,
    }
}

pub(super) fn reference_from_v1(to: v1::CrossVersionObjectReference) -> v2::CrossVersionObjectReference {
    v2::CrossVersionObjectReference {
        kind: to.kind,
        name: to.name,
        api_version: to.api_version,
    }
}

fn metric(name: String, selector: Option<proto::meta::v1::LabelSelector>) -> Option<v2::MetricIdentifier> {
    Some(v2::MetricIdentifier { name, selector })
}

/// A target of the type that its values show.
pub(super) fn target(
    value: Option<Quantity>,
    average_value: Option<Quantity>,
    average_utilization: Option<i32>,
) -> Option<v2::MetricTarget> {
    let r#type = match (&average_value, average_utilization) {
        (_, Some(_)) => "Utilization",
        (Some(_), None) => "AverageValue",
        (None, None) => "Value",
    };
    Some(v2::MetricTarget {
        r#type: r#type.into(),
        value,
        average_value,
        average_utilization,
    })
}

/// A value that v1 always has and v2 may lack: there, zero says nothing.
fn unless_zero(value: Option<Quantity>) -> Option<Quantity> {
    value.filter(|value| quantity::parse(&value.string).is_ok_and(|value| !value.is_zero()))
}

pub(super) fn spec_to_v1(spec: v2::MetricSpec) -> v1::MetricSpec {
    v1::MetricSpec {
        r#type: spec.r#type,
        object: spec.object.map(|object| {
            let (metric, target) = (
                object.metric.unwrap_or_default(),
                object.target.unwrap_or_default(),
            );
            v1::ObjectMetricSource {
                target: object.described_object.map(reference_to_v1),
                metric_name: metric.name,
                target_value: target.value,
                selector: metric.selector,
                average_value: target.average_value,
            }
        }),
        pods: spec.pods.map(|pods| {
            let (metric, target) = (pods.metric.unwrap_or_default(), pods.target.unwrap_or_default());
            v1::PodsMetricSource {
                metric_name: metric.name,
                target_average_value: target.average_value,
                selector: metric.selector,
            }
        }),
        resource: spec.resource.map(|resource| {
            let target = resource.target.unwrap_or_default();
            v1::ResourceMetricSource {
                name: resource.name,
                target_average_utilization: target.average_utilization,
                target_average_value: target.average_value,
            }
        }),
        container_resource: spec.container_resource.map(|resource| {
            let target = resource.target.unwrap_or_default();
            v1::ContainerResourceMetricSource {
                name: resource.name,
                target_average_utilization: target.average_utilization,
                target_average_value: target.average_value,
                container: resource.container,
            }
        }),
        external: spec.external.map(|external| {
            let (metric, target) = (
                external.metric.unwrap_or_default(),
                external.target.unwrap_or_default(),
            );
            v1::ExternalMetricSource {
                metric_name: metric.name,
                metric_selector: metric.selector,
                target_value: target.value,
                target_average_value: target.average_value,
            }
        }),
    }
}

pub(super) fn spec_from_v1(spec: v1::MetricSpec) -> v2::MetricSpec {
    v2::MetricSpec {
        r#type: spec.r#type,
        object: spec.object.map(|object| v2::ObjectMetricSource {
            described_object: object.target.map(reference_from_v1),
            target: target(unless_zero(object.target_value), object.average_value, None),
            metric: metric(object.metric_name, object.selector),
        }),
        pods: spec.pods.map(|pods| v2::PodsMetricSource {
            metric: metric(pods.metric_name, pods.selector),
            target: target(None, pods.target_average_value, None),
        }),
        resource: spec.resource.map(|resource| v2::ResourceMetricSource {
            name: resource.name,
            target: target(
                None,
                resource.target_average_value,
                resource.target_average_utilization,
            ),
        }),
        container_resource: spec
            .container_resource
            .map(|resource| v2::ContainerResourceMetricSource {
                name: resource.name,
                target: target(
                    None,
                    resource.target_average_value,
                    resource.target_average_utilization,
                ),
                container: resource.container,
            }),
        external: spec.external.map(|external| v2::ExternalMetricSource {
            metric: metric(external.metric_name, external.metric_selector),
            target: target(external.target_value, external.target_average_value, None),
        }),
    }
}

pub(super) fn status_to_v1(status: v2::MetricStatus) -> v1::MetricStatus {
    v1::MetricStatus {
        r#type: status.r#type,
        object: status.object.map(|object| {
            let (metric, current) = (
                object.metric.unwrap_or_default(),
                object.current.unwrap_or_default(),
            );
            v1::ObjectMetricStatus {
                target: object.described_object.map(reference_to_v1),
                metric_name: metric.name,
                current_value: current.value,
                selector: metric.selector,
                average_value: current.average_value,
            }
        }),
        pods: status.pods.map(|pods| {
            let (metric, current) = (pods.metric.unwrap_or_default(), pods.current.unwrap_or_default());
            v1::PodsMetricStatus {
                metric_name: metric.name,
                current_average_value: current.average_value,
                selector: metric.selector,
            }
        }),
        resource: status.resource.map(|resource| {
            let current = resource.current.unwrap_or_default();
            v1::ResourceMetricStatus {
                name: resource.name,
                current_average_utilization: current.average_utilization,
                current_average_value: current.average_value,
            }
        }),
        container_resource: status.container_resource.map(|resource| {
            let current = resource.current.unwrap_or_default();
            v1::ContainerResourceMetricStatus {
                name: resource.name,
                current_average_utilization: current.average_utilization,
                current_average_value: current.average_value,
                container: resource.container,
            }
        }),
        external: status.external.map(|external| {
            let (metric, current) = (
                external.metric.unwrap_or_default(),
                external.current.unwrap_or_default(),
            );
            v1::ExternalMetricStatus {
                metric_name: metric.name,
                metric_selector: metric.selector,
                current_value: current.value,
                current_average_value: current.average_value,
            }
        }),
    }
}

pub(super) fn status_from_v1(status: v1::MetricStatus) -> v2::MetricStatus {
    let value = |value, average_value: Option<Quantity>, average_utilization| {
        Some(v2::MetricValueStatus {
            value: if average_value.is_some() {
                unless_zero(value)
            } else {
                value
            },
            average_value,
            average_utilization,
        })
    };
    v2::MetricStatus {
        r#type: status.r#type,
        object: status.object.map(|object| v2::ObjectMetricStatus {
            metric: metric(object.metric_name, object.selector),
            current: value(object.current_value, object.average_value, None),
            described_object: object.target.map(reference_from_v1),
        }),
        pods: status.pods.map(|pods| v2::PodsMetricStatus {
            metric: metric(pods.metric_name, pods.selector),
            current: value(None, pods.current_average_value, None),
        }),
        resource: status.resource.map(|resource| v2::ResourceMetricStatus {
            name: resource.name,
            current: value(
                None,
                resource.current_average_value,
                resource.current_average_utilization,
            ),
        }),
        container_resource: status
            .container_resource
            .map(|resource| v2::ContainerResourceMetricStatus {
                name: resource.name,
                current: value(
                    None,
                    resource.current_average_value,
                    resource.current_average_utilization,
                ),
                container: resource.container,
            }),
        external: status.external.map(|external| v2::ExternalMetricStatus {
            metric: metric(external.metric_name, external.metric_selector),
            current: value(external.current_value, external.current_average_value, None),
        }),
    }
}

pub(super) fn condition_to_v1(
    condition: v2::HorizontalPodAutoscalerCondition,
) -> v1::HorizontalPodAutoscalerCondition {
    v1::HorizontalPodAutoscalerCondition {
        r#type: condition.r#type,
        status: condition.status,
        last_transition_time: condition.last_transition_time,
        reason: condition.reason,
        message: condition.message,
    }
}

pub(super) fn condition_from_v1(
    condition: v1::HorizontalPodAutoscalerCondition,
) -> v2::HorizontalPodAutoscalerCondition {
    v2::HorizontalPodAutoscalerCondition {
        r#type: condition.r#type,
        status: condition.status,
        last_transition_time: condition.last_transition_time,
        reason: condition.reason,
        message: condition.message,
    }
}
