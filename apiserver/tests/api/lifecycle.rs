//! The life of objects: created, changed, deleted, and seen by a watch.

use super::harness::{Server, grace, pod, reason};
use apimachinery::status::Reason;
use proto::api::core::v1::{Namespace, Pod};
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{BindRequest, GetChangeRequest};
use proto::{EventType, Kind};

#[tokio::test]
async fn a_cluster_begins_with_four_namespaces() {
    let mut server = Server::start().await;
    let mut watch = server.watch(&["ns"], 0).await;
    let names = watch.initial::<Namespace>().await;
    assert_eq!(
        names,
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
    let default: Namespace = server.get("", "default").await.unwrap();
    assert_eq!(default.status.unwrap().phase, "Active");
    assert_eq!(default.spec.unwrap().finalizers, ["kubernetes"]);
    assert_eq!(
        reason(
            server
                .delete::<Namespace>("", "default", DeleteOptions::default())
                .await
        ),
        Reason::Forbidden
    );
    server.stop().await;
}

#[tokio::test]
async fn a_pod_is_created_bound_and_deleted_and_a_watch_sees_each_step() {
    let mut server = Server::start().await;
    let mut watch = server.watch(&["pods"], 0).await;
    assert!(watch.initial::<Pod>().await.is_empty());

    let created = server.create(&pod("web")).await.unwrap();
    assert_eq!(created.meta().generation, 1);
    assert!(!created.uid().is_empty() && created.revision() > 0);
    let status = created.status.as_ref().unwrap();
    assert_eq!(
        (status.phase.as_str(), status.qos_class.as_str()),
        ("Pending", "BestEffort")
    );
    let spec = created.spec.as_ref().unwrap();
    assert_eq!(
        (spec.restart_policy.as_str(), spec.service_account_name.as_str()),
        ("Always", "default")
    );
    assert_eq!(spec.priority, Some(0));
    assert_eq!(reason(server.create(&pod("web")).await), Reason::AlreadyExists);
    let event = watch.next().await;
    assert_eq!(
        (event.r#type(), event.revision),
        (EventType::Added, created.revision())
    );
    assert_eq!(event.object.unwrap().decode_as::<Pod>().unwrap(), created);

    let bind = |node: &str| BindRequest {
        namespace: "default".into(),
        name: "web".into(),
        uid: created.uid().into(),
        node: node.into(),
    };
    let bound: Pod = server
        .pods
        .bind(bind("n1"))
        .await
        .unwrap()
        .into_inner()
        .decode_as()
        .unwrap();
    assert_eq!(bound.spec.as_ref().unwrap().node_name, "n1");
    let second = super::harness::plain(server.pods.bind(bind("n2")).await);
    assert_eq!(reason(second), Reason::Conflict);
    assert_eq!(watch.next().await.r#type(), EventType::Modified);

    let marked = server
        .delete::<Pod>("default", "web", DeleteOptions::default())
        .await
        .unwrap();
    assert!(!marked.gone);
    let marked: Pod = marked.object.unwrap().decode_as().unwrap();
    assert_eq!(marked.meta().deletion_grace_period_seconds, Some(30));
    assert_eq!(watch.next().await.r#type(), EventType::Modified);
    let gone = server.delete::<Pod>("default", "web", grace(0)).await.unwrap();
    assert!(gone.gone);
    let event = watch.next().await;
    assert_eq!(event.r#type(), EventType::Deleted);
    assert_eq!(
        reason(server.get::<Pod>("default", "web").await),
        Reason::NotFound
    );

    let change = server
        .history
        .get_change(GetChangeRequest {
            revision: event.revision,
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((change.kind.as_str(), change.name.as_str()), ("Pod", "web"));
    assert!(change.before.is_some() && change.after.is_none());
    server.stop().await;
}
