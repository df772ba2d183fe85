//! What needs more than one crate: integration, simulation, end to end.
//!
//! - [`cluster`]: a real cluster of the `orrery` program, watched through a client's own cache.

pub mod cluster;
