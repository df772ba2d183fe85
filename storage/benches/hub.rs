//! Fan-out: events delivered per second to 1, 100 and 1,000 watches in one process, without gRPC and without a disk.
//!
//! `cargo bench -p storage --bench hub`. Throughput counts an event once for each watch that it reaches.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use bytes::Bytes;
use component_base::clock::Clock;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::Pod;
use std::sync::Arc;
use std::time::Duration;
use storage::Target;
use storage::cache::{Cache, CacheConfig};
use storage::memory::MemoryStore;
use storage::store::{Key, Origin, Precondition, Write};
use storage::watch::WatchOptions;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Changes in one measured round.
const CHANGES: usize = 2_000;
/// Writes that share a commit, as under load on a disk.
const COMMIT: usize = 64;
/// The Pods that change in turn.
const PODS: usize = 500;

/// A Pod of about 1 KB.
fn pod(round: usize) -> Bytes {
    let mut pod = Pod::default();
    pod.metadata_mut().name = "web".into();
    pod.metadata_mut()
        .annotations
        .insert("note".into(), "x".repeat(1000));
    pod.metadata_mut().generation = round as i64;
    pod.encode_to_vec().into()
}

fn writes(round: usize) -> Vec<Vec<Write>> {
    let write = |i: usize| Write {
        key: Key::new("pods", "default", &format!("web-{}", i % PODS)),
        value: Some(pod(round)),
        precondition: Precondition::None,
        origin: Origin {
            actor: "bench".into(),
            cause: 0,
            time: proto::Timestamp::default(),
        },
    };
    let all: Vec<Write> = (0..CHANGES).map(write).collect();
    all.chunks(COMMIT).map(<[Write]>::to_vec).collect()
}

/// Starts watches that report each time they have seen [`CHANGES`] events.
async fn watches(cache: &Arc<Cache>, count: usize) -> mpsc::Receiver<()> {
    let (done, reports) = mpsc::channel(count);
    let target = Target::all(apimachinery::kinds::of::<Pod>());
    for _ in 0..count {
        let options = WatchOptions {
            targets: vec![target.clone()],
            after: Some(cache.revision()),
            bookmarks: false,
        };
        let mut events = cache.watch(options).await.expect("the revision is the newest");
        let done = done.clone();
        tokio::spawn(async move {
            let mut seen = 0;
            while let Some(Ok(frame)) = events.next().await {
                std::hint::black_box(frame);
                seen += 1;
                if seen == CHANGES {
                    seen = 0;
                    if done.send(()).await.is_err() {
                        break;
                    }
                }
            }
        });
    }
    reports
}

fn fan_out(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let clock = Clock::system();
    let mut group = criterion.benchmark_group("fan-out");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for count in [1, 100, 1_000] {
        let store = Arc::new(MemoryStore::new());
        let open = Cache::open(store, clock.clone(), CacheConfig::default());
        let cache = runtime.block_on(open).expect("an empty store");
        let mut reports = runtime.block_on(watches(&cache, count));
        group.throughput(Throughput::Elements((CHANGES * count) as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for round in 0..rounds {
                    let writes = writes(round as usize);
                    let start = clock.now();
                    runtime.block_on(async {
                        for commit in writes {
                            cache.commit(commit).await.expect("a store in memory");
                        }
                        for _ in 0..count {
                            reports.recv().await;
                        }
                        // The log of a store in memory must not grow for ever.
                        cache
                            .store()
                            .compact(cache.revision())
                            .await
                            .expect("a written revision");
                    });
                    total += start.elapsed();
                }
                total
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
