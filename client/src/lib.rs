//! Typed API client, informer, workqueue, backoff and the reconcile runtime.
//!
//! From the bottom up:
//! - [`client`] and [`api`]: requests to the apiserver, by kind name and typed.
//! - [`informer`]: one ordered stream of changes that survives disconnects, as [`delta::Delta`]s.
//! - [`cache`]: the objects that a component needs, as they were at one revision.
//! - [`workqueue`] and [`backoff`]: which keys to work on, in what order, and when.
//! - [`controller`]: what a controller is: a pure `reconcile(cache, key) -> Plan`.
//! - [`runtime`]: drives controllers: stream → cache → keys → plans → batches of writes.
//! - [`events`]: tells people what happened, best effort.
//! - [`testing`]: a cluster in a map, to test controllers without time or network.

pub mod api;
pub mod backoff;
pub mod cache;
mod cached;
pub mod client;
pub mod controller;
pub mod delta;
mod error;
pub mod events;
pub mod informer;
pub mod key;
pub mod limits;
pub mod runtime;
mod store;
pub mod testing;
pub mod workqueue;

pub use api::Api;
pub use cache::{Cache, CacheEvent, Watch};
pub use client::{Client, ClientConfig};
pub use component_base::time;
pub use controller::{Action, Controller, EventKind, Plan};
pub use delta::Delta;
pub use error::Error;
pub use events::EventRecorder;
pub use informer::Informer;
pub use key::ObjectKey;
pub use runtime::run_controllers;
