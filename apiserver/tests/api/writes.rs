//! Creates, updates and patches: names, generations, resourceVersions, finalizers, subresources, rehearsals.

use super::harness::{Server, plain, pod, reason};
use apimachinery::status::Reason;
use proto::api::apps::v1::Deployment;
use proto::api::autoscaling::v1::Scale;
use proto::api::core::v1::{ConfigMap, Container, Pod};
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{CreateRequest, DeleteCollectionRequest, GetRequest, PatchRequest, UpdateRequest};
use proto::{Kind, Object};
use std::collections::BTreeMap;

fn deployment(name: &str) -> Deployment {
    let mut deployment = Deployment::default();
    deployment.metadata_mut().name = name.into();
    let labels = BTreeMap::from([("app".to_owned(), name.to_owned())]);
    let spec = deployment.spec.get_or_insert_default();
    spec.selector.get_or_insert_default().match_labels = labels.clone();
    let template = spec.template.get_or_insert_default();
    template.metadata.get_or_insert_default().labels = labels;
    template.spec.get_or_insert_default().containers.push(Container {
        name: "main".into(),
        image: "nginx:1.27".into(),
        ..Container::default()
    });
    deployment
}

fn patch(kind: &str, name: &str, text: &str) -> PatchRequest {
    PatchRequest {
        kind: kind.into(),
        name: name.into(),
        r#type: Type::Merge.into(),
        patch: text.into(),
        ..PatchRequest::default()
    }
}

#[tokio::test]
async fn generated_names_are_drawn_until_one_is_free() {
    let mut server = Server::start().await;
    let mut nameless = pod("");
    nameless.metadata_mut().generate_name = "web-".into();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let name = server.create(&nameless).await.unwrap().name().to_owned();
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert!(names.insert(name));
    }
    server.stop().await;
}

#[tokio::test]
async fn of_many_updates_at_one_resource_version_one_succeeds() {
    let mut server = Server::start().await;
    let web = server.create(&deployment("web")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..20 {
        let (mut api, mut web) = (server.resources.clone(), web.clone());
        web.metadata_mut().labels.insert("writer".into(), i.to_string());
        tasks.spawn(async move {
            let object = Some(Object::encode_from(&web));
            plain(
                api.update(UpdateRequest {
                    object,
                    ..UpdateRequest::default()
                })
                .await,
            )
        });
    }
    let results = tasks.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    assert!(lost.into_iter().all(|result| reason(result) == Reason::Conflict));
    server.stop().await;
}

#[tokio::test]
async fn an_update_without_a_resource_version_is_unconditional_and_the_same_again_makes_no_revision() {
    let mut server = Server::start().await;
    let mut web = server.create(&deployment("web")).await.unwrap();
    web.metadata_mut().labels.insert("a".into(), "b".into());
    let labelled = server.update(&web, "").await.unwrap();
    assert_eq!(labelled.meta().generation, 1, "a label is no spec");
    web.metadata_mut().resource_version.clear();
    let same = server.update(&web, "").await.unwrap();
    assert_eq!(same.revision(), labelled.revision(), "nothing changed");
    web.spec.get_or_insert_default().replicas = Some(7);
    let scaled = server.update(&web, "").await.unwrap();
    assert_eq!(scaled.meta().generation, 2);
    assert!(scaled.revision() > labelled.revision());
    server.stop().await;
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let mut server = Server::start().await;
    let mut web = server.create(&deployment("web")).await.unwrap();
    web.spec.get_or_insert_default().replicas = Some(9);
    web.status.get_or_insert_default().replicas = 3;
    let after = server.update(&web, "status").await.unwrap();
    assert_eq!(after.spec.as_ref().unwrap().replicas, Some(1));
    assert_eq!(after.status.as_ref().unwrap().replicas, 3);
    assert_eq!(after.meta().generation, 1);
    web.metadata_mut().resource_version = after.meta().resource_version.clone();
    web.status.get_or_insert_default().replicas = 99;
    let after = server.update(&web, "").await.unwrap();
    assert_eq!(after.spec.unwrap().replicas, Some(9));
    assert_eq!(after.status.unwrap().replicas, 3);
    server.stop().await;
}

#[tokio::test]
async fn scale_is_read_written_and_patched_for_every_kind_that_has_it() {
    let mut server = Server::start().await;
    server.create(&deployment("web")).await.unwrap();
    let get = GetRequest {
        kind: "deploy".into(),
        name: "web".into(),
        subresource: "scale".into(),
        ..GetRequest::default()
    };
    let mut scale: Scale = plain(server.resources.get(get).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, 1);
    assert_eq!(scale.status.as_ref().unwrap().selector, "app=web");
    scale.spec.get_or_insert_default().replicas = 4;
    let update = |scale: &Scale| UpdateRequest {
        object: Some(Object::encode_from(scale)),
        subresource: "scale".into(),
        kind: "Deployment".into(),
        ..UpdateRequest::default()
    };
    let after: Scale = plain(server.resources.update(update(&scale)).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(after.spec.unwrap().replicas, 4);
    assert_eq!(
        reason(plain(server.resources.update(update(&scale)).await)),
        Reason::Conflict
    );
    let patch = PatchRequest {
        subresource: "scale".into(),
        ..patch("deployments.apps", "web", r#"{"spec":{"replicas":0}}"#)
    };
    let after: Scale = plain(server.resources.patch(patch).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(after.spec.unwrap().replicas, 0);
    let web: Deployment = server.get("default", "web").await.unwrap();
    assert_eq!(
        (web.spec.as_ref().unwrap().replicas, web.meta().generation),
        (Some(0), 3)
    );
    let mut negative = after;
    negative.metadata_mut().resource_version.clear();
    negative.spec.get_or_insert_default().replicas = -1;
    assert_eq!(
        reason(plain(server.resources.update(update(&negative)).await)),
        Reason::Invalid
    );
    server.stop().await;
}

#[tokio::test]
async fn patches_change_a_part_and_status_patches_only_the_status() {
    let mut server = Server::start().await;
    server.create(&deployment("web")).await.unwrap();
    let text = r#"{"metadata":{"labels":{"tier":"front"}},"spec":{"replicas":3}}"#;
    let web: Deployment = plain(server.resources.patch(patch("deploy", "web", text)).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(
        (
            web.spec.as_ref().unwrap().replicas,
            web.meta().labels["tier"].as_str()
        ),
        (Some(3), "front")
    );
    let json = PatchRequest {
        r#type: Type::Json.into(),
        ..patch(
            "deploy",
            "web",
            r#"[{"op":"replace","path":"/spec/replicas","value":5},{"op":"remove","path":"/metadata/labels/tier"}]"#,
        )
    };
    let web: Deployment = plain(server.resources.patch(json).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(
        (web.spec.as_ref().unwrap().replicas, web.meta().labels.len()),
        (Some(5), 0)
    );
    let status = PatchRequest {
        subresource: "status".into(),
        ..patch(
            "deploy",
            "web",
            r#"{"spec":{"replicas":1},"status":{"replicas":2}}"#,
        )
    };
    let web: Deployment = plain(server.resources.patch(status).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(
        (web.spec.unwrap().replicas, web.status.unwrap().replicas),
        (Some(5), 2)
    );
    server.stop().await;
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_one_is_gone() {
    let mut server = Server::start().await;
    let mut map = ConfigMap::default();
    let meta = map.metadata_mut();
    meta.name = "held".into();
    meta.finalizers = vec!["example.com/one".into(), "example.com/two".into()];
    server.create(&map).await.unwrap();
    let marked = server
        .delete::<ConfigMap>("default", "held", DeleteOptions::default())
        .await
        .unwrap();
    assert!(!marked.gone);
    let mut map: ConfigMap = marked.object.unwrap().decode_as().unwrap();
    assert!(map.meta().deletion_timestamp.is_some());
    map.metadata_mut().finalizers.push("example.com/three".into());
    assert_eq!(reason(server.update(&map, "").await), Reason::Invalid);
    map.metadata_mut().finalizers = vec!["example.com/two".into()];
    let mut map = server.update(&map, "").await.unwrap();
    map.metadata_mut().finalizers.clear();
    server.update(&map, "").await.unwrap();
    assert_eq!(
        reason(server.get::<ConfigMap>("default", "held").await),
        Reason::NotFound
    );
    server.stop().await;
}

#[tokio::test]
async fn a_propagation_policy_becomes_a_finalizer() {
    let mut server = Server::start().await;
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        server.create(&deployment("web")).await.unwrap();
        let options = DeleteOptions {
            propagation_policy: Some(policy.into()),
            ..DeleteOptions::default()
        };
        let marked = server
            .delete::<Deployment>("default", "web", options)
            .await
            .unwrap();
        assert!(!marked.gone);
        let mut web: Deployment = marked.object.unwrap().decode_as().unwrap();
        assert_eq!(web.meta().finalizers, [finalizer]);
        web.metadata_mut().finalizers.clear();
        server.update(&web, "").await.unwrap();
        assert_eq!(
            reason(server.get::<Deployment>("default", "web").await),
            Reason::NotFound
        );
    }
    server.create(&deployment("web")).await.unwrap();
    assert!(
        server
            .delete::<Deployment>("default", "web", DeleteOptions::default())
            .await
            .unwrap()
            .gone
    );
    server.stop().await;
}

#[tokio::test]
async fn a_rehearsal_answers_and_stores_nothing() {
    let mut server = Server::start().await;
    let request = CreateRequest {
        object: Some(Object::encode_from(&pod("web"))),
        dry_run: true,
        ..CreateRequest::default()
    };
    let pod: Pod = plain(server.resources.create(request).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert!(!pod.uid().is_empty());
    assert_eq!(pod.revision(), 0);
    assert_eq!(
        reason(server.get::<Pod>("default", "web").await),
        Reason::NotFound
    );
    server.create(&deployment("web")).await.unwrap();
    let rehearsed = PatchRequest {
        dry_run: true,
        ..patch("deploy", "web", r#"{"spec":{"replicas":3}}"#)
    };
    let web: Deployment = plain(server.resources.patch(rehearsed).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(web.spec.unwrap().replicas, Some(3));
    let options = DeleteOptions {
        dry_run: vec!["All".into()],
        ..DeleteOptions::default()
    };
    server
        .delete::<Deployment>("default", "web", options)
        .await
        .unwrap();
    let web: Deployment = server.get("default", "web").await.unwrap();
    assert_eq!(web.spec.unwrap().replicas, Some(1));
    server.stop().await;
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let mut server = Server::start().await;
    for i in 0..7 {
        let mut pod = pod(&format!("p{i}"));
        pod.metadata_mut()
            .labels
            .insert("half".into(), (i % 2).to_string());
        server.create(&pod).await.unwrap();
    }
    let request = DeleteCollectionRequest {
        kind: "pods".into(),
        namespace: "default".into(),
        label_selector: "half=1".into(),
        ..DeleteCollectionRequest::default()
    };
    let answer = plain(server.resources.delete_collection(request).await).unwrap();
    assert_eq!(answer.deleted, 3);
    let mut watch = server.watch(&["pods"], 0).await;
    assert_eq!(watch.initial::<Pod>().await, ["p0", "p2", "p4", "p6"]);
    server.stop().await;
}
