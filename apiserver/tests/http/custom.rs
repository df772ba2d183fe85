//! Custom resources over HTTP: defined, discovered, written, shown and watched by clients that know nothing of them.

use crate::harness::Server;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                 "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}},
                    "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                 }}}},
                {"name": "v1alpha1", "served": true, "storage": false, "deprecated": true,
                 "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                 }}},
            ],
        },
    })
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_new_kind_is_discovered_and_used_at_once() {
    let server = Server::start().await;
    server.get(WIDGETS).await.fails(404, "NotFound");
    let created = server.post(DEFINITIONS, &definition()).await.ok(201);
    assert_eq!(created["status"]["acceptedNames"]["listKind"], "WidgetList");

    let resources = server.get("/apis/example.com/v1").await.ok(200);
    let first = &resources["resources"][0];
    assert_eq!(
        (
            &first["name"],
            &first["kind"],
            &first["shortNames"],
            &first["categories"]
        ),
        (
            &json!("widgets"),
            &json!("Widget"),
            &json!(["wd"]),
            &json!(["all"])
        )
    );
    let openapi = server.get("/openapi/v3/apis/example.com/v1").await.ok(200);
    assert!(openapi["components"]["schemas"].to_string().contains("\"size\""));

    let made = server
        .post(WIDGETS, &widget("a", json!({"size": 2})))
        .await
        .ok(201);
    assert_eq!(made["metadata"]["generation"], 1);
    let listed = server.get(WIDGETS).await.ok(200);
    assert_eq!(
        (&listed["kind"], &listed["items"]),
        (&json!("WidgetList"), &json!([made]))
    );
    let path = format!("{WIDGETS}/a");
    let mut told = made.clone();
    told["status"] = json!({"phase": "Ready"});
    let told = server.put(&format!("{path}/status"), &told).await.ok(200);
    assert_eq!(told["status"]["phase"], "Ready");
    assert_eq!(
        server.put(&path, &told).await.ok(200),
        told,
        "nothing changed, no revision"
    );

    server.delete(&path).await.ok(200);
    server
        .delete(&format!("{DEFINITIONS}/widgets.example.com"))
        .await
        .ok(200);
}

#[tokio::test]
async fn the_body_says_what_the_path_says_and_nothing_that_the_schema_does_not_have() {
    let server = Server::start().await;
    server.post(DEFINITIONS, &definition()).await.ok(201);
    let mut other = widget("a", json!({}));
    other["apiVersion"] = "example.com/v1alpha1".into();
    let why = server.post(WIDGETS, &other).await.fails(400, "BadRequest");
    assert!(why.contains("does not match the expected API version"), "{why}");
    let mut nameless = widget("a", json!({}));
    nameless.as_object_mut().unwrap().remove("kind");
    server.post(WIDGETS, &nameless).await.fails(400, "BadRequest");
    let extra = widget("a", json!({"sise": 1}));
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let why = server.post(&strict, &extra).await.fails(400, "BadRequest");
    assert!(why.contains("unknown field \"spec.sise\""), "{why}");
    let warned = server.post(WIDGETS, &extra).await;
    assert!(warned.headers["warning"].to_str().unwrap().contains("spec.sise"));
    assert_eq!(warned.ok(201)["spec"], json!({"size": 1}));
}

#[tokio::test]
async fn an_old_version_shows_the_object_and_warns() {
    let server = Server::start().await;
    server.post(DEFINITIONS, &definition()).await.ok(201);
    server
        .post(WIDGETS, &widget("a", json!({"size": 2})))
        .await
        .ok(201);
    let old = WIDGETS.replace("/v1/", "/v1alpha1/");
    let shown = server.get(&format!("{old}/a")).await.ok(200);
    assert_eq!(
        (&shown["apiVersion"], &shown["spec"]),
        (&json!("example.com/v1alpha1"), &json!({"size": 2}))
    );
    let mut made = widget("b", json!({"more": 1}));
    made["apiVersion"] = "example.com/v1alpha1".into();
    let answer = server.post(&old, &made).await;
    assert!(
        answer.headers["warning"]
            .to_str()
            .unwrap()
            .contains("is deprecated")
    );
    assert_eq!(answer.ok(201)["spec"], json!({"more": 1}));
    assert_eq!(
        server.get(&format!("{WIDGETS}/b")).await.ok(200)["spec"],
        json!({"size": 1})
    );
}

#[tokio::test]
async fn a_table_has_the_columns_that_the_definition_asks_for() {
    let server = Server::start().await;
    server.post(DEFINITIONS, &definition()).await.ok(201);
    server
        .post(WIDGETS, &widget("a", json!({"size": 7})))
        .await
        .ok(201);
    let table = server
        .ask("GET", WIDGETS)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .send()
        .await
        .ok(200);
    let names: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["Name", "Size"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 7]));
}
