//! Wire bytes to JSON and back, in MB of JSON a second, next to serde_json on k8s-openapi's types.
//!
//! `cargo bench -p apimachinery --bench transcode`, with `-- read` or `-- Pod` behind it for a part.
//!
//! Both take turns in rounds of a few milliseconds and the best round counts, so that whatever else the machine does
//! falls on both and the ratio stays.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and prints what it measured"
)]

use apimachinery::json::{self, Decoded, Unknown};
use k8s_openapi::List;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of each; the best one counts.
const ROUNDS: usize = 150;

/// How long a round takes: short enough to fall between two interruptions now and then.
const ROUND: Duration = Duration::from_millis(2);

/// Items of the list: a page as kubectl asks for it.
const ITEMS: usize = 500;

fn main() {
    println!(
        "{:<12} {:>8} {:>10} {:>12} {:>6}",
        "", "bytes", "ours MB/s", "theirs MB/s", "ratio"
    );
    both::<Pod>("Pod", include_str!("pod.yaml"));
    both::<Deployment>("Deployment", include_str!("deployment.yaml"));
    both::<Node>("Node", include_str!("node.yaml"));
    list(include_str!("pod.yaml"));
}

fn object(manifest: &str) -> (Decoded, Vec<u8>) {
    let document = json::yaml::documents(manifest).next();
    let document = document.expect("a document").expect("YAML");
    let object = document.decode(Unknown::Strict).expect("a valid object");
    let mut text = Vec::new();
    json::to_json(object.number, &object.bytes, &mut text).expect("a valid object");
    (object, text)
}

fn both<K: DeserializeOwned + Serialize>(name: &str, manifest: &str) {
    let (object, text) = object(manifest);
    let typed: K = serde_json::from_slice(&text).expect("a valid object");
    compare(
        &format!("read {name}"),
        text.len(),
        || json::from_json(black_box(&text), Unknown::Strict).expect("valid"),
        || serde_json::from_slice::<K>(black_box(&text)).expect("valid"),
    );
    compare(
        &format!("write {name}"),
        text.len(),
        || {
            let mut out = Vec::new();
            json::to_json(object.number, black_box(&object.bytes), &mut out).expect("valid");
            out
        },
        || serde_json::to_vec(black_box(&typed)).expect("valid"),
    );
}

/// A list is written object by object into one buffer. Nobody sends one.
fn list(manifest: &str) {
    let (object, text) = object(manifest);
    let pod: Pod = serde_json::from_slice(&text).expect("a valid object");
    let typed = List {
        items: vec![pod; ITEMS],
        ..List::default()
    };
    compare(
        "write List",
        text.len() * ITEMS,
        || {
            let mut out = Vec::new();
            for _ in 0..ITEMS {
                json::to_json(object.number, black_box(&object.bytes), &mut out).expect("valid");
                out.push(b',');
            }
            out
        },
        || serde_json::to_vec(black_box(&typed)).expect("valid"),
    );
}

fn compare<A, B>(name: &str, length: usize, mut ours: impl FnMut() -> A, mut theirs: impl FnMut() -> B) {
    if std::env::args()
        .skip(1)
        .any(|part| !part.starts_with("--") && !name.contains(&part))
    {
        return;
    }
    let (mut best, mut best_of_theirs) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        best = best.min(round(&mut ours));
        best_of_theirs = best_of_theirs.min(round(&mut theirs));
    }
    let rate = |seconds: f64| length as f64 / 1e6 / seconds;
    let ratio = best_of_theirs / best;
    println!(
        "{name:<16} {length:>8} {:>10.0} {:>12.0} {ratio:>6.2}",
        rate(best),
        rate(best_of_theirs)
    );
}

/// Seconds of one call, on average over a round.
fn round<T>(call: &mut impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < ROUND {
        // Asking for the time after each call would be part of what is measured.
        for _ in 0..16 {
            black_box(call());
        }
        calls += 16;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}
