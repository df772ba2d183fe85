//! Watches: raw, restarted by the watcher, kept in a store.

use super::{deployment, soon};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::store;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector, watcher as watch};
use kube::{Api, ResourceExt};
use orrery_test::Cluster;
use std::pin::pin;

fn settings(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

#[tokio::test]
async fn a_watch_continues_after_the_list_without_gap_or_duplicate() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let post = PostParams::default();
    maps.create(&post, &settings("before")).await.unwrap();
    let list = maps.list(&ListParams::default()).await.unwrap();
    maps.create(&post, &settings("between")).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let mut events = pin!(maps.watch(&WatchParams::default(), &version).await.unwrap());
    maps.create(&post, &settings("after")).await.unwrap();
    maps.delete("between", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = soon("the next event arrives", events.next())
            .await
            .unwrap()
            .unwrap();
        match event {
            WatchEvent::Added(map) => seen.push(format!("+{}", map.name_any())),
            WatchEvent::Deleted(map) => seen.push(format!("-{}", map.name_any())),
            WatchEvent::Bookmark(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["+between", "+after", "-between"]);
}

async fn initial_names(config: watcher::Config, cluster: &Cluster) -> Vec<String> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let mut events = pin!(watch(nodes, config));
    let mut names = Vec::new();
    loop {
        match soon("the initial state arrives", events.try_next())
            .await
            .unwrap()
            .unwrap()
        {
            Event::Init => {}
            Event::InitApply(node) => names.push(node.name_any()),
            Event::InitDone => return names,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_initial_state_comes_by_list_or_by_stream() {
    let cluster = Cluster::start().await.unwrap();
    let expected = ["node-0", "node-1", "node-2"];
    for config in [
        watcher::Config::default(),
        watcher::Config::default().any_semantic(),
        watcher::Config::default().page_size(2),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut names = initial_names(config.clone(), &cluster).await;
        names.sort();
        assert_eq!(names, expected, "{config:?}");
    }
    let fields = watcher::Config::default()
        .fields("metadata.name=node-1")
        .streaming_lists();
    assert_eq!(initial_names(fields, &cluster).await, ["node-1"]);
}

#[tokio::test]
async fn a_reflector_keeps_what_the_cluster_holds() {
    let cluster = Cluster::start().await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let deployments = Api::default_namespaced(cluster.client());
    let (reader, writer) = store();
    let stream = watch(
        pods,
        watcher::Config::default().labels("app=web").streaming_lists(),
    );
    let mut changes = pin!(reflector(writer, stream).default_backoff().applied_objects());
    deployments
        .create(&PostParams::default(), &deployment("web", 2))
        .await
        .unwrap();
    let running = |pod: &Pod| pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
    soon("two pods run", async {
        while reader.state().iter().filter(|pod| running(pod)).count() < 2 {
            changes.try_next().await.unwrap();
        }
    })
    .await;
    assert_eq!(reader.len(), 2);
}

#[tokio::test]
async fn metadata_is_watched_alone() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(cluster.client());
    let mut events = pin!(
        watch(metadata, watcher::Config::default())
            .default_backoff()
            .applied_objects()
    );
    maps.create(&PostParams::default(), &settings("settings"))
        .await
        .unwrap();
    soon("it arrives", async {
        while events.try_next().await.unwrap().unwrap().name_any() != "settings" {}
    })
    .await;
}
