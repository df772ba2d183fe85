//! What a Deployment may be, fault by fault.

use super::*;
use crate::defaults::Defaults;
use proto::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use proto::api::core::v1::{Container, PersistentVolumeClaim, VolumeMount};

fn deployment() -> Deployment {
    let mut deployment = Deployment::default();
    let spec = deployment.spec.get_or_insert_default();
    let labels = &mut spec.selector.get_or_insert_default().match_labels;
    labels.insert("app".into(), "web".into());
    let template = spec.template.get_or_insert_default();
    template
        .metadata
        .get_or_insert_default()
        .labels
        .clone_from(labels);
    template.spec.get_or_insert_default().containers = vec![Container {
        name: "web".into(),
        image: "nginx".into(),
        ..Container::default()
    }];
    deployment.set_defaults();
    deployment
}

fn faults(check: impl FnOnce(&mut Faults)) -> Vec<String> {
    let mut faults = Faults::default();
    check(&mut faults);
    faults
        .into_vec()
        .into_iter()
        .map(|f| format!("{}: {}", f.field, f.message))
        .collect()
}

fn rolling(unavailable: IntOrString, surge: IntOrString) -> DeploymentStrategy {
    DeploymentStrategy {
        r#type: "RollingUpdate".into(),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(unavailable),
            max_surge: Some(surge),
        }),
    }
}

#[test]
fn a_deployment_that_breaks_a_rule_is_named_by_its_path() {
    assert_eq!(faults(|f| deployment().validate(f)), [""; 0]);
    let cases: Vec<(fn(&mut DeploymentSpec), &str)> = vec![
        (
            |s| s.replicas = Some(-1),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (|s| s.selector = None, "spec.selector: Required value"),
        (
            |s| s.selector = Some(LabelSelector::default()),
            r#"spec.selector: Invalid value: "{}": empty selector is invalid for deployment"#,
        ),
        (
            |s| s.template.as_mut().unwrap().metadata = None,
            "spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`",
        ),
        (
            |s| s.template.as_mut().unwrap().spec.as_mut().unwrap().restart_policy = "Never".into(),
            r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#,
        ),
        (
            |s| {
                s.template.as_mut().unwrap().spec.as_mut().unwrap().containers[0]
                    .name
                    .clear();
            },
            "spec.template.spec.containers[0].name: Required value",
        ),
        (
            |s| {
                s.template
                    .as_mut()
                    .unwrap()
                    .spec
                    .as_mut()
                    .unwrap()
                    .active_deadline_seconds = Some(5);
            },
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in Deployment is not Supported",
        ),
        (
            |s| s.strategy.as_mut().unwrap().r#type = "Recreate".into(),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            |s| s.strategy.as_mut().unwrap().r#type = "Sudden".into(),
            r#"spec.strategy.type: Unsupported value: "Sudden": supported values: "Recreate", "RollingUpdate""#,
        ),
        (
            |s| s.strategy = Some(rolling(int_or_string::string("0%"), int_or_string::int(0))),
            r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0"#,
        ),
        (
            |s| s.strategy = Some(rolling(int_or_string::string("101%"), int_or_string::int(0))),
            r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%"#,
        ),
        (
            |s| s.strategy = Some(rolling(int_or_string::int(1), int_or_string::string("some"))),
            r#"spec.strategy.rollingUpdate.maxSurge: Invalid value: "some": must be an integer or percentage (e.g '5' or '5%')"#,
        ),
        (
            |s| s.progress_deadline_seconds = Some(0),
            "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
        ),
    ];
    for (spoil, expected) in cases {
        let mut spoilt = deployment();
        spoil(spoilt.spec.as_mut().unwrap());
        assert_eq!(faults(|f| spoilt.validate(f)), [expected]);
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let found = faults(|f| Deployment::default().validate(f));
    assert!(found.len() >= 3, "{found:?}");
}

#[test]
fn a_selector_cannot_change() {
    let old = deployment();
    let mut new = old.clone();
    let spec = new.spec.as_mut().unwrap();
    spec.selector
        .as_mut()
        .unwrap()
        .match_labels
        .insert("tier".into(), "front".into());
    spec.template
        .as_mut()
        .unwrap()
        .metadata
        .as_mut()
        .unwrap()
        .labels
        .insert("tier".into(), "front".into());
    let found = faults(|f| new.validate_update(&old, f));
    assert_eq!(
        found,
        [r#"spec.selector: Invalid value: "app=web,tier=front": field is immutable"#]
    );
}

#[test]
fn a_daemon_set_takes_pods_away_first_or_adds_them_first() {
    let daemon_set = |unavailable, surge| {
        let Deployment { spec, .. } = deployment();
        let spec = spec.unwrap();
        let mut set = DaemonSet {
            spec: Some(DaemonSetSpec {
                selector: spec.selector,
                template: spec.template,
                ..DaemonSetSpec::default()
            }),
            ..DaemonSet::default()
        };
        set.set_defaults();
        let strategy = set.spec.as_mut().unwrap().update_strategy.as_mut().unwrap();
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable = Some(unavailable);
        rolling.max_surge = Some(surge);
        set
    };
    let (none, some) = (int_or_string::int(0), int_or_string::string("10%"));
    for (unavailable, surge, expected) in [
        (some.clone(), none.clone(), None),
        (none.clone(), some.clone(), None),
        (
            none.clone(),
            none,
            Some(
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
        ),
        (
            some.clone(),
            some,
            Some(
                r#"spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "10%": may not be set when maxUnavailable is non-zero"#,
            ),
        ),
    ] {
        let set = daemon_set(unavailable, surge);
        assert_eq!(faults(|f| set.validate(f)), Vec::from_iter(expected));
    }
}

#[test]
fn a_stateful_set_that_breaks_a_rule_is_told_where() {
    let cases: [(fn(&mut StatefulSetSpec), &str); 3] = [
        (
            |spec| {
                let strategy = spec.update_strategy.get_or_insert_default();
                strategy.rolling_update.get_or_insert_default().partition = Some(-1);
            },
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            |spec| spec.revision_history_limit = Some(-1),
            "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            |spec| spec.pod_management_policy = "Later".into(),
            r#"spec.podManagementPolicy: Unsupported value: "Later": supported values: "OrderedReady", "Parallel""#,
        ),
    ];
    for (change, expected) in cases {
        let spec = deployment().spec.unwrap();
        let mut set = StatefulSet {
            spec: Some(StatefulSetSpec {
                selector: spec.selector,
                template: spec.template,
                ..StatefulSetSpec::default()
            }),
            ..StatefulSet::default()
        };
        set.set_defaults();
        assert_eq!(faults(|f| set.validate(f)), [""; 0]);
        change(set.spec.as_mut().unwrap());
        assert_eq!(faults(|f| set.validate(f)), [expected]);
    }
}

#[test]
fn containers_of_a_stateful_set_mount_the_claims_of_its_templates() {
    let mut set = StatefulSet::default();
    let spec = set.spec.get_or_insert_default();
    let of = deployment().spec.unwrap();
    (spec.selector, spec.template) = (of.selector, of.template);
    let template = spec.template.get_or_insert_default();
    let containers = &mut template.spec.get_or_insert_default().containers;
    containers[0].volume_mounts = vec![VolumeMount {
        name: "data".into(),
        mount_path: "/data".into(),
        ..VolumeMount::default()
    }];
    set.set_defaults();
    let missing = [r#"spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data""#];
    assert_eq!(faults(|f| set.validate(f)), missing);
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata_mut().name = "data".into();
    let spec = set.spec.get_or_insert_default();
    spec.volume_claim_templates.push(claim);
    assert_eq!(faults(|f| set.validate(f)), [""; 0]);
}
