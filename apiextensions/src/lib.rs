//! What a CustomResourceDefinition says about its objects.
//!
//! In: the JSON of a definition, or of one version's `openAPIV3Schema`, and the JSON of objects. Out: faults as
//! Kubernetes words them, and objects that are pruned and have their defaults. The order of a write is
//! [`Schema::prune`], [`Schema::default`], [`Schema::validate`].
//!
//! Pure: no I/O, no clock, no async. Whatever a definition or an object says, the work is bounded: depth and size of
//! schemas ([`limits`]), regular expressions that run in linear time, and CEL with an estimate when the definition is
//! written and a meter when a rule runs.

pub mod limits;

mod cel;
mod compile;
mod default;
mod definition;
mod format;
mod json_path;
mod merge;
mod node;
mod prune;
mod publish;
mod report;
mod schema;
mod structural;
mod validate;

pub use definition::validate_definition;
pub use schema::Schema;
