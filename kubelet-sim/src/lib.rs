//! One process that stands for N simulated nodes.

pub mod behavior;
pub mod config;
pub mod distribution;
pub mod node;
pub mod pod;
