//! Requests: who asks and why, pages, batches, deadlines, errors.

use crate::fake::{Fake, Fault, stored};
use apimachinery::status::Reason;
use client::api::{ListOptions, Patch};
use client::{Api, Error};
use proto::api::core::v1::ConfigMap;
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, CreateRequest};
use proto::{Kind, Object};
use std::time::Duration;

fn map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata_mut().name = name.into();
    map
}

fn create(object: &ConfigMap) -> BatchOperation {
    let create = CreateRequest {
        object: Some(Object::encode_from(object)),
        ..CreateRequest::default()
    };
    BatchOperation {
        operation: Some(Operation::Create(create)),
        cause: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn typed_requests_go_out_and_come_back_and_say_who_and_why() {
    let fake = Fake::start();
    let maps: Api<ConfigMap> = Api::new(fake.client("alice"));
    let mut made = maps.with_cause(41).create(&map("a")).await.unwrap();
    {
        let state = fake.state();
        assert_eq!((state.log[0].actor.as_str(), state.log[0].cause), ("alice", 41));
    }
    assert_eq!(maps.get("default", "a").await.unwrap(), made);
    made.data.insert("k".into(), "v".into());
    let updated = maps.update(&made).await.unwrap();
    let patch = Patch::Merge(r#"{"data":{"k":"w"}}"#.into());
    let patched = maps.patch("default", "a", patch).await.unwrap();
    assert_eq!(
        (updated.data["k"].as_str(), patched.data["k"].as_str()),
        ("v", "w")
    );
    assert!(maps.update(&made).await.unwrap_err().is_conflict());
    for name in ["b", "c", "d", "e"] {
        maps.create(&map(name)).await.unwrap();
    }
    let list = maps.list(ListOptions::default()).await.unwrap();
    let names: Vec<_> = list.items.iter().map(Kind::name).collect();
    assert_eq!((names, list.revision), (vec!["a", "b", "c", "d", "e"], 7));
    let deleted = maps
        .delete("default", "a", DeleteOptions::default())
        .await
        .unwrap();
    assert!(deleted.gone && deleted.object == patched);
    assert_eq!(maps.find("default", "a").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_goes_out_in_several_calls_and_keeps_its_order() {
    let fake = Fake::start();
    let client = fake.client("alice");
    let mut operations: Vec<_> = (0..2100).map(|i| create(&map(&format!("m-{i:04}")))).collect();
    operations[1500] = create(&map("m-0000"));
    let results = client.batch(operations).await;
    assert_eq!(fake.state().batches, [1000, 1000, 100]);
    for (i, result) in results.iter().enumerate() {
        match result {
            Ok(object) => {
                assert_eq!(
                    object.decode_as::<ConfigMap>().unwrap().name(),
                    format!("m-{i:04}")
                );
            }
            Err(error) => assert!(i == 1500 && error.is_already_exists(), "{i}: {error}"),
        }
    }
    // Three of 1.5 MiB do not fit into one call.
    let mut large = map("large");
    large.data.insert("k".into(), "v".repeat(3 << 19));
    let operations = (0..3).map(|i| {
        large.metadata_mut().name = format!("large-{i}");
        create(&large)
    });
    let results = client.batch(operations.collect()).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(fake.state().batches[3..], [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_ends_with_the_deadline_and_may_be_asked_for_again() {
    let fake = Fake::start();
    let client = fake.client("alice");
    fake.state().faults.extend([Fault::Hang, Fault::Refuse]);
    let start = fake.clock.now();
    let hung = client.batch(vec![create(&map("a"))]).await.remove(0).unwrap_err();
    assert_eq!(fake.clock.now() - start, client::limits::DEADLINE);
    let refused = client.batch(vec![create(&map("a"))]).await.remove(0).unwrap_err();
    for error in [hung, refused] {
        assert!(error.retryable() && error.reason().is_none(), "{error}");
        assert!(matches!(error, Error::Transport { .. }), "{error:?}");
    }
    assert!(stored::<ConfigMap>(&fake).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_reached_again_by_the_same_client() {
    let fake = Fake::start();
    let maps: Api<ConfigMap> = Api::new(fake.client("alice"));
    fake.state().down = true;
    let error = maps.get("default", "a").await.unwrap_err();
    assert!(error.retryable(), "{error:?}");
    fake.state().down = false;
    fake.clock.sleep(Duration::from_secs(1)).await;
    let error = maps.get("default", "a").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NotFound));
    assert!(!error.retryable());
}

#[test]
fn a_server_address_may_leave_out_its_scheme_and_a_bad_one_is_told() {
    for (server, good) in [
        ("127.0.0.1:7443", true),
        ("http://localhost:1", true),
        ("http://", false),
        ("a b", false),
    ] {
        let config = client::ClientConfig::new(server, "alice");
        assert_eq!(config.endpoint().is_ok(), good, "{server}");
    }
}
