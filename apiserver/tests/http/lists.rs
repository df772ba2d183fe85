//! Lists: pages, selectors, revisions.

use crate::harness::{CONFIG_MAPS, Server, config_map};
use serde_json::Value;

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_has_its_kind_its_revision_and_its_pages() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    }
    let all = server.get(CONFIG_MAPS).await.ok(200);
    assert_eq!(
        (all["kind"].as_str(), all["apiVersion"].as_str()),
        (Some("ConfigMapList"), Some("v1"))
    );
    assert_eq!(names(&all), ["a", "b", "c"]);
    assert_eq!(server.get("/api/v1/configmaps").await.ok(200), all);
    let first = server.get(format!("{CONFIG_MAPS}?limit=2")).await.ok(200);
    assert_eq!(
        (names(&first), first["metadata"]["remainingItemCount"].as_u64()),
        (vec!["a", "b"], Some(1))
    );
    server.post(CONFIG_MAPS, &config_map("d")).await.ok(201);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = server
        .get(format!("{CONFIG_MAPS}?limit=2&continue={token}"))
        .await
        .ok(200);
    assert_eq!(names(&rest), ["c"], "every page shows the same revision");
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert!(rest["metadata"].get("continue").is_none());
    server
        .get(format!("{CONFIG_MAPS}?continue=nonsense"))
        .await
        .fails(400, "BadRequest");
}

#[tokio::test]
async fn selectors_choose_and_wrong_ones_are_refused() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    }
    let by_label = server
        .get(format!("{CONFIG_MAPS}?labelSelector=app%3Db"))
        .await
        .ok(200);
    let by_field = server
        .get(format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Db"))
        .await
        .ok(200);
    assert_eq!((names(&by_label), names(&by_field)), (vec!["b"], vec!["b"]));
    for selector in ["labelSelector=a+in+(", "fieldSelector=spec.x%3D1"] {
        server
            .get(format!("{CONFIG_MAPS}?{selector}"))
            .await
            .fails(400, "BadRequest");
    }
}

#[tokio::test]
async fn a_list_is_read_at_the_revision_that_is_asked_for() {
    let server = Server::start().await;
    let first = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let revision = first["metadata"]["resourceVersion"].as_str().unwrap();
    server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    let exact = format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    let then = server.get(exact).await.ok(200);
    assert_eq!(
        (names(&then), then["metadata"]["resourceVersion"].as_str()),
        (vec!["a"], Some(revision))
    );
    let now = server
        .get(format!("{CONFIG_MAPS}?resourceVersion={revision}"))
        .await
        .ok(200);
    assert_eq!(names(&now), ["a", "b"]);
    let future = server.get(format!("{CONFIG_MAPS}?resourceVersion=999999")).await;
    assert!(
        future
            .fails(504, "Timeout")
            .contains("Too large resource version")
    );
}

#[tokio::test]
async fn a_list_larger_than_a_chunk_is_whole() {
    let server = Server::start().await;
    let mut object = config_map("big");
    object["data"]["key"] = "x".repeat(100_000).into();
    for i in 0..10 {
        object["metadata"]["name"] = format!("big-{i}").into();
        server.post(CONFIG_MAPS, &object).await.ok(201);
    }
    let list = server.get(CONFIG_MAPS).await.ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 10);
    server.ask("DELETE", CONFIG_MAPS).send().await.ok(200);
    assert_eq!(
        server.get(CONFIG_MAPS).await.ok(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn a_large_list_is_compressed_for_who_asks() {
    let server = Server::start().await;
    let mut large = config_map("large");
    large["data"]["k"] = "x".repeat(200_000).into();
    server.post(CONFIG_MAPS, &large).await.ok(201);
    let whole = server.get(CONFIG_MAPS).await;
    assert!(!whole.headers.contains_key("content-encoding"));
    let compressed = server.ask("GET", CONFIG_MAPS).header("accept-encoding", "gzip");
    let compressed = compressed.send().await;
    assert_eq!(compressed.headers["content-encoding"], "gzip");
    assert_eq!(compressed.headers["vary"], "accept-encoding");
    assert!(compressed.body.len() < whole.body.len() / 10);
    let counted = server.get("/metrics").await;
    let line = r#"apiserver_request_total{verb="LIST",resource="configmaps",code="200"} 2"#;
    assert!(counted.text().lines().any(|l| l == line), "{}", counted.text());
}
