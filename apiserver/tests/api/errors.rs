//! What bad input gets: one row a case, for every RPC. Each answer has the gRPC code of the design's table and carries
//! Kubernetes' `Status` with the reason that clients branch on.

use super::harness::{Server, pod};
use component_base::grpc::from_tonic;
use proto::api::core::v1::{ConfigMap, Pod};
use proto::meta::v1::{DeleteOptions, ObjectMeta, Preconditions, Status};
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{
    BatchOperation, BatchRequest, BindRequest, CreateRequest, DeleteCollectionRequest, DeleteRequest,
    EvictRequest, GetChangeRequest, GetRequest, ListChangesRequest, ListRequest, PatchRequest, UpdateRequest,
    WatchRequest, WatchTarget,
};
use proto::{Kind, Object};
use tonic::Code;

/// Checks code and reason, and that the message says something about `about`.
#[track_caller]
fn check<T>(result: Result<T, tonic::Status>, code: Code, reason: &str, about: &str) -> Status {
    let Err(error) = result else {
        panic!("expected {reason} about {about}");
    };
    let status = from_tonic(&error);
    assert_eq!(
        (error.code(), status.reason.as_str()),
        (code, reason),
        "{}",
        error.message()
    );
    assert!(
        !error.details().is_empty(),
        "no Status in the details of {error:?}"
    );
    assert!(
        status.message.contains(about),
        "{:?} says nothing of {about:?}",
        status.message
    );
    status
}

const POD: &str = "Pod";

fn get(kind: &str, name: &str) -> GetRequest {
    GetRequest {
        kind: kind.into(),
        name: name.into(),
        ..GetRequest::default()
    }
}

#[tokio::test]
async fn reads_say_what_is_wrong() {
    let mut server = Server::start().await;
    let last = server.create(&pod("web")).await.unwrap().revision();
    let api = &mut server.resources;
    check(
        api.get(get("ponies", "x")).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "ponies",
    );
    check(
        api.get(get("", "x")).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "no kind",
    );
    check(
        api.get(get(POD, "")).await,
        Code::InvalidArgument,
        "BadRequest",
        "name",
    );
    check(
        api.get(get(POD, "a/b")).await,
        Code::InvalidArgument,
        "BadRequest",
        "name",
    );
    check(
        api.get(get(POD, "none")).await,
        Code::NotFound,
        "NotFound",
        "pods \"none\" not found",
    );
    let scale = GetRequest {
        subresource: "scale".into(),
        ..get(POD, "web")
    };
    check(
        api.get(scale).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "scale",
    );
    let future = GetRequest {
        revision: last + 100,
        ..get(POD, "web")
    };
    check(
        api.get(future).await,
        Code::DeadlineExceeded,
        "Timeout",
        "Too large resource version",
    );
    let negative = GetRequest {
        revision: -1,
        ..get(POD, "web")
    };
    check(
        api.get(negative).await,
        Code::InvalidArgument,
        "BadRequest",
        "revision",
    );

    let list = |edit: fn(&mut ListRequest)| {
        let mut request = ListRequest {
            kind: POD.into(),
            ..ListRequest::default()
        };
        edit(&mut request);
        request
    };
    check(
        api.list(list(|r| r.kind = "ponies".into())).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "ponies",
    );
    check(
        api.list(list(|r| r.label_selector = "a in (".into())).await,
        Code::InvalidArgument,
        "BadRequest",
        "label_selector",
    );
    check(
        api.list(list(|r| r.field_selector = "spec.nothing=1".into()))
            .await,
        Code::InvalidArgument,
        "BadRequest",
        "spec.nothing",
    );
    check(
        api.list(list(|r| r.limit = -1)).await,
        Code::InvalidArgument,
        "BadRequest",
        "limit",
    );
    check(
        api.list(list(|r| r.r#continue = "nonsense".into())).await,
        Code::InvalidArgument,
        "BadRequest",
        "continue",
    );
    check(
        api.list(list(|r| r.revision = 1 << 40)).await,
        Code::DeadlineExceeded,
        "Timeout",
        "Too large",
    );

    let watch = |kind: &str, edit: fn(&mut WatchRequest)| {
        let target = WatchTarget {
            kind: kind.into(),
            ..WatchTarget::default()
        };
        let mut request = WatchRequest {
            targets: vec![target],
            ..WatchRequest::default()
        };
        edit(&mut request);
        request
    };
    check(
        api.watch(watch("ponies", |_| ())).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "ponies",
    );
    check(
        api.watch(watch(POD, |r| r.targets.clear())).await,
        Code::InvalidArgument,
        "BadRequest",
        "targets",
    );
    check(
        api.watch(watch(POD, |r| r.targets = vec![r.targets[0].clone(); 65]))
            .await,
        Code::InvalidArgument,
        "BadRequest",
        "64",
    );
    check(
        api.watch(watch(POD, |r| r.targets[0].label_selector = "=".into()))
            .await,
        Code::InvalidArgument,
        "BadRequest",
        "label_selector",
    );
    check(
        api.watch(watch(POD, |r| r.after_revision = -1)).await,
        Code::InvalidArgument,
        "BadRequest",
        "after_revision",
    );
    check(
        api.watch(watch(POD, |r| r.after_revision = 1 << 40)).await,
        Code::DeadlineExceeded,
        "Timeout",
        "Too large",
    );

    let api = &mut server.history;
    check(
        api.get_change(GetChangeRequest { revision: 0 }).await,
        Code::InvalidArgument,
        "BadRequest",
        "revision",
    );
    check(
        api.get_change(GetChangeRequest { revision: 1 << 40 }).await,
        Code::DeadlineExceeded,
        "Timeout",
        "Too large",
    );
    let changes = ListChangesRequest {
        kind: "ponies".into(),
        name: "x".into(),
        ..ListChangesRequest::default()
    };
    check(
        api.list_changes(changes).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "ponies",
    );
    server.stop().await;
}

#[tokio::test]
async fn compacted_revisions_are_expired() {
    let mut server = Server::start().await;
    let first = server.create(&pod("a")).await.unwrap().revision();
    let last = server.create(&pod("b")).await.unwrap().revision();
    server.store.compact(last).await.unwrap();
    let change = server
        .history
        .get_change(GetChangeRequest { revision: first })
        .await;
    let status = check(change, Code::OutOfRange, "Expired", "too old resource version");
    assert_eq!(status.code, 410);
    server.stop().await;
}

#[tokio::test]
async fn writes_say_what_is_wrong() {
    let mut server = Server::start().await;
    let web = server.create(&pod("web")).await.unwrap();
    let api = &mut server.resources;
    let create = |pod: &Pod| CreateRequest {
        object: Some(Object::encode_from(pod)),
        ..CreateRequest::default()
    };

    check(
        api.create(CreateRequest::default()).await,
        Code::InvalidArgument,
        "BadRequest",
        "no object",
    );
    check(
        api.create(create(&pod("web"))).await,
        Code::AlreadyExists,
        "AlreadyExists",
        "pods \"web\" already exists",
    );
    check(
        api.create(create(&web)).await,
        Code::InvalidArgument,
        "BadRequest",
        "resourceVersion",
    );
    let mut lost = pod("lost");
    lost.metadata_mut().namespace = "nowhere".into();
    check(
        api.create(create(&lost)).await,
        Code::NotFound,
        "NotFound",
        "namespaces \"nowhere\" not found",
    );
    let mut nameless = pod("");
    check(
        api.create(create(&nameless)).await,
        Code::InvalidArgument,
        "Invalid",
        "metadata.name",
    );
    nameless.metadata_mut().name = "Not A Name".into();
    nameless.spec = None;
    let status = check(
        api.create(create(&nameless)).await,
        Code::InvalidArgument,
        "Invalid",
        "spec.containers",
    );
    let fields: Vec<String> = status
        .details
        .unwrap()
        .causes
        .into_iter()
        .map(|cause| cause.field)
        .collect();
    assert!(
        fields.contains(&"metadata.name".to_owned()),
        "every fault is named: {fields:?}"
    );
    let unknown_kind = Object {
        number: 999,
        bytes: vec![].into(),
    };
    let request = CreateRequest {
        object: Some(unknown_kind),
        ..CreateRequest::default()
    };
    check(
        api.create(request).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "999",
    );
    let mut large = ConfigMap::default();
    large.metadata_mut().name = "large".into();
    large.data.insert("k".into(), "x".repeat(1_600_000));
    let request = CreateRequest {
        object: Some(Object::encode_from(&large)),
        ..CreateRequest::default()
    };
    check(
        api.create(request).await,
        Code::ResourceExhausted,
        "RequestEntityTooLarge",
        "1572864",
    );

    let update = |pod: &Pod, subresource: &str| UpdateRequest {
        object: Some(Object::encode_from(pod)),
        subresource: subresource.into(),
        ..UpdateRequest::default()
    };
    check(
        api.update(update(&pod("none"), "")).await,
        Code::NotFound,
        "NotFound",
        "none",
    );
    check(
        api.update(update(&web, "approval")).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "approval",
    );
    let edited = |edit: fn(&mut ObjectMeta)| {
        let mut pod = web.clone();
        edit(pod.metadata_mut());
        update(&pod, "")
    };
    check(
        api.update(edited(|m| m.resource_version = "1".into())).await,
        Code::Aborted,
        "Conflict",
        "the object has been modified",
    );
    check(
        api.update(edited(|m| m.resource_version = "x".into())).await,
        Code::InvalidArgument,
        "Invalid",
        "resourceVersion",
    );
    check(
        api.update(edited(|m| m.uid = "other".into())).await,
        Code::Aborted,
        "Conflict",
        "UID in precondition",
    );
    let scale = UpdateRequest {
        object: Some(Object {
            number: 1000,
            ..Object::default()
        }),
        kind: "deploy".into(),
        ..UpdateRequest::default()
    };
    check(
        api.update(scale).await,
        Code::InvalidArgument,
        "BadRequest",
        "Scale",
    );

    let patch = |form: Type, patch: &str| PatchRequest {
        kind: POD.into(),
        name: "web".into(),
        r#type: form.into(),
        patch: patch.into(),
        ..PatchRequest::default()
    };
    check(
        api.patch(patch(Type::Unspecified, "{}")).await,
        Code::InvalidArgument,
        "BadRequest",
        "type",
    );
    check(
        api.patch(patch(Type::Merge, "{")).await,
        Code::InvalidArgument,
        "BadRequest",
        "patch",
    );
    check(
        api.patch(patch(Type::Json, r#"[{"op":"test","path":"/spec/x","value":1}]"#))
            .await,
        Code::InvalidArgument,
        "Invalid",
        "operation 0",
    );
    check(
        api.patch(patch(Type::Merge, r#"{"spec":{"wings":2}}"#)).await,
        Code::InvalidArgument,
        "BadRequest",
        "spec.wings",
    );
    check(
        api.patch(patch(Type::Merge, r#"{"metadata":{"name":"x"}}"#))
            .await,
        Code::InvalidArgument,
        "BadRequest",
        "metadata.name",
    );
    check(
        api.patch(patch(Type::Merge, r#"{"metadata":{"resourceVersion":"1"}}"#))
            .await,
        Code::Aborted,
        "Conflict",
        "modified",
    );

    let delete = |name: &str, options: DeleteOptions| DeleteRequest {
        kind: POD.into(),
        name: name.into(),
        options: Some(options),
        ..DeleteRequest::default()
    };
    check(
        api.delete(delete("none", DeleteOptions::default())).await,
        Code::NotFound,
        "NotFound",
        "none",
    );
    let uid = Preconditions {
        uid: Some("other".into()),
        ..Preconditions::default()
    };
    let other = DeleteOptions {
        preconditions: Some(uid),
        ..DeleteOptions::default()
    };
    check(
        api.delete(delete("web", other)).await,
        Code::Aborted,
        "Conflict",
        "UID in the precondition",
    );
    let odd = DeleteOptions {
        propagation_policy: Some("Sideways".into()),
        ..DeleteOptions::default()
    };
    check(
        api.delete(delete("web", odd)).await,
        Code::InvalidArgument,
        "Invalid",
        "propagationPolicy",
    );
    let many = DeleteCollectionRequest {
        kind: "ponies".into(),
        ..DeleteCollectionRequest::default()
    };
    check(
        api.delete_collection(many).await,
        Code::Unimplemented,
        "MethodNotAllowed",
        "ponies",
    );

    let batch = BatchRequest {
        operations: vec![BatchOperation::default(); 1001],
    };
    check(
        api.batch(batch).await,
        Code::InvalidArgument,
        "BadRequest",
        "1000",
    );

    let bind = |name: &str, uid: &str, node: &str| BindRequest {
        name: name.into(),
        uid: uid.into(),
        node: node.into(),
        ..BindRequest::default()
    };
    let api = &mut server.pods;
    check(
        api.bind(bind("none", "", "n1")).await,
        Code::NotFound,
        "NotFound",
        "none",
    );
    check(
        api.bind(bind("web", "other", "n1")).await,
        Code::Aborted,
        "Conflict",
        "UID",
    );
    check(
        api.bind(bind("web", "", "")).await,
        Code::InvalidArgument,
        "BadRequest",
        "node",
    );
    let evict = EvictRequest {
        name: "none".into(),
        ..EvictRequest::default()
    };
    check(api.evict(evict).await, Code::NotFound, "NotFound", "none");

    let mut actor = tonic::Request::new(create(&pod("x")));
    actor
        .metadata_mut()
        .insert("orrery-cause", "soon".parse().unwrap());
    check(
        server.resources.create(actor).await,
        Code::InvalidArgument,
        "BadRequest",
        "orrery-cause",
    );
    server.stop().await;
}
