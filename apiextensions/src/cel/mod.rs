//! CEL: the rules of `x-kubernetes-validations`.
//!
//! In: the rules of a schema, and objects. Out: faults. The crate `cel` parses; this module checks types against the
//! schema, estimates costs, and runs what is left under a meter, because whoever may create a definition must not be able
//! to stop the server with it.
//!
//! [`check`] text → program, with types and the estimate; [`program`] runs one; [`rules`] reads rules out of a schema;
//! [`mod@run`] walks an object and runs what applies.

mod check;
mod escape;
mod functions;
mod loops;
mod operators;
mod program;
mod rules;
mod run;
mod shape;
mod value;

pub(crate) use rules::{Rule, attach};
pub(crate) use run::run;
pub(crate) use shape::measure;
