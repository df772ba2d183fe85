//! `kubelet-sim`: stands for simulated nodes. `--help` explains the flags.

use std::process::ExitCode;

/// Many small objects come and go: mimalloc keeps their memory together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    component_base::process::main(&kubelet_sim::COMPONENT, kubelet_sim::run)
}
