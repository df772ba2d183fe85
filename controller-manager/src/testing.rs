//! What the tests of several controllers share: objects to start from, and a kubelet's part in a map.

use crate::pods;
use client::testing::World;
use client::time;
use proto::Kind;
use proto::api::apps::v1::RollingUpdateDeployment;
use proto::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet, ReplicaSetSpec};
use proto::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodTemplateSpec};
use proto::meta::v1::{LabelSelector, ObjectMeta};

/// The namespace of everything here.
pub(crate) const NAMESPACE: &str = "default";

fn meta(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: name.into(),
        namespace: NAMESPACE.into(),
        ..ObjectMeta::default()
    }
}

fn app(name: &str) -> std::collections::BTreeMap<String, String> {
    [("app".to_owned(), name.to_owned())].into()
}

/// A template of one container, with the label `app`.
pub(crate) fn template(name: &str, image: &str) -> PodTemplateSpec {
    let container = Container {
        name: "main".into(),
        image: image.into(),
        ..Container::default()
    };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: app(name),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container],
            ..PodSpec::default()
        }),
    }
}

fn selector(name: &str) -> LabelSelector {
    LabelSelector {
        match_labels: app(name),
        ..LabelSelector::default()
    }
}

/// A ReplicaSet.
pub(crate) fn replica_set(name: &str, replicas: i32) -> ReplicaSet {
    ReplicaSet {
        metadata: Some(ObjectMeta {
            labels: app(name),
            ..meta(name)
        }),
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            selector: Some(selector(name)),
            template: Some(template(name, "one")),
            ..ReplicaSetSpec::default()
        }),
        ..ReplicaSet::default()
    }
}

/// A Deployment with the limits that Kubernetes gives by default.
pub(crate) fn deployment(name: &str, replicas: i32) -> Deployment {
    let rolling = RollingUpdateDeployment {
        max_surge: Some(apimachinery::int_or_string::string("25%")),
        max_unavailable: Some(apimachinery::int_or_string::string("25%")),
    };
    Deployment {
        metadata: Some(meta(name)),
        spec: Some(DeploymentSpec {
            replicas: Some(replicas),
            selector: Some(selector(name)),
            template: Some(template(name, "one")),
            strategy: Some(DeploymentStrategy {
                r#type: "RollingUpdate".into(),
                rolling_update: Some(rolling),
            }),
            revision_history_limit: Some(10),
            progress_deadline_seconds: Some(600),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A Pod with the label `app`, that nobody owns.
pub(crate) fn pod(name: &str, app_name: &str) -> Pod {
    let template = template(app_name, "one");
    Pod {
        metadata: Some(ObjectMeta {
            labels: app(app_name),
            ..meta(name)
        }),
        spec: template.spec,
        status: None,
    }
}

/// The Pods that count as replicas.
pub(crate) fn live_pods(world: &World) -> Vec<Pod> {
    world.list::<Pod>().into_iter().filter(pods::is_live).collect()
}

/// Does a kubelet's and the scheduler's part for one Pod: it runs and is ready.
pub(crate) fn make_ready(world: &mut World, pod: &Pod) {
    let now = time::time(world.now());
    world.edit::<Pod>(NAMESPACE, pod.name(), |pod| {
        pod.spec.get_or_insert_default().node_name = "node-1".into();
        let status = pod.status.get_or_insert_default();
        status.phase = "Running".into();
        status.conditions = vec![PodCondition {
            r#type: "Ready".into(),
            status: "True".into(),
            last_transition_time: Some(now),
            ..PodCondition::default()
        }];
    });
}

/// Makes all live Pods ready.
pub(crate) fn make_all_ready(world: &mut World) {
    for pod in live_pods(world).iter().filter(|pod| !pods::is_ready(pod)) {
        make_ready(world, pod);
    }
}

/// Takes out the Pods that were asked to go, as their kubelets do.
pub(crate) fn finish_terminating(world: &mut World) {
    for pod in world.list::<Pod>().iter().filter(|pod| pods::is_terminating(pod)) {
        world.remove(pod);
    }
}
