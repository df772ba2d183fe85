//! Custom kinds: what CustomResourceDefinitions add to the API.
//!
//! - `definition`: a definition as the server uses it, its schemas compiled, one [`Version`] for each served or stored
//!   version.
//! - `admission`: what happens to a definition on its way into the store: validation, names, conditions, cleanup.
//! - `object`, `scale`: what happens to a custom object on its way into the store and out of it.
//! - `upkeep`: empties kinds whose definition goes, and looks again at names that were taken.
//!
//! Invariant: a definition that was acknowledged with the condition `Established` is served to the next request.

pub(crate) mod admission;
pub(crate) mod definition;
mod naming;
mod object;
mod scale;
pub(crate) mod upkeep;

pub use definition::Version;
