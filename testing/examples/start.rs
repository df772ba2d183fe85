//! How long a cluster takes to be ready: starts some, one after the other and then all at once.
//!
//! `cargo run --release -p orrery-test --example start -- 20`
#![allow(clippy::print_stdout, reason = "a program that prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "it measures the wall clock of the machine it runs on"
)]

use futures::future::try_join_all;
use orrery_test::{Cluster, StartError};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(20).max(1);
    let mut alone = Vec::with_capacity(count);
    let mut ended = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let cluster = Cluster::start().await?;
        alone.push(start.elapsed());
        let end = Instant::now();
        drop(cluster);
        ended.push(end.elapsed());
    }
    show("one at a time, ready", &mut alone);
    show("one at a time, gone", &mut ended);
    let start = Instant::now();
    let clusters = try_join_all((0..count).map(|_| Cluster::start())).await?;
    println!(
        "{} side by side: all ready after {:.0?}",
        clusters.len(),
        start.elapsed()
    );
    Ok(())
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort();
    let median = times[times.len() / 2];
    let (first, last) = (times[0], times[times.len() - 1]);
    println!("{what}: min {first:.0?}, median {median:.0?}, max {last:.0?}");
}
