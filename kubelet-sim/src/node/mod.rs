//! Simulated nodes: what they are like, where they live, what the API sees of them.

pub mod address;
pub mod group;
pub mod object;
pub mod state;

pub use group::{NodeGroup, NodeTaint};
pub use state::{Blocks, NodeState, Presence, Refusal};
