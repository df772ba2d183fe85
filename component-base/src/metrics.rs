//! Metrics: one [`Registry`] a process, that every part registers its own in, and `/metrics` prints.
//!
//! A metric's labels must come from a bounded set (methods, codes, kinds), never from what a client sends: each new
//! value costs memory for ever.

use crate::clock::{Clock, Instant};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Metric;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// The media type of [`Registry::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;

/// A gauge that holds a fraction.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// Where metrics are registered. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    inner: Arc<Mutex<prometheus_client::registry::Registry>>,
    prefix: String,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry, with `prefix_` before each name registered through it: for a part of the process.
    pub fn sub(&self, prefix: &str) -> Self {
        Self {
            inner: self.inner.clone(),
            prefix: format!("{}{prefix}_", self.prefix),
        }
    }

    /// Registers a metric and gives it back. Counters get `_total` after their name; `help` ends without a full stop.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.lock()
            .register(format!("{}{name}", self.prefix), help, metric.clone());
        metric
    }

    /// Registers something that is asked for its metrics at each scrape; it chooses their names itself.
    pub fn register_collector(&self, collector: impl Collector) {
        self.lock().register_collector(Box::new(collector));
    }

    /// All metrics, as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.lock())
            .expect("writing to a String cannot fail");
        text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, prometheus_client::registry::Registry> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buckets for latencies in seconds: 50 µs to 26 s, doubling. Tells an in-memory read from an fsync from a stall.
pub fn latency_buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(0.000_05, 2.0, 20)
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// `process_resident_memory_bytes`, `process_start_time_seconds`, `process_uptime_seconds`.
#[derive(Debug)]
pub struct ProcessMetrics {
    clock: Clock,
    started: Timestamp,
    start: Instant,
}

impl ProcessMetrics {
    /// For a process that starts now.
    pub fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            started: clock.wall(),
            start: clock.now(),
        }
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let uptime = self.clock.now().saturating_duration_since(self.start);
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                resident_bytes() as f64,
            ),
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                self.started.as_second() as f64,
            ),
            (
                "process_uptime_seconds",
                "How long the process has run",
                uptime.as_secs_f64(),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_text_holds_what_all_parts_registered() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let registry = Registry::new();
        registry.register_collector(ProcessMetrics::new(&clock));
        let writes = registry
            .sub("store")
            .register("writes", "Writes", Counter::<u64>::default());
        writes.inc_by(3);
        clock.sleep(Duration::from_secs(90)).await;
        let text = registry.encode();
        for line in [
            "store_writes_total 3",
            "process_start_time_seconds 1767225600.0",
            "process_uptime_seconds 90.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(resident_bytes() > 100_000);
    }
}
