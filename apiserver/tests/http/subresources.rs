//! Subresources and what can only be created.

use crate::harness::{CONFIG_MAPS, PODS, Server, config_map, pod};
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    })
}

#[tokio::test]
async fn the_status_and_the_spec_are_written_apart() {
    let server = Server::start().await;
    let mut object = server.post(DEPLOYMENTS, &deployment("web")).await.ok(201);
    object["status"] = json!({"replicas": 3});
    object["spec"]["replicas"] = json!(9);
    let status = server
        .put(format!("{DEPLOYMENTS}/web/status"), &object)
        .await
        .ok(200);
    assert_eq!(
        (
            status["status"]["replicas"].as_i64(),
            status["spec"]["replicas"].as_i64()
        ),
        (Some(3), Some(1))
    );
    let merge = server
        .ask("PATCH", format!("{DEPLOYMENTS}/web/status"))
        .body("application/merge-patch+json", r#"{"status":{"replicas":4}}"#);
    assert_eq!(merge.send().await.ok(200)["status"]["replicas"], 4);
    let read = server.get(format!("{DEPLOYMENTS}/web/status")).await.ok(200);
    assert_eq!(read["status"]["replicas"], 4);
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    server
        .get(format!("{CONFIG_MAPS}/a/status"))
        .await
        .fails(404, "NotFound");
}

#[tokio::test]
async fn a_scale_is_read_replaced_and_patched() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, &deployment("web")).await.ok(201);
    let path = format!("{DEPLOYMENTS}/web/scale");
    let mut scale = server.get(&path).await.ok(200);
    assert_eq!(
        (scale["kind"].as_str(), scale["apiVersion"].as_str()),
        (Some("Scale"), Some("autoscaling/v1"))
    );
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]["selector"]),
        (&json!(1), &json!("app=web"))
    );
    scale["spec"]["replicas"] = json!(5);
    assert_eq!(server.put(&path, &scale).await.ok(200)["spec"]["replicas"], 5);
    let patch = server
        .ask("PATCH", &path)
        .body("application/merge-patch+json", r#"{"spec":{"replicas":7}}"#);
    assert_eq!(patch.send().await.ok(200)["spec"]["replicas"], 7);
    assert_eq!(
        server.get(format!("{DEPLOYMENTS}/web")).await.ok(200)["spec"]["replicas"],
        7
    );
    server.post(&path, &scale).await.fails(405, "MethodNotAllowed");
}

#[tokio::test]
async fn a_pod_is_bound_once_by_either_path() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        server.post(PODS, &pod(name)).await.ok(201);
    }
    let binding = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"},
        })
    };
    let bound = server
        .post(format!("{PODS}/a/binding"), &binding("a"))
        .await
        .ok(201);
    assert_eq!(
        (bound["kind"].as_str(), bound["status"].as_str()),
        (Some("Status"), Some("Success"))
    );
    server
        .post("/api/v1/namespaces/default/bindings", &binding("b"))
        .await
        .ok(201);
    for name in ["a", "b"] {
        assert_eq!(
            server.get(format!("{PODS}/{name}")).await.ok(200)["spec"]["nodeName"],
            "node-1"
        );
    }
    server
        .post(format!("{PODS}/a/binding"), &binding("a"))
        .await
        .fails(409, "Conflict");
    server
        .post(format!("{PODS}/a/binding"), &binding("b"))
        .await
        .fails(400, "BadRequest");
    server
        .get("/api/v1/namespaces/default/bindings")
        .await
        .fails(405, "MethodNotAllowed");
}

#[tokio::test]
async fn an_eviction_ends_a_pod_unless_its_budget_refuses() {
    let server = Server::start().await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}});
    server.post(PODS, &pod("a")).await.ok(201);
    server.post(format!("{PODS}/a/eviction"), &eviction).await.ok(201);
    server.get(format!("{PODS}/a")).await.fails(404, "NotFound");
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}},
    });
    server
        .post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", &budget)
        .await
        .ok(201);
    let mut running = server.post(PODS, &pod("a")).await.ok(201);
    running["status"]["phase"] = json!("Running");
    running["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    server.put(format!("{PODS}/a/status"), &running).await.ok(200);
    let refused = server.post(format!("{PODS}/a/eviction"), &eviction).await;
    refused.fails(429, "TooManyRequests");
    assert_eq!(
        refused.json()["details"]["causes"][0]["reason"],
        "DisruptionBudget"
    );
}

#[tokio::test]
async fn ephemeral_containers_are_added_and_resources_resized_in_their_own_places() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let patch = |part: &'static str, patch: Value| {
        let ask = server.ask("PATCH", format!("{PODS}/a{part}"));
        let ask = ask.body("application/strategic-merge-patch+json", patch.to_string());
        async move { ask.send().await }
    };
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}});
    patch("", debugger.clone()).await.fails(422, "Invalid");
    let pod = patch("/ephemeralcontainers", debugger).await.ok(200);
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["image"], "busybox");
    let resized = patch(
        "/resize",
        json!({"spec": {"containers": [{"name": "web", "image": "other"}]}}),
    )
    .await
    .ok(200);
    assert_eq!(resized["spec"]["containers"][0]["image"], "nginx");
    assert_eq!(
        server.get(format!("{PODS}/a/resize")).await.ok(200)["metadata"]["name"],
        "a"
    );
}

#[tokio::test]
async fn a_namespace_lets_go_of_its_finalizers_through_finalize_alone() {
    let server = Server::start().await;
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    let mut team = server.post("/api/v1/namespaces", &team).await.ok(201);
    assert_eq!(
        server.delete("/api/v1/namespaces/team").await.ok(200)["status"]["phase"],
        "Terminating"
    );
    team["metadata"]["resourceVersion"] = Value::Null;
    team["spec"]["finalizers"] = json!([]);
    server
        .put("/api/v1/namespaces/team/finalize", &team)
        .await
        .ok(200);
    server.get("/api/v1/namespaces/team").await.fails(404, "NotFound");
}

#[tokio::test]
async fn everything_is_allowed_to_whoever_asks() {
    let server = Server::start().await;
    let access = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "delete", "resource": "pods"}},
    });
    let authorization = "/apis/authorization.k8s.io/v1";
    let answer = server
        .post(format!("{authorization}/selfsubjectaccessreviews"), &access)
        .await
        .ok(201);
    assert_eq!(answer["status"]["allowed"], true);
    assert_eq!(answer["spec"], access["spec"]);
    let rules = json!({"spec": {"namespace": "default"}});
    let rules = server
        .post(format!("{authorization}/selfsubjectrulesreviews"), &rules)
        .await
        .ok(201);
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    let local = format!("{authorization}/namespaces/default/localsubjectaccessreviews");
    assert_eq!(
        server.post(local, &json!({"spec": {}})).await.ok(201)["status"]["allowed"],
        true
    );
    let who = server
        .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({}))
        .await
        .ok(201);
    assert_eq!(who["status"]["userInfo"]["username"], "system:admin");
    server
        .get("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .await
        .fails(405, "MethodNotAllowed");
}
