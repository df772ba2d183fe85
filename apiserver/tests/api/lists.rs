//! Lists: pages at one revision, selectors, and the past.

use super::harness::{Server, pod, reason};
use apimachinery::status::Reason;
use proto::Kind;
use proto::api::core::v1::{ConfigMap, Pod};
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{GetRequest, ListRequest, ListResponse};

fn pods(edit: impl FnOnce(&mut ListRequest)) -> ListRequest {
    let mut request = ListRequest {
        kind: "pods".into(),
        ..ListRequest::default()
    };
    edit(&mut request);
    request
}

fn names(list: &ListResponse) -> Vec<String> {
    let pods = list.items.iter().map(|object| object.decode_as::<Pod>().unwrap());
    pods.map(|pod| pod.name().to_owned()).collect()
}

#[tokio::test]
async fn every_page_shows_the_first_ones_revision() {
    let mut server = Server::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.create(&pod(name)).await.unwrap();
    }
    let first = server.list(pods(|r| r.limit = 2)).await.unwrap();
    assert_eq!(
        (names(&first), first.remaining),
        (vec!["a".into(), "b".into()], 3)
    );
    // What happens between the pages is not seen.
    server
        .delete::<Pod>("default", "c", DeleteOptions::default())
        .await
        .unwrap();
    server.create(&pod("cc")).await.unwrap();
    let next = |token: &str| {
        let token = token.to_owned();
        pods(|r| {
            r.limit = 2;
            r.r#continue = token;
        })
    };
    let second = server.list(next(&first.r#continue)).await.unwrap();
    assert_eq!(names(&second), ["c", "d"]);
    let third = server.list(next(&second.r#continue)).await.unwrap();
    assert_eq!(
        (names(&third), third.r#continue.as_str(), third.remaining),
        (vec!["e".into()], "", 0)
    );
    assert_eq!(
        (second.revision, third.revision),
        (first.revision, first.revision)
    );

    let other = pods(|r| {
        r.label_selector = "app=web".into();
        r.r#continue = first.r#continue.clone();
    });
    assert_eq!(reason(server.list(other).await), Reason::BadRequest);
    let now = server.list(pods(|_| ())).await.unwrap();
    assert_eq!(names(&now), ["a", "b", "cc", "d", "e"]);
    let then = server.list(pods(|r| r.revision = first.revision)).await.unwrap();
    assert_eq!(names(&then), ["a", "b", "c", "d", "e"]);
    server.stop().await;
}

#[tokio::test]
async fn a_page_whose_revision_is_compacted_is_expired() {
    let mut server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.create(&pod(name)).await.unwrap();
    }
    let old = server.list(pods(|_| ())).await.unwrap().revision;
    let token = server.list(pods(|r| r.limit = 1)).await.unwrap().r#continue;
    let last = server.create(&pod("d")).await.unwrap().revision();
    server.store.compact(last).await.unwrap();
    // The snapshot of an unfinished list is kept for its next page, so compaction alone does not end it.
    let next = server.list(pods(|r| r.r#continue = token)).await;
    assert!(next.is_ok_and(|page| page.revision == old));
    server.stop().await;
}

#[tokio::test]
async fn selectors_pick_by_labels_and_fields() {
    let mut server = Server::start().await;
    for (name, app) in [("a", "web"), ("b", "db"), ("c", "web")] {
        let mut pod = pod(name);
        pod.metadata_mut().labels.insert("app".into(), app.into());
        if name == "c" {
            pod.spec.get_or_insert_default().node_name = "n1".into();
        }
        server.create(&pod).await.unwrap();
    }
    let cases = [
        ("app=web", "", vec!["a", "c"]),
        ("app in (db, cache)", "", vec!["b"]),
        ("app,!tier", "", vec!["a", "b", "c"]),
        ("", "spec.nodeName=n1", vec!["c"]),
        ("", "spec.nodeName!=n1,metadata.name!=b", vec!["a"]),
        ("app=web", "spec.nodeName=", vec!["a"]),
        ("", "status.phase=Running", vec![]),
    ];
    for (labels, fields, expected) in cases {
        let list = server
            .list(pods(|r| {
                r.label_selector = labels.into();
                r.field_selector = fields.into();
            }))
            .await
            .unwrap();
        assert_eq!(names(&list), expected, "{labels} {fields}");
    }
    server.stop().await;
}

#[tokio::test]
async fn large_objects_make_short_pages_that_continue() {
    let mut server = Server::start().await;
    for i in 0..5 {
        let mut map = ConfigMap::default();
        map.metadata_mut().name = format!("m{i}");
        map.data.insert("k".into(), "x".repeat(900_000));
        server.create(&map).await.unwrap();
    }
    let (mut seen, mut token) = (0, String::new());
    loop {
        let request = ListRequest {
            kind: "cm".into(),
            r#continue: token,
            ..ListRequest::default()
        };
        let page = server.list(request).await.unwrap();
        assert!(!page.items.is_empty() && page.items.len() < 5);
        seen += page.items.len();
        token = page.r#continue;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 5);
    server.stop().await;
}

#[tokio::test]
async fn an_object_can_be_read_as_it_was() {
    let mut server = Server::start().await;
    let created = server.create(&pod("web")).await.unwrap();
    let mut changed = created.clone();
    changed
        .metadata_mut()
        .labels
        .insert("tier".into(), "front".into());
    server.update(&changed, "").await.unwrap();
    let request = GetRequest {
        kind: "pod".into(),
        name: "web".into(),
        revision: created.revision(),
        ..GetRequest::default()
    };
    let then: Pod = server
        .resources
        .get(request)
        .await
        .unwrap()
        .into_inner()
        .decode_as()
        .unwrap();
    assert_eq!(then, created);
    server.stop().await;
}
