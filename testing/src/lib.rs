//! A Kubernetes API server for tests, with working controllers, scheduler and nodes, in this process.
//!
//! [`Cluster::start`] gives a running cluster: the apiserver on a free port of 127.0.0.1 over a temporary directory,
//! Deployments that make ReplicaSets that make Pods, a scheduler that places them, simulated nodes that run them, and a
//! [`kube::Client`] that is ready to be used. Any other client can be pointed at [`Cluster::url`]; [`Cluster::kubeconfig`]
//! is for those that read a file. When the cluster is dropped, it leaves nothing behind: no task, no thread, no port, no
//! file. Clusters know nothing of each other; many of them run side by side.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use k8s_openapi::api::core::v1::Node;
//! use kube::{Api, api::ListParams};
//!
//! let cluster = orrery_test::Cluster::start().await?;
//! let nodes: Api<Node> = Api::all(cluster.client());
//! assert_eq!(nodes.list(&ListParams::default()).await?.items.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! [`Cluster::builder`] chooses the number of nodes, leaves components out (an apiserver alone is what `envtest` gives),
//! or fixes the seed.

mod builder;
mod cluster;
mod components;
mod host;
mod ready;

pub use builder::Builder;
pub use cluster::Cluster;

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine did not give a port, a thread or a directory.
    #[error("starting a cluster: {0}")]
    Machine(#[from] std::io::Error),
    /// A component ended before it was ready.
    #[error("{component} ended before the cluster was ready: {reason}")]
    Ended {
        /// Which one.
        component: &'static str,
        /// What it said.
        reason: String,
    },
    /// The components run, but do not become ready.
    #[error("the cluster was not ready within {limit:?}: {waiting_for}")]
    NotReady {
        /// How long was waited.
        limit: std::time::Duration,
        /// What for.
        waiting_for: String,
    },
    /// The client cannot be made for the cluster's address.
    #[error("making a client: {0}")]
    Client(#[from] kube::Error),
}
