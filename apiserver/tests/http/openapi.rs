//! The schema as OpenAPI: whole, explained, and in the forms that clients ask for.

use crate::harness::Server;
use apimachinery::kinds;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

/// Every pointer in a tree.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The documents of version 3, by the path that the index gives them.
async fn v3(server: &Server) -> Vec<(String, Value)> {
    let index = server.ask("GET", "/openapi/v3").send().await.ok(200);
    let mut documents = Vec::new();
    for (path, entry) in object(&index["paths"]) {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        documents.push((path.clone(), server.ask("GET", url).send().await.ok(200)));
    }
    documents
}

#[track_caller]
fn check_whole(document: &Value, definitions: &Value, prefix: &str) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    for reference in found {
        let name = reference
            .strip_prefix(prefix)
            .unwrap_or_else(|| panic!("{reference}"));
        assert!(definitions.get(name).is_some(), "{reference} leads nowhere");
    }
    for (name, definition) in object(definitions) {
        assert!(
            definition["description"].as_str().is_some_and(|d| !d.is_empty()),
            "{name}"
        );
        let fields = definition.get("properties").map(object).into_iter().flatten();
        for (field, schema) in fields {
            assert!(
                schema["description"].as_str().is_some_and(|d| !d.is_empty()),
                "{name}.{field}"
            );
        }
        for required in definition["required"].as_array().into_iter().flatten() {
            let required = required.as_str().unwrap();
            assert!(
                definition["properties"].get(required).is_some(),
                "{name}.{required}"
            );
        }
    }
    let mut ids = BTreeSet::new();
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item).iter().filter(|(method, _)| *method != "parameters") {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{method} {path}: {id} is taken");
            assert!(operation["x-kubernetes-action"].is_string(), "{id}");
        }
        for parameter in path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        {
            let described = item["parameters"].as_array().unwrap();
            assert!(
                described.iter().any(|p| p["name"] == parameter),
                "{path}: {parameter}"
            );
        }
    }
}

#[tokio::test]
async fn every_pointer_leads_somewhere_and_every_field_is_described() {
    let server = Server::start().await;
    let whole = server.ask("GET", "/openapi/v2").send().await.ok(200);
    assert_eq!(whole["swagger"], "2.0");
    check_whole(&whole, &whole["definitions"], "#/definitions/");
    for (_, document) in v3(&server).await {
        check_whole(
            &document,
            &document["components"]["schemas"],
            "#/components/schemas/",
        );
    }
}

#[tokio::test]
async fn every_kind_is_explained() {
    let server = Server::start().await;
    let whole = server.ask("GET", "/openapi/v2").send().await.ok(200);
    let documents = v3(&server).await;
    for info in kinds::all() {
        let root = if info.group.is_empty() { "api" } else { "apis" };
        let path = format!("{root}/{}", info.api_version());
        let (_, document) = documents.iter().find(|(at, _)| *at == path).unwrap();
        let kind = serde_json::json!({"group": info.group, "version": info.version, "kind": info.kind});
        for definitions in [&whole["definitions"], &document["components"]["schemas"]] {
            let mut definitions = object(definitions).iter();
            let is_it = |definition: &Value| {
                let kinds = definition["x-kubernetes-group-version-kind"].as_array();
                kinds.is_some_and(|kinds| kinds.contains(&kind))
            };
            let (name, definition) = definitions.find(|(_, definition)| is_it(definition)).unwrap();
            for field in ["apiVersion", "kind", "metadata"] {
                assert!(definition["properties"].get(field).is_some(), "{name}.{field}");
            }
        }
        // What kubectl looks for before it validates, rehearses or patches.
        let patches = object(&document["paths"]).values().map(|item| &item["patch"]);
        let mut patches = patches.filter(|patch| patch["x-kubernetes-group-version-kind"] == kind);
        let patch = patches
            .next()
            .unwrap_or_else(|| panic!("{} has no patch", info.kind));
        let names: Vec<_> = patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| &p["name"])
            .collect();
        assert!(names.contains(&&"fieldValidation".into()) && names.contains(&&"dryRun".into()));
        assert!(
            patch["requestBody"]["content"]
                .get("application/strategic-merge-patch+json")
                .is_some()
        );
    }
}

#[tokio::test]
async fn fields_say_how_they_are_merged_and_what_they_hold() {
    let server = Server::start().await;
    let document = server.ask("GET", "/openapi/v3/api/v1").send().await.ok(200);
    let schemas = &document["components"]["schemas"];
    let spec = &schemas["io.k8s.api.core.v1.PodSpec"];
    assert_eq!(spec["required"], serde_json::json!(["containers"]));
    let containers = &spec["properties"]["containers"];
    assert_eq!(containers["type"], "array");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(
        containers["x-kubernetes-list-map-keys"],
        serde_json::json!(["name"])
    );
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(
        containers["items"]["$ref"],
        "#/components/schemas/io.k8s.api.core.v1.Container"
    );
    let volumes = &spec["properties"]["volumes"];
    assert_eq!(volumes["x-kubernetes-patch-strategy"], "merge,retainKeys");
    assert_eq!(
        spec["properties"]["nodeSelector"]["x-kubernetes-map-type"],
        "atomic"
    );
    assert_eq!(
        spec["properties"]["nodeSelector"]["additionalProperties"]["type"],
        "string"
    );
    assert_eq!(spec["properties"]["priority"]["format"], "int32");
    let context = &spec["properties"]["securityContext"];
    let target = "#/components/schemas/io.k8s.api.core.v1.PodSecurityContext";
    assert_eq!(context["allOf"][0]["$ref"], target);
    let volume = &schemas["io.k8s.api.core.v1.Volume"]["properties"];
    assert!(
        volume.get("emptyDir").is_some(),
        "inlined fields are the volume's own"
    );
    let port = &schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"];
    assert_eq!(port["default"], "TCP");
    let times = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.Time"];
    assert_eq!(
        (&times["type"], &times["format"]),
        (&"string".into(), &"date-time".into())
    );
    let number = &schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!(number["format"], "int-or-string");
}

#[tokio::test]
async fn operations_are_named_as_generated_clients_expect() {
    let server = Server::start().await;
    let whole = server.ask("GET", "/openapi/v2").send().await.ok(200);
    for (path, method, id) in [
        ("/api/v1/pods", "get", "listCoreV1PodForAllNamespaces"),
        (
            "/api/v1/namespaces/{namespace}/pods",
            "get",
            "listCoreV1NamespacedPod",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods",
            "post",
            "createCoreV1NamespacedPod",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods",
            "delete",
            "deleteCoreV1CollectionNamespacedPod",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}",
            "get",
            "readCoreV1NamespacedPod",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/log",
            "get",
            "readCoreV1NamespacedPodLog",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/exec",
            "get",
            "connectCoreV1GetNamespacedPodExec",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            "post",
            "createCoreV1NamespacedPodEviction",
        ),
        ("/api/v1/nodes/{name}/status", "patch", "patchCoreV1NodeStatus"),
        (
            "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
            "put",
            "replaceAppsV1NamespacedDeploymentScale",
        ),
        (
            "/apis/storage.k8s.io/v1/storageclasses/{name}",
            "delete",
            "deleteStorageV1StorageClass",
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "post",
            "createAuthorizationV1SelfSubjectAccessReview",
        ),
    ] {
        assert_eq!(whole["paths"][path][method]["operationId"], id, "{method} {path}");
    }
}

#[tokio::test]
async fn queries_are_described_by_the_messages_that_hold_them() {
    let server = Server::start().await;
    let whole = server.ask("GET", "/openapi/v2").send().await.ok(200);
    for (below, method, parameter, kind) in [
        ("", "get", "labelSelector", "string"),
        ("", "get", "limit", "integer"),
        ("", "post", "fieldManager", "string"),
        ("/{name}", "delete", "gracePeriodSeconds", "integer"),
        ("/{name}", "patch", "force", "boolean"),
        ("/{name}/log", "get", "tailLines", "integer"),
        ("/{name}/log", "get", "sinceTime", "string"),
        ("/{name}/exec", "post", "command", "string"),
    ] {
        let path = format!("/api/v1/namespaces/{{namespace}}/pods{below}");
        let described = whole["paths"][&path][method]["parameters"].as_array().unwrap();
        let found = described.iter().find(|described| described["name"] == parameter);
        assert_eq!(found.unwrap()["type"], kind, "{method} {path}: {parameter}");
    }
}

#[tokio::test]
async fn an_old_index_leads_to_the_new_document() {
    let server = Server::start().await;
    let old = server.ask("GET", "/openapi/v3/apis/apps/v1?hash=0").send().await;
    assert_eq!(old.code, 301);
    let place = old.headers["location"].to_str().unwrap().to_owned();
    let new = server.ask("GET", place).send().await;
    assert_eq!(new.code, 200);
    assert!(
        new.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
}

#[tokio::test]
async fn version_2_has_a_protobuf_form() {
    let server = Server::start().await;
    let mime = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let answer = server
        .ask("GET", "/openapi/v2")
        .header("accept", mime)
        .send()
        .await;
    assert_eq!(answer.code, 200);
    // Field 1 of the document: its version.
    assert!(answer.body.starts_with(b"\x0a\x032.0"));
    assert_eq!(
        answer.headers["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
}
