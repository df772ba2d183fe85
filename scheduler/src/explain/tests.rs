//! What an explanation says of Pods in every state.

use super::*;
use crate::registry::Plugins;
use crate::testing::{api_node, pod, taint};
use client::Delta;
use component_base::clock::Clock;
use component_base::rng::Seed;
use proto::{Kind, Object};

fn upsert<K: Kind>(object: &K) -> Delta {
    Delta::Upsert {
        key: ObjectKey::of(object),
        object: Object::encode_from(object),
        revision: 1,
        actor: "test".into(),
        cause: 0,
    }
}

fn engine(pods: &[Pod]) -> Engine {
    let mut engine = Engine::new(Plugins::all(), "default-scheduler", Seed(1).fork("ties"));
    let mut tainted = api_node("node-3", &[("cpu", "4"), ("memory", "8Gi"), ("pods", "10")]);
    let taints = &mut tainted.spec.get_or_insert_default().taints;
    taints.push(taint("dedicated", "gpu", "NoSchedule"));
    let nodes = [
        api_node("node-1", &[("cpu", "1"), ("memory", "8Gi"), ("pods", "10")]),
        api_node("node-2", &[("cpu", "4"), ("memory", "8Gi"), ("pods", "10")]),
        tainted,
    ];
    let clock = Clock::system();
    let deltas = nodes.iter().map(upsert).chain(pods.iter().map(upsert));
    for delta in [Delta::Restarted]
        .into_iter()
        .chain(deltas)
        .chain([Delta::Synced(7)])
    {
        engine.apply(&delta, clock.now(), clock.wall()).unwrap();
    }
    while engine.step(clock.now(), clock.wall()).is_some() {}
    engine
}

fn ask(engine: &mut Engine, pod: &str, limit: i32) -> ExplainResponse {
    let request = ExplainRequest {
        pod: pod.into(),
        limit,
        ..ExplainRequest::default()
    };
    explain(engine, &request).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_node_is_told_with_plugin_and_reason_and_the_best_comes_first() {
    let mut engine = engine(&[pod("web", &[("cpu", "500m")])]);
    let before = engine.snapshot().node_named("node-2").cloned();
    let told = ask(&mut engine, "web", 0);
    assert_eq!((told.state(), told.node.as_str()), (State::Binding, "node-2"));
    assert_eq!((told.total_nodes, told.feasible_nodes, told.revision), (3, 2, 7));
    let names: Vec<&str> = told.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(names, ["node-2", "node-1", "node-3"]);
    let refused = &told.nodes[2];
    assert_eq!(
        (refused.plugin.as_str(), refused.feasible),
        ("TaintToleration", false)
    );
    assert_eq!(refused.reasons, ["node(s) had untolerated taint(s)"]);
    let best = &told.nodes[0];
    let scores: Vec<(&str, i64)> = best.scores.iter().map(|s| (s.plugin.as_str(), s.score)).collect();
    // The Pod itself counts for 500m of 4 cores and, without a request, 200Mi of 8Gi.
    assert_eq!(
        scores,
        [
            ("NodeResourcesFit", (87 + 97) / 2),
            ("NodeResourcesBalancedAllocation", 93)
        ]
    );
    assert_eq!(best.total, 92 + 93);
    // Asking has changed nothing.
    assert_eq!(engine.snapshot().node_named("node-2").cloned(), before);
    assert_eq!(ask(&mut engine, "web", 1).nodes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unschedulable_pod_says_what_its_event_says() {
    let mut engine = engine(&[pod("large", &[("cpu", "5")])]);
    let told = ask(&mut engine, "large", 0);
    assert_eq!((told.state(), told.attempts), (State::Unschedulable, 1));
    assert_eq!(
        told.message,
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
    );
    assert!(told.nodes.iter().all(|node| !node.feasible && !node.resolvable));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_known_is_not_found() {
    let mut engine = engine(&[]);
    let request = ExplainRequest {
        pod: "web".into(),
        ..ExplainRequest::default()
    };
    let status = explain(&mut engine, &request).unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert!(status.message().contains("web"));
}
