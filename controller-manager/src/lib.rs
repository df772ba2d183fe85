//! The controllers that ship with the cluster, in one process: each drives the objects of a kind to what their specs
//! ask for.
//!
//! All of them read one cache, fed by one watch stream, which shows the cluster at one revision. Each is a pure function
//! from that cache to a plan; `client`'s runtime does the rest. [`controllers::all`] lists them.

mod claim;
pub mod controllers;
mod deployment;
mod pods;
mod replicaset;
#[cfg(test)]
mod testing;
