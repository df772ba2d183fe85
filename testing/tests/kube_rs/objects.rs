//! Objects: create, read, replace, patch, apply, list by pages, delete.

use super::{deployment, reason, soon};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::conditions;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use orrery_test::Cluster;
use serde_json::json;

fn settings(name: &str) -> ConfigMap {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"set": "a"}}, "data": {"level": "info"}}),
    )
    .expect("a ConfigMap")
}

#[tokio::test]
async fn an_object_goes_through_its_life() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let post = PostParams::default();
    assert!(maps.get_opt("settings").await.unwrap().is_none());
    assert_eq!(reason(maps.get("settings").await), "NotFound");

    let created = maps.create(&post, &settings("settings")).await.unwrap();
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    assert_eq!(
        reason(maps.create(&post, &settings("settings")).await),
        "AlreadyExists"
    );

    let mut newer = created.clone();
    newer
        .data
        .get_or_insert_default()
        .insert("level".into(), "debug".into());
    let newer = maps.replace("settings", &post, &newer).await.unwrap();
    assert_ne!(newer.resource_version(), created.resource_version());
    assert_eq!(
        reason(maps.replace("settings", &post, &created).await),
        "Conflict",
        "an old version does not replace a newer one"
    );
    let same = maps.replace("settings", &post, &newer).await.unwrap();
    assert_eq!(
        same.resource_version(),
        newer.resource_version(),
        "what changes nothing makes no version"
    );

    let rehearsal = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    maps.create(&rehearsal, &settings("rehearsed")).await.unwrap();
    assert!(maps.get_opt("rehearsed").await.unwrap().is_none());

    let gone = maps.delete("settings", &DeleteParams::default()).await.unwrap();
    assert!(gone.is_right(), "nothing held it: {gone:?}");
    assert_eq!(
        reason(maps.delete("settings", &DeleteParams::default()).await),
        "NotFound"
    );
}

#[tokio::test]
async fn patches_of_every_type_change_what_they_name() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    deployments
        .create(&PostParams::default(), &deployment("web", 1))
        .await
        .unwrap();
    let params = PatchParams::default();
    let replicas = |d: &Deployment| d.spec.as_ref().and_then(|spec| spec.replicas);

    let merge = Patch::Merge(json!({"spec": {"replicas": 2}}));
    let after = deployments.patch("web", &params, &merge).await.unwrap();
    assert_eq!(replicas(&after), Some(2));
    assert_eq!(after.metadata.generation, Some(2));

    let side = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}});
    let after = deployments
        .patch("web", &params, &Patch::Strategic(side))
        .await
        .unwrap();
    let template = after.spec.unwrap().template.spec.unwrap();
    assert_eq!(template.containers.len(), 2, "containers merge by name");

    let wrong = Patch::Merge(json!({"spec": {"replicas": -1}}));
    assert_eq!(reason(deployments.patch("web", &params, &wrong).await), "Invalid");
}

#[tokio::test]
async fn server_side_apply_creates_owns_conflicts_and_is_forced() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let wanted = |level: &str| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"level": level},
        }))
    };
    let (one, other) = (PatchParams::apply("one"), PatchParams::apply("other"));
    let created = maps.patch("settings", &one, &wanted("info")).await.unwrap();
    let again = maps.patch("settings", &one, &wanted("info")).await.unwrap();
    assert_eq!(again.resource_version(), created.resource_version());
    assert_eq!(again.managed_fields().len(), 1);

    maps.patch("settings", &other, &wanted("info")).await.unwrap();
    let Err(kube::Error::Api(status)) = maps.patch("settings", &other, &wanted("debug")).await else {
        panic!("two managers want different things");
    };
    assert_eq!(status.reason, "Conflict");
    assert!(
        status.message.contains("conflict with \"one\""),
        "{}",
        status.message
    );
    let forced = maps
        .patch("settings", &other.clone().force(), &wanted("debug"))
        .await
        .unwrap();
    assert_eq!(forced.data.unwrap()["level"], "debug");

    let nothing =
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}));
    let after = maps.patch("settings", &other, &nothing).await.unwrap();
    assert!(
        after.data.is_none_or(|data| data.is_empty()),
        "what its last owner leaves out goes"
    );
}

#[tokio::test]
async fn lists_come_in_pages_that_show_one_revision() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    for i in 0..7 {
        maps.create(&PostParams::default(), &settings(&format!("m{i}")))
            .await
            .unwrap();
    }
    let mut params = ListParams::default().labels("set=a").limit(3);
    let mut names = Vec::new();
    let mut versions = Vec::new();
    loop {
        let page = maps.list(&params).await.unwrap();
        versions.extend(page.metadata.resource_version.clone());
        names.extend(page.items.iter().map(ResourceExt::name_any));
        maps.delete("m6", &DeleteParams::default()).await.ok();
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    versions.dedup();
    assert_eq!(versions.len(), 1, "all pages are of one revision");
    let params = ListParams::default().fields("metadata.name=m3");
    assert_eq!(maps.list(&params).await.unwrap().items.len(), 1);
    let meta = maps.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(meta.items.len(), 6);
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("set=a"))
        .await
        .unwrap();
    assert!(maps.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_deployment_rolls_out_and_takes_its_pods_with_it() {
    let cluster = Cluster::start().await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    deployments
        .create(&PostParams::default(), &deployment("web", 3))
        .await
        .unwrap();
    let complete = await_condition(deployments.clone(), "web", conditions::is_deployment_completed());
    soon("the deployment is complete", complete).await.unwrap();
    let running = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    assert_eq!(running.items.len(), 3);
    let victim = running.items[0].name_any();
    let uid = running.items[0].uid().unwrap();
    pods.delete(&victim, &DeleteParams::default()).await.unwrap();
    let deleted = await_condition(pods.clone(), &victim, conditions::is_deleted(&uid));
    soon("the pod is gone", deleted).await.unwrap();
    let available = |d: Option<&Deployment>| d.and_then(|d| d.status.as_ref()?.available_replicas) == Some(3);
    let replaced = await_condition(deployments.clone(), "web", available);
    soon("it is replaced", replaced).await.unwrap();

    let foreground = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    let uid = deployments.get("web").await.unwrap().uid().unwrap();
    deployments.delete("web", &foreground).await.unwrap();
    let deleted = await_condition(deployments.clone(), "web", conditions::is_deleted(&uid));
    soon("the deployment is gone", deleted).await.unwrap();
    let left = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    assert!(
        left.items.is_empty(),
        "foreground means after everything it owned"
    );
}

#[tokio::test]
async fn metadata_can_be_read_alone() {
    let cluster = Cluster::start().await.unwrap();
    let nodes: Api<Node> = Api::all(cluster.client());
    let node = nodes.get_metadata("node-0").await.unwrap();
    assert!(node.labels().contains_key("kubernetes.io/hostname"));
    assert!(nodes.get_metadata_opt("node-77").await.unwrap().is_none());
}
