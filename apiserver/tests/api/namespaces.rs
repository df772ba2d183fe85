//! The life of namespaces over the API.

use super::harness::{Server, pod, reason};
use apimachinery::status::Reason;
use proto::Kind;
use proto::api::core::v1::Namespace;
use proto::meta::v1::DeleteOptions;

#[tokio::test]
async fn a_namespace_terminates_and_goes_when_its_content_is_finalized() {
    let mut server = Server::start().await;
    let mut team = Namespace::default();
    team.metadata_mut().name = "team".into();
    let team = server.create(&team).await.unwrap();
    assert_eq!(team.meta().labels["kubernetes.io/metadata.name"], "team");
    let mut web = pod("web");
    web.metadata_mut().namespace = "team".into();
    server.create(&web).await.unwrap();

    let marked = server
        .delete::<Namespace>("", "team", DeleteOptions::default())
        .await
        .unwrap();
    assert!(!marked.gone);
    let mut team: Namespace = marked.object.unwrap().decode_as().unwrap();
    assert_eq!(team.status.as_ref().unwrap().phase, "Terminating");
    let mut late = pod("late");
    late.metadata_mut().namespace = "team".into();
    let refused = server.create(&late).await.unwrap_err();
    assert_eq!(refused.reason, "Forbidden");
    assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");

    // An ordinary update cannot let it go; `finalize` can.
    team.spec.get_or_insert_default().finalizers.clear();
    let kept = server.update(&team, "").await.unwrap();
    assert_eq!(kept.spec.unwrap().finalizers, ["kubernetes"]);
    server.update(&team, "finalize").await.unwrap();
    assert_eq!(
        reason(server.get::<Namespace>("", "team").await),
        Reason::NotFound
    );
    server.stop().await;
}
