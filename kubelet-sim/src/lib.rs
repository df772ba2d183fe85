//! One process that stands for N simulated nodes.
