//! The whole cluster, from the user's side: real processes, real kills, the real command line.

use anyhow::{Context, Result};
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::api::core::v1::Node;
use proto::orrery::v1::CrashPodRequest;
use proto::orrery::v1::simulator_client::SimulatorClient;
use std::collections::BTreeSet;
use std::process::Stdio;
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
