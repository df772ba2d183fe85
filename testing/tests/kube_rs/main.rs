//! What programs built on kube-rs do, done against a cluster of ours: the patterns of its examples, one file each.

mod controller;
mod custom;
mod dynamic;
mod events;
mod lease;
mod objects;
mod subresources;
mod watching;

use component_base::clock::Clock;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Waits for something that only a broken cluster does not do. Boxed, because kube-rs' conditions are large.
fn soon<'a, T: 'a>(
    what: &'a str,
    future: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    const PATIENCE: Duration = Duration::from_secs(60);
    Box::pin(async move {
        match Clock::system().timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("it never came that {what}"),
        }
    })
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
