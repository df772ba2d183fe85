use super::http::Caller;
use super::*;
use crate::framework::{Status, Victim};
use crate::testing::{fresh, pod};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use client::client::ClientConfig;
use client::{Client, ObjectKey};
use component_base::clock::Clock;
use component_base::rng::Seed;
use proto::api::core::v1::Pod;
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::net::TcpListener;

type Heard = Arc<Mutex<Vec<(String, Value)>>>;

/// What an extender answers to a verb; `None` for a failure.
type Say = fn(&str, &Value) -> Option<Value>;

/// An extender on a port of its own; gives where it is and what it hears.
async fn extender(say: Say) -> (String, Heard) {
    let heard = Heard::default();
    let answer = async move |State(heard): State<Heard>, Path(verb): Path<String>, body: String| {
        let body: Value = serde_json::from_str(&body).unwrap();
        let answer = say(&verb, &body);
        heard.lock().unwrap().push((verb, body));
        match answer {
            Some(answer) => (StatusCode::OK, answer.to_string()),
            None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    };
    let routes = Router::new().route("/extend/{verb}", axum::routing::post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/extend/", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes.with_state(heard.clone())).into_future());
    (url, heard)
}

fn configured(url: &str) -> Extender {
    Extender {
        url_prefix: url.into(),
        filter: Some("filter".into()),
        prioritize: Some("prioritize".into()),
        weight: 2,
        preempt: Some("preempt".into()),
        bind: Some("bind".into()),
        timeout: TIMEOUT,
        node_cache_capable: true,
        ..Extender::default()
    }
}

fn caller(extenders: Vec<Extender>) -> Caller {
    // Nobody is there: these extenders know the nodes themselves, and the Pod is given.
    let config = ClientConfig::new("http://127.0.0.1:1", "test");
    let client = Client::new(&config, Clock::system(), Seed(1)).unwrap();
    Caller::new(Extenders::new(extenders), client)
}

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

/// What is left of nodes, as `node+score`, and why others are not; or the error.
async fn ask(extenders: Vec<Extender>) -> Result<(String, Vec<Rejection>), String> {
    let pod = fresh(&pod("web", &[("cpu", "1")]));
    let said = { caller(extenders) }
        .nodes(&pod, &json!({"kind": "Pod"}), names(&["a", "b", "c"]))
        .await?;
    let Said::Nodes(nodes, refused) = said else {
        panic!("it was asked about nodes")
    };
    let nodes = nodes.iter().map(|(name, score)| format!("{name}+{score}"));
    Ok((nodes.collect::<Vec<_>>().join(" "), refused))
}

fn picky(verb: &str, body: &Value) -> Option<Value> {
    match verb {
        "filter" => Some(json!({
            "NodeNames": ["b", "c"], "FailedNodes": {"a": "too hot"}, "FailedAndUnresolvableNodes": {}, "Error": "",
        })),
        "prioritize" => {
            let names = body["NodeNames"].as_array()?;
            Some(
                names
                    .iter()
                    .map(|name| json!({"Host": name, "Score": if *name == "c" { 7 } else { 1 }}))
                    .collect(),
            )
        }
        _ => None,
    }
}

#[tokio::test]
async fn nodes_are_refused_and_scored() {
    let (url, heard) = extender(picky).await;
    let (left, refused) = ask(vec![configured(&url)]).await.unwrap();
    // A score of 7 of 10 counts as 70 of 100, by the weight.
    assert_eq!(left, "b+20 c+140");
    assert_eq!(refused, [Rejection::unschedulable("too hot")]);
    let heard = heard.lock().unwrap();
    let verbs: Vec<&str> = heard.iter().map(|(verb, _)| verb.as_str()).collect();
    assert_eq!(verbs, ["filter", "prioritize"]);
    assert_eq!(
        heard[0].1,
        json!({"Pod": {"kind": "Pod"}, "Nodes": null, "NodeNames": ["a", "b", "c"]})
    );
    assert_eq!(
        heard[1].1["NodeNames"],
        json!(["b", "c"]),
        "what was refused is not scored"
    );
}

#[tokio::test]
async fn each_is_asked_about_what_those_before_have_left() {
    let (first, _) = extender(picky).await;
    let (second, heard) = extender(|verb, _| {
        (verb == "filter")
            .then(|| json!({"nodenames": ["c"], "failedAndUnresolvableNodes": {"b": "no power"}}))
    })
    .await;
    let second = Extender {
        prioritize: None,
        ..configured(&second)
    };
    let (left, refused) = ask(vec![configured(&first), second]).await.unwrap();
    assert_eq!(left, "c+0", "one node needs no score");
    assert_eq!(heard.lock().unwrap()[0].1["NodeNames"], json!(["b", "c"]));
    let statuses: Vec<Status> = refused.iter().map(|refusal| refusal.status).collect();
    assert_eq!(
        statuses,
        [Status::Unschedulable, Status::UnschedulableAndUnresolvable]
    );
}

#[tokio::test]
async fn one_that_fails_stops_the_pod_unless_it_may_be_ignored() {
    let (broken, _) = extender(|_, _| None).await;
    let error = ask(vec![configured(&broken)]).await.unwrap_err();
    assert!(error.contains(&broken) && error.contains("500"), "{error}");
    let ignorable = Extender {
        ignorable: true,
        ..configured(&broken)
    };
    assert_eq!(ask(vec![ignorable]).await.unwrap().0, "a+0 b+0 c+0");
    let nobody = Extender {
        url_prefix: "http://127.0.0.1:1/".into(),
        ..configured("")
    };
    assert!(ask(vec![nobody]).await.is_err());
    let (confused, _) = extender(|_, _| Some(json!({"Error": "no idea"}))).await;
    let error = ask(vec![configured(&confused)]).await.unwrap_err();
    assert!(error.ends_with("no idea"), "{error}");
}

#[tokio::test]
async fn one_that_is_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Extender {
        timeout: Duration::from_millis(20),
        ..configured(&format!("http://{}/", listener.local_addr().unwrap()))
    };
    let error = ask(vec![silent]).await.unwrap_err();
    assert!(error.contains("no answer within 20ms"), "{error}");
}

#[tokio::test]
async fn pods_are_bound_by_the_extender_that_binds_such() {
    let (url, heard) = extender(|_, body| {
        let error = if body["Node"] == "full" { "no room" } else { "" };
        Some(json!({"Error": error}))
    })
    .await;
    let pod = fresh(&pod("web", &[]));
    let caller = caller(vec![configured(&url)]);
    assert_eq!(caller.bind(&pod, "a").await, Ok(()));
    let error = caller.bind(&pod, "full").await.unwrap_err();
    assert!(error.ends_with("no room"), "{error}");
    let expected = json!({"PodName": "web", "PodNamespace": "default", "PodUID": "web", "Node": "a"});
    assert_eq!(heard.lock().unwrap()[0], ("bind".to_owned(), expected));
}

#[tokio::test]
async fn victims_are_chosen_by_those_who_ask_for_it() {
    let (url, _) =
        extender(|_, _| Some(json!({"NodeNameToMetaVictims": {"b": {"Pods": [{"UID": "low"}]}}}))).await;
    let room = |node: &str| Room {
        node: node.into(),
        victims: vec![Victim {
            key: ObjectKey::new::<Pod>("default", "low"),
            uid: "low".into(),
            priority: 0,
            violates_budget: false,
            graceful: false,
        }],
        why: String::new(),
    };
    let pod = fresh(&pod("web", &[]));
    let left = { caller(vec![configured(&url)]) }
        .rooms(&pod, &json!({}), vec![room("a"), room("b")])
        .await
        .unwrap();
    assert_eq!(left, [room("b")]);
}

#[test]
fn an_extender_has_a_say_about_pods_with_its_resources() {
    let gpu = fresh(&pod("gpu", &[("example.com/gpu", "1")]));
    let plain = fresh(&pod("plain", &[("cpu", "1")]));
    let extenders = |managed: &[&str], extender: Extender| {
        Extenders::new(vec![Extender {
            managed_resources: managed.iter().map(ToString::to_string).collect(),
            ..extender
        }])
    };
    let of_gpus = extenders(&["example.com/gpu"], configured("http://x"));
    assert!(of_gpus.choose_nodes(&gpu.template) && of_gpus.bind(&gpu.template));
    assert!(!of_gpus.choose_nodes(&plain.template) && !of_gpus.choose_victims(&plain.template));
    let of_all = extenders(&[], configured("http://x"));
    assert!(of_all.choose_nodes(&plain.template) && of_all.choose_victims(&plain.template));
    let mute = extenders(&[], Extender::default());
    assert!(!mute.choose_nodes(&plain.template) && !mute.bind(&plain.template));
    assert!(!Extenders::default().choose_nodes(&plain.template));
}
