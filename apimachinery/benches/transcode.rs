//! Wire bytes to JSON and back, in MB of JSON a second, next to serde_json on k8s-openapi's types.
//!
//! `cargo bench -p apimachinery --bench transcode`

use apimachinery::json::{self, Unknown};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hint::black_box;

const POD: &str = include_str!("pod.yaml");
const DEPLOYMENT: &str = include_str!("deployment.yaml");

fn bench<K: DeserializeOwned + Serialize>(criterion: &mut Criterion, name: &str, manifest: &str) {
    let document = json::yaml::documents(manifest)
        .next()
        .expect("a document")
        .expect("YAML");
    let object = document.decode(Unknown::Strict).expect("a valid object");
    let mut text = Vec::new();
    json::to_json(object.number, &object.bytes, &mut text).expect("a valid object");
    let typed: K = serde_json::from_slice(&text).expect("a valid object");

    let mut read = criterion.benchmark_group("from_json");
    read.throughput(Throughput::Bytes(text.len() as u64));
    read.bench_function(BenchmarkId::new("ours", name), |b| {
        b.iter(|| json::from_json(black_box(&text), Unknown::Strict).expect("valid"));
    });
    read.bench_function(BenchmarkId::new("k8s-openapi", name), |b| {
        b.iter(|| serde_json::from_slice::<K>(black_box(&text)).expect("valid"));
    });
    read.finish();

    let mut write = criterion.benchmark_group("to_json");
    write.throughput(Throughput::Bytes(text.len() as u64));
    write.bench_function(BenchmarkId::new("ours", name), |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(text.len());
            json::to_json(object.number, black_box(&object.bytes), &mut out).expect("valid");
            out
        });
    });
    write.bench_function(BenchmarkId::new("k8s-openapi", name), |b| {
        b.iter(|| serde_json::to_vec(black_box(&typed)).expect("valid"));
    });
    write.finish();
}

fn transcode(criterion: &mut Criterion) {
    bench::<k8s_openapi::api::core::v1::Pod>(criterion, "Pod", POD);
    bench::<k8s_openapi::api::apps::v1::Deployment>(criterion, "Deployment", DEPLOYMENT);
}

criterion_group!(benches, transcode);
criterion_main!(benches);
