//! `orrery kubeconfig`: prints what kubectl needs to find the API.

use crate::cli::ServerArgs;
use crate::kubeconfig;

/// Print a kubeconfig for the API. `orrery up` keeps one in its data directory.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery kubeconfig > orrery.kubeconfig\n  export KUBECONFIG=$PWD/orrery.kubeconfig"
)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub fn run(args: &Args) {
    print!("{}", kubeconfig::text(&args.server.server));
}
