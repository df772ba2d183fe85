//! apiserver.
fn main() {}
