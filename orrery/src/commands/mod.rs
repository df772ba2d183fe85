//! The commands, a file each: its arguments, and what it does.

pub mod health;
pub mod kill;
pub mod ps;
