//! One process that stands for N simulated nodes.
//!
//! ```text
//!  API ──deltas──▶ ┌─────────┐ ──notices──▶ Events
//!  clock ──────▶   │ Kubelet │ ──batches──▶ API ──results──┐
//!  faults ─────▶   └─────────┘ ◀───────────────────────────┘
//! ```
//! - [`pod`]: the life of one pod, as pure rules; [`behavior`] and [`distribution`] say what its annotations may ask for.
//! - [`node`]: what nodes are like, and their objects.
//! - [`kubelet`]: all nodes and pods of the process, without I/O.
//! - `faults`: the gRPC service that crashes and stops them.
//! - `logs`: the gRPC service that tells what containers have said.
//! - `run`: carries deltas, results and commands to the kubelet, and its writes to the API.
//!
//! All state that matters is in the API: a process that is killed at any moment goes on where it was.

pub mod behavior;
pub mod config;
pub mod distribution;
mod faults;
pub mod kubelet;
mod logs;
mod metrics;
pub mod node;
pub mod pod;
mod run;

pub use config::Config;
pub use run::{COMPONENT, run};
