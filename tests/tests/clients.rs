//! Real clients, unchanged: kubectl and the Python client, against the real processes and a cluster in this process.
//!
//! Each says that it skips where it is not installed.
#![allow(
    clippy::print_stdout,
    reason = "what the clients print is shown to whoever runs the tests"
)]

use orrery_test::Cluster;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::cluster::{file, program};

/// Runs a script and shows what it says. Fails with what it fails with.
fn run(script: &Path, args: &[&str], orrery: Option<&Path>) {
    let mut command = Command::new(script);
    command.args(args).stdin(Stdio::null());
    if let Some(orrery) = orrery {
        command.env("ORRERY", orrery);
    }
    let output = command.output().expect("the script runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed: {errors}", script.display());
}

#[test]
fn kubectl_does_what_its_users_do() {
    if let Some(orrery) = program() {
        run(&file("tests/e2e/kubectl.sh"), &[], Some(&orrery));
    }
}

#[tokio::test]
async fn the_python_client_makes_a_deployment_and_watches_its_pods() {
    let cluster = Cluster::start().await.unwrap();
    let url = cluster.url();
    let client = move || run(&file("tests/e2e/python/run.sh"), &[&url], None);
    tokio::task::spawn_blocking(client).await.unwrap();
    drop(cluster);
}
