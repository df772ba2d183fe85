//! Input that no honest client sends: right answer, no hang, no growth, and the server still serves afterwards.

use super::harness::{Server, pod};
use apimachinery::kinds;
use component_base::clock::Clock;
use component_base::grpc::from_tonic;
use proto::api::core::v1::{ConfigMap, Pod};
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{CreateRequest, UpdateRequest, WatchRequest, WatchTarget};
use proto::{EventFrame, EventType, Kind, Object};
use std::time::Duration;
use tonic::Code;
use tonic::transport::Endpoint;

fn create(number: u32, bytes: Vec<u8>) -> CreateRequest {
    CreateRequest {
        object: Some(Object {
            number,
            bytes: bytes.into(),
        }),
        ..CreateRequest::default()
    }
}

#[track_caller]
fn refused<T>(result: Result<T, tonic::Status>, what: &str) -> proto::meta::v1::Status {
    let Err(error) = result else {
        panic!("{what} was taken");
    };
    assert_eq!(error.code(), Code::InvalidArgument, "{what}: {error:?}");
    from_tonic(&error)
}

#[tokio::test]
async fn undecodable_objects_of_every_kind_are_refused_by_every_write() {
    let mut server = Server::start().await;
    let cut_short: Vec<u8> = vec![0x0a, 0x7f, 0x01];
    let not_utf8 = vec![0x0a, 0x03, 0x0a, 0x01, 0xff];
    let wrong_type = vec![0x08, 0x01];
    let group = vec![0x0b, 0x0c];
    for info in kinds::all() {
        for bytes in [&cut_short, &not_utf8, &wrong_type, &group] {
            let what = format!("{} {bytes:?}", info.kind);
            refused(
                server.resources.create(create(info.number, bytes.clone())).await,
                &what,
            );
            let update = UpdateRequest {
                object: create(info.number, bytes.clone()).object,
                ..UpdateRequest::default()
            };
            refused(server.resources.update(update).await, &what);
        }
    }
    server.create(&pod("web")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn unknown_fields_are_named_by_their_path() {
    use prost::Message;
    let mut server = Server::start().await;
    let mut bytes = pod("web").encode_to_vec();
    // Field 999 of the Pod itself, a varint.
    bytes.extend([0xb8, 0x3e, 0x01]);
    let status = refused(
        server.resources.create(create(Pod::NUMBER, bytes)).await,
        "field 999",
    );
    assert!(status.message.contains("999"), "{}", status.message);
    assert_eq!(status.details.unwrap().causes[0].field, "999");
    server.stop().await;
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let mut server = Server::start().await;
    // No message of ours contains itself, but groups nest as deep as one likes: field 999 in field 999, and so on.
    let (start, end) = ([0xbb, 0x3e], [0xbc, 0x3e]);
    let bytes = [start.repeat(100_000), end.repeat(100_000)].concat();
    refused(
        server.resources.create(create(Pod::NUMBER, bytes)).await,
        "groups",
    );
    let patch = format!(
        "{{\"metadata\":{{\"annotations\":{}1{}}}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    server.create(&pod("web")).await.unwrap();
    let patch = proto::orrery::v1::PatchRequest {
        kind: "pods".into(),
        name: "web".into(),
        r#type: proto::orrery::v1::patch_request::Type::Merge.into(),
        patch,
        ..proto::orrery::v1::PatchRequest::default()
    };
    refused(server.resources.patch(patch).await, "a deep patch");
    server.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_as_too_large() {
    let mut server = Server::start().await;
    let mut large = ConfigMap::default();
    large.metadata_mut().name = "large".into();
    large.data.insert("k".into(), "x".repeat(5 << 20));
    let error = server
        .resources
        .create(create(ConfigMap::NUMBER, prost::Message::encode_to_vec(&large)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(from_tonic(&error).reason, "RequestEntityTooLarge");
    server.create(&pod("web")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_that_never_reads_holds_up_nobody() {
    let mut server = Server::start().await;
    // Two kilobytes each, so that flow control stops the stream long before the end.
    let mut map = ConfigMap::default();
    map.metadata_mut().name = "hot".into();
    map.data.insert("k".into(), "x".repeat(2_000));
    server.create(&map).await.unwrap();
    let request = WatchRequest {
        targets: vec![WatchTarget {
            kind: "cm".into(),
            ..WatchTarget::default()
        }],
        ..WatchRequest::default()
    };
    let channel = Endpoint::from_shared(server.address.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let idle = ResourcesClient::new(channel).watch(request).await.unwrap();
    let mut reader = server.watch(&["cm"], 0).await;
    assert_eq!(reader.initial::<ConfigMap>().await, ["hot"]);
    for i in 0..500 {
        map.data.insert("n".into(), i.to_string());
        let revision = server.update(&map, "").await.unwrap().revision();
        let event = reader.next().await;
        assert_eq!((event.r#type(), event.revision), (EventType::Modified, revision));
    }
    // Once it reads again, it has missed nothing.
    let mut late = super::harness::Watch(idle.into_inner());
    assert_eq!(late.initial::<ConfigMap>().await, ["hot"]);
    let mut last = 0;
    for _ in 0..500 {
        let event = late.next().await;
        assert!(event.revision > last, "in order, each once");
        last = event.revision;
    }
    assert_eq!(
        last,
        server
            .get::<ConfigMap>("default", "hot")
            .await
            .unwrap()
            .revision()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_streams_on_one_connection_are_served_and_freed() {
    let mut server = Server::start().await;
    let mut watches = Vec::new();
    for _ in 0..1_000 {
        watches.push(server.watch(&["pods"], 0).await);
    }
    server.create(&pod("web")).await.unwrap();
    for watch in &mut watches {
        assert!(watch.initial::<Pod>().await.len() <= 1);
    }
    drop(watches);
    // Freed streams make room: the same again would not fit beside the first thousand.
    for _ in 0..3 {
        let mut again = Vec::new();
        for _ in 0..500 {
            again.push(server.watch(&["pods"], 0).await);
        }
        assert_eq!(again[499].initial::<Pod>().await, ["web"]);
    }
    let stopped = Clock::system()
        .timeout(Duration::from_secs(10), server.stop())
        .await;
    stopped.expect("streams do not hold up the shutdown");
}

#[tokio::test]
async fn a_small_batch_over_large_objects_has_an_answer_that_fits_a_message() {
    use proto::orrery::v1::batch_operation::Operation;
    use proto::orrery::v1::batch_result::Result as One;
    use proto::orrery::v1::{BatchOperation, BatchRequest, PatchRequest, patch_request::Type};
    let mut server = Server::start().await;
    let mut large = ConfigMap::default();
    large.metadata_mut().name = "large".into();
    large.data.insert("k".into(), "x".repeat(1_000_000));
    server.create(&large).await.unwrap();
    let patch = |i: i32| BatchOperation {
        operation: Some(Operation::Patch(PatchRequest {
            kind: "cm".into(),
            name: "large".into(),
            r#type: Type::Merge.into(),
            patch: format!("{{\"data\":{{\"i\":\"{i}\"}}}}"),
            ..PatchRequest::default()
        })),
        cause: 0,
    };
    let operations = (0..10).map(patch).collect();
    let answer = server
        .resources
        .batch(BatchRequest { operations })
        .await
        .unwrap()
        .into_inner();
    let bytes: usize = answer.results.iter().map(prost::Message::encoded_len).sum();
    assert!(bytes < 4 << 20, "{bytes}");
    let mut last = 0;
    for result in answer.results {
        let Some(One::Object(object)) = result.result else {
            panic!("{result:?}")
        };
        let revision = object.decode_as::<ConfigMap>().unwrap().revision();
        assert!(revision > last, "each result tells its revision");
        last = revision;
    }
    let changes = proto::orrery::v1::ListChangesRequest {
        kind: "cm".into(),
        name: "large".into(),
        ..Default::default()
    };
    let changes = server
        .history
        .list_changes(changes)
        .await
        .unwrap()
        .into_inner()
        .changes;
    assert!(!changes.is_empty() && changes[0].revision == last);
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_is_no_message_is_a_bad_request_to_every_method() {
    let server = Server::start().await;
    let channel = Endpoint::from_shared(server.address.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut tried = 0;
    for service in proto::descriptors().services() {
        if !["Resources", "Pods", "History"].contains(&service.name()) {
            continue;
        }
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            for garbage in [&b"\xff\xff\xff\xff"[..], b"\x0a\x7f\x01", b"\x0a\x02\xff\xfe"] {
                // A frame's bytes go out as they are.
                let request = tonic::Request::new(EventFrame(bytes::Bytes::copy_from_slice(garbage)));
                let mut client = tonic::client::Grpc::new(channel.clone());
                client.ready().await.unwrap();
                let codec = tonic_prost::ProstCodec::<EventFrame, EventFrame>::default();
                let answer = client
                    .server_streaming(request, path.parse().unwrap(), codec)
                    .await;
                let error = match answer {
                    Err(error) => error,
                    Ok(stream) => stream
                        .into_inner()
                        .message()
                        .await
                        .expect_err("garbage was taken"),
                };
                assert_eq!(
                    error.code(),
                    Code::InvalidArgument,
                    "{path} {garbage:?}: {error:?}"
                );
                assert_eq!(from_tonic(&error).reason, "BadRequest", "{path}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3 * 13, "9 methods of Resources, 2 of Pods, 2 of History");
    server.stop().await;
}
