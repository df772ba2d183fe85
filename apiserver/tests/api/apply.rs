//! Server-side apply and the field managers of every other write.

use super::harness::{Server, plain, pod, reason};
use apimachinery::status::Reason;
use proto::api::apps::v1::Deployment;
use proto::api::autoscaling::v1::Scale;
use proto::api::core::v1::{ConfigMap, Pod, Service};
use proto::meta::v1::{DeleteOptions, ManagedFieldsEntry, Status};
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{CreateRequest, PatchRequest, UpdateRequest};
use proto::{Kind, Object};
use serde_json::{Value, json};

/// A request to apply; the configuration says to what.
fn config(manager: &str, config: &Value) -> PatchRequest {
    PatchRequest {
        kind: config["kind"].as_str().unwrap_or_default().into(),
        name: config["metadata"]["name"].as_str().unwrap_or_default().into(),
        r#type: Type::Apply.into(),
        patch: config.to_string(),
        field_manager: manager.into(),
        ..PatchRequest::default()
    }
}

async fn apply<K: Kind>(server: &mut Server, request: PatchRequest) -> Result<K, Status> {
    let object: Object = plain(server.resources.patch(request).await)?;
    Ok(object.decode_as().unwrap())
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

fn deployment(replicas: Option<i32>) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1", "ports": [{"containerPort": 80}]}]}}},
    });
    if let Some(replicas) = replicas {
        deployment["spec"]["replicas"] = json!(replicas);
    }
    deployment
}

/// Who owns what: `manager operation subresource fields`, in order.
fn owners(object: &impl Kind) -> Vec<String> {
    let entries = object.meta().managed_fields.iter();
    entries
        .map(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| fields.raw.to_vec());
            let fields = String::from_utf8(fields.unwrap_or_default()).unwrap();
            format!(
                "{} {} {} {fields}",
                entry.manager, entry.operation, entry.subresource
            )
        })
        .collect()
}

#[tokio::test]
async fn applying_creates_then_changes_and_the_same_again_changes_nothing() {
    let mut server = Server::start().await;
    let first: Deployment = apply(&mut server, config("ci", &deployment(Some(2))))
        .await
        .unwrap();
    assert_eq!(first.meta().generation, 1);
    assert_eq!(
        owners(&first),
        [concat!(
            r#"ci Apply  {"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"#,
            r#""f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":"#,
            r#"{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":"#,
            r#"{".":{},"f:containerPort":{}}}}}}}}}"#
        )],
        "what was defaulted is nobody's"
    );
    let entry = &first.meta().managed_fields[0];
    assert_eq!(
        (entry.api_version.as_str(), entry.fields_type.as_str()),
        ("apps/v1", "FieldsV1")
    );
    assert!(entry.time.is_some());
    let again: Deployment = apply(&mut server, config("ci", &deployment(Some(2))))
        .await
        .unwrap();
    assert_eq!(again, first, "with its resourceVersion and times");

    let image = |value: &mut Value| {
        value["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:2");
    };
    let mut next = deployment(Some(2));
    image(&mut next);
    let changed: Deployment = apply(&mut server, config("ci", &next)).await.unwrap();
    assert_eq!(changed.meta().generation, 2);
    let mut dry = config("ci", &deployment(Some(2)));
    dry.dry_run = true;
    apply::<Deployment>(&mut server, dry).await.unwrap();
    assert_eq!(server.get::<Deployment>("default", "web").await.unwrap(), changed);
    server.stop().await;
}

#[tokio::test]
async fn two_managers_share_conflict_and_force() {
    let mut server = Server::start().await;
    apply::<Deployment>(&mut server, config("ci", &deployment(Some(2))))
        .await
        .unwrap();
    let scale = |replicas: i32| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas}});
    let shared: Deployment = apply(&mut server, config("hpa", &scale(2))).await.unwrap();
    assert_eq!(shared.meta().managed_fields.len(), 2);
    let conflict = apply::<Deployment>(&mut server, config("hpa", &scale(5)))
        .await
        .unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"ci\": .spec.replicas"
    );
    assert_eq!((conflict.reason.as_str(), conflict.code), ("Conflict", 409));
    let mut forced = config("hpa", &scale(5));
    forced.force = true;
    let forced: Deployment = apply(&mut server, forced).await.unwrap();
    assert_eq!(forced.spec.as_ref().unwrap().replicas, Some(5));
    // The first one lets go of what it does not own any more, and nothing happens to it.
    let let_go: Deployment = apply(&mut server, config("ci", &deployment(None))).await.unwrap();
    assert_eq!(let_go.spec.as_ref().unwrap().replicas, Some(5));
    // Nobody wants replicas now, so that the default is back.
    let bare = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let bare: Deployment = apply(&mut server, config("hpa", &bare)).await.unwrap();
    assert_eq!(bare.spec.as_ref().unwrap().replicas, Some(1));
    assert_eq!(bare.meta().managed_fields.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn updates_and_patches_take_fields_and_are_named() {
    let mut server = Server::start().await;
    let created: ConfigMap = apply(
        &mut server,
        config("ci", &config_map(&json!({"a": "1", "b": "1"}))),
    )
    .await
    .unwrap();
    let mut changed = created.clone();
    changed.data.insert("a".into(), "2".into());
    // A client that does not know them sends none; they stay.
    changed.metadata_mut().managed_fields.clear();
    let request = UpdateRequest {
        object: Some(Object::encode_from(&changed)),
        field_manager: "edit".into(),
        ..UpdateRequest::default()
    };
    let updated: ConfigMap = plain(server.resources.update(request).await)
        .unwrap()
        .decode_as()
        .unwrap();
    assert_eq!(
        owners(&updated),
        [
            r#"ci Apply  {"f:data":{"f:b":{}}}"#,
            r#"edit Update  {"f:data":{"f:a":{}}}"#
        ]
    );
    let patch = PatchRequest {
        kind: "cm".into(),
        name: "c".into(),
        r#type: Type::Merge.into(),
        patch: r#"{"data":{"c":"3"}}"#.into(),
        ..PatchRequest::default()
    };
    let patched: ConfigMap = apply(&mut server, patch).await.unwrap();
    assert_eq!(
        owners(&patched)[2],
        r#"system:anonymous Update  {"f:data":{"f:c":{}}}"#,
        "who names no manager is its actor"
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_created_under_a_managers_name_is_tracked_and_nothing_else_is() {
    let mut server = Server::start().await;
    let untracked = server.create(&pod("quick")).await.unwrap();
    assert!(untracked.meta().managed_fields.is_empty());
    let untouched = server.update(&untracked, "status").await.unwrap();
    assert!(untouched.meta().managed_fields.is_empty());
    let request = CreateRequest {
        object: Some(Object::encode_from(&pod("slow"))),
        field_manager: "kubectl-run".into(),
        ..CreateRequest::default()
    };
    let tracked: Pod = plain(server.resources.create(request).await)
        .unwrap()
        .decode_as()
        .unwrap();
    let owned = owners(&tracked);
    assert_eq!(owned.len(), 1);
    assert!(
        owned[0]
            .starts_with(r#"kubectl-run Update  {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":"#)
    );
    assert!(owned[0].contains(r#""f:image":{}"#) && owned[0].contains(r#""f:restartPolicy":{}"#));
    assert!(!owned[0].contains("f:status") && !owned[0].contains("f:uid"));

    let mut running = tracked.clone();
    running.status.get_or_insert_default().message = "here".into();
    let running: Pod = server.update(&running, "status").await.unwrap();
    assert_eq!(
        owners(&running)[1],
        r#"system:anonymous Update status {"f:status":{"f:message":{}}}"#
    );
    server.stop().await;
}

#[tokio::test]
async fn status_and_scale_are_applied_apart() {
    let mut server = Server::start().await;
    apply::<Deployment>(&mut server, config("ci", &deployment(None)))
        .await
        .unwrap();
    let mut status = config(
        "probe",
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"replicas": 9}, "status": {"replicas": 1}}),
    );
    status.subresource = "status".into();
    let after: Deployment = apply(&mut server, status).await.unwrap();
    assert_eq!(
        after.spec.as_ref().unwrap().replicas,
        Some(1),
        "the status alone is written"
    );
    assert_eq!(after.status.as_ref().unwrap().replicas, 1);
    assert!(owners(&after).contains(&r#"probe Apply status {"f:status":{"f:replicas":{}}}"#.to_owned()));

    let mut scale = config(
        "hpa",
        &json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}),
    );
    (scale.kind, scale.subresource) = ("Deployment".into(), "scale".into());
    let scaled: Scale = apply(&mut server, scale.clone()).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, 4);
    let after: Deployment = server.get("default", "web").await.unwrap();
    assert!(owners(&after).contains(&r#"hpa Apply scale {"f:spec":{"f:replicas":{}}}"#.to_owned()));
    let conflict = apply::<Deployment>(&mut server, config("ci", &deployment(Some(1))))
        .await
        .unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\": .spec.replicas"
    );
    scale.name = "gone".into();
    scale.patch = scale.patch.replace("\"web\"", "\"gone\"");
    assert_eq!(reason(apply::<Scale>(&mut server, scale).await), Reason::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn a_client_may_reset_rewrite_and_not_spoil_managed_fields() {
    let mut server = Server::start().await;
    let created: ConfigMap = apply(&mut server, config("ci", &config_map(&json!({"a": "1"}))))
        .await
        .unwrap();
    let json_patch = |patch: &str| PatchRequest {
        kind: "cm".into(),
        name: "c".into(),
        r#type: Type::Json.into(),
        patch: patch.into(),
        field_manager: "kubectl".into(),
        ..PatchRequest::default()
    };
    // As kubectl migrates from client-side apply: it rewrites the entries themselves.
    let renamed: ConfigMap = apply(
        &mut server,
        json_patch(r#"[{"op":"replace","path":"/metadata/managedFields/0/manager","value":"cd"}]"#),
    )
    .await
    .unwrap();
    assert_eq!(owners(&renamed), [r#"cd Apply  {"f:data":{"f:a":{}}}"#]);

    let mut spoiled = renamed.clone();
    spoiled.metadata_mut().managed_fields[0].operation = "Steal".into();
    let kept: ConfigMap = server.update(&spoiled, "").await.unwrap();
    assert_eq!(
        kept, renamed,
        "entries that cannot be read change nothing, as upstream"
    );

    let mut reset = renamed.clone();
    reset.metadata_mut().managed_fields = vec![ManagedFieldsEntry::default()];
    let reset: ConfigMap = server.update(&reset, "").await.unwrap();
    assert!(owners(&reset).is_empty());
    assert_ne!(reset.meta().resource_version, created.meta().resource_version);

    let first: ConfigMap = apply(&mut server, config("ci", &config_map(&json!({"a": "1"}))))
        .await
        .unwrap();
    assert_eq!(
        owners(&first),
        [
            r#"ci Apply  {"f:data":{"f:a":{}}}"#,
            r#"before-first-apply Update  {"f:data":{".":{},"f:a":{}}}"#
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_configuration_is_refused_with_a_reason() {
    let mut server = Server::start().await;
    let good = config_map(&json!({"a": "1"}));
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        edit(&mut value);
        PatchRequest {
            kind: "ConfigMap".into(),
            name: "c".into(),
            patch: value.to_string(),
            ..config("ci", &good)
        }
    };
    let cases: [(&str, PatchRequest, Reason); 10] = [
        ("no manager", config("", &good), Reason::BadRequest),
        (
            "a long manager",
            config(&"x".repeat(129), &good),
            Reason::BadRequest,
        ),
        ("no kind", with(&|v| v["kind"] = Value::Null), Reason::BadRequest),
        (
            "no version",
            with(&|v| v["apiVersion"] = Value::Null),
            Reason::BadRequest,
        ),
        (
            "another version",
            with(&|v| v["apiVersion"] = json!("v2")),
            Reason::BadRequest,
        ),
        (
            "another name",
            with(&|v| v["metadata"]["name"] = json!("d")),
            Reason::BadRequest,
        ),
        (
            "another namespace",
            with(&|v| v["metadata"]["namespace"] = json!("kube-system")),
            Reason::BadRequest,
        ),
        (
            "managers",
            with(&|v| v["metadata"]["managedFields"] = json!([{}])),
            Reason::BadRequest,
        ),
        (
            "an unknown field",
            with(&|v| v["datum"] = json!({})),
            Reason::BadRequest,
        ),
        (
            "an older object",
            with(&|v| v["metadata"]["uid"] = json!("u")),
            Reason::Conflict,
        ),
    ];
    for (name, request, expected) in cases {
        let refused = apply::<ConfigMap>(&mut server, request).await;
        assert_eq!(reason(refused), expected, "{name}");
    }
    let stale = with(&|v| v["metadata"]["resourceVersion"] = json!("7"));
    assert_eq!(
        reason(apply::<ConfigMap>(&mut server, stale.clone()).await),
        Reason::Conflict
    );
    apply::<ConfigMap>(&mut server, config("ci", &good))
        .await
        .unwrap();
    assert_eq!(
        reason(apply::<ConfigMap>(&mut server, stale).await),
        Reason::Conflict
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                         "spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}});
    let twice = apply::<Service>(&mut server, config("ci", &service))
        .await
        .unwrap_err();
    assert!(
        twice
            .message
            .contains("duplicate entries for key [port=80,protocol=\"TCP\"]"),
        "{}",
        twice.message
    );
    let text = PatchRequest {
        patch: "{".into(),
        ..config("ci", &good)
    };
    assert_eq!(
        reason(apply::<ConfigMap>(&mut server, text).await),
        Reason::BadRequest
    );
    server.stop().await;
}

#[tokio::test]
async fn an_apply_after_a_delete_creates_again() {
    let mut server = Server::start().await;
    let good = config_map(&json!({"a": "1"}));
    let first: ConfigMap = apply(&mut server, config("ci", &good)).await.unwrap();
    server
        .delete::<ConfigMap>("default", "c", DeleteOptions::default())
        .await
        .unwrap();
    let second: ConfigMap = apply(&mut server, config("ci", &good)).await.unwrap();
    assert_ne!(first.meta().uid, second.meta().uid);
    server.stop().await;
}

#[tokio::test]
async fn a_strategic_merge_patch_merges_containers_by_their_names() {
    let mut server = Server::start().await;
    apply::<Deployment>(&mut server, config("ci", &deployment(None)))
        .await
        .unwrap();
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:9"}, {"name": "side", "image": "s:1"}]}}}});
    let request = PatchRequest {
        kind: "deploy".into(),
        name: "web".into(),
        r#type: Type::StrategicMerge.into(),
        patch: patch.to_string(),
        field_manager: "kubectl-patch".into(),
        ..PatchRequest::default()
    };
    let patched: Deployment = apply(&mut server, request.clone()).await.unwrap();
    let spec = patched
        .spec
        .as_ref()
        .unwrap()
        .template
        .as_ref()
        .unwrap()
        .spec
        .as_ref()
        .unwrap();
    let containers: Vec<(&str, &str, usize)> = spec
        .containers
        .iter()
        .map(|container| (&*container.name, &*container.image, container.ports.len()))
        .collect();
    assert_eq!(containers, [("web", "nginx:9", 1), ("side", "s:1", 0)]);
    let again: Deployment = apply(&mut server, request).await.unwrap();
    assert_eq!(again, patched);
    server.stop().await;
}
