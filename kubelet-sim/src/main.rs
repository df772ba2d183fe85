//! kubelet-sim.
fn main() {}
