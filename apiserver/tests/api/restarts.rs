//! What stays when the server does not: the store, and with it every promise of a watch. And what it tells of itself.

use super::harness::{Server, plain, pod, reason};
use apimachinery::status::Reason;
use apiserver::config::{Config, Engine};
use component_base::clock::Clock;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::orrery::v1::resources_client::ResourcesClient;
use proto::orrery::v1::{CreateRequest, GetRequest, WatchRequest, WatchTarget};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_watch_resumes_across_a_restart_and_is_told_when_it_cannot() {
    let mut server = Server::start().await;
    let first = server.create(&pod("a")).await.unwrap();
    let second = server.create(&pod("b")).await.unwrap();
    let store = server.store.clone();
    server.stop().await;

    let mut server = Server::over(store.clone()).await;
    let third = server.create(&pod("c")).await.unwrap();
    assert!(third.revision() > second.revision());
    assert!(
        ![first.uid(), second.uid()].contains(&third.uid()),
        "the same seed, another UID"
    );
    let mut watch = server.watch(&["pods"], first.revision()).await;
    assert_eq!(watch.next().await.revision, second.revision());
    assert_eq!(watch.next().await.revision, third.revision());
    store.compact(second.revision()).await.unwrap();
    server.stop().await;

    let mut server = Server::over(store).await;
    let request = WatchRequest {
        targets: vec![WatchTarget {
            kind: "pods".into(),
            ..WatchTarget::default()
        }],
        after_revision: first.revision(),
        bookmarks: false,
    };
    let Err(status) = server.watch_request(request).await else {
        panic!("the revision is gone")
    };
    assert_eq!(reason::<()>(Err(status)), Reason::Expired);
    server.stop().await;
}

#[tokio::test]
async fn the_embedded_store_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut created: Option<Pod> = None;
    for start in 0..2 {
        let config = Config {
            data_dir: directory.path().to_owned(),
            storage: Engine::Embedded,
            etcd_endpoints: Vec::new(),
            etcd_prefix: String::new(),
            event_ttl: Duration::from_secs(3600),
            retain_changes: 1_000,
            retain_age: Duration::from_secs(3600),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let running = tokio::spawn(apiserver::run(
            config,
            listener,
            Clock::system(),
            Seed(7),
            shutdown.clone(),
        ));
        let mut api = ResourcesClient::connect(address).await.unwrap();
        if start == 0 {
            let object = Some(proto::Object::encode_from(&pod("web")));
            let request = CreateRequest {
                object,
                ..CreateRequest::default()
            };
            created = Some(plain(api.create(request).await).unwrap().decode_as().unwrap());
        } else {
            let request = GetRequest {
                kind: "pods".into(),
                name: "web".into(),
                ..GetRequest::default()
            };
            let found: Pod = plain(api.get(request).await).unwrap().decode_as().unwrap();
            assert_eq!(Some(found), created);
        }
        shutdown.trigger();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn metrics_count_requests_objects_and_watches() {
    let mut server = Server::start().await;
    let mut watch = server.watch(&["pods"], 0).await;
    assert!(watch.initial::<Pod>().await.is_empty());
    server.create(&pod("web")).await.unwrap();
    watch.next().await;
    assert_eq!(reason(server.create(&pod("web")).await), Reason::AlreadyExists);
    let mut socket = TcpStream::connect(server.address.trim_start_matches("http://"))
        .await
        .unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    for line in [
        r#"apiserver_requests_total{verb="create",resource="pods",code="200",reason=""} 1"#,
        r#"apiserver_requests_total{verb="create",resource="pods",code="409",reason="AlreadyExists"} 1"#,
        r#"apiserver_objects{resource="pods"} 1"#,
        r#"apiserver_objects{resource="namespaces"} 4"#,
        "apiserver_watch_streams 1",
        "apiserver_watch_events_total 2",
        "apiserver_revision 5",
        "apiserver_commit_seconds_count 5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} is not in:\n{text}");
    }
    server.stop().await;
}
