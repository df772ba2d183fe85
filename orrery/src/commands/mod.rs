//! The commands, a file each: its arguments, and what it does.

pub mod api_resources;
pub mod apply;
pub mod delete;
pub mod drill;
pub mod get;
pub mod health;
pub mod kill;
pub mod ps;
pub mod rollout;
pub mod scale;
pub mod set;
