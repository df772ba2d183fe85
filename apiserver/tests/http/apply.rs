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
