//! What becomes of custom objects when what they belong to goes: their owner, their namespace, their definition.

use crate::soon;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Resource, ResourceExt};
use orrery_test::Cluster;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

fn definition() -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "metadata": {"name": "kites.custom.example.com"},
        "spec": {
            "group": "custom.example.com", "scope": "Namespaced",
            "names": {"plural": "kites", "kind": "Kite"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object"}},
            }}}],
        },
    }))
    .unwrap()
}

fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("custom.example.com", "v1", "Kite");
    ApiResource::from_gvk_with_plural(&kind, "kites")
}

fn kite(name: &str, owner: Option<Value>) -> DynamicObject {
    let mut kite = DynamicObject::new(name, &resource()).data(json!({"spec": {}}));
    if let Some(owner) = owner {
        kite.metadata.owner_references = Some(vec![serde_json::from_value(owner).unwrap()]);
    }
    kite
}

/// Waits until an object is gone.
async fn goes<K>(api: &Api<K>, name: &str)
where
    K: Clone + Debug + DeserializeOwned + Send + 'static,
    K: Resource,
{
    let is_gone = |object: Option<&K>| object.is_none();
    soon("it is gone", await_condition(api.clone(), name, is_gone))
        .await
        .unwrap();
}

#[tokio::test]
async fn custom_objects_go_with_their_owner_and_with_their_namespace() {
    let cluster = Cluster::start().await.unwrap();
    let client = cluster.client();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &definition())
        .await
        .unwrap();
    let (maps, kites): (Api<ConfigMap>, Api<DynamicObject>) = (
        Api::namespaced(client.clone(), "default"),
        Api::namespaced_with(client.clone(), "default", &resource()),
    );
    let owned_by = |api_version: &str, kind: &str, name: String, uid: Option<String>| json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid.unwrap()});

    // A kite owns a map, and is owned by another.
    let mut first: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "first"}})).unwrap();
    first = maps.create(&PostParams::default(), &first).await.unwrap();
    let owner = owned_by("v1", "ConfigMap", first.name_any(), first.uid());
    let owned = kites
        .create(&PostParams::default(), &kite("owned", Some(owner)))
        .await
        .unwrap();
    let owner = owned_by("custom.example.com/v1", "Kite", owned.name_any(), owned.uid());
    let last: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "last", "ownerReferences": [owner]}})).unwrap();
    maps.create(&PostParams::default(), &last).await.unwrap();
    maps.delete("first", &Default::default()).await.unwrap();
    goes(&maps, "last").await;
    assert!(kites.get_opt("owned").await.unwrap().is_none());

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let shop: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&PostParams::default(), &shop).await.unwrap();
    let in_shop: Api<DynamicObject> = Api::namespaced_with(client.clone(), "shop", &resource());
    in_shop
        .create(&PostParams::default(), &kite("red", None))
        .await
        .unwrap();
    namespaces.delete("shop", &Default::default()).await.unwrap();
    goes(&namespaces, "shop").await;
    assert!(in_shop.get_opt("red").await.unwrap().is_none());

    kites
        .create(&PostParams::default(), &kite("blue", None))
        .await
        .unwrap();
    definitions
        .delete("kites.custom.example.com", &Default::default())
        .await
        .unwrap();
    goes(&definitions, "kites.custom.example.com").await;
}
