//! HorizontalPodAutoscalers.

use super::{Faults, Validate, labels};
use crate::names;
use crate::path::Path;
use crate::quantity::Quantity;
use proto::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HpaScalingRules, MetricIdentifier, MetricSpec,
    MetricTarget,
};

/// The longest window of past advice, in seconds.
const MAX_WINDOW_SECONDS: i32 = 3600;
/// The longest period of a policy, in seconds.
const MAX_PERIOD_SECONDS: i32 = 1800;

/// How a metric can be aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// A share of the requests, or an average.
    Resource,
    /// An average.
    Average,
    /// A value, an average, or both.
    Object,
    /// A value or an average.
    External,
}

impl Validate for HorizontalPodAutoscaler {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        let least = spec.min_replicas.unwrap_or(1);
        if least < 1 {
            let detail = "must be greater than or equal to 1";
            faults.invalid(&at.field("minReplicas"), least, detail);
        }
        let most = spec.max_replicas;
        if most < 1 {
            faults.invalid(&at.field("maxReplicas"), most, "must be greater than 0");
        }
        if most < least {
            let detail = "must be greater than or equal to `minReplicas`";
            faults.invalid(&at.field("maxReplicas"), most, detail);
        }
        reference(
            spec.scale_target_ref.as_ref(),
            &at.field("scaleTargetRef"),
            faults,
        );
        let metrics = at.field("metrics");
        for (i, spec) in spec.metrics.iter().enumerate() {
            metric(spec, &metrics.index(i), faults);
        }
        if let Some(behavior) = &spec.behavior {
            let at = at.field("behavior");
            for (name, way) in [
                ("scaleUp", &behavior.scale_up),
                ("scaleDown", &behavior.scale_down),
            ] {
                if let Some(way) = way {
                    rules(way, &at.field(name), faults);
                }
            }
        }
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        faults.non_negative(&at.field("currentReplicas"), status.current_replicas);
        faults.non_negative(&at.field("desiredReplicas"), status.desired_replicas);
    }
}

fn reference(to: Option<&CrossVersionObjectReference>, at: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let to = to.unwrap_or(&empty);
    for (name, value) in [("kind", &to.kind), ("name", &to.name)] {
        if value.is_empty() {
            faults.required(&at.field(name), "");
        }
        faults.problems(&at.field(name), value, names::path_segment(value));
    }
}

fn metric(spec: &MetricSpec, at: &Path<'_>, faults: &mut Faults) {
    let sources = [
        ("Object", "object", spec.object.is_some()),
        ("Pods", "pods", spec.pods.is_some()),
        ("Resource", "resource", spec.resource.is_some()),
        (
            "ContainerResource",
            "containerResource",
            spec.container_resource.is_some(),
        ),
        ("External", "external", spec.external.is_some()),
    ];
    let supported = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    if spec.r#type.is_empty() {
        faults.required(&at.field("type"), "must specify a metric source type");
    }
    faults.one_of_or_empty(&at.field("type"), &spec.r#type, &supported);
    for (r#type, name, is_set) in sources {
        if r#type == spec.r#type && !is_set {
            let detail = "must populate information for the given metric source";
            faults.required(&at.field(name), detail);
        }
        if r#type != spec.r#type && is_set {
            faults.forbidden(&at.field(name), "must populate the given metric source only");
        }
    }
    source(spec, at, faults);
}

/// The source that the metric's type names.
fn source(spec: &MetricSpec, at: &Path<'_>, faults: &mut Faults) {
    match spec.r#type.as_str() {
        "Object" => {
            let Some(object) = &spec.object else { return };
            let at = at.field("object");
            reference(
                object.described_object.as_ref(),
                &at.field("describedObject"),
                faults,
            );
            identifier(object.metric.as_ref(), &at, faults);
            target(object.target.as_ref(), Aim::Object, &at, faults);
        }
        "Pods" => {
            let Some(pods) = &spec.pods else { return };
            let at = at.field("pods");
            identifier(pods.metric.as_ref(), &at, faults);
            target(pods.target.as_ref(), Aim::Average, &at, faults);
        }
        "Resource" => {
            let Some(resource) = &spec.resource else { return };
            let at = at.field("resource");
            resource_name(&resource.name, &at, faults);
            target(resource.target.as_ref(), Aim::Resource, &at, faults);
        }
        "ContainerResource" => {
            let Some(resource) = &spec.container_resource else {
                return;
            };
            let at = at.field("containerResource");
            resource_name(&resource.name, &at, faults);
            if resource.container.is_empty() {
                faults.required(&at.field("container"), "must specify a container");
            }
            target(resource.target.as_ref(), Aim::Resource, &at, faults);
        }
        "External" => {
            let Some(external) = &spec.external else { return };
            let at = at.field("external");
            identifier(external.metric.as_ref(), &at, faults);
            target(external.target.as_ref(), Aim::External, &at, faults);
        }
        _ => {}
    }
}

fn resource_name(name: &str, at: &Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        faults.required(&at.field("name"), "must specify a resource name");
    }
}

fn identifier(metric: Option<&MetricIdentifier>, source: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let metric = metric.unwrap_or(&empty);
    let at = source.field("metric");
    if metric.name.is_empty() {
        faults.required(&at.field("name"), "must specify a metric name");
    }
    faults.problems(&at.field("name"), &metric.name, names::path_segment(&metric.name));
    if let Some(selector) = &metric.selector {
        labels::selector(selector, &at.field("selector"), faults);
    }
}

fn target(target: Option<&MetricTarget>, aim: Aim, source: &Path<'_>, faults: &mut Faults) {
    let empty = Default::default();
    let target = target.unwrap_or(&empty);
    let at = source.field("target");
    if target.r#type.is_empty() {
        faults.required(&at.field("type"), "must specify a metric target type");
    }
    let supported = ["AverageValue", "Utilization", "Value"];
    faults.one_of_or_empty(&at.field("type"), &target.r#type, &supported);
    for (name, amount) in [("value", &target.value), ("averageValue", &target.average_value)] {
        let is_positive = |amount: &proto::Quantity| {
            Quantity::try_from(amount).is_ok_and(|amount| !amount.is_zero() && !amount.is_negative())
        };
        if let Some(amount) = amount.as_ref().filter(|amount| !is_positive(amount)) {
            faults.invalid(&at.field(name), &amount.string, "must be positive");
        }
    }
    if let Some(share) = target.average_utilization.filter(|share| *share < 1) {
        faults.invalid(&at.field("averageUtilization"), share, "must be greater than 0");
    }
    let (value, average, share) = (
        target.value.is_some(),
        target.average_value.is_some(),
        target.average_utilization.is_some(),
    );
    match aim {
        Aim::Resource if !share && !average => {
            let detail = "must set either a target raw value or a target utilization";
            faults.required(&at.field("averageUtilization"), detail);
        }
        Aim::Resource if share && average => {
            let detail = "may not set both a target raw value and a target utilization";
            faults.forbidden(&at.field("averageValue"), detail);
        }
        Aim::Average if !average => {
            let detail = "must specify a positive target averageValue";
            faults.required(&at.field("averageValue"), detail);
        }
        Aim::Object | Aim::External if !value && !average => {
            let detail = "must set either a target value for metric or a per-pod target";
            faults.required(&at.field("averageValue"), detail);
        }
        Aim::External if value && average => {
            let detail = "may not set both a target value for metric and a per-pod target";
            faults.forbidden(&at.field("value"), detail);
        }
        _ => {}
    }
}

fn rules(rules: &HpaScalingRules, at: &Path<'_>, faults: &mut Faults) {
    if let Some(seconds) = rules.stabilization_window_seconds {
        let at = at.field("stabilizationWindowSeconds");
        faults.non_negative(&at, seconds);
        if seconds > MAX_WINDOW_SECONDS {
            let detail = format!("must be less than or equal to {MAX_WINDOW_SECONDS}");
            faults.invalid(&at, seconds, &detail);
        }
    }
    if let Some(policy) = &rules.select_policy {
        faults.one_of(&at.field("selectPolicy"), policy, &["Disabled", "Max", "Min"]);
    }
    if rules.policies.is_empty() {
        faults.required(&at.field("policies"), "must specify at least one Policy");
    }
    let policies = at.field("policies");
    for (i, policy) in rules.policies.iter().enumerate() {
        let at = policies.index(i);
        faults.one_of(&at.field("type"), &policy.r#type, &["Percent", "Pods"]);
        for (name, value) in [("value", policy.value), ("periodSeconds", policy.period_seconds)] {
            if value <= 0 {
                faults.invalid(&at.field(name), value, "must be greater than zero");
            }
        }
        if policy.period_seconds > MAX_PERIOD_SECONDS {
            let detail = format!("must be less than or equal to {MAX_PERIOD_SECONDS}");
            faults.invalid(&at.field("periodSeconds"), policy.period_seconds, &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Unknown, yaml};
    use prost::Message;

    fn faults(spec: &str) -> Vec<String> {
        let manifest = format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec: {spec}\n"
        );
        let document = yaml::documents(&manifest).next().unwrap().unwrap();
        let bytes = document.decode(Unknown::Strict).unwrap().bytes;
        let mut faults = Faults::default();
        HorizontalPodAutoscaler::decode(bytes)
            .unwrap()
            .validate(&mut faults);
        let faults = faults.into_vec().into_iter();
        faults
            .map(|fault| format!("{}: {}", fault.field, fault.message))
            .collect()
    }

    #[test]
    fn an_autoscaler_that_breaks_a_rule_is_told_where() {
        const TO: &str = "scaleTargetRef: {kind: Deployment, name: web}, maxReplicas: 3";
        for (rest, expected) in [
            ("", vec![]),
            (
                "minReplicas: 4",
                vec!["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
            ),
            (
                "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}}]",
                vec![
                    "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
                ],
            ),
            (
                "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]",
                vec![
                    "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
                ],
            ),
            (
                "metrics: [{type: Pods}]",
                vec![
                    "spec.metrics[0].pods: Required value: must populate information for the given metric source",
                ],
            ),
            (
                "metrics: [{type: External, external: {metric: {name: q}, target: {type: Value, value: 0}}, pods: {metric: {name: q}, target: {type: AverageValue, averageValue: 1}}}]",
                vec![
                    "spec.metrics[0].pods: Forbidden: must populate the given metric source only",
                    "spec.metrics[0].external.target.value: Invalid value: \"0\": must be positive",
                ],
            ),
            (
                "behavior: {scaleUp: {stabilizationWindowSeconds: 4000, policies: [{type: Pods, value: 0, periodSeconds: 1}]}}",
                vec![
                    "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600",
                    "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                ],
            ),
        ] {
            let separator = if rest.is_empty() { "" } else { ", " };
            assert_eq!(faults(&format!("{{{TO}{separator}{rest}}}")), expected, "{rest}");
        }
        assert_eq!(
            faults("{maxReplicas: 0, scaleTargetRef: {kind: a/b, name: ''}}"),
            [
                "spec.maxReplicas: Invalid value: 0: must be greater than 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
                "spec.scaleTargetRef.name: Required value",
            ]
        );
    }
}
