//! What programs built on kube-rs do, done against a cluster of ours: the patterns of its examples, one file each.

mod controller;
mod custom;
mod dynamic;
mod events;
mod lease;
mod objects;
mod subresources;
mod watching;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use std::future::Future;

/// Waits for something that only a broken cluster does not do.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
    match component_base::clock::Clock::system()
        .timeout(PATIENCE, future)
        .await
    {
        Ok(value) => value,
        Err(_) => panic!("it never came that {what}"),
    }
}

/// A Deployment of a web server.
fn deployment(name: &str, replicas: i32) -> Deployment {
    serde_json::from_value(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "nginx:1.27"}]},
            },
        },
    }))
    .expect("a Deployment")
}

/// The reason of an error that the API gave.
fn reason<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) => status.reason,
        other => panic!("not an error of the API: {other:?}"),
    }
}
