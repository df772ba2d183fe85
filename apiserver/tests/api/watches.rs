//! Watches: order, resumption, selectors, marks.

use super::harness::{Server, pod};
use proto::api::core::v1::{ConfigMap, Pod};
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{CreateRequest, WatchRequest, WatchTarget};
use proto::{EventType, Kind, Object};

fn config_map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata_mut().name = name.into();
    map
}

#[tokio::test]
async fn one_stream_shows_all_kinds_in_order_and_resumes_without_a_gap() {
    let mut server = Server::start().await;
    let mut watch = server.watch(&["pods", "configmaps"], 0).await;
    assert_eq!(watch.next().await.r#type(), EventType::Synced);
    let mut expected = Vec::new();
    for i in 0..10 {
        expected.push(server.create(&pod(&format!("p{i}"))).await.unwrap().revision());
        expected.push(
            server
                .create(&config_map(&format!("m{i}")))
                .await
                .unwrap()
                .revision(),
        );
    }
    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(watch.next().await.revision);
    }
    drop(watch);
    let mut watch = server.watch(&["pods", "configmaps"], seen[6]).await;
    for _ in 7..20 {
        seen.push(watch.next().await.revision);
    }
    assert_eq!(seen, expected);
    server.stop().await;
}

#[tokio::test]
async fn what_comes_to_match_is_added_and_what_ceases_is_deleted() {
    let mut server = Server::start().await;
    let target = WatchTarget {
        kind: "pods".into(),
        label_selector: "app=web".into(),
        ..WatchTarget::default()
    };
    let request = WatchRequest {
        targets: vec![target],
        ..WatchRequest::default()
    };
    let mut watch = server.watch_request(request).await.unwrap();
    assert_eq!(watch.next().await.r#type(), EventType::Synced);
    let mut pod = pod("web");
    pod.metadata_mut().labels.insert("app".into(), "db".into());
    let mut pod = server.create(&pod).await.unwrap();
    for (app, expected) in [
        ("web", EventType::Added),
        ("db", EventType::Deleted),
        ("web", EventType::Added),
    ] {
        pod.metadata_mut().labels.insert("app".into(), app.into());
        pod = server.update(&pod, "").await.unwrap();
        let event = watch.next().await;
        assert_eq!(
            (event.r#type(), event.revision),
            (expected, pod.revision()),
            "{app}"
        );
    }
    server
        .delete::<Pod>("default", "web", DeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(watch.next().await.r#type(), EventType::Deleted);
    server.stop().await;
}

#[tokio::test]
async fn events_say_who_wrote_and_why() {
    let mut server = Server::start().await;
    let mut watch = server.watch(&["pods"], 0).await;
    assert_eq!(watch.next().await.r#type(), EventType::Synced);
    let mut request = tonic::Request::new(CreateRequest {
        object: Some(Object::encode_from(&pod("web"))),
        ..CreateRequest::default()
    });
    request
        .metadata_mut()
        .insert("orrery-actor", "replicaset-controller".parse().unwrap());
    request
        .metadata_mut()
        .insert("orrery-cause", "3".parse().unwrap());
    server.resources.create(request).await.unwrap();
    let event = watch.next().await;
    assert_eq!((event.actor.as_str(), event.cause), ("replicaset-controller", 3));
    assert!(event.time.is_some());
    server.stop().await;
}

#[tokio::test]
async fn bookmarks_come_while_nothing_that_is_followed_changes() {
    let mut server = Server::start().await;
    let request = WatchRequest {
        targets: vec![WatchTarget {
            kind: "pods".into(),
            ..WatchTarget::default()
        }],
        bookmarks: true,
        ..WatchRequest::default()
    };
    let mut watch = server.watch_request(request).await.unwrap();
    assert_eq!(watch.next().await.r#type(), EventType::Synced);
    let revision = server.create(&config_map("other")).await.unwrap().revision();
    loop {
        let event = watch.next().await;
        assert_eq!(event.r#type(), EventType::Bookmark);
        if event.revision >= revision {
            break;
        }
    }
    server.stop().await;
}
