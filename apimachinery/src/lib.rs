//! What every component knows about objects: metadata, kinds (one registry row each), selectors, quantities, patches,
//! defaults, validation.
//!
//! Pure: no I/O, no clock, no randomness, no async. Everything is a function from objects to objects.

pub mod apply;
pub mod convert;
pub mod defaults;
pub mod hash;
pub mod int_or_string;
pub mod json;
pub mod jsonpath;
pub mod kinds;
pub mod managed_fields;
pub mod meta;
pub mod names;
pub mod owner;
pub mod patch;
pub mod path;
pub mod printers;
pub mod quantity;
pub mod resources;
pub mod selector;
pub mod status;
pub mod strategy;
pub mod tolerations;
pub mod validation;
pub mod volumes;
pub mod well_known;
pub mod wire;
