//! Custom resources over gRPC: usable as soon as their definition is acknowledged, and gone before it is.

use super::harness::{Server, plain, reason};
use apimachinery::json::{self, Unknown};
use apimachinery::status::Reason;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::meta::v1::{DeleteOptions, Status};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{
    BatchOperation, BatchRequest, CreateRequest, DeleteRequest, GetRequest, ListRequest, PatchRequest,
    UpdateRequest, batch_result,
};
use proto::{EventType, Kind, Object};
use serde_json::{Value, json};
use std::sync::Arc;
use storage::memory::MemoryStore;

/// The arm of all custom kinds.
const CUSTOM: u32 = 29;

fn definition(group: &str, plural: &str, kind: &str) -> Value {
    let schema = |properties: Value| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": properties},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
        }}})
    };
    let subresources = json!({
        "status": {},
        "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.replicas"},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "shortNames": [format!("{plural}x")]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "subresources": subresources,
                 "selectableFields": [{"jsonPath": ".spec.color"}],
                 "schema": schema(json!({
                    "size": {"type": "integer", "minimum": 0, "default": 1},
                    "color": {"type": "string"},
                 }))},
                {"name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                 "subresources": subresources,
                 "schema": schema(json!({"size": {"type": "integer"}}))},
            ],
        },
    })
}

fn encoded(tree: &Value) -> Object {
    let decoded = match tree["kind"].as_str() {
        Some("CustomResourceDefinition") => json::from_value(tree, Unknown::Strict),
        _ => json::from_value_as(CUSTOM, tree, Unknown::Strict),
    };
    let decoded = decoded.unwrap();
    Object {
        number: decoded.number,
        bytes: decoded.bytes,
    }
}

fn tree(object: &Object) -> Value {
    json::to_value(object.number, &object.bytes).unwrap()
}

fn widget(group: &str, version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("{group}/{version}"), "kind": kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

impl Server {
    async fn send(&mut self, tree: &Value) -> Result<Value, Status> {
        self.send_checked(tree, "").await
    }

    async fn send_checked(&mut self, object: &Value, validation: &str) -> Result<Value, Status> {
        let request = CreateRequest {
            object: Some(encoded(object)),
            field_validation: validation.into(),
            ..CreateRequest::default()
        };
        plain(self.resources.create(request).await).map(|object| tree(&object))
    }

    async fn replace(&mut self, object: &Value, subresource: &str) -> Result<Value, Status> {
        let request = UpdateRequest {
            object: Some(encoded(object)),
            subresource: subresource.into(),
            ..UpdateRequest::default()
        };
        plain(self.resources.update(request).await).map(|object| tree(&object))
    }

    async fn read(&mut self, kind: &str, name: &str) -> Result<Value, Status> {
        let request = GetRequest {
            kind: kind.into(),
            name: name.into(),
            ..GetRequest::default()
        };
        plain(self.resources.get(request).await).map(|object| tree(&object))
    }

    async fn names(&mut self, kind: &str, fields: &str) -> Result<Vec<String>, Status> {
        let request = ListRequest {
            kind: kind.into(),
            field_selector: fields.into(),
            ..ListRequest::default()
        };
        let listed = self.list(request).await?;
        let name = |object| tree(object)["metadata"]["name"].as_str().unwrap().to_owned();
        Ok(listed.items.iter().map(name).collect())
    }

    async fn change(&mut self, kind: &str, name: &str, patch: &Value) -> Result<Value, Status> {
        let request = PatchRequest {
            kind: kind.into(),
            name: name.into(),
            r#type: Type::Merge.into(),
            patch: patch.to_string(),
            ..PatchRequest::default()
        };
        plain(self.resources.patch(request).await).map(|object| tree(&object))
    }

    async fn remove(&mut self, kind: &str, name: &str) -> Result<bool, Status> {
        let request = DeleteRequest {
            kind: kind.into(),
            name: name.into(),
            options: Some(DeleteOptions::default()),
            ..DeleteRequest::default()
        };
        plain(self.resources.delete(request).await).map(|answer| answer.gone)
    }
}

fn condition<'v>(definition: &'v Value, r#type: &str) -> &'v str {
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == r#type);
    found.map_or("", |condition| condition["status"].as_str().unwrap())
}

#[tokio::test]
async fn twenty_kinds_are_used_as_soon_as_they_are_acknowledged_and_survive_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let mut server = Server::over(store.clone()).await;
    for i in 0..20 {
        let (group, plural, kind) = ("many.example.com", format!("kind{i}s"), format!("Kind{i}"));
        let created = server.send(&definition(group, &plural, &kind)).await.unwrap();
        assert_eq!(condition(&created, "Established"), "True");
        assert_eq!(created["status"]["storedVersions"], json!(["v1"]));
        let object = server
            .send(&widget(group, "v1", &kind, "a", json!({})))
            .await
            .unwrap();
        assert_eq!(object["spec"], json!({"size": 1}));
        assert_eq!(object["metadata"]["generation"], 1);
    }
    server.stop().await;
    let mut server = Server::over(store).await;
    for i in 0..20 {
        let names = server
            .names(&format!("kind{i}s.many.example.com"), "")
            .await
            .unwrap();
        assert_eq!(names, ["a"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_custom_object_is_read_and_written_by_every_verb() {
    const GROUP: &str = "verbs.example.com";
    let mut server = Server::start().await;
    server.send(&definition(GROUP, "lamps", "Lamp")).await.unwrap();
    let mut watch = server.watch(&["lamps"], 0).await;
    assert_eq!(watch.next().await.r#type(), EventType::Synced);
    let lamp = |name: &str, spec| widget(GROUP, "v1", "Lamp", name, spec);
    server.send(&lamp("red", json!({"color": "red"}))).await.unwrap();
    let mut blue = server
        .send(&lamp("blue", json!({"color": "blue"})))
        .await
        .unwrap();
    assert_eq!(
        reason(server.send(&lamp("blue", json!({}))).await),
        Reason::AlreadyExists
    );
    assert_eq!(
        reason(server.send(&lamp("bad", json!({"size": -1}))).await),
        Reason::Invalid
    );
    for kind in [
        "lamps",
        "lamp",
        "Lamp",
        "lampsx",
        "lamps.verbs.example.com",
        "lamps.v1.verbs.example.com",
    ] {
        assert_eq!(server.names(kind, "").await.unwrap(), ["blue", "red"], "{kind}");
    }
    assert_eq!(server.names("lamps", "spec.color=red").await.unwrap(), ["red"]);
    assert_eq!(
        server.names("lamps", "metadata.name=blue").await.unwrap(),
        ["blue"]
    );
    assert_eq!(
        reason(server.names("lamps", "spec.size=1").await),
        Reason::BadRequest
    );

    // The spec counts generations, the status does not; each is written by its own way.
    blue["spec"]["size"] = 4.into();
    blue["status"] = json!({"replicas": 9});
    let blue = server.replace(&blue, "").await.unwrap();
    assert_eq!(
        (&blue["metadata"]["generation"], blue.get("status")),
        (&json!(2), None)
    );
    let mut told = blue.clone();
    told["status"] = json!({"replicas": 3});
    told["spec"]["size"] = 7.into();
    let told = server.replace(&told, "status").await.unwrap();
    assert_eq!(
        (&told["spec"]["size"], &told["status"]["replicas"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(told["metadata"]["generation"], 2);
    assert_eq!(reason(server.replace(&blue, "").await), Reason::Conflict);
    assert_eq!(
        server.replace(&told, "").await.unwrap(),
        told,
        "nothing changed, nothing is written"
    );
    let patched = server
        .change("lamps", "blue", &json!({"spec": {"size": 5}}))
        .await
        .unwrap();
    assert_eq!(patched["metadata"]["generation"], 3);

    let scale = GetRequest {
        kind: "lamps".into(),
        name: "blue".into(),
        subresource: "scale".into(),
        ..GetRequest::default()
    };
    let scale = plain(server.resources.get(scale).await).unwrap();
    assert_eq!(tree(&scale)["spec"], json!({"replicas": 5}));
    assert_eq!(tree(&scale)["status"]["replicas"], 3);
    let mut wanted: proto::api::autoscaling::v1::Scale = scale.decode_as().unwrap();
    wanted.spec.get_or_insert_default().replicas = 8;
    let request = UpdateRequest {
        object: Some(Object::encode_from(&wanted)),
        subresource: "scale".into(),
        kind: "lamps".into(),
        ..UpdateRequest::default()
    };
    plain(server.resources.update(request).await).unwrap();
    assert_eq!(server.read("lamps", "blue").await.unwrap()["spec"]["size"], 8);

    assert!(server.remove("lamps", "red").await.unwrap());
    assert_eq!(reason(server.read("lamps", "red").await), Reason::NotFound);
    let mut seen = Vec::new();
    while seen.last() != Some(&(EventType::Deleted, "red".to_owned())) {
        let event = watch.next().await;
        let object = event.object.clone().unwrap();
        seen.push((
            event.r#type(),
            tree(&object)["metadata"]["name"].as_str().unwrap().to_owned(),
        ));
    }
    assert_eq!(seen[0], (EventType::Added, "red".into()));
    server.stop().await;
}

#[tokio::test]
async fn one_batch_defines_a_kind_and_makes_its_first_object() {
    const GROUP: &str = "batch.example.com";
    let mut server = Server::start().await;
    let create = |tree: &Value| BatchOperation {
        operation: Some(Operation::Create(CreateRequest {
            object: Some(encoded(tree)),
            ..CreateRequest::default()
        })),
        cause: 0,
    };
    let request = BatchRequest {
        operations: vec![
            create(&definition(GROUP, "tools", "Tool")),
            create(&widget(GROUP, "v1", "Tool", "saw", json!({}))),
            create(&widget(GROUP, "v1", "Unknown", "x", json!({}))),
        ],
    };
    let done = plain(server.resources.batch(request).await).unwrap();
    let ok = |i: usize| matches!(done.results[i].result, Some(batch_result::Result::Object(_)));
    assert_eq!((ok(0), ok(1), ok(2)), (true, true, false));
    server.stop().await;
}

#[tokio::test]
async fn every_version_shows_the_same_object_in_its_own_way() {
    const GROUP: &str = "versions.example.com";
    let mut server = Server::start().await;
    server.send(&definition(GROUP, "doors", "Door")).await.unwrap();
    let mut old = server
        .send(&widget(
            GROUP,
            "v1beta1",
            "Door",
            "front",
            json!({"size": 2, "color": "red"}),
        ))
        .await
        .unwrap();
    assert_eq!(old["apiVersion"], "versions.example.com/v1beta1");
    assert_eq!(old["spec"], json!({"size": 2}), "its schema has no color");
    server
        .change("doors", "front", &json!({"spec": {"color": "red"}}))
        .await
        .unwrap();
    let new = server.read("doors", "front").await.unwrap();
    assert_eq!(
        (&new["apiVersion"], &new["spec"]),
        (
            &json!("versions.example.com/v1"),
            &json!({"size": 2, "color": "red"})
        )
    );
    old = server
        .read("doors.v1beta1.versions.example.com", "front")
        .await
        .unwrap();
    assert_eq!(old["spec"], json!({"size": 2}));
    let mut watch = server.watch(&["doors.v1beta1.versions.example.com"], 0).await;
    let first = tree(&watch.next().await.object.unwrap());
    assert_eq!(first, old);
    let unserved = widget(GROUP, "v3", "Door", "back", json!({}));
    assert_eq!(reason(server.send(&unserved).await), Reason::MethodNotAllowed);
    server.stop().await;
}

#[tokio::test]
async fn fields_that_the_schema_does_not_have_are_dropped_or_refused() {
    const GROUP: &str = "strict.example.com";
    let mut server = Server::start().await;
    server.send(&definition(GROUP, "locks", "Lock")).await.unwrap();
    let lock = widget(
        GROUP,
        "v1",
        "Lock",
        "a",
        json!({"size": 1, "colour": "red", "more": [{"x": 1}]}),
    );
    let refused = server.send_checked(&lock, "Strict").await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::BadRequest));
    assert!(
        refused.message.contains("unknown field \"spec.colour\""),
        "{}",
        refused.message
    );
    let kept = server.send_checked(&lock, "Ignore").await.unwrap();
    assert_eq!(kept["spec"], json!({"size": 1}));
    server.stop().await;
}

#[tokio::test]
async fn a_definition_that_breaks_the_rules_is_refused_and_a_taken_name_waits() {
    const GROUP: &str = "names.example.com";
    let mut server = Server::start().await;
    let mut wrong = definition(GROUP, "cups", "Cup");
    wrong["metadata"]["name"] = "others.names.example.com".into();
    assert_eq!(reason(server.send(&wrong).await), Reason::Invalid);
    server.send(&definition(GROUP, "cups", "Cup")).await.unwrap();
    let second = server.send(&definition(GROUP, "mugs", "Cup")).await.unwrap();
    assert_eq!(condition(&second, "NamesAccepted"), "False");
    assert_eq!(condition(&second, "Established"), "False");
    assert_eq!(reason(server.names("mugs", "").await), Reason::MethodNotAllowed);
    let mut watch = server.watch(&["crd"], 0).await;
    server.remove("crd", "cups.names.example.com").await.unwrap();
    loop {
        let event = watch.next().await;
        let Some(object) = event.object else { continue };
        let definition: CustomResourceDefinition = object.decode_as().unwrap();
        let tree = tree(&object);
        if definition.name().starts_with("mugs") && condition(&tree, "Established") == "True" {
            break;
        }
    }
    server
        .send(&widget(GROUP, "v1", "Cup", "a", json!({})))
        .await
        .unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_definition_goes_after_its_objects_which_keep_their_finalizers() {
    const GROUP: &str = "gone.example.com";
    let mut server = Server::start().await;
    server.send(&definition(GROUP, "leaves", "Leaf")).await.unwrap();
    let mut held = widget(GROUP, "v1", "Leaf", "held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.send(&held).await.unwrap();
    for chunk in 0..2 {
        let operations = (0..500).map(|i| BatchOperation {
            operation: Some(Operation::Create(CreateRequest {
                object: Some(encoded(&widget(
                    GROUP,
                    "v1",
                    "Leaf",
                    &format!("l-{chunk}-{i}"),
                    json!({}),
                ))),
                ..CreateRequest::default()
            })),
            cause: 0,
        });
        let request = BatchRequest {
            operations: operations.collect(),
        };
        plain(server.resources.batch(request).await).unwrap();
    }
    let mut watch = server.watch(&["leaves"], 0).await;
    let mut definitions = server.watch(&["crd"], 0).await;
    assert!(!server.remove("crd", "leaves.gone.example.com").await.unwrap());
    let marked = server.read("crd", "leaves.gone.example.com").await.unwrap();
    assert_eq!(condition(&marked, "Terminating"), "True");
    let late = widget(GROUP, "v1", "Leaf", "late", json!({}));
    assert_eq!(reason(server.send(&late).await), Reason::MethodNotAllowed);
    let mut deleted = 0;
    while deleted < 1000 {
        deleted += usize::from(watch.next().await.r#type() == EventType::Deleted);
    }
    assert_eq!(server.names("leaves", "").await.unwrap(), ["held"]);
    server
        .change("leaves", "held", &json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    while definitions.next().await.r#type() != EventType::Deleted {}
    assert_eq!(reason(server.names("leaves", "").await), Reason::MethodNotAllowed);
    // The watch tells the last deletion, and ends.
    let mut last = 0;
    while let Some(frame) = watch.0.message().await.unwrap() {
        last += usize::from(frame.event().unwrap().r#type() == EventType::Deleted);
    }
    assert_eq!(last, 1);
    server.stop().await;
}
