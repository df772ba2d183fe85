//! The whole cluster, from the user's side: real processes, real kills, the real command line.

use anyhow::{Context, Result};
use axum::extract::{Json, State};
use axum::routing::post;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use proto::orrery::v1::simulator_client::SimulatorClient;
use proto::orrery::v1::{BindRequest, CrashPodRequest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use tests::cluster::{Cluster, all_ready, file, pods, program};
use tokio::process::Command;

/// The walk of the README: apply, run, scale to nothing, delete.
#[tokio::test]
async fn a_deployment_runs_scales_to_nothing_and_leaves_nothing_behind() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut cluster = Cluster::start(&program).await?;
    let manifest = file("examples/nginx.yaml");
    let manifest = manifest.to_str().context("a path in UTF-8")?;

    let said = cluster.orrery(&["apply", "-f", manifest]).await?;
    assert!(said.contains("created"), "{said}");
    cluster
        .wait_until("three replicas are available", |cache| {
            let nginx = cache.get::<Deployment>("default", "nginx");
            let status = nginx.and_then(|nginx| nginx.status.clone()).unwrap_or_default();
            status.available_replicas == 3 && all_ready(cache, "nginx", 3)
        })
        .await?;
    let said = cluster.orrery(&["apply", "-f", manifest]).await?;
    assert!(said.contains("unchanged"), "{said}");

    cluster
        .orrery(&["scale", "deployment/nginx", "--replicas", "0"])
        .await?;
    cluster
        .wait_until("no pod is left", |cache| pods(cache, "nginx").is_empty())
        .await?;
    cluster.orrery(&["delete", "deployment/nginx"]).await?;
    cluster
        .wait_until("nothing is left", |cache| {
            cache.count::<Deployment>() == 0 && cache.count::<ReplicaSet>() == 0
        })
        .await
}

#[tokio::test]
async fn a_pod_that_dies_is_replaced_and_one_whose_cluster_is_killed_runs_on() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut cluster = Cluster::start(&program).await?;
    let manifest = file("examples/nginx.yaml");
    cluster
        .orrery(&["apply", "-f", manifest.to_str().context("a path in UTF-8")?])
        .await?;
    let ready = |cache: &client::Cache| {
        let running: Vec<_> = pods(cache, "nginx").into_iter().filter(|pod| pod.ready).collect();
        running.len() == 3
    };
    cluster.wait_until("three pods are ready", ready).await?;

    // One pod fails for good, another is deleted: both get a successor.
    let before = cluster.pods("nginx");
    let [crashed, deleted, _] = before.as_slice() else {
        panic!("three pods: {before:?}")
    };
    let node = cluster.cache().get::<Node>("", &crashed.node);
    let meta = node
        .and_then(|node| node.metadata.as_ref())
        .context("the pod's node")?;
    let endpoint = meta
        .annotations
        .get("sim.orrery.dev/endpoint")
        .context("its simulator")?;
    let mut simulator = SimulatorClient::connect(format!("http://{endpoint}")).await?;
    simulator
        .crash_pod(CrashPodRequest {
            namespace: "default".into(),
            pod: crashed.name.clone(),
        })
        .await?;
    cluster.orrery(&["delete", "pod", &deleted.name]).await?;
    let dead = [crashed.uid.clone(), deleted.uid.clone()];
    cluster
        .wait_until("both have successors", |cache| {
            let live = pods(cache, "nginx").into_iter().filter(|pod| pod.ready);
            live.filter(|pod| !dead.contains(&pod.uid)).count() == 3
        })
        .await?;

    // The whole cluster dies at once, and its nodes come back to the pods that they ran.
    let running = |cluster: &Cluster| -> BTreeSet<_> {
        cluster
            .pods("nginx")
            .into_iter()
            .filter(|pod| pod.ready)
            .collect()
    };
    let before = running(&cluster);
    cluster.kill_up_and_start_again().await?;
    cluster.wait_until("the pods are ready", ready).await?;
    assert_eq!(
        running(&cluster),
        before,
        "the same pods, and none has started again"
    );
    Ok(())
}

/// Every process is killed once under load; the drill itself checks every invariant, and fails when one does not hold.
#[tokio::test]
async fn each_process_may_be_killed_and_nothing_is_lost() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    // How fast a debug build on a shared machine recovers says nothing; that it does, says all.
    let drill = Command::new(program)
        .args(["drill", "kill-each", "--rounds", "1", "--output", "json"])
        .args(["--serve-within", "30", "--converge-within", "60"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let told = String::from_utf8_lossy(&drill.stdout);
    let report: serde_json::Value = serde_json::from_str(&told)
        .with_context(|| format!("{told}\n{}", String::from_utf8_lossy(&drill.stderr)))?;
    assert!(drill.status.success(), "{report:#}");
    let faults = report["faults"].as_array().context("faults")?;
    let killed: Vec<_> = faults
        .iter()
        .filter_map(|fault| fault["component"].as_str())
        .collect();
    assert_eq!(
        killed,
        ["apiserver", "controller-manager", "scheduler", "kubelet-sim"]
    );
    for fault in faults {
        assert!(
            fault["acknowledged"].as_u64() > Some(0),
            "the load has written: {fault}"
        );
    }
    Ok(())
}

/// Scheduler and controllers each do their part of a binding; whichever is killed carries on where it was.
#[tokio::test]
async fn claims_get_their_volumes_with_the_nodes_of_their_pods_and_give_them_back() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut cluster = Cluster::start(&program).await?;
    let manifest = file("examples/volumes.yaml");
    let manifest = manifest.to_str().context("a path in UTF-8")?;
    cluster.orrery(&["apply", "-f", manifest]).await?;
    cluster.orrery(&["kill", "scheduler"]).await?;
    cluster.orrery(&["kill", "controller-manager"]).await?;
    let bound = |cache: &client::Cache| {
        let claims = cache.list::<PersistentVolumeClaim>(None);
        let bound = claims.filter(|claim| {
            claim
                .status
                .as_ref()
                .is_some_and(|status| status.phase == "Bound")
        });
        bound.count()
    };
    cluster
        .wait_until("the pod runs and both claims have volumes", |cache| {
            all_ready(cache, "database", 1) && bound(cache) == 2
        })
        .await?;
    cluster.orrery(&["delete", "deployment/database"]).await?;
    cluster.orrery(&["delete", "persistentvolumeclaim/data"]).await?;
    cluster
        .wait_until("no claim and no volume is left", |cache| {
            cache.count::<PersistentVolumeClaim>() == 0 && cache.count::<PersistentVolume>() == 0
        })
        .await
}

/// The cluster of an extender, which is there before the cluster is.
type Late = Arc<OnceLock<client::Client>>;

/// An extender that leaves two of three nodes, likes one, and binds Pods itself.
async fn extender(cluster: Late) -> Result<String> {
    let verbs = axum::Router::new()
        .route("/filter", post(filter))
        .route("/prioritize", post(prioritize))
        .route("/bind", post(bind));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, verbs.with_state(cluster)).into_future());
    Ok(address.to_string())
}

fn asked_nodes(asked: &Value) -> Vec<Value> {
    asked["Nodes"]["items"].as_array().cloned().unwrap_or_default()
}

async fn filter(Json(asked): Json<Value>) -> Json<Value> {
    let is_left = |node: &Value| node["metadata"]["name"] != "node-0";
    let (left, refused): (Vec<Value>, Vec<Value>) = asked_nodes(&asked).into_iter().partition(is_left);
    let failed = refused
        .iter()
        .filter_map(|node| node["metadata"]["name"].as_str());
    let failed: serde_json::Map<String, Value> = failed.map(|name| (name.into(), json!("too hot"))).collect();
    Json(json!({"Nodes": {"items": left}, "FailedNodes": failed}))
}

async fn prioritize(Json(asked): Json<Value>) -> Json<Value> {
    let score = |node: &Value| {
        let name = &node["metadata"]["name"];
        json!({"Host": name, "Score": if name == "node-2" { 10 } else { 0 }})
    };
    Json(asked_nodes(&asked).iter().map(score).collect())
}

async fn bind(State(cluster): State<Late>, Json(asked): Json<Value>) -> Json<Value> {
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let request = BindRequest {
        namespace: text("PodNamespace"),
        name: text("PodName"),
        uid: text("PodUID"),
        node: text("Node"),
    };
    let error = match cluster.get() {
        None => "no cluster yet".to_owned(),
        Some(client) => match client.bind(request).await {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        },
    };
    Json(json!({"Error": error}))
}

#[tokio::test]
async fn an_extender_has_a_say_about_where_pods_go() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let late = Late::default();
    let files = tempfile::tempdir()?;
    let config = files.path().join("scheduler.yaml");
    let text = format!(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nextenders:\n\
         - {{urlPrefix: 'http://{}', filterVerb: filter, prioritizeVerb: prioritize, weight: 100, bindVerb: bind}}\n",
        extender(late.clone()).await?
    );
    std::fs::write(&config, text)?;
    let config = config.to_str().context("a path in UTF-8")?;
    let mut cluster = Cluster::start_with(&program, &["--scheduler-config", config]).await?;
    late.get_or_init(|| cluster.client().clone());
    let manifest = file("examples/nginx.yaml");
    cluster
        .orrery(&["apply", "-f", manifest.to_str().context("a path in UTF-8")?])
        .await?;
    cluster
        .wait_until("the pods run where the extender wants them", |cache| {
            let pods = pods(cache, "nginx");
            pods.len() == 3 && pods.iter().all(|pod| pod.ready && pod.node == "node-2")
        })
        .await?;
    let pod = pods(cluster.cache(), "nginx").remove(0).name;
    let why = cluster.orrery(&["why", "--all", &format!("pod/{pod}")]).await?;
    assert!(
        why.contains("tests"),
        "the extender has bound it, not the scheduler: {why}"
    );
    Ok(())
}
