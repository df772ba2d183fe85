//! The `controller-manager` program.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    component_base::process::main(&controller_manager::COMPONENT, controller_manager::run)
}
