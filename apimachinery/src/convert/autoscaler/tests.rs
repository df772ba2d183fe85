use super::*;
use crate::json::{self, Unknown};
use proptest::prelude::*;
use prost::Message as _;
use proto::meta::v1::{LabelSelector, ObjectMeta};
use proto::{Kind, Quantity};

fn stored(manifest: &str) -> v2::HorizontalPodAutoscaler {
    let document = json::yaml::documents(manifest).next().unwrap().unwrap();
    let bytes = document.decode(Unknown::Strict).unwrap().bytes;
    v2::HorizontalPodAutoscaler::decode(bytes).unwrap()
}

fn annotation(view: &v1::HorizontalPodAutoscaler, name: &str) -> Option<serde_json::Value> {
    let text = view.meta().annotations.get(name)?;
    Some(serde_json::from_str(text).unwrap())
}

const WEB: &str = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
status: {desiredReplicas: 0, currentMetrics: null}
";

#[test]
fn cpu_alone_needs_no_annotation() {
    let web = stored(WEB);
    let view = to_v1(web.clone()).unwrap();
    let spec = view.spec.clone().unwrap();
    assert_eq!(spec.target_cpu_utilization_percentage, Some(50));
    assert_eq!((spec.min_replicas, spec.max_replicas), (Some(2), 9));
    assert!(view.meta().annotations.is_empty());
    assert_eq!(from_v1(view).unwrap(), web);
}

#[test]
fn what_v1_cannot_say_stands_in_upstreams_annotations() {
    let mut web = stored(WEB);
    let memory = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
spec:
  maxReplicas: 1
  scaleTargetRef: {kind: a, name: b}
  metrics: [{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Pods, value: 1, periodSeconds: 30}]}}
status: {desiredReplicas: 0, currentMetrics: null, conditions: [{type: AbleToScale, status: 'True', lastTransitionTime: null}]}
";
    let other = stored(memory);
    let spec = web.spec.as_mut().unwrap();
    let other_spec = other.spec.unwrap();
    spec.metrics.splice(0..0, other_spec.metrics);
    spec.behavior = other_spec.behavior;
    web.status = other.status;
    let view = to_v1(web.clone()).unwrap();
    assert_eq!(
        annotation(&view, "autoscaling.alpha.kubernetes.io/metrics").unwrap(),
        serde_json::json!([{"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}])
    );
    let behavior = annotation(&view, "autoscaling.alpha.kubernetes.io/behavior").unwrap();
    assert_eq!(behavior["ScaleDown"]["StabilizationWindowSeconds"], 60);
    assert_eq!(behavior["ScaleDown"]["Policies"][0]["PeriodSeconds"], 30);
    let conditions = annotation(&view, "autoscaling.alpha.kubernetes.io/conditions").unwrap();
    assert_eq!(conditions[0]["type"], "AbleToScale");
    assert_eq!(from_v1(view).unwrap(), web);
}

#[test]
fn a_new_target_replaces_cpus_where_it_stands() {
    let mut web = stored(WEB);
    let metrics = &mut web.spec.as_mut().unwrap().metrics;
    let mut memory = metrics[0].clone();
    memory.resource.as_mut().unwrap().name = "memory".into();
    metrics.push(memory);
    let mut view = to_v1(web.clone()).unwrap();
    view.spec.as_mut().unwrap().target_cpu_utilization_percentage = Some(70);
    let changed = from_v1(view.clone()).unwrap().spec.unwrap().metrics;
    let targets: Vec<_> = changed.iter().map(cpu_target).collect();
    assert_eq!(targets, [Some(70), None]);
    view.spec.as_mut().unwrap().target_cpu_utilization_percentage = None;
    let changed = from_v1(view).unwrap().spec.unwrap().metrics;
    assert_eq!(changed, web.spec.unwrap().metrics[1..]);
}

#[test]
fn an_annotation_that_cannot_be_read_is_named() {
    for (name, text) in [
        ("autoscaling.alpha.kubernetes.io/metrics", "{"),
        ("autoscaling.alpha.kubernetes.io/metrics", "[{\"type\": 1}]"),
        ("autoscaling.alpha.kubernetes.io/behavior", "[1]"),
    ] {
        let mut view = v1::HorizontalPodAutoscaler::default();
        view.metadata_mut().annotations.insert(name.into(), text.into());
        let wrong = from_v1(view).unwrap_err().to_string();
        assert!(wrong.contains(name), "{wrong}");
    }
}

#[test]
fn annotations_that_an_older_client_left_are_not_shown() {
    let mut web = stored(WEB);
    let stale = (
        "autoscaling.alpha.kubernetes.io/metrics".to_owned(),
        "x".to_owned(),
    );
    web.metadata_mut()
        .annotations
        .extend([stale, ("mine".into(), "1".into())]);
    let view = to_v1(web).unwrap();
    assert_eq!(view.meta().annotations.keys().collect::<Vec<_>>(), ["mine"]);
}

fn quantity() -> impl Strategy<Value = Option<Quantity>> {
    (1..5000_i32).prop_map(|n| {
        Some(Quantity {
            string: format!("{n}m"),
        })
    })
}

fn identifier() -> impl Strategy<Value = Option<v2::MetricIdentifier>> {
    ("[a-z]{1,5}", any::<bool>()).prop_map(|(name, selects)| {
        let selector = selects.then(|| LabelSelector {
            match_labels: [("a".to_owned(), name.clone())].into(),
            ..LabelSelector::default()
        });
        Some(v2::MetricIdentifier { name, selector })
    })
}

fn resource_target() -> impl Strategy<Value = Option<v2::MetricTarget>> {
    prop_oneof![
        (1..200_i32).prop_map(|percent| super::metrics::target(None, None, Some(percent))),
        quantity().prop_map(|value| super::metrics::target(None, value, None)),
    ]
}

fn value_target() -> impl Strategy<Value = Option<v2::MetricTarget>> {
    prop_oneof![
        quantity().prop_map(|value| super::metrics::target(value, None, None)),
        quantity().prop_map(|value| super::metrics::target(None, value, None)),
    ]
}

fn metric() -> impl Strategy<Value = v2::MetricSpec> {
    prop_oneof![
        (prop_oneof!["cpu", "memory"], resource_target()).prop_map(|(name, target)| v2::MetricSpec {
            r#type: "Resource".into(),
            resource: Some(v2::ResourceMetricSource { name, target }),
            ..v2::MetricSpec::default()
        }),
        (prop_oneof!["cpu", "memory"], resource_target()).prop_map(|(name, target)| v2::MetricSpec {
            r#type: "ContainerResource".into(),
            container_resource: Some(v2::ContainerResourceMetricSource {
                name,
                target,
                container: "app".into(),
            }),
            ..v2::MetricSpec::default()
        }),
        (identifier(), quantity()).prop_map(|(metric, value)| v2::MetricSpec {
            r#type: "Pods".into(),
            pods: Some(v2::PodsMetricSource {
                metric,
                target: super::metrics::target(None, value, None),
            }),
            ..v2::MetricSpec::default()
        }),
        (identifier(), value_target()).prop_map(|(metric, target)| v2::MetricSpec {
            r#type: "Object".into(),
            object: Some(v2::ObjectMetricSource {
                described_object: Some(v2::CrossVersionObjectReference {
                    kind: "Ingress".into(),
                    name: "main".into(),
                    api_version: "networking.k8s.io/v1".into(),
                }),
                target,
                metric,
            }),
            ..v2::MetricSpec::default()
        }),
        (identifier(), value_target()).prop_map(|(metric, target)| v2::MetricSpec {
            r#type: "External".into(),
            external: Some(v2::ExternalMetricSource { metric, target }),
            ..v2::MetricSpec::default()
        }),
    ]
}

fn rules() -> impl Strategy<Value = v2::HpaScalingRules> {
    (
        proptest::option::of(0..3600_i32),
        proptest::option::of(prop_oneof!["Max".prop_map(String::from), "Min", "Disabled"]),
        proptest::collection::vec((1..10_i32, 1..1800_i32), 0..3),
        proptest::option::of(quantity()),
    )
        .prop_map(
            |(window, select_policy, policies, tolerance)| v2::HpaScalingRules {
                stabilization_window_seconds: window,
                select_policy,
                policies: policies
                    .into_iter()
                    .map(|(value, period_seconds)| v2::HpaScalingPolicy {
                        r#type: "Pods".into(),
                        value,
                        period_seconds,
                    })
                    .collect(),
                tolerance: tolerance.flatten(),
            },
        )
}

proptest! {
    #[test]
    fn nothing_that_a_user_says_is_lost_by_going_through_v1(
        metrics in proptest::collection::vec(metric(), 0..4),
        behavior in proptest::option::of((proptest::option::of(rules()), proptest::option::of(rules()))),
        min_replicas in proptest::option::of(1..5_i32),
        max_replicas in 1..9_i32,
    ) {
        let stored = v2::HorizontalPodAutoscaler {
            metadata: Some(ObjectMeta { name: "web".into(), ..ObjectMeta::default() }),
            spec: Some(v2::HorizontalPodAutoscalerSpec {
                min_replicas,
                max_replicas,
                metrics,
                behavior: behavior.map(|(scale_up, scale_down)| v2::HorizontalPodAutoscalerBehavior {
                    scale_up,
                    scale_down,
                }),
                ..v2::HorizontalPodAutoscalerSpec::default()
            }),
            status: None,
        };
        prop_assert_eq!(from_v1(to_v1(stored.clone()).unwrap()).unwrap(), stored);
    }
}
