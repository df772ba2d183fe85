//! One object: create, read, replace, delete, in every form.

use crate::harness::{CONFIG_MAPS, PODS, Server, config_map, pod};
use serde_json::json;

#[tokio::test]
async fn an_object_is_created_read_replaced_and_deleted() {
    let server = Server::start().await;
    let created = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!(
        (created["kind"].as_str(), created["apiVersion"].as_str()),
        (Some("ConfigMap"), Some("v1"))
    );
    assert_eq!(created["metadata"]["namespace"], "default");
    let path = format!("{CONFIG_MAPS}/a");
    let mut object = server.get(&path).await.ok(200);
    assert_eq!(object, created);
    object["data"]["key"] = json!("other");
    let updated = server.put(&path, &object).await.ok(200);
    assert_eq!(updated["data"]["key"], "other");
    assert_ne!(
        updated["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
    assert_eq!(
        server.put(&path, &updated).await.ok(200),
        updated,
        "nothing changed, no revision"
    );
    let stale = server.put(&path, &object).await;
    assert!(
        stale
            .fails(409, "Conflict")
            .contains("please apply your changes to the latest version")
    );
    let gone = server.delete(&path).await.ok(200);
    assert_eq!(
        (gone["status"].as_str(), gone["details"]["name"].as_str()),
        (Some("Success"), Some("a"))
    );
    assert_eq!(gone["details"]["uid"], created["metadata"]["uid"]);
    assert_eq!(
        server.get(&path).await.fails(404, "NotFound"),
        "configmaps \"a\" not found"
    );
}

#[tokio::test]
async fn the_path_and_the_body_must_agree() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    let why = server.put(&path, &config_map("b")).await.fails(400, "BadRequest");
    assert!(why.contains("does not match the name on the URL"), "{why}");
    let mut elsewhere = config_map("a");
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    for answer in [
        server.put(&path, &elsewhere).await,
        server.post(CONFIG_MAPS, &elsewhere).await,
    ] {
        assert!(
            answer
                .fails(400, "BadRequest")
                .contains("does not match the namespace")
        );
    }
    let missing = server
        .put(format!("{CONFIG_MAPS}/none"), &config_map("none"))
        .await;
    missing.fails(404, "NotFound");
    server
        .post(CONFIG_MAPS, &config_map("a"))
        .await
        .fails(409, "AlreadyExists");
    server.post(PODS, &config_map("a")).await.fails(400, "BadRequest");
}

#[tokio::test]
async fn yaml_and_protobuf_come_in_and_go_out() {
    let server = Server::start().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: doc\ndata:\n  key: value\n";
    let ask = server.ask("POST", CONFIG_MAPS).body("application/yaml", yaml);
    let created = ask.header("accept", "application/yaml").send().await;
    assert_eq!(
        (created.code, created.headers["content-type"].to_str().unwrap()),
        (201, "application/yaml")
    );
    assert!(created.text().contains("\n  name: doc\n"), "{}", created.text());
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    let encoded = server
        .ask("GET", format!("{CONFIG_MAPS}/doc"))
        .header("accept", PROTOBUF)
        .send()
        .await;
    assert!(encoded.body.starts_with(b"k8s\0"));
    server.delete(format!("{CONFIG_MAPS}/doc")).await.ok(200);
    // What was read cannot be created again, because it has a resourceVersion; to be replaced, it must be there.
    let again = server
        .ask("PUT", format!("{CONFIG_MAPS}/doc"))
        .body(PROTOBUF, encoded.body.clone())
        .send()
        .await;
    again.fails(404, "NotFound");
    server.post(CONFIG_MAPS, &config_map("doc")).await.ok(201);
    let list = server
        .ask("GET", CONFIG_MAPS)
        .header("accept", PROTOBUF)
        .send()
        .await;
    assert!(list.body.starts_with(b"k8s\0"));
    let pretty = server
        .ask("GET", format!("{CONFIG_MAPS}/doc?pretty=true"))
        .send()
        .await;
    assert!(
        pretty.text().starts_with("{\n  \"apiVersion\": \"v1\""),
        "{}",
        pretty.text()
    );
}

#[tokio::test]
async fn forms_that_nobody_reads_or_writes_are_415_and_406() {
    let server = Server::start().await;
    let text = server
        .ask("POST", CONFIG_MAPS)
        .body("text/plain", "hello")
        .send()
        .await;
    text.fails(415, "UnsupportedMediaType");
    let csv = server
        .ask("GET", CONFIG_MAPS)
        .header("accept", "text/csv")
        .send()
        .await;
    csv.fails(406, "NotAcceptable");
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let patch = server
        .ask("PATCH", format!("{CONFIG_MAPS}/a"))
        .body("application/json", "{}")
        .send()
        .await;
    patch.fails(415, "UnsupportedMediaType");
}

#[tokio::test]
async fn unknown_fields_are_refused_told_or_dropped() {
    let server = Server::start().await;
    let mut object = config_map("a");
    object["spec"] = json!({"x": 1});
    let strict = server
        .post(format!("{CONFIG_MAPS}?fieldValidation=Strict"), &object)
        .await;
    assert_eq!(
        strict.fails(400, "BadRequest"),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"spec\""
    );
    let warned = server.post(CONFIG_MAPS, &object).await;
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"spec\"""#);
    assert!(warned.ok(201).get("spec").is_none());
    object["metadata"]["name"] = json!("b");
    let ignored = server
        .post(format!("{CONFIG_MAPS}?fieldValidation=Ignore"), &object)
        .await;
    assert!(ignored.headers.get("warning").is_none());
    ignored.ok(201);
    server
        .post(format!("{CONFIG_MAPS}?fieldValidation=Maybe"), &object)
        .await
        .fails(422, "Invalid");
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let server = Server::start().await;
    let dry = server
        .post(format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a"))
        .await
        .ok(201);
    assert!(dry["metadata"]["uid"].is_string());
    server
        .get(format!("{CONFIG_MAPS}/a"))
        .await
        .fails(404, "NotFound");
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    server.delete(format!("{CONFIG_MAPS}/a?dryRun=All")).await.ok(200);
    server.get(format!("{CONFIG_MAPS}/a")).await.ok(200);
}

#[tokio::test]
async fn patches_of_each_type_are_applied() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    let patch = |form: &'static str, text: &'static str| {
        let ask = server.ask("PATCH", path.clone()).body(form, text);
        async move { ask.send().await }
    };
    let merged = patch("application/merge-patch+json", r#"{"data":{"more":"1"}}"#)
        .await
        .ok(200);
    assert_eq!(merged["data"], json!({"key": "value", "more": "1"}));
    let operations = r#"[{"op":"remove","path":"/data/more"}]"#;
    let removed = patch("application/json-patch+json", operations).await.ok(200);
    assert_eq!(removed["data"], json!({"key": "value"}));
    patch("application/merge-patch+json", "{")
        .await
        .fails(400, "BadRequest");
}

#[tokio::test]
async fn a_finalizer_keeps_an_object_and_the_answer_shows_it() {
    let server = Server::start().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(CONFIG_MAPS, &object).await.ok(201);
    let held = server.delete(format!("{CONFIG_MAPS}/a")).await.ok(200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    let gone = server.post(PODS, &pod("p")).await;
    gone.ok(201);
    let deleted = server.delete(format!("{PODS}/p")).await.ok(200);
    assert_eq!(deleted["kind"], "Pod", "a Pod that is gone is shown");
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}});
    let refused = server
        .ask("DELETE", format!("{CONFIG_MAPS}/a"))
        .json(&options)
        .send()
        .await;
    refused.fails(409, "Conflict");
}

#[tokio::test]
async fn unknown_fields_of_a_patch_are_refused_told_or_dropped() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let patch = |parameters: &'static str| {
        let ask = server.ask("PATCH", format!("{CONFIG_MAPS}/a{parameters}"));
        let ask = ask.body("application/merge-patch+json", r#"{"spec":{"x":1}}"#);
        async move { ask.send().await }
    };
    let strict = patch("?fieldValidation=Strict").await;
    assert!(strict.fails(400, "BadRequest").contains("unknown field \"spec\""));
    let warned = patch("").await;
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"spec\"""#);
    assert!(warned.ok(200).get("spec").is_none());
    assert!(
        patch("?fieldValidation=Ignore")
            .await
            .headers
            .get("warning")
            .is_none()
    );
}
