//! What every component knows about objects: metadata, kinds (one registry row each), selectors, quantities, patches,
//! defaults, validation.
//!
//! Pure: no I/O, no clock, no randomness, no async. Everything is a function from objects to objects.

pub mod json;
pub mod kinds;
pub mod names;
pub mod quantity;
pub mod selector;
pub mod status;
pub mod wire;
