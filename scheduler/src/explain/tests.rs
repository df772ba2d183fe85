//! What an explanation says of Pods in every state.

use super::*;
use crate::registry::Plugins;
use crate::testing::{api_node, pod, taint};
use client::Delta;
use component_base::clock::Clock;
use component_base::rng::Seed;
use proto::orrery::v1::hypothetical_change::Change;
use proto::orrery::v1::{HypotheticalChange, WhatIfRequest};
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

fn suggested(told: &ExplainResponse) -> Vec<String> {
    let each = told.suggestions.iter().map(|suggestion| {
        let changes: Vec<&str> = suggestion
            .changes
            .iter()
            .map(|change| change.text.as_str())
            .collect();
        format!("{}: {}", suggestion.node, changes.join(" + "))
    });
    each.collect()
}

#[tokio::test(start_paused = true)]
async fn what_would_help_is_told_the_smallest_change_first() {
    let mut picky = pod("picky", &[("cpu", "5"), ("memory", "9Gi")]);
    let spec = picky.spec.get_or_insert_default();
    spec.node_selector = [("disk".to_owned(), "ssd".to_owned())].into();
    let mounting = crate::testing::mounting("mounting", &["data"]);
    let mut engine = engine(&[pod("large", &[("cpu", "5")]), picky, mounting]);
    let told = ask(&mut engine, "large", 0);
    assert_eq!(
        suggested(&told),
        [
            "node-2: 1000m more cpu on node node-2",
            "node-1: 4000m more cpu on node node-1",
            "node-3: taint dedicated=gpu:NoSchedule tolerated + 1000m more cpu on node node-3",
        ]
    );
    assert_eq!(told.suggestions[0].changes[0].amount, "1000m");
    let told = ask(&mut engine, "mounting", 0);
    assert_eq!(
        suggested(&told)[0],
        "node-1: without claim data, which is not there"
    );
    let told = ask(&mut engine, "picky", 0);
    assert_eq!(
        suggested(&told)[0],
        "node-2: spec.nodeSelector without disk=ssd + 1000m more cpu on node node-2 + 1Gi more memory on node node-2"
    );
}

#[tokio::test(start_paused = true)]
async fn every_refusal_of_a_node_is_told_on_request() {
    let mut engine = engine(&[pod("large", &[("cpu", "5")])]);
    let request = ExplainRequest {
        pod: "large".into(),
        full: true,
        ..ExplainRequest::default()
    };
    let told = explain(&mut engine, &request).unwrap();
    let tainted = told.nodes.iter().find(|node| node.node == "node-3").unwrap();
    let plugins: Vec<&str> = tainted
        .refusals
        .iter()
        .map(|refusal| refusal.plugin.as_str())
        .collect();
    assert_eq!(plugins, ["TaintToleration", "NodeResourcesFit"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_told_also_of_a_pod_that_is_gone() {
    let large = pod("large", &[("cpu", "5")]);
    let mut engine = engine(std::slice::from_ref(&large));
    let told = ask(&mut engine, "large", 0);
    let [attempt] = &told.history[..] else {
        panic!("{:?}", told.history)
    };
    assert_eq!((attempt.result(), attempt.revision), (Told::Unschedulable, 7));
    assert!(attempt.message.contains("2 Insufficient cpu") && attempt.message.contains("preemption:"));
    let gone = Delta::Delete {
        key: ObjectKey::of(&large),
        object: Some(Object::encode_from(&large)),
        revision: 8,
        actor: "test".into(),
        cause: 0,
    };
    let clock = Clock::system();
    engine.apply(&gone, clock.now(), clock.wall()).unwrap();
    let told = ask(&mut engine, "large", 0);
    assert_eq!((told.state(), told.history.len()), (State::Unspecified, 1));
}

#[tokio::test(start_paused = true)]
async fn a_preemption_is_told_with_its_victims_and_why() {
    let mut high = pod("high", &[("cpu", "4")]);
    high.spec.get_or_insert_default().priority = Some(10);
    let mut engine = engine(&[pod("low", &[("cpu", "2")]), high]);
    // The higher one goes first; so the lower one is bound before it comes.
    let told = ask(&mut engine, "high", 0);
    assert_eq!(told.node, "node-2");
    let clock = Clock::system();
    let mut higher = pod("higher", &[("cpu", "4")]);
    higher.spec.get_or_insert_default().priority = Some(20);
    engine.apply(&upsert(&higher), clock.now(), clock.wall()).unwrap();
    engine.step(clock.now(), clock.wall());
    let told = ask(&mut engine, "higher", 0);
    let attempt = told.history.last().unwrap();
    assert_eq!(
        (attempt.result(), attempt.node.as_str()),
        (Told::Preempting, "node-2")
    );
    assert_eq!(attempt.victims[0].name, "high");
    assert!(attempt.why.contains("only node"), "{}", attempt.why);
}

#[tokio::test(start_paused = true)]
async fn what_if_answers_for_a_changed_cluster_and_leaves_the_engine_as_it_was() {
    let mut engine = engine(&[pod("web", &[("cpu", "500m")]), pod("large", &[("cpu", "5")])]);
    let before = format!("{:?}", engine.snapshot());
    let asked = |engine: &mut Engine, pod: &str, changes: Vec<Change>| {
        let changes = changes
            .into_iter()
            .map(|change| HypotheticalChange { change: Some(change) });
        let request = WhatIfRequest {
            ask: Some(ExplainRequest {
                pod: pod.into(),
                ..ExplainRequest::default()
            }),
            pod: None,
            changes: changes.collect(),
        };
        what_if::what_if(engine, &request)
    };
    let node = |name: &str, cpu: &str| {
        Change::Node(Object::encode_from(&api_node(
            name,
            &[("cpu", cpu), ("memory", "8Gi"), ("pods", "10")],
        )))
    };
    for (shows, pod, changes, best) in [
        ("nothing changes", "web", vec![], Some("node-2")),
        (
            "the best is gone",
            "web",
            vec![Change::RemoveNode("node-2".into())],
            Some("node-1"),
        ),
        (
            "a larger one comes",
            "web",
            vec![node("node-9", "64")],
            Some("node-9"),
        ),
        ("a node grows", "large", vec![node("node-1", "6")], Some("node-1")),
        (
            "it does not grow enough",
            "large",
            vec![node("node-1", "4")],
            None,
        ),
    ] {
        let told = asked(&mut engine, pod, changes).unwrap();
        let first = told.nodes.first().filter(|node| node.feasible);
        assert_eq!(first.map(|node| node.node.as_str()), best, "{shows}");
    }
    let error = asked(&mut engine, "web", vec![Change::RemoveNode("none".into())]).unwrap_err();
    assert!(
        error.message().contains("changes[0]: there is no node \"none\""),
        "{error}"
    );
    assert_eq!(format!("{:?}", engine.snapshot()), before);
    // A Pod that exists only in thought.
    let request = WhatIfRequest {
        pod: Some(Object::encode_from(&pod("thought", &[("cpu", "3")]))),
        ..WhatIfRequest::default()
    };
    let told = what_if::what_if(&mut engine, &request).unwrap();
    assert_eq!((told.feasible_nodes, told.nodes[0].node.as_str()), (1, "node-2"));
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
