//! Evictions and the budgets that refuse them.

use super::harness::{Server, plain, pod, reason};
use apimachinery::status::Reason;
use proto::Kind;
use proto::api::core::v1::{Pod, PodCondition};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::orrery::v1::EvictRequest;

fn evict(name: &str) -> EvictRequest {
    EvictRequest {
        namespace: "default".into(),
        name: name.into(),
        ..EvictRequest::default()
    }
}

/// Makes a Pod that a node runs and that is ready.
async fn running(server: &mut Server, name: &str) {
    let mut pod = pod(name);
    pod.spec.get_or_insert_default().node_name = "n1".into();
    let mut pod = server.create(&pod).await.unwrap();
    let status = pod.status.get_or_insert_default();
    status.phase = "Running".into();
    status.conditions.push(PodCondition {
        r#type: "Ready".into(),
        status: "True".into(),
        ..PodCondition::default()
    });
    server.update(&pod, "status").await.unwrap();
}

#[tokio::test]
async fn a_budget_gives_what_it_has_and_then_refuses() {
    let mut server = Server::start().await;
    for name in ["a", "b"] {
        running(&mut server, name).await;
    }
    let mut budget = PodDisruptionBudget::default();
    budget.metadata_mut().name = "web".into();
    let spec = budget.spec.get_or_insert_default();
    spec.min_available = Some(proto::IntOrString {
        int_val: 1,
        ..proto::IntOrString::default()
    });
    spec.selector
        .get_or_insert_default()
        .match_labels
        .insert("app".into(), "web".into());
    let mut budget = server.create(&budget).await.unwrap();
    let stale = plain(server.pods.evict(evict("a")).await);
    assert_eq!(
        reason(stale),
        Reason::TooManyRequests,
        "its status was never computed"
    );
    let status = budget.status.get_or_insert_default();
    (status.observed_generation, status.disruptions_allowed) = (1, 1);
    (
        status.current_healthy,
        status.desired_healthy,
        status.expected_pods,
    ) = (2, 1, 2);
    server.update(&budget, "status").await.unwrap();

    let gone = plain(server.pods.evict(evict("a")).await).unwrap();
    let pod: Pod = gone.pod.unwrap().decode_as().unwrap();
    assert!(pod.meta().deletion_timestamp.is_some());
    let reasons: Vec<String> = pod
        .status
        .unwrap()
        .conditions
        .into_iter()
        .map(|c| c.reason)
        .collect();
    assert!(reasons.contains(&"EvictionByEvictionAPI".into()), "{reasons:?}");
    assert_eq!(
        reason(plain(server.pods.evict(evict("b")).await)),
        Reason::TooManyRequests
    );
    let budget: PodDisruptionBudget = server.get("default", "web").await.unwrap();
    let status = budget.status.unwrap();
    assert_eq!(status.disruptions_allowed, 0);
    assert!(status.disrupted_pods.contains_key("a"));

    // A Pod that is done disturbs nobody.
    let mut pod: Pod = server.get("default", "b").await.unwrap();
    pod.status.get_or_insert_default().phase = "Succeeded".into();
    server.update(&pod, "status").await.unwrap();
    plain(server.pods.evict(evict("b")).await).unwrap();
    assert_eq!(reason(server.get::<Pod>("default", "b").await), Reason::NotFound);
    server.stop().await;
}
