//! The API for a client that knows nothing of it but gRPC reflection, as grpcurl does: it learns the schema from the
//! server, writes requests as JSON, and reads the answers as JSON.

mod client;

use client::{Client, Version};
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::server::Limits;
use component_base::shutdown::Shutdown;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStore;
use tokio::net::TcpListener;
use tonic::Code;

/// Far more than any answer takes; so that a stream that stays silent fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running apiserver. Stops when dropped.
struct Server(Shutdown);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// An apiserver over an empty store, and its client.
async fn connect(version: Version) -> (Client, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = Shutdown::new();
    let parts = apiserver::Parts {
        store: Arc::new(MemoryStore::new()),
        shared_store: false,
        event_ttl: Duration::from_secs(3600),
        limits: Limits::default(),
    };
    tokio::spawn(apiserver::serve(
        parts,
        listener,
        Clock::system(),
        Seed(1),
        shutdown.clone(),
    ));
    (Client::connect(address, version).await, Server(shutdown))
}

fn web(name: &str) -> Value {
    json!({ "pod": {
        "metadata": { "name": name, "namespace": "default", "labels": { "app": "web" } },
        "spec": { "containers": [{
            "name": "main",
            "image": "nginx:1.27",
            "resources": { "requests": { "cpu": { "string": "250m" } } },
            "ports": [{ "containerPort": 80 }],
        }] },
    } })
}

#[tokio::test]
async fn both_reflections_list_the_services_and_describe_kubernetes_own_names() {
    for version in [Version::V1, Version::V1Alpha] {
        let (mut client, _server) = connect(version).await;
        let services = client.services().await;
        for service in [
            "orrery.v1.Resources",
            "orrery.v1.Pods",
            "orrery.v1.History",
            "grpc.health.v1.Health",
        ] {
            assert!(services.iter().any(|name| name == service), "{services:?}");
        }

        let service = client.service("orrery.v1.Resources").await;
        let methods: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
        let expected = [
            "Get",
            "List",
            "Watch",
            "Create",
            "Update",
            "Patch",
            "Delete",
            "DeleteCollection",
            "Batch",
        ];
        assert_eq!(methods, expected);
        let watch = service.methods().find(|method| method.name() == "Watch").unwrap();
        assert!(watch.is_server_streaming() && !watch.is_client_streaming());

        for (message, fields) in [
            ("k8s.io.api.core.v1.Pod", &["metadata", "spec", "status"][..]),
            (
                "k8s.io.api.core.v1.ServiceSpec",
                &["clusterIP", "clusterIPs", "externalTrafficPolicy"],
            ),
            (
                "k8s.io.api.core.v1.NodeSpec",
                &["podCIDR", "podCIDRs", "providerID"],
            ),
            ("k8s.io.api.core.v1.PodStatus", &["hostIP", "podIP", "qosClass"]),
        ] {
            let message = client.message(message).await;
            for field in fields {
                let found = message.get_field_by_json_name(field);
                assert_eq!(
                    found.map(|found| found.name().to_owned()).as_deref(),
                    Some(*field)
                );
            }
        }
    }
}

#[tokio::test]
async fn objects_are_created_listed_and_watched_as_json() {
    for version in [Version::V1, Version::V1Alpha] {
        let (mut client, _server) = connect(version).await;
        let created = client
            .call("orrery.v1.Resources/Create", &json!({ "object": web("web-1") }))
            .await
            .unwrap();
        let pod = &created["pod"];
        assert_eq!(pod["spec"]["containers"][0]["ports"][0]["containerPort"], 80);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]["string"],
            "250m"
        );
        assert_eq!(pod["status"]["phase"], "Pending");
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        assert_eq!(uid.len(), 36, "{uid}");

        let listed = client
            .call(
                "orrery.v1.Resources/List",
                &json!({ "kind": "po", "namespace": "default", "labelSelector": "app=web" }),
            )
            .await
            .unwrap();
        assert_eq!(listed["items"], json!([created]));

        let request = json!({ "targets": [{ "kind": "Pod", "namespace": "default" }] });
        let mut events = client
            .stream("orrery.v1.Resources/Watch", &request)
            .await
            .unwrap();
        let clock = Clock::system();
        let mut next = async || {
            let event = clock
                .timeout(PATIENCE, events.message())
                .await
                .expect("an event in time");
            client::json_of(&event.unwrap().expect("the stream goes on"))
        };
        let first = next().await;
        assert_eq!((&first["type"], &first["object"]), (&json!("ADDED"), &created));
        let synced = next().await;
        assert_eq!(
            (&synced["type"], &synced["revision"]),
            (&json!("SYNCED"), &listed["revision"])
        );
        let second = client
            .call("orrery.v1.Resources/Create", &json!({ "object": web("web-2") }))
            .await
            .unwrap();
        let event = next().await;
        assert_eq!((&event["type"], &event["object"]), (&json!("ADDED"), &second));
        assert_eq!(event["revision"], second["pod"]["metadata"]["resourceVersion"]);
    }
}

#[tokio::test]
async fn the_details_of_an_error_are_kubernetes_status() {
    let (mut client, _server) = connect(Version::V1).await;
    let error = client
        .call(
            "orrery.v1.Resources/Get",
            &json!({ "kind": "pods", "namespace": "default", "name": "nobody" }),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    let details = client.details(&error).await;
    assert_eq!(details.len(), 1);
    let status = &details[0];
    assert_eq!(
        (&status["reason"], &status["code"]),
        (&json!("NotFound"), &json!(404))
    );
    assert_eq!(status["message"], error.message());
    assert_eq!(status["details"]["name"], "nobody");

    // Every fault at once, each by the path that upstream gives it.
    let mut invalid = web("Not_A_Name");
    invalid["pod"]["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(70_000);
    let error = client
        .call("orrery.v1.Resources/Create", &json!({ "object": invalid }))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let details = client.details(&error).await;
    let causes = details[0]["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        ["metadata.name", "spec.containers[0].ports[0].containerPort"]
    );
}
