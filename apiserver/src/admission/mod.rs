//! What upstream does in admission plugins: rules that look beyond the object that is written, and defaults that depend
//! on the cluster. Pure: what a rule must know of the cluster is handed in.

pub(crate) mod namespace;
pub(crate) mod pod;
