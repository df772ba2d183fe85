//! Metrics of the gRPC methods: how many calls ended with which code, how long they took, how many are open.
//!
//! Labels are the names of methods that are served, or [`UNKNOWN`]: what a client sends must not become a label.

use super::limits::Limits;
use crate::grpc::to_tonic;
use crate::metrics::{Counter, Family, Histogram, Registry, latency_buckets};
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use proto::meta::v1::Status;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::Code;

/// The label of calls to methods that are not served.
pub(super) static UNKNOWN: LazyLock<Arc<String>> = LazyLock::new(|| Arc::new("unknown".into()));

/// The metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct RpcMetrics {
    handled: Family<HandledLabels, Counter>,
    latency: Family<MethodLabel, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandledLabels {
    method: Arc<String>,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: Arc<String>,
}

impl RpcMetrics {
    /// Registers them; the semaphores are those that limit calls and streams.
    pub(super) fn new(
        registry: &Registry,
        limits: Limits,
        calls: &Arc<Semaphore>,
        streams: &Arc<Semaphore>,
    ) -> Self {
        registry.register_collector(Open {
            limits,
            calls: calls.clone(),
            streams: streams.clone(),
        });
        let registry = registry.sub("grpc_server");
        let histogram: fn() -> Histogram = || Histogram::new(latency_buckets());
        Self {
            handled: registry.register(
                "handled",
                "Calls and streams that ended, by gRPC code",
                Family::default(),
            ),
            latency: registry.register(
                "handling_seconds",
                "Time from a call's arrival to its answer, streams aside",
                Family::new_with_constructor(histogram),
            ),
        }
    }

    /// A call or stream begins. However it ends, it is counted once.
    pub(super) fn begin(&self, method: &Arc<String>) -> Ending {
        Ending {
            metrics: self.clone(),
            method: method.clone(),
            counted: false,
        }
    }

    fn handled(&self, method: &Arc<String>, code: Code) {
        let labels = HandledLabels {
            method: method.clone(),
            code: code_name(code),
        };
        self.handled.get_or_create(&labels).inc();
    }

    /// A call was answered.
    pub(super) fn latency(&self, method: &Arc<String>, latency: Duration) {
        let label = MethodLabel {
            method: method.clone(),
        };
        self.latency.get_or_create(&label).observe(latency.as_secs_f64());
    }
}

/// How a call or stream ends. Dropped without a word, it is CANCELLED: the client went away.
#[derive(Debug)]
pub(super) struct Ending {
    metrics: RpcMetrics,
    method: Arc<String>,
    counted: bool,
}

impl Ending {
    /// It ended with this code. Only the first time counts.
    pub(super) fn with(&mut self, code: Code) {
        if !std::mem::replace(&mut self.counted, true) {
            self.metrics.handled(&self.method, code);
        }
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.counted
    }

    /// It ends with this error.
    pub(super) fn refuse(mut self, status: Status) -> Response {
        let status = to_tonic(status);
        self.with(status.code());
        status.into_http()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.with(Code::Cancelled);
    }
}

/// gRPC's own spelling.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// How many calls and streams are open, read from the semaphores that limit them.
#[derive(Debug)]
struct Open {
    limits: Limits,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Collector for Open {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, limit, semaphore) in [
            (
                "grpc_server_calls_open",
                "Calls that handlers work on",
                self.limits.calls,
                &self.calls,
            ),
            (
                "grpc_server_streams_open",
                "Open server streams",
                self.limits.watches,
                &self.streams,
            ),
        ] {
            let gauge = ConstGauge::new(limit.saturating_sub(semaphore.available_permits()) as i64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_counted_once_however_it_ends() {
        let registry = Registry::new();
        let semaphore = Arc::new(Semaphore::new(1));
        let metrics = RpcMetrics::new(&registry, Limits::default(), &semaphore, &semaphore);
        let method = Arc::new("orrery.v1.Pods/Bind".to_owned());
        let mut answered = metrics.begin(&method);
        answered.with(Code::Ok);
        answered.with(Code::Internal);
        drop(answered);
        drop(metrics.begin(&method));
        metrics
            .begin(&method)
            .refuse(crate::grpc::failure("Conflict", "stale"));
        let text = registry.encode();
        let counted: Vec<_> = text
            .lines()
            .filter(|line| line.contains("handled_total{"))
            .collect();
        assert_eq!(counted.len(), 3, "{text}");
        for code in ["OK", "CANCELLED", "ABORTED"] {
            let line =
                format!(r#"grpc_server_handled_total{{method="orrery.v1.Pods/Bind",code="{code}"}} 1"#);
            assert!(counted.contains(&line.as_str()), "{line} in\n{text}");
        }
    }
}
