//! The durable store: revisions, one ordered feed of changes, two engines behind one trait, and above them the watch
//! cache and the watch hub.
//!
//! - [`store`]: the trait [`store::Store`] and the plain data it speaks in.
//! - [`embedded`]: the engine for one machine, on fjall. [`etcd`]: the engine for several.
//! - [`memory`]: a store for tests.
//! - [`cache`]: every live object in memory; [`list`] reads them, [`write`](mod@write) changes them, [`watch`] follows them.

pub mod embedded;
pub mod etcd;
pub mod store;

pub mod cache;
mod event;
mod filter;
mod hub;
mod index;
pub mod list;
pub mod memory;
mod objects;
mod recent;
mod scan;
pub mod watch;
pub mod write;

pub use event::Stored;
pub use filter::Target;
