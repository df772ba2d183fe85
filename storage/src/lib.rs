//! The durable store: revisions, one ordered feed of changes, two engines behind one trait, and above them the watch
//! cache and the watch hub.
//!
//! - [`store`]: the trait [`store::Store`] and the plain data it speaks in.

pub mod store;
