//! Kinds that are found at run time.

use super::{deployment, soon};
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::discovery::{Scope, pinned_kind, verbs};
use kube::runtime::wait::await_condition;
use kube::{Api, Discovery, ResourceExt, core::GroupVersionKind};
use orrery_test::Cluster;

#[tokio::test]
async fn discovery_finds_every_kind_with_its_verbs() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    for discovery in [
        Discovery::new(cluster.client()).run().await.unwrap(),
        Discovery::new(cluster.client()).run_aggregated().await.unwrap(),
    ] {
        assert!(discovery.has_group("apps") && discovery.has_group(""));
        let gvk = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (resource, capabilities) = discovery.resolve_gvk(&gvk).unwrap();
        assert_eq!(resource.plural, "deployments");
        assert!(capabilities.supports_operation(verbs::WATCH));
        assert_eq!(capabilities.scope, Scope::Namespaced);
        assert!(
            capabilities
                .subresources
                .iter()
                .any(|(r, _)| r.plural.ends_with("scale"))
        );
        // Whatever can be listed is there to be listed.
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                if capabilities.supports_operation(verbs::LIST) {
                    let all: Api<DynamicObject> = Api::all_with(cluster.client(), &resource);
                    all.list(&ListParams::default())
                        .await
                        .unwrap_or_else(|error| panic!("{resource:?}: {error}"));
                }
            }
        }
    }
    assert!(
        cluster
            .client()
            .apiserver_version()
            .await
            .unwrap()
            .git_version
            .starts_with("v1.")
    );
}

#[tokio::test]
async fn a_dynamic_object_is_an_object_like_any_other() {
    let cluster = Cluster::start().await.unwrap();
    let gvk = GroupVersionKind::gvk("apps", "v1", "Deployment");
    let (resource, _): (ApiResource, _) = pinned_kind(&cluster.client(), &gvk).await.unwrap();
    let deployments: Api<DynamicObject> = Api::default_namespaced_with(cluster.client(), &resource);
    let value = serde_json::to_value(deployment("web", 1)).unwrap();
    let object: DynamicObject = serde_json::from_value(value).unwrap();
    deployments.create(&PostParams::default(), &object).await.unwrap();
    let ready = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| object.data["status"]["readyReplicas"] == 1)
    };
    let object = await_condition(deployments, "web", ready);
    let object = soon("it is ready", object).await.unwrap().unwrap();
    assert_eq!(object.name_any(), "web");
}
