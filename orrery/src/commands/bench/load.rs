//! Closed-loop clients: each sends its next request when the last one is answered.
//!
//! In: an operation for each client. Out: how many were done in the time, and how long each took.

use super::report::{histogram, micros};
use anyhow::{Context, Result};
use component_base::clock::Clock;
use hdrhistogram::Histogram;
use std::time::Duration;
use tokio::task::JoinSet;

/// Connections open, caches fill, the first batches form.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// What a load came to.
pub(super) struct Outcome {
    /// Done within the time that was measured.
    pub(super) rate: f64,
    /// How long each took, in microseconds.
    pub(super) latency: Histogram<u64>,
}

/// One client of a load.
pub(super) trait Client: Send + 'static {
    /// Does the operation once.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Runs the clients for [`WARM_UP`] and then for `measured`. The first error ends it.
pub(super) async fn run<C: Client>(
    clients: impl IntoIterator<Item = C>,
    measured: Duration,
    clock: &Clock,
) -> Result<Outcome> {
    let begin = clock.now() + WARM_UP;
    let end = begin + measured;
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let clock = clock.clone();
        tasks.spawn(async move {
            let mut latency = histogram();
            let mut started = clock.now();
            while started < end {
                client.once().await?;
                let done = clock.now();
                if started >= begin && done <= end {
                    latency.record(micros(done - started))?;
                }
                started = done;
            }
            anyhow::Ok(latency)
        });
    }
    let mut latency = histogram();
    while let Some(ended) = tasks.join_next().await {
        latency.add(ended.context("a client broke")??)?;
    }
    Ok(Outcome {
        rate: latency.len() as f64 / measured.as_secs_f64(),
        latency,
    })
}
