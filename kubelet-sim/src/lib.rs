//! One process that stands for N simulated nodes.

pub mod behavior;
pub mod distribution;
pub mod pod;
