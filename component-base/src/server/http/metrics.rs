//! Metrics of HTTP requests: how many ended with which code, how long they took, under upstream's names.

use crate::metrics::{Counter, Family, Histogram, Registry, latency_buckets};
use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use std::time::Duration;

/// What a request was about. A handler that knows puts this among its response's extensions; both words must come
/// from a bounded set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Kubernetes' verb: "LIST".
    pub verb: &'static str,
    /// The resource's plural name: "pods".
    pub resource: &'static str,
}

impl RequestLabels {
    /// What is known of a request that no handler told about.
    pub(super) fn of(method: &Method) -> Self {
        let verb = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        Self { verb, resource: "" }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    resource: &'static str,
    code: u16,
}

/// The metrics. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(in super::super) struct HttpMetrics {
    total: Family<Answered, Counter>,
    duration: Family<RequestLabels, Histogram, fn() -> Histogram>,
}

impl HttpMetrics {
    /// Registers them under the component's name.
    pub(in super::super) fn new(registry: &Registry, component: &str) -> Self {
        let registry = registry.sub(&component.replace('-', "_"));
        let histogram: fn() -> Histogram = || Histogram::new(latency_buckets());
        Self {
            total: registry.register("request", "HTTP requests answered, by code", Family::default()),
            duration: registry.register(
                "request_duration_seconds",
                "Time from an HTTP request's arrival to its answer, streams aside",
                Family::new_with_constructor(histogram),
            ),
        }
    }

    /// A request was answered; how long it took says nothing about a stream.
    pub(super) fn answered(&self, labels: RequestLabels, code: u16, took: Option<Duration>) {
        let answered = Answered {
            verb: labels.verb,
            resource: labels.resource,
            code,
        };
        self.total.get_or_create(&answered).inc();
        if let Some(took) = took {
            self.duration.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }
}
