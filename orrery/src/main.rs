//! orrery.
fn main() {}
