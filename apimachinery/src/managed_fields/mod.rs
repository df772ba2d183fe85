//! Server-side apply: who owns which fields of an object, and what becomes of it when one of them applies.
//!
//! In: an object's states as JSON trees, its `metadata.managedFields`, and who writes. Out: the object that an apply leads
//! to, the managers afterwards, or the [`Conflicts`] with others. Pure: the time comes from the caller.
//!
//! - `schema`, `descriptors`: which values have parts that are owned apart;
//! - `element`, `set`: sets of field paths and their JSON, `FieldsV1`;
//! - `fields`, `compare`, `merge`: what an object has, what changed, what a configuration leads to;
//! - `managers`, `update`, `client_side`, `conflict`: who owns what, before and after a write.
//!
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

mod client_side;
mod compare;
mod conflict;
mod descriptors;
mod element;
mod fields;
mod managers;
mod merge;
mod schema;
mod set;
mod update;

pub use compare::{Comparison, compare};
pub use conflict::{Conflict, Conflicts};
pub use descriptors::{object_meta, of_any, of_kind};
pub use element::{Element, Scalar};
pub use fields::{ConfigError, check, field_set};
pub use managers::{
    ANCIENT_CHANGES, BEFORE_FIRST_APPLY, MAX_UPDATE_MANAGERS, Malformed, Manager, Managers, Operation, Owned,
};
pub use merge::{merge, remove};
pub use schema::{Builder, Cursor, ItemError, Key, Schema, Type, TypeId};
pub use set::{FieldSet, Node};
pub use update::{Part, Writer};

#[cfg(test)]
mod tests;
