//! Two apiservers over one etcd: what one has acknowledged, the other shows.
#![allow(clippy::print_stderr, reason = "a test that skips says so")]

#[allow(dead_code, reason = "storage's own tests need more of it")]
#[path = "../../../storage/tests/conformance/etcd_server.rs"]
mod etcd_server;

use super::harness::{Server, pod, reason};
use apimachinery::status::Reason;
use etcd_server::EtcdServer;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::meta::v1::DeleteOptions;
use std::sync::Arc;
use std::time::Duration;

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
