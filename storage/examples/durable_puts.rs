//! Measures the embedded engine: durable writes of 1 KB a second, by number of concurrent writers.
//!
//! `cargo run --release -p storage --example durable_puts [SECONDS]`
#![allow(clippy::print_stdout, reason = "it prints its figures")]

use bytes::Bytes;
use component_base::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use storage::embedded::{Config, Embedded};
use storage::store::{Key, Origin, Precondition, Store, StoreError, Write};

const KEYS_PER_WRITER: usize = 500;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let clock = Clock::system();
    println!("writers  puts/s     p50     p99  (1 KB values, fdatasync, {seconds} s each)");
    for writers in [1, 16, 64, 256] {
        let directory = tempfile::tempdir().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let store = Arc::new(Embedded::open(Config::new(directory.path()), clock.clone()).await?);
        let end = clock.now() + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(write(store.clone(), clock.clone(), writer, end)))
            .collect();
        let mut taken = Vec::new();
        for task in tasks {
            taken.extend(
                task.await
                    .map_err(|error| StoreError::Unavailable(error.to_string()))??,
            );
        }
        taken.sort_unstable();
        let percentile = |p: usize| taken[(taken.len() * p / 100).min(taken.len() - 1)];
        println!(
            "{writers:>7} {:>7} {:>7.2?} {:>7.2?}",
            taken.len() as u64 / seconds,
            percentile(50),
            percentile(99)
        );
        store.close().await;
        drop(store);
        let start = clock.now();
        let again = Embedded::open(Config::new(directory.path()), clock.clone()).await?;
        let (revision, _) = again.revisions().await?;
        let opened = clock.now() - start;
        let objects = again.load("").await?.entries.len();
        println!(
            "        opened again in {opened:.0?} at revision {revision}; loaded {objects} objects in {:.0?}",
            clock.now() - start - opened
        );
        again.close().await;
    }
    Ok(())
}

async fn write(
    store: Arc<Embedded>,
    clock: Clock,
    writer: usize,
    end: component_base::clock::Instant,
) -> Result<Vec<Duration>, StoreError> {
    let value = Bytes::from(vec![b'x'; 1024]);
    let mut taken = Vec::new();
    for i in 0.. {
        let start = clock.now();
        if start >= end {
            break;
        }
        let write = Write {
            key: Key::new(
                "pods",
                "default",
                &format!("pod-{writer}-{}", i % KEYS_PER_WRITER),
            ),
            value: Some(value.clone()),
            precondition: Precondition::None,
            origin: Origin {
                actor: "bench".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        };
        store.commit(vec![write]).await?;
        taken.push(clock.now() - start);
    }
    Ok(taken)
}
