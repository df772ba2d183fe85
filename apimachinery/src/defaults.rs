//! What the API server fills in where an object says nothing.
//!
//! Input: a decoded object, on its way in. Output: the same object with every default that upstream writes into it.
//! Invariant: defaulting twice is defaulting once, and nothing that was said is changed, but for quantities, which are
//! brought to canonical form and rounded up to thousandths, as upstream does.
//! One file a family of kinds; [`Defaults`] is implemented for each kind there.

mod batch;
mod core;
mod csi;
mod custom;
mod gang;
mod pod;
mod service;
mod storage;
mod workload;

pub use pod::{add_default_tolerations, resolve_priority};

use crate::quantity::Quantity;
use std::collections::BTreeMap;

/// A kind whose unset fields have meanings.
pub trait Defaults {
    /// Fills in what is unset.
    fn set_defaults(&mut self);
}

/// Sets an empty string.
fn string(field: &mut String, default: &str) {
    if field.is_empty() {
        default.clone_into(field);
    }
}

/// Sets an unset optional string.
fn optional(field: &mut Option<String>, default: &str) {
    field.get_or_insert_with(|| default.to_owned());
}

/// Sets a zero.
fn number(field: &mut i32, default: i32) {
    if *field == 0 {
        *field = default;
    }
}

/// Brings the amounts of a resource list to canonical form. What cannot be read is left for validation to name.
fn resource_list(list: &mut BTreeMap<String, proto::Quantity>) {
    for amount in list.values_mut() {
        if let Ok(quantity) = Quantity::try_from(&*amount) {
            *amount = quantity.round_up_to_milli().into();
        }
    }
}

/// Copies what `from` has and `to` lacks.
fn fill_in(to: &mut BTreeMap<String, proto::Quantity>, from: &BTreeMap<String, proto::Quantity>) {
    for (name, amount) in from {
        to.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}
