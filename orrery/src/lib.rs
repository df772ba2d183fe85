//! The command-line program: `up`, `apply`, `get`, `drill`, `bench`, …; and all four components in one file, so that
//! `orrery up` needs no other binary and starts its own children.
//!
//! - [`cli`]: the command tree. A command is a file under `commands/` and an arm there.
//! - [`resource`], [`manifest`], [`session`]: what users name, what they write, and the API that they ask.
//! - [`up`]: the supervisor and its live view.
//! - [`invariants`]: what must always hold, checked over a recorded history. `drill` records one.
//! - [`data_dir`]: what `up` keeps, and how other commands find what it started.
//! - [`kubeconfig`]: how kubectl finds the API.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

pub mod cli;
pub mod commands;
pub mod components;
pub mod data_dir;
mod follow;
pub mod invariants;
pub mod kubeconfig;
pub mod manifest;
mod progress;
pub mod resource;
pub mod session;
mod simulator;
pub mod table;
mod tabs;
pub mod up;
