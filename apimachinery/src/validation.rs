//! The rules that an object must keep, and every fault of one that does not.
//!
//! Input: an object with its defaults, and on update its stored state. Output: [`Faults`], each with its path and a
//! message as Kubernetes words it. Nothing stops at the first fault.
//! One file a family of kinds; [`Validate`] is implemented for each kind there.

mod autoscaling;
mod batch;
mod container;
mod core;
mod cron;
mod csi;
mod custom;
mod disruption;
mod faults;
mod gang;
mod labels;
mod meta;
mod pod;
mod probe;
mod resources;
mod restart;
mod service;
mod volume;
mod workload;

pub use faults::{Faults, MAX_FAULTS};
pub use meta::{MAX_ANNOTATION_BYTES, validate_meta, validate_meta_update};

use crate::strategy::Subresource;
use proto::Kind;

/// A kind that has rules beyond those of all metadata.
pub trait Validate: Kind {
    /// The rules for an object at any time.
    fn validate(&self, faults: &mut Faults);

    /// The rules for a new object.
    fn validate_create(&self, faults: &mut Faults) {
        self.validate(faults);
    }

    /// The rules for an object that replaces `old`: those at any time, and which fields cannot change.
    fn validate_update(&self, _old: &Self, faults: &mut Faults) {
        self.validate(faults);
    }

    /// The rules for a part of the object that has a subresource of its own, beside status and scale.
    fn validate_part_update(&self, _part: Subresource, _old: &Self, faults: &mut Faults) {
        self.validate(faults);
    }

    /// The rules for a new status. Whatever else the object has was checked when it was written.
    fn validate_status_update(&self, _old: &Self, _faults: &mut Faults) {}
}
