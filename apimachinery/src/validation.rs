//! The rules that an object must keep, and every fault of one that does not.

mod faults;

pub use faults::{Faults, MAX_FAULTS};
