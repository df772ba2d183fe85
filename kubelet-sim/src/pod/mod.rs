//! The life of one pod on its node: pure rules, no I/O.
//!
//! - [`Program`]: what of its spec and annotations that life depends on.
//! - [`PodState`]: where it stands, with the diagram of its stages.
//! - [`advance`]: what becomes of it as time passes.
//! - [`ContainerLog`]: what its containers have said.
//! - [`render`] and [`recover`]: its status in the API, written and read.

mod log;
mod probe;
mod program;
mod state;
mod status;
mod step;
#[cfg(test)]
mod stories;
mod timing;

pub use log::{ContainerLog, Cursor, Line, MOST_LINES, NoLog, Run};
pub use program::{Program, Programs};
pub use state::{Condition, Deletion, Identity, KILLED, PodState, Stage, after};
pub use status::{Surroundings, foreign, images, recover, render};
pub use step::{Context, Images, Step, Told, advance, crash_container, crash_pod};
