//! A cluster comes, many of them at once, and leaves nothing behind.

use orrery_test::{Cluster, StartError};
use std::net::TcpStream;

/// The threads of this process that belong to clusters.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "orrery-test").count()
}

/// One test, because it counts this process' threads.
#[tokio::test]
async fn a_cluster_is_ready_when_it_has_started_and_leaves_nothing_when_it_is_dropped() {
    let cluster = Cluster::start().await.unwrap();
    let directory = cluster.directory().to_owned();
    let port = cluster.endpoint("apiserver").unwrap();
    assert!(directory.join("kubeconfig").exists());
    assert!(threads() >= 1);
    for component in ["apiserver", "controller-manager", "scheduler", "kubelet-sim"] {
        TcpStream::connect(cluster.endpoint(component).unwrap()).unwrap();
    }
    drop(cluster);
    assert!(!directory.exists(), "the files are gone");
    assert!(TcpStream::connect(port).is_err(), "the port is free");
    assert_eq!(threads(), 0, "the threads have ended");

    let clusters: Result<Vec<Cluster>, StartError> =
        futures::future::try_join_all((0..20).map(|_| Cluster::start())).await;
    let mut clusters = clusters.unwrap();
    let mut urls: Vec<String> = clusters.iter().map(Cluster::url).collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 20, "each has an address of its own");
    let ports: Vec<_> = clusters
        .iter()
        .map(|cluster| cluster.endpoint("apiserver").unwrap())
        .collect();
    clusters.truncate(1);
    TcpStream::connect(ports[0]).expect("the one that is left still runs");
    for port in &ports[1..] {
        assert!(
            TcpStream::connect(port).is_err(),
            "those that were dropped are gone"
        );
    }
    drop(clusters);
    assert_eq!(threads(), 0, "all threads have ended");

    let bare = Cluster::builder().apiserver_only().start().await.unwrap();
    assert!(bare.endpoint("scheduler").is_none() && bare.endpoint("kubelet-sim").is_none());
    TcpStream::connect(bare.endpoint("apiserver").unwrap()).unwrap();
}
