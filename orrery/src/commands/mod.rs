//! The commands, a file each: its arguments, and what it does.

pub mod annotate;
pub mod api_resources;
pub mod apply;
pub mod bench;
pub mod crash;
pub mod delete;
pub mod describe;
pub mod drill;
pub mod events;
pub mod explain;
pub mod get;
pub mod health;
pub mod kill;
pub mod kubeconfig;
pub mod logs;
pub mod node;
pub mod patch;
pub mod ps;
pub mod rollout;
pub mod scale;
pub mod set;
pub mod wait;
pub mod why;
