//! Watches: a JSON event a line, from any point, until the client's time is over.

use crate::harness::{Ask, CONFIG_MAPS, Server, config_map};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::sync::Arc;
use storage::memory::MemoryStore;
use storage::store::Store;

/// The events of a watch, one by one.
pub(crate) struct Watch {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Watch {
    pub(crate) async fn open(ask: Ask) -> Self {
        let response = ask.stream().await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.buffer.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// The next event's type and the name of its object.
    async fn seen(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }

    async fn sees(&mut self, r#type: &str, name: &str) {
        assert_eq!(self.seen().await, (r#type.to_owned(), name.to_owned()));
    }
}

impl Server {
    async fn watch(&self, parameters: &str) -> Watch {
        Watch::open(self.ask("GET", format!("{CONFIG_MAPS}?watch=1&{parameters}"))).await
    }
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

#[tokio::test]
async fn a_watch_shows_what_there_is_and_then_each_change() {
    let server = Server::start().await;
    let mut object = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let mut watch = server.watch("").await;
    watch.sees("ADDED", "a").await;
    object["data"]["key"] = json!("other");
    let changed = server.put(format!("{CONFIG_MAPS}/a"), &object).await.ok(200);
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event["type"].as_str(), &event["object"]),
        (Some("MODIFIED"), &changed)
    );
    server.delete(format!("{CONFIG_MAPS}/a")).await.ok(200);
    watch.sees("DELETED", "a").await;
}

#[tokio::test]
async fn a_watch_continues_after_the_revision_of_a_list() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let list = server.get(CONFIG_MAPS).await.ok(200);
    server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    let mut watch = server.watch(&format!("resourceVersion={}", version(&list))).await;
    watch.sees("ADDED", "b").await;
}

#[tokio::test]
async fn the_initial_events_end_with_a_bookmark_where_it_is_asked_for() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let parameters = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server.watch(parameters).await;
    watch.sees("ADDED", "a").await;
    let mark = watch.next().await.unwrap();
    assert_eq!(
        (mark["type"].as_str(), mark["object"]["kind"].as_str()),
        (Some("BOOKMARK"), Some("ConfigMap"))
    );
    assert_eq!(
        mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert!(version(&mark["object"]).parse::<i64>().unwrap() > 0);
}

#[tokio::test]
async fn objects_that_begin_and_cease_to_match_come_and_go() {
    let server = Server::start().await;
    let mut object = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let mut watch = server.watch("labelSelector=on%3Dyes").await;
    object["metadata"]["labels"] = json!({"on": "yes"});
    let mut object = server.put(format!("{CONFIG_MAPS}/a"), &object).await.ok(200);
    watch.sees("ADDED", "a").await;
    object["metadata"]["labels"] = json!({"on": "no"});
    let last = server.put(format!("{CONFIG_MAPS}/a"), &object).await.ok(200);
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event["type"].as_str(), version(&event["object"])),
        (Some("DELETED"), version(&last))
    );
    assert_eq!(
        event["object"]["metadata"]["labels"]["on"], "yes",
        "what it was before"
    );
}

#[tokio::test]
async fn one_object_is_watched_by_its_path_its_name_or_the_old_path() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    }
    for path in [
        format!("{CONFIG_MAPS}/b?watch=true"),
        format!("{CONFIG_MAPS}?watch&fieldSelector=metadata.name%3Db"),
        "/api/v1/watch/namespaces/default/configmaps/b".to_owned(),
    ] {
        Watch::open(server.ask("GET", path))
            .await
            .sees("ADDED", "b")
            .await;
    }
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over_and_says_how_far_it_came() {
    let server = Server::start().await;
    let mut watch = server.watch("timeoutSeconds=1&allowWatchBookmarks=true").await;
    assert_eq!(watch.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn protobuf_is_streamed_in_frames_and_yaml_is_not() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}?watch=1");
    let ask = server
        .ask("GET", &path)
        .header("accept", "application/vnd.kubernetes.protobuf;stream=watch");
    let response = ask.stream().await;
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.kubernetes.protobuf;stream=watch"
    );
    let first = response
        .into_body()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    let length = u32::from_be_bytes(first[..4].try_into().unwrap()) as usize;
    assert!(length <= first.len() - 4 && first[4..].starts_with(b"\x0a\x05ADDED"));
    let yaml = server
        .ask("GET", &path)
        .header("accept", "application/yaml")
        .send()
        .await;
    yaml.fails(406, "NotAcceptable");
}

#[tokio::test]
async fn contradictions_and_revisions_to_come_are_refused_at_once() {
    let server = Server::start().await;
    for (parameters, code, reason) in [
        ("sendInitialEvents=true", 422, "Invalid"),
        ("resourceVersion=abc", 400, "BadRequest"),
        ("resourceVersion=999999", 504, "Timeout"),
        ("timeoutSeconds=1e99", 400, "BadRequest"),
        ("fieldSelector=spec.x%3D1", 400, "BadRequest"),
    ] {
        server
            .get(format!("{CONFIG_MAPS}?watch=1&{parameters}"))
            .await
            .fails(code, reason);
    }
}

#[tokio::test]
async fn a_revision_that_is_compacted_away_is_gone_and_a_watch_says_so_in_its_stream() {
    let store = Arc::new(MemoryStore::new());
    let first = {
        let server = Server::over(store.clone()).await;
        let first = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
        server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
        version(&first).to_owned()
    };
    let (newest, _) = store.revisions().await.unwrap();
    store.compact(newest).await.unwrap();
    // A server that starts now does not remember what was before.
    let server = Server::over(store).await;
    let mut watch = server.watch(&format!("resourceVersion={first}")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event["type"].as_str(), event["object"]["code"].as_i64()),
        (Some("ERROR"), Some(410))
    );
    assert_eq!(event["object"]["reason"], "Expired");
    assert_eq!(watch.next().await, None);
    let list = format!("{CONFIG_MAPS}?resourceVersion={first}&resourceVersionMatch=Exact");
    assert!(
        server
            .get(list)
            .await
            .fails(410, "Expired")
            .contains("too old resource version")
    );
}

#[tokio::test]
async fn every_watcher_of_a_change_is_told_the_same() {
    let server = Server::start().await;
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(
            server
                .watch("sendInitialEvents=false&resourceVersionMatch=NotOlderThan")
                .await,
        );
    }
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    for watch in &mut watches {
        let event = watch.next().await.unwrap();
        assert_eq!(
            (event["type"].as_str(), &event["object"]),
            (Some("ADDED"), &created)
        );
    }
}

#[tokio::test]
async fn a_bookmark_of_a_custom_kind_says_what_it_is() {
    let server = Server::start().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.post(definitions, &definition).await.ok(201);
    let path = "/apis/example.com/v1/widgets?watch=1&allowWatchBookmarks=true&sendInitialEvents=true";
    let ask = server.ask("GET", format!("{path}&resourceVersionMatch=NotOlderThan"));
    let mark = Watch::open(ask).await.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    let object = &mark["object"];
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&json!("example.com/v1"), &json!("Widget"))
    );
}
