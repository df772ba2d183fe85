//! Two apiservers over one store: what one has acknowledged, the other shows.
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

#[allow(dead_code, reason = "storage's own tests need more of it")]
#[path = "../../../storage/tests/conformance/etcd_server.rs"]
mod etcd_server;

use super::faults::Faulty;
use super::harness::{Server, plain, pod, reason};
use apimachinery::status::Reason;
use etcd_server::EtcdServer;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{ConfigMap, Namespace, Pod};
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::DeleteCollectionRequest;
use std::sync::Arc;
use std::time::Duration;
use storage::memory::MemoryStore;
use storage::store::{Key, Origin, Precondition, Write};

/// Longer than the test.
const KEEP: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_write_through_one_server_is_seen_through_the_other() {
    let Some(etcd) = EtcdServer::start().await else {
        eprintln!("skipped: no etcd on this machine (Debian: apt-get install etcd-server)");
        return;
    };
    let mut one = Server::sharing(Arc::new(etcd.store("/shared", KEEP).await)).await;
    let mut other = Server::sharing(Arc::new(etcd.store("/shared", KEEP).await)).await;
    let mut watch = other.watch(&["pods"], 0).await;
    assert!(watch.initial::<Pod>().await.is_empty());
    for i in 0..20 {
        let name = format!("p{i}");
        let created = one.create(&pod(&name)).await.unwrap();
        // At once: an acknowledged write is visible to every later read.
        let mut read: Pod = other.get("default", &name).await.unwrap();
        assert_eq!(read, created);
        assert_eq!(watch.next().await.revision, created.revision());
        read.metadata_mut().labels.insert("by".into(), "other".into());
        let changed = other.update(&read, "").await.unwrap();
        assert_eq!(watch.next().await.revision, changed.revision());
        // `created` is stale now, wherever it is written.
        let mut stale = created.clone();
        stale.metadata_mut().labels.insert("by".into(), "one".into());
        assert_eq!(reason(one.update(&stale, "").await), Reason::Conflict);
        assert!(
            one.delete::<Pod>("default", &name, DeleteOptions::default())
                .await
                .unwrap()
                .gone
        );
        assert_eq!(reason(other.get::<Pod>("default", &name).await), Reason::NotFound);
        watch.next().await;
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_namespace_made_through_one_server_takes_objects_through_the_other() {
    let store = MemoryStore::new();
    let mut one = Server::sharing(Arc::new(store.clone())).await;
    let mut other = Server::sharing(Faulty::lagging(store, Duration::from_millis(50))).await;
    let mut team = Namespace::default();
    team.metadata_mut().name = "team".into();
    one.create(&team).await.unwrap();
    let mut member = pod("member");
    member.metadata_mut().namespace = "team".into();
    other.create(&member).await.unwrap();
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_collection_is_what_was_there_and_not_what_takes_its_names_meanwhile() {
    let store = Faulty::lagging(MemoryStore::new(), Duration::ZERO);
    let mut server = Server::sharing(store.clone()).await;
    let mut map = ConfigMap::default();
    map.metadata_mut().name = "settings".into();
    let map = server.create(&map).await.unwrap();
    let mut successor = map.clone();
    successor.metadata_mut().uid = "another".into();
    successor.metadata_mut().resource_version.clear();
    let write = |value| Write {
        key: Key::new("configmaps", "default", "settings"),
        value,
        precondition: Precondition::None,
        origin: Origin {
            actor: "test".into(),
            cause: 0,
            time: proto::Timestamp::default(),
        },
    };
    *store.intruder.lock().unwrap() = vec![write(None), write(Some(successor.encode_to_vec().into()))];
    let request = DeleteCollectionRequest {
        kind: "configmaps".into(),
        namespace: "default".into(),
        ..DeleteCollectionRequest::default()
    };
    let answer = plain(server.resources.delete_collection(request).await).unwrap();
    assert_eq!(answer.deleted, 0);
    let left: ConfigMap = server.get("default", "settings").await.unwrap();
    assert_eq!(left.uid(), "another");
    server.stop().await;
}
