//! Versions that are served but not stored: autoscaling/v1 and events.k8s.io/v1, read and written as themselves.

use crate::harness::Server;
use crate::watches::Watch;
use serde_json::json;

const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";

fn autoscaler(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 70,
        },
    })
}

#[tokio::test]
async fn an_autoscaler_is_written_in_one_version_and_read_in_the_other() {
    let server = Server::start().await;
    let created = server.post(V1, &autoscaler("web")).await.ok(201);
    assert_eq!(
        (
            created["apiVersion"].as_str(),
            &created["spec"]["targetCPUUtilizationPercentage"]
        ),
        (Some("autoscaling/v1"), &json!(70))
    );
    let mut newer = server.get(format!("{V2}/web")).await.ok(200);
    assert_eq!(newer["apiVersion"], "autoscaling/v2");
    assert_eq!(
        newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
        70
    );
    newer["spec"]["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 60}});
    server.put(format!("{V2}/web"), &newer).await.ok(200);
    let older = server.get(format!("{V1}/web")).await.ok(200);
    let behavior = &older["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/behavior"];
    assert!(
        behavior
            .as_str()
            .unwrap()
            .contains("\"StabilizationWindowSeconds\":60")
    );
    let again = server.put(format!("{V1}/web"), &older).await.ok(200);
    assert_eq!(again, older, "nothing changed, no revision");
    let list = server.get(V1).await.ok(200);
    assert_eq!(
        (list["kind"].as_str(), &list["items"][0]),
        (Some("HorizontalPodAutoscalerList"), &older)
    );
    server.delete(format!("{V1}/web")).await.ok(200);
    server.get(format!("{V2}/web")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn patches_are_made_for_the_version_that_their_author_sees() {
    let server = Server::start().await;
    server.post(V1, &autoscaler("web")).await.ok(201);
    let path = format!("{V1}/web");
    for (r#type, patch, expected) in [
        (
            "application/merge-patch+json",
            json!({"spec": {"targetCPUUtilizationPercentage": 50}}),
            50,
        ),
        (
            "application/json-patch+json",
            json!([{"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 60}]),
            60,
        ),
        (
            "application/strategic-merge-patch+json",
            json!({"spec": {"targetCPUUtilizationPercentage": 65}}),
            65,
        ),
    ] {
        let patched = server
            .ask("PATCH", &path)
            .body(r#type, patch.to_string())
            .send()
            .await;
        let patched = patched.ok(200);
        assert_eq!(
            patched["spec"]["targetCPUUtilizationPercentage"], expected,
            "{type}"
        );
        let stored = server.get(format!("{V2}/web")).await.ok(200);
        assert_eq!(
            stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
            expected
        );
    }
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"maxReplicas": 9}});
    let stale = server
        .ask("PATCH", &path)
        .body("application/merge-patch+json", stale.to_string());
    stale.send().await.fails(409, "Conflict");
    let wrong = json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "{"}}});
    let wrong = server
        .ask("PATCH", &path)
        .body("application/merge-patch+json", wrong.to_string());
    wrong.send().await.fails(400, "BadRequest");
}

#[tokio::test]
async fn an_event_is_one_whichever_group_shows_it() {
    let server = Server::start().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let ask = server.ask(
        "GET",
        format!("{events}?watch=1&fieldSelector=regarding.name%3Dweb-1"),
    );
    let mut watch = Watch::open(ask).await;
    for name in ["web-2", "web-1"] {
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": format!("{name}.1")},
            "eventTime": "2026-01-01T00:00:00.000001Z",
            "reportingController": "example.com/tester",
            "reportingInstance": "tester-1",
            "action": "Testing",
            "reason": "Tested",
            "type": "Normal",
            "note": "it works",
            "regarding": {"kind": "Pod", "namespace": "default", "name": name},
        });
        server.post(events, &event).await.ok(201);
    }
    let seen = watch.next().await.unwrap();
    assert_eq!(seen["object"]["apiVersion"], "events.k8s.io/v1");
    assert_eq!(seen["object"]["regarding"]["name"], "web-1");
    let core = server
        .get("/api/v1/namespaces/default/events/web-1.1")
        .await
        .ok(200);
    assert_eq!(
        (core["message"].as_str(), core["involvedObject"]["name"].as_str()),
        (Some("it works"), Some("web-1"))
    );
    let list = server
        .get(format!("{events}?fieldSelector=regarding.name%3Dweb-2"))
        .await
        .ok(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let wrong = server
        .get(format!("{events}?fieldSelector=involvedObject.name%3Dweb-2"))
        .await;
    wrong.fails(400, "BadRequest");
    let table = server
        .ask("GET", events)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table = table.send().await.ok(200);
    assert_eq!(table["columnDefinitions"][0]["name"], "Last Seen");
}
