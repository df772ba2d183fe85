//! The API over real sockets: an apiserver in this process over the memory store, and plain tonic clients.

mod harness;
mod lifecycle;
