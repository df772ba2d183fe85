//! Everything that must hold before a change is merged, in the order of what fails fastest.
//!
//! Every step runs, also after one has failed, so that one run shows all there is to repair.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A step: its heading, and what it does.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", || cargo(&["fmt", "--all", "--check"], &[])),
    ("generated code is up to date", || crate::codegen::run(true)),
    ("arrows between the crates", crate::arrows::run),
    ("plugins have tests and entries", crate::plugins::run),
    ("clippy, warnings denied", || {
        cargo(
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            &[],
        )
    }),
    ("documentation, warnings denied", || {
        cargo(
            &["doc", "--workspace", "--no-deps", "--document-private-items"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
    }),
    // The end-to-end tests run it.
    ("the program", || cargo(&["build", "--bin", "orrery"], &[])),
    ("tests", || cargo(&["test", "--workspace"], &[])),
];

/// Runs every step; fails when one did.
pub(crate) fn run() -> Result<()> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let (result, took) = timed(step);
        if let Err(error) = &result {
            eprintln!("{error:#}");
        }
        println!("=== {name}: {} in {:.1} s", word(&result), took.as_secs_f64());
        results.push((name, result, took));
    }
    println!("\n=== summary");
    for (name, result, took) in &results {
        println!("{:7.1} s  {:6}  {name}", took.as_secs_f64(), word(result));
    }
    let failed = results.iter().filter(|(_, result, _)| result.is_err()).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    Ok(())
}

fn word(result: &Result<()>) -> &'static str {
    if result.is_ok() { "passed" } else { "FAILED" }
}

#[allow(
    clippy::disallowed_methods,
    reason = "tells people how long a step took; nothing depends on it"
)]
fn timed(step: &fn() -> Result<()>) -> (Result<()>, Duration) {
    let start = Instant::now();
    let result = step();
    (result, start.elapsed())
}

/// Runs the cargo that runs us, in the workspace's root.
fn cargo(args: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root)
        .status()
        .with_context(|| format!("starting cargo {}", args.join(" ")))?;
    ensure!(status.success(), "cargo {} failed: {status}", args.join(" "));
    Ok(())
}
