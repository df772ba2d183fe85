//! HTTP requests that are not gRPC, and what every component answers to them itself.
//!
//! ```text
//! guard.rs (who asks for gRPC?) ── no ──▶ http/guard.rs ──┬── probes.rs: /metrics, /livez, /readyz, /healthz
//!                                         request.rs      ├── the component's own routes, gzip.rs around them
//!                                         body.rs         └── nobody: 404
//!                                         contained.rs, stream.rs
//! ```
//! Invariant: every failure below is a Kubernetes `Status` as JSON, the probes' own text aside.

mod body;
mod contained;
mod guard;
mod gzip;
mod metrics;
mod probes;
mod request;
mod status;
mod stream;

pub(super) use guard::run;
pub use gzip::SizeAtLeast;
pub(super) use gzip::compressed;
pub(super) use metrics::HttpMetrics;
pub use metrics::RequestLabels;
pub(super) use probes::routes;
pub(super) use status::{not_found, response};
