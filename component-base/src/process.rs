//! What every component's `main` does before the component itself runs, and after.
//!
//! In: the component's name, its flags and its `run`. Out: an exit code. In between: command line, logs, runtime, seed,
//! clock, listener, signals. The `orrery` program runs the same components as subcommands with [`command`] and [`run`].

use crate::clock::Clock;
use crate::listen::ListenArgs;
use crate::rng::Seed;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, LogArgs};
use anyhow::Context;
use clap::builder::Resettable;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long the runtime may take to end once the component has ended: blocking file work cannot be cancelled.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(2);

/// Set by a supervisor that keeps the process' stdin as a pipe: the process stops when the pipe closes, which it does
/// however the supervisor ends.
pub const EXIT_WITH_STDIN: &str = "ORRERY_EXIT_WITH_STDIN";

/// What tells one component from another before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// The crate's, the folder's and the binary's name: "apiserver".
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Where it listens unless `--listen` says otherwise: "127.0.0.1:7443".
    pub default_listen: &'static str,
}

/// The flags that every component takes besides its own.
#[derive(Clone, Debug, Args)]
struct ProcessArgs {
    #[command(flatten)]
    listen: ListenArgs,

    #[command(flatten)]
    log: LogArgs,

    /// Where all chance comes from; the same seed repeats a run. Drawn and logged when not given
    #[arg(long, env = "ORRERY_SEED", value_name = "NUMBER")]
    seed: Option<u64>,
}

/// The component's command line: as a program of its own, or as a subcommand of `orrery`.
pub fn command<C: Args>(component: &Component) -> Command {
    let command = Command::new(component.name).version(env!("CARGO_PKG_VERSION"));
    ProcessArgs::augment_args(C::augment_args(command))
        .mut_arg("listen", |arg| arg.default_value(component.default_listen))
        // After the groups of flags, whose own descriptions would stand here.
        .about(component.about)
        .long_about(None)
}

/// A component's flags from text, their defaults where `flags` are silent. Nothing is read from the environment: for a
/// program that hosts components by itself.
///
/// # Errors
/// The flags are not the component's, or lack one.
pub fn configured<C: Args>(flags: &[&str]) -> Result<C, clap::Error> {
    let command = C::augment_args(Command::new("component")).mut_args(|arg| arg.env(Resettable::Reset));
    let program = std::iter::once("component");
    let matches = command.try_get_matches_from(program.chain(flags.iter().copied()))?;
    C::from_arg_matches(&matches)
}

/// Runs the component with what [`command`] parsed, until it ends by itself, fails, or a signal ends it.
pub fn run<C, F, Fut>(component: &Component, matches: &ArgMatches, run: F) -> ExitCode
where
    C: Args,
    F: FnOnce(C, TcpListener, Clock, Seed, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    match start::<C, F, Fut>(component, matches, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(component = component.name, "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A component's whole `main`.
pub fn main<C, F, Fut>(component: &Component, run: F) -> ExitCode
where
    C: Args,
    F: FnOnce(C, TcpListener, Clock, Seed, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let matches = command::<C>(component).get_matches();
    self::run::<C, F, Fut>(component, &matches, run)
}

fn start<C, F, Fut>(component: &Component, matches: &ArgMatches, run: F) -> anyhow::Result<()>
where
    C: Args,
    F: FnOnce(C, TcpListener, Clock, Seed, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let args = ProcessArgs::from_arg_matches(matches)?;
    let config = C::from_arg_matches(matches)?;
    if let Err(error) = telemetry::init(&args.log) {
        // Without this, the error itself would never be seen.
        telemetry::init(&LogArgs::default())?;
        return Err(error.into());
    }
    crate::panics::abort_on_others();
    raise_file_limit();
    let seed = args.seed.map_or_else(Seed::from_entropy, Seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().context("installing the signal handlers")?;
        if std::env::var_os(EXIT_WITH_STDIN).is_some() {
            stop_with_stdin(shutdown.clone());
        }
        let listener = args.listen.bind(component.default_listen).await?;
        tracing::info!(
            component = component.name,
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id(),
            seed = seed.0,
            listen = %listener.local_addr()?,
            "starting"
        );
        // Boxed, as a component's future is large and lives once.
        Box::pin(run(config, listener, Clock::system(), seed, shutdown)).await
    });
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    tracing::info!(component = component.name, "ended");
    result
}

/// Stops the process when its stdin ends. On a thread of its own, since such a read cannot be cancelled.
fn stop_with_stdin(shutdown: Shutdown) {
    std::thread::spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tracing::info!(
            error = ended.err().map(tracing::field::display),
            "the supervisor is gone"
        );
        shutdown.trigger();
    });
}

/// Takes as many file descriptors as the system allows: the usual soft limit of 1,024 is below what the server's
/// connections and the store's files may need. Rust programs never use select(2), for which it exists.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, limit = limit.current, "cannot raise the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Args)]
    struct Config {
        /// Anything
        #[arg(long)]
        nodes: u32,
    }

    const COMPONENT: Component = Component {
        name: "planet",
        about: "Goes round",
        default_listen: "127.0.0.1:0",
    };

    fn check(args: &[&str], expected: ExitCode) {
        let matches = command::<Config>(&COMPONENT).get_matches_from(args);
        let code = run(
            &COMPONENT,
            &matches,
            async |config: Config, listener, _, seed, shutdown: Shutdown| {
                assert_eq!(seed, Seed(7));
                assert_ne!(TcpListener::local_addr(&listener)?.port(), 0);
                anyhow::ensure!(config.nodes > 0, "no nodes");
                shutdown.trigger();
                Ok(())
            },
        );
        assert_eq!(format!("{code:?}"), format!("{expected:?}"), "{args:?}");
    }

    #[test]
    fn a_component_runs_with_its_flags_and_its_failure_is_the_exit_code() {
        check(&["planet", "--nodes", "3", "--seed", "7"], ExitCode::SUCCESS);
        check(&["planet", "--nodes", "0", "--seed", "7"], ExitCode::FAILURE);
        check(
            &["planet", "--nodes", "3", "--seed", "7", "--listen", "0.0.0.0:0"],
            ExitCode::FAILURE,
        );
    }

    #[test]
    fn help_shows_the_components_own_address() {
        let help = command::<Config>(&COMPONENT).render_long_help().to_string();
        assert!(help.contains("[default: 127.0.0.1:0]"), "{help}");
    }
}
