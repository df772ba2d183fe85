//! What every process is made of: clock, seeded randomness, telemetry, the gRPC/HTTP server with its limits, health,
//! reflection and metrics, shutdown.
//!
//! Nothing here knows what a Pod is. Components get their [`clock::Clock`] and [`rng::Seed`] from [`process::main`], and
//! hand them down; nobody else asks the machine for time or chance.

pub mod clock;
pub mod flag;
pub mod grpc;
pub mod listen;
pub mod metrics;
pub mod panics;
pub mod process;
pub mod ready;
pub mod rng;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod time;
