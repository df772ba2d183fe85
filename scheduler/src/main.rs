//! The `scheduler` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    component_base::process::main(&scheduler::COMPONENT, scheduler::run)
}
