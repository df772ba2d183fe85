//! `orrery kill`: sends a signal to a component that `orrery up` started, to see how the others take it.

use crate::data_dir::DataDir;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::process::{Pid, Signal};
use std::path::PathBuf;

/// Send a signal to a component that `orrery up` started. `up` starts it again when it dies.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery kill scheduler                 # as a crash: SIGKILL\n  \
    orrery kill apiserver --signal STOP   # freeze it …\n  orrery kill apiserver --signal CONT   # … and let it go on"
)]
pub struct Args {
    /// apiserver, controller-manager, scheduler or kubelet-sim.
    component: String,
    /// Which signal.
    #[arg(long, value_enum, ignore_case = true, default_value = "KILL")]
    signal: Which,
    /// The data directory of the `orrery up` that started it.
    #[arg(long, env = "ORRERY_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// The signals that make sense here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Which {
    /// Dies at once, without a word.
    Kill,
    /// Is asked to stop.
    Term,
    /// Freezes.
    Stop,
    /// Goes on after STOP.
    Cont,
}

impl Which {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Term => Signal::TERM,
            Self::Stop => Signal::STOP,
            Self::Cont => Signal::CONT,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let dir = DataDir::new(args.data_dir.clone())?;
    let pid = kill(&dir, &args.component, args.signal)?;
    println!(
        "{} (pid {pid}) got SIG{}",
        args.component,
        format!("{:?}", args.signal).to_uppercase()
    );
    Ok(())
}

/// Sends the signal, and says to which process.
pub fn kill(dir: &DataDir, component: &str, which: Which) -> Result<u32> {
    let running = dir.read_running()?;
    let Some(found) = running
        .components
        .iter()
        .find(|candidate| candidate.name == component)
    else {
        let names: Vec<_> = running
            .components
            .iter()
            .map(|candidate| candidate.name.as_str())
            .collect();
        bail!(
            "there is no component {component:?}: `orrery up` runs {}",
            names.join(", ")
        );
    };
    let pid = found
        .pid
        .with_context(|| format!("{component} is down: `orrery ps` shows when it is back"))?;
    let target = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("not a process id")?;
    rustix::process::kill_process(target, which.signal())
        .with_context(|| format!("cannot signal {component} (pid {pid}): is `orrery up` still running?"))?;
    Ok(pid)
}
