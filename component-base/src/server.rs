//! The server that every component runs: gRPC and HTTP on one port, with a limit on everything.
//!
//! In: the component's gRPC services and HTTP routes, its [`Progress`] and [`Registry`]. Added to them: reflection (v1 and
//! v1alpha), health, `orrery.v1.Component`, `/metrics`, `/healthz`, `/livez`, `/readyz`.
//! Out: answers whose every error is or carries a Kubernetes `Status`.
//! Invariant: no client, however hostile, takes more than [`Limits`] allows, and none can hold up the shutdown.
//!
//! ```text
//! listener ── connection.rs ── guard.rs ──┬── gRPC services (tonic's Routes)
//!             caps, timeouts,  deadlines, ├── reflection, health, component.rs
//!             HTTP/1 or 2      shedding,  └── http/: metrics, probes, the component's HTTP routes
//!                              errors, metrics
//! ```
//! Hyper drives the connections, because tonic's own transport serves either HTTP/1 or our HTTP/2 limits, not both.

mod account;
mod admission;
mod component;
mod connection;
mod guard;
mod http;
mod limits;
mod methods;
mod rpc_metrics;
mod stream_body;

pub use http::{RequestLabels, SizeAtLeast};
pub use limits::{Limits, MAX_MESSAGE_BYTES};

use crate::clock::Clock;
use crate::metrics::{ProcessMetrics, Registry};
use crate::ready::{Progress, Readiness};
use crate::shutdown::Shutdown;
use axum::extract::DefaultBodyLimit;
use guard::Guard;
use methods::Methods;
use proto::orrery::v1::component_server::ComponentServer;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;

/// The descriptors of everything that a component can serve.
const DESCRIPTORS: [&[u8]; 4] = [
    proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// A component's server, before it serves.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    clock: Clock,
    registry: Registry,
    progress: Progress,
    limits: Limits,
    routes: Routes,
    http: axum::Router,
    services: Vec<&'static str>,
}

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors contradict each other.
    #[error("the schema cannot be served: {0}")]
    Schema(#[from] tonic_reflection::server::Error),
    /// The descriptors do not decode.
    #[error("the schema cannot be read: {0}")]
    Descriptors(#[from] prost::DecodeError),
}

impl Server {
    /// A server with nothing but what every component serves. It is as ready as `progress` says.
    pub fn new(name: &'static str, clock: &Clock, registry: &Registry, progress: &Progress) -> Self {
        registry.register_collector(ProcessMetrics::new(clock));
        let component = component::Service::new(name, clock, progress);
        Self {
            name,
            clock: clock.clone(),
            registry: registry.clone(),
            progress: progress.clone(),
            limits: Limits::default(),
            routes: Routes::default(),
            http: axum::Router::new(),
            services: Vec::new(),
        }
        .service(ComponentServer::new(component))
    }

    /// Adds a gRPC service. Its methods must be in `proto`'s descriptors: what is not there is not served.
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<::http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Adds HTTP routes beside the probes. The router must not have a fallback. Its handlers find the body read (whole, of
    /// bounded size) and may put [`RequestLabels`] and [`SizeAtLeast`] among the extensions of their responses.
    pub fn http(mut self, routes: axum::Router) -> Self {
        self.http = self.http.merge(routes);
        self
    }

    /// Changes the limits: for tests, and for who knows better.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves until `shutdown`; then answers what was asked, ends the streams, and returns within [`Limits::drain`].
    ///
    /// # Errors
    /// The schema is broken; never a client's fault.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), ServeError> {
        let (reporter, health) = tonic_health::server::health_reporter();
        let with_health = self.service(health);
        let this = with_health.with_reflection()?;
        let mut readiness = this.progress.follow();
        // Told before anybody can ask: the reporter begins with "serving".
        report_health(&reporter, &this.services, &mut readiness).await;
        let services = this.services.clone();
        let health = tokio::spawn(async move {
            while readiness.changed().await.is_ok() {
                report_health(&reporter, &services, &mut readiness).await;
            }
        });

        let guard = Guard::new(
            this.name,
            Methods::of(&DESCRIPTORS, &this.services)?,
            this.limits,
            this.clock.clone(),
            &this.registry,
            shutdown.clone(),
        );
        let app = this
            .routes
            .into_axum_router()
            .merge(http::routes(this.registry.clone(), this.progress.clone()))
            // The guard has read the body already, within its own limit.
            .merge(http::compressed(this.http).layer(DefaultBodyLimit::disable()))
            .fallback(http::not_found)
            .layer(axum::middleware::from_fn_with_state(
                Arc::new(guard),
                guard::guard,
            ))
            .with_state(());
        let ends = connection::Connections::new(this.limits, this.clock.clone(), &this.registry);
        ends.serve(listener, app, &shutdown, || {
            this.progress.not_ready("shutting down");
        })
        .await;
        health.abort();
        tracing::debug!(component = this.name, "no longer serving");
        Ok(())
    }

    /// Reflection lists what is served here, and describes all of the schema.
    fn with_reflection(mut self) -> Result<Self, ServeError> {
        let served = [
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ];
        let builder = || {
            let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
            let builder = DESCRIPTORS
                .iter()
                .fold(builder, |b, set| b.register_encoded_file_descriptor_set(set));
            (self.services.iter().chain(&served)).fold(builder, |b, &name| b.with_service_name(name))
        };
        let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
        self = self.service(v1).service(v1alpha);
        Ok(self)
    }
}

/// Makes grpc.health.v1 as ready as the component is: the whole server ("") and each service.
async fn report_health(
    reporter: &HealthReporter,
    services: &[&str],
    readiness: &mut watch::Receiver<Readiness>,
) {
    let status = match *readiness.borrow_and_update() {
        Readiness::Ready => ServingStatus::Serving,
        Readiness::NotReady(_) => ServingStatus::NotServing,
    };
    for service in services.iter().chain(&[""]) {
        reporter.set_service_status(service, status).await;
    }
}
