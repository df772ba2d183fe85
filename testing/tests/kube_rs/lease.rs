//! A Lease that candidates for leadership take from each other: the version decides, never both win.

use super::reason;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use orrery_test::Cluster;
use serde_json::json;

#[tokio::test]
async fn of_many_candidates_one_takes_the_lease() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let leases: Api<Lease> = Api::default_namespaced(cluster.client());
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "leader"},
        "spec": {"leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.123456Z", "leaseTransitions": 0},
    }))
    .unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();
    let acquired = lease.spec.as_ref().and_then(|spec| spec.acquire_time.clone());
    assert!(
        serde_json::to_string(&acquired).unwrap().contains(".123456Z"),
        "microseconds are kept"
    );

    let candidates = (0..8).map(|i| {
        let (leases, mut lease) = (leases.clone(), lease.clone());
        async move {
            lease.spec.get_or_insert_default().holder_identity = Some(format!("candidate-{i}"));
            leases.replace("leader", &PostParams::default(), &lease).await
        }
    });
    let results = futures::future::join_all(candidates).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for loser in lost {
        assert_eq!(reason(loser), "Conflict");
    }
    let holder = leases.get("leader").await.unwrap().spec.unwrap().holder_identity;
    let winner = won
        .into_iter()
        .next()
        .unwrap()
        .unwrap()
        .spec
        .unwrap()
        .holder_identity;
    assert_eq!(holder, winner);
}
