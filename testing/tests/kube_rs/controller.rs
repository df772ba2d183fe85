//! A controller for a kind of its own: definition derived and applied, children owned, a finalizer honoured.

use super::soon;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::await_condition;
use kube::runtime::{Controller, conditions, watcher};
use kube::{Api, CustomResource, CustomResourceExt, Resource, ResourceExt};
use orrery_test::Cluster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const FINALIZER: &str = "greetings.example.com/farewell";

/// What to say, and how it went.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Greeting",
    namespaced,
    status = "GreetingStatus",
    shortname = "gr"
)]
struct GreetingSpec {
    /// Who is greeted.
    name: String,
    /// How often.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 10))]
    times: u32,
}

fn once() -> u32 {
    1
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreetingStatus {
    said: u32,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("no owner reference can be made")]
    Owner,
}

async fn reconcile(
    greeting: Arc<Greeting>,
    client: Arc<kube::Client>,
) -> Result<Action, kube::runtime::finalizer::Error<Failed>> {
    let namespace = greeting.namespace().unwrap_or_default();
    let greetings: Api<Greeting> = Api::namespaced((*client).clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced((*client).clone(), &namespace);
    finalizer(
        &greetings.clone(),
        FINALIZER,
        greeting,
        async |event| match event {
            Event::Apply(greeting) => {
                let owner = greeting.controller_owner_ref(&()).ok_or(Failed::Owner)?;
                let words = vec![format!("hello {}", greeting.spec.name); greeting.spec.times as usize];
                let child = json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": greeting.name_any(), "ownerReferences": [owner]},
                    "data": {"words": words.join(", ")},
                });
                let apply = PatchParams::apply("greeter").force();
                maps.patch(&greeting.name_any(), &apply, &Patch::Apply(child))
                    .await?;
                let status = json!({"status": {"said": greeting.spec.times}});
                greetings
                    .patch_status(
                        &greeting.name_any(),
                        &PatchParams::default(),
                        &Patch::Merge(status),
                    )
                    .await?;
                Ok(Action::await_change())
            }
            Event::Cleanup(greeting) => {
                let farewell: ConfigMap = serde_json::from_value(json!({
                    "metadata": {"name": format!("{}-farewell", greeting.name_any())},
                }))
                .map_err(|_| Failed::Owner)?;
                maps.create(&PostParams::default(), &farewell).await?;
                Ok(Action::await_change())
            }
        },
    )
    .await
}

async fn define(cluster: &Cluster) {
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client());
    let definition = Greeting::crd();
    let apply = PatchParams::apply("greeter").force();
    definitions
        .patch("greetings.example.com", &apply, &Patch::Apply(&definition))
        .await
        .unwrap();
    soon(
        "the kind is established",
        await_condition(
            definitions,
            "greetings.example.com",
            conditions::is_crd_established(),
        ),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_controller_makes_what_its_objects_want_and_says_farewell() {
    let cluster = Cluster::start().await.unwrap();
    define(&cluster).await;
    let greetings: Api<Greeting> = Api::default_namespaced(cluster.client());
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let controller = Controller::new(greetings.clone(), watcher::Config::default())
        .owns(maps.clone(), watcher::Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_millis(100)),
            Arc::new(cluster.client()),
        )
        .for_each(async |_| ());
    let controller = tokio::spawn(controller);

    let spec = GreetingSpec {
        name: "world".into(),
        times: 2,
    };
    let created = greetings
        .create(&PostParams::default(), &Greeting::new("first", spec))
        .await
        .unwrap();
    let said = |greeting: Option<&Greeting>| {
        greeting
            .and_then(|greeting| greeting.status.as_ref())
            .is_some_and(|status| status.said == 2)
    };
    soon("it is said", await_condition(greetings.clone(), "first", said))
        .await
        .unwrap();
    let child = maps.get("first").await.unwrap();
    assert_eq!(child.data.unwrap()["words"], "hello world, hello world");

    // What it owns comes back, and goes with it.
    maps.delete("first", &DeleteParams::default()).await.unwrap();
    let back = await_condition(maps.clone(), "first", conditions::is_created());
    soon("the child is back", back).await.unwrap();
    let child = maps.get("first").await.unwrap().uid().unwrap();
    greetings.delete("first", &DeleteParams::default()).await.unwrap();
    let uid = created.uid().unwrap();
    let gone = await_condition(greetings.clone(), "first", conditions::is_deleted(&uid));
    soon("the finalizer lets it go", gone).await.unwrap();
    maps.get("first-farewell").await.unwrap();
    let collected = await_condition(maps.clone(), "first", conditions::is_deleted(&child));
    soon("the child is collected", collected).await.unwrap();
    controller.abort();
}

#[tokio::test]
async fn the_derived_schema_is_kept() {
    let cluster = Cluster::builder().apiserver_only().start().await.unwrap();
    define(&cluster).await;
    let greetings: Api<Greeting> = Api::default_namespaced(cluster.client());
    let spec = |times| GreetingSpec {
        name: "world".into(),
        times,
    };
    let refused = greetings
        .create(&PostParams::default(), &Greeting::new("often", spec(11)))
        .await;
    assert_eq!(super::reason(refused), "Invalid");
    let merge = Patch::Merge(json!({"spec": {"name": "moon", "colour": "red"}}));
    greetings
        .create(&PostParams::default(), &Greeting::new("first", spec(1)))
        .await
        .unwrap();
    let after = greetings
        .patch("first", &PatchParams::default(), &merge)
        .await
        .unwrap();
    assert_eq!(
        (after.spec.name.as_str(), after.metadata.generation),
        ("moon", Some(2))
    );
    assert!(after.status.is_none());
}
