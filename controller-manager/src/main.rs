//! controller-manager.
fn main() {}
