//! The API over real sockets: an apiserver in this process over the memory store, and plain tonic clients.

mod apply;
mod batch;
mod custom;
mod errors;
mod eviction;
mod faults;
mod harness;
mod hostile;
mod lifecycle;
mod lists;
mod namespaces;
mod restarts;
mod shared;
mod watches;
mod writes;
