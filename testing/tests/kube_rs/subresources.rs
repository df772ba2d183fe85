//! What hangs under an object: scale, status, logs, eviction, ephemeral containers.

use super::{deployment, reason, soon};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{EvictParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use orrery_test::Cluster;
use serde_json::json;

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "main:1"}]},
    }))
    .expect("a Pod")
}

async fn running(cluster: &Cluster, name: &str) -> Api<Pod> {
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    pods.create(&PostParams::default(), &pod(name)).await.unwrap();
    soon(
        "the pod runs",
        await_condition(pods.clone(), name, conditions::is_pod_running()),
    )
    .await
    .unwrap();
    pods
}

#[tokio::test]
async fn scale_reads_and_writes_the_replicas_alone() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    deployments
        .create(&PostParams::default(), &deployment("web", 2))
        .await
        .unwrap();
    let mut scale = deployments.get_scale("web").await.unwrap();
    assert_eq!(scale.spec.as_ref().unwrap().replicas, Some(2));
    assert_eq!(
        scale.status.as_ref().unwrap().selector.as_deref(),
        Some("app=web")
    );
    scale.spec.as_mut().unwrap().replicas = Some(4);
    deployments
        .replace_scale("web", &PostParams::default(), &scale)
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let scale = deployments
        .patch_scale("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(5));
    assert_eq!(
        deployments.get("web").await.unwrap().spec.unwrap().replicas,
        Some(5)
    );
}

#[tokio::test]
async fn status_is_written_apart_from_the_spec() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    let post = PostParams::default();
    deployments.create(&post, &deployment("web", 2)).await.unwrap();
    let both = Patch::Merge(json!({"spec": {"replicas": 9}, "status": {"replicas": 1}}));
    let params = PatchParams::default();
    let after = deployments.patch_status("web", &params, &both).await.unwrap();
    assert_eq!(after.spec.as_ref().unwrap().replicas, Some(2));
    assert_eq!(after.status.as_ref().unwrap().replicas, Some(1));
    let after = deployments.patch("web", &params, &both).await.unwrap();
    assert_eq!(after.spec.unwrap().replicas, Some(9));
    assert_eq!(
        deployments
            .get_status("web")
            .await
            .unwrap()
            .status
            .unwrap()
            .replicas,
        Some(1)
    );
}

#[tokio::test]
async fn a_pod_has_a_log_that_can_be_read_and_followed() {
    let cluster = Cluster::start().await.unwrap();
    let pods = running(&cluster, "talker").await;
    let log = pods.logs("talker", &LogParams::default()).await.unwrap();
    assert!(!log.is_empty());
    let tail = LogParams {
        tail_lines: Some(1),
        ..LogParams::default()
    };
    assert_eq!(pods.logs("talker", &tail).await.unwrap().lines().count(), 1);
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("talker", &follow).await.unwrap().lines();
    let first = soon("a line arrives", lines.try_next()).await.unwrap();
    assert!(first.is_some());
    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };
    assert_eq!(reason(pods.logs("talker", &previous).await), "BadRequest");
}

#[tokio::test]
async fn an_eviction_honours_the_budget() {
    let cluster = Cluster::start().await.unwrap();
    running(&cluster, "guarded").await;
    // Asked once: kube-rs would try again for a minute what a budget refuses.
    let mut config = kube::Config::new(cluster.url().parse().unwrap());
    config.default_retry = false;
    let pods: Api<Pod> = Api::default_namespaced(kube::Client::try_from(config).unwrap());
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(cluster.client());
    let budget: PodDisruptionBudget = serde_json::from_value(json!({
        "metadata": {"name": "guard"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }))
    .unwrap();
    budgets.create(&PostParams::default(), &budget).await.unwrap();
    let counted = |budget: Option<&PodDisruptionBudget>| {
        budget
            .and_then(|budget| budget.status.as_ref())
            .is_some_and(|status| status.current_healthy == 1)
    };
    soon(
        "the budget is counted",
        await_condition(budgets.clone(), "guard", counted),
    )
    .await
    .unwrap();
    let evict = EvictParams::default();
    assert_eq!(reason(pods.evict("guarded", &evict).await), "TooManyRequests");
    budgets
        .delete("guard", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let uid = pods.get("guarded").await.unwrap().uid().unwrap();
    pods.evict("guarded", &evict).await.unwrap();
    let gone = await_condition(pods.clone(), "guarded", conditions::is_deleted(&uid));
    soon("the pod is gone", gone).await.unwrap();
    assert!(pods.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn ephemeral_containers_are_added_and_resources_resized_through_subresources() {
    let cluster = Cluster::start().await.unwrap();
    let pods = running(&cluster, "patient").await;
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "debugger", "image": "busybox:1"}]}});
    let after = pods
        .patch_ephemeral_containers("patient", &PatchParams::default(), &Patch::Strategic(debugger))
        .await
        .unwrap();
    assert_eq!(after.spec.unwrap().ephemeral_containers.unwrap().len(), 1);
    let image = Patch::Merge(json!({"spec": {"ephemeralContainers": []}}));
    assert!(
        pods.patch_ephemeral_containers("patient", &PatchParams::default(), &image)
            .await
            .is_err(),
        "they cannot be taken away"
    );
    let bigger =
        json!({"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "20m"}}}]}});
    let refused = pods
        .patch("patient", &PatchParams::default(), &Patch::Strategic(&bigger))
        .await;
    assert_eq!(reason(refused), "Invalid", "only through the subresource");
}
