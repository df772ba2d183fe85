//! Patches that merge by the schema, and server-side apply, as kubectl sends them.

use crate::harness::{Answer, CONFIG_MAPS, Server};
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: nginx:1
";

async fn apply(server: &Server, path: &str, query: &str, yaml: &str) -> Answer {
    server
        .ask("PATCH", format!("{path}?{query}"))
        .body("application/apply-patch+yaml", yaml.to_owned())
        .send()
        .await
}

fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array();
    let entries = entries.into_iter().flatten();
    entries.filter_map(|entry| entry["manager"].as_str()).collect()
}

#[tokio::test]
async fn apply_answers_201_for_what_is_new_then_200_and_names_conflicts() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    let created = apply(&server, &path, "fieldManager=kubectl", WEB).await.ok(201);
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!(entry["operation"], "Apply");
    assert_eq!(entry["fieldsV1"]["f:spec"]["f:replicas"], json!({}));
    let again = apply(&server, &path, "fieldManager=kubectl&force=false", WEB)
        .await
        .ok(200);
    assert_eq!(again, created);

    let mine = WEB.replace("replicas: 2", "replicas: 5");
    let conflict = apply(&server, &path, "fieldManager=other", &mine).await;
    let message = conflict.fails(409, "Conflict");
    assert_eq!(
        message,
        "Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas"
    );
    let causes = &conflict.json()["details"]["causes"];
    assert_eq!(
        causes[0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\"", "field": ".spec.replicas"})
    );
    let forced = apply(&server, &path, "fieldManager=other&force=true", &mine)
        .await
        .ok(200);
    assert_eq!(forced["spec"]["replicas"], 5);
    let mut both = managers(&forced);
    both.sort_unstable();
    assert_eq!(both, ["kubectl", "other"]);
    apply(&server, &path, "", WEB).await.fails(400, "BadRequest");
}

#[tokio::test]
async fn a_client_that_names_no_field_manager_is_its_user_agent() {
    let server = Server::start().await;
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let created = server
        .ask("POST", CONFIG_MAPS)
        .header("user-agent", "curl/8.5 (x86)")
        .json(&object)
        .send()
        .await
        .ok(201);
    assert_eq!(managers(&created), ["curl"]);
    assert_eq!(
        created["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:data": {".": {}, "f:a": {}}})
    );
}

#[tokio::test]
async fn a_strategic_merge_patch_adds_a_container_and_a_merge_patch_replaces_them() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    apply(&server, &path, "fieldManager=kubectl", WEB).await.ok(201);
    let side = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}});
    let patch = |content_type: &'static str| {
        server
            .ask("PATCH", path.clone())
            .body(content_type, side.to_string())
    };
    let names = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .cloned();
        let containers = containers.unwrap_or_default();
        containers
            .iter()
            .map(|container| container["name"].clone())
            .collect::<Vec<_>>()
    };
    let merged = patch("application/strategic-merge-patch+json")
        .send()
        .await
        .ok(200);
    assert_eq!(names(&merged), ["side", "web"]);
    let replaced = patch("application/merge-patch+json").send().await.ok(200);
    assert_eq!(names(&replaced), ["side"]);
}

#[tokio::test]
async fn a_custom_resource_is_applied_and_tracked_by_its_own_schema() {
    let server = Server::start().await;
    let text = json!({"type": "string"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.apply.example.com"},
        "spec": {
            "group": "apply.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "size": {"type": "integer", "default": 1},
                    "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"], "properties": {"name": text, "color": text}}},
                }}},
            }}}],
        },
    });
    server
        .post(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &definition,
        )
        .await
        .ok(201);
    let path = "/apis/apply.example.com/v1/namespaces/default/widgets/w";
    let widget = |spec: &str| {
        format!("apiVersion: apply.example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {spec}\n")
    };
    let first = widget("{parts: [{name: a, color: red}]}");
    let created = apply(&server, path, "fieldManager=one", &first).await.ok(201);
    assert_eq!(created["spec"]["size"], 1);
    assert_eq!(
        created["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:parts": {"k:{\"name\":\"a\"}": {".": {}, "f:color": {}, "f:name": {}}}}})
    );
    assert_eq!(
        apply(&server, path, "fieldManager=one", &first).await.ok(200),
        created
    );

    let second = widget("{parts: [{name: b, color: blue}]}");
    let both = apply(&server, path, "fieldManager=two", &second).await.ok(200);
    assert_eq!(both["spec"]["parts"].as_array().map(Vec::len), Some(2));
    apply(
        &server,
        path,
        "fieldManager=two",
        &widget("{parts: [{name: a, color: blue}]}"),
    )
    .await
    .fails(409, "Conflict");

    let patch = |content_type: &'static str, patch: Value| {
        server
            .ask("PATCH", format!("{path}?fieldManager=three"))
            .body(content_type, patch.to_string())
    };
    let labelled = patch(
        "application/merge-patch+json",
        json!({"metadata": {"labels": {"a": "b"}}}),
    );
    let labelled = labelled.send().await.ok(200);
    let entries = labelled["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let three = entries.iter().find(|entry| entry["manager"] == "three");
    assert_eq!(
        three.map(|entry| &entry["fieldsV1"]),
        Some(&json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}))
    );
    let sized = patch("application/merge-patch+json", json!({"spec": {"size": 5}}))
        .send()
        .await
        .ok(200);
    assert_eq!(sized["spec"]["size"], 5);
    let gone = apply(&server, path, "fieldManager=two", &widget("{}"))
        .await
        .ok(200);
    assert_eq!(gone["spec"]["parts"], json!([{"name": "a", "color": "red"}]));
    let strategic = patch(
        "application/strategic-merge-patch+json",
        json!({"spec": {"size": 6}}),
    );
    strategic.send().await.fails(415, "UnsupportedMediaType");
}
