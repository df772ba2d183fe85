//! Keeps the components running: starts each as a child process, and starts one that dies again.
//!
//! A child is this very program (`orrery apiserver …`), so no other binary has to be found. A child's stdin is a pipe
//! that nobody writes to: when the supervisor is gone, however it went, the pipe closes and the child stops itself.
//!
//! ```text
//!            spawned               exits              after the delay
//! Waiting ───────────▶ Running ───────────▶ Waiting ───────────────▶ …
//! ```

use crate::data_dir::{Component, DataDir, Running};
use anyhow::{Context, Result};
use component_base::clock::{Clock, Instant};
use component_base::process::EXIT_WITH_STDIN;
use component_base::shutdown::Shutdown;
use std::fs::File;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// A component that died once starts again at once; this is for one that dies again and again.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest wait before another start.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A component that ran this long is taken to be well: its next death counts as its first.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// How many notices and changes wait to be heard. A component brings two a restart, and restarts are spaced; more means
/// that nobody listens, and then they are dropped.
pub const NOTICES_WAITING: usize = 256;
/// How long a component may take to stop by itself before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// One component to run.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The component's name, which is also the subcommand that runs it.
    pub name: &'static str,
    /// Where it listens.
    pub address: String,
    /// The arguments after the subcommand.
    pub args: Vec<String>,
}

/// What happened to a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It runs under this process id.
    Started {
        /// The component.
        name: &'static str,
        /// Its process.
        pid: u32,
        /// Whether it had died before.
        again: bool,
    },
    /// It is gone, and will be started again after the delay.
    Died {
        /// The component.
        name: &'static str,
        /// How it ended, in words.
        how: String,
        /// When it will be started again.
        delay: Duration,
    },
    /// It could not be started; the next try comes after the delay.
    Failed {
        /// The component.
        name: &'static str,
        /// Why.
        why: String,
        /// When the next try comes.
        delay: Duration,
    },
}

/// How long to wait before the start after `deaths` deaths in a row.
fn restart_delay(deaths: u32) -> Duration {
    match deaths {
        0 | 1 => Duration::ZERO,
        more => FIRST_DELAY.saturating_mul(1 << (more - 2).min(16)).min(MAX_DELAY),
    }
}

/// "killed by signal 9" or "exited with code 1".
fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Runs the components until `stop`, then stops them, the last one first. Each change is told to `notices` and written
/// to the data directory.
pub async fn supervise(
    specs: Vec<Spec>,
    dir: DataDir,
    clock: Clock,
    notices: mpsc::Sender<Notice>,
    stop: Shutdown,
) -> Result<()> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (changed, mut changes) = mpsc::channel(NOTICES_WAITING);
    let mut stops = Vec::new();
    let mut tasks = Vec::new();
    let mut running = Running {
        supervisor: std::process::id(),
        components: specs.iter().map(Component::down).collect(),
    };
    for (index, spec) in specs.into_iter().enumerate() {
        let own_stop = Shutdown::new();
        stops.push(own_stop.clone());
        let keeper = Keeper {
            spec,
            index,
            program: program.clone(),
            dir: dir.clone(),
            clock: clock.clone(),
            notices: notices.clone(),
            changed: changed.clone(),
        };
        tasks.push(tokio::spawn(keeper.keep(own_stop)));
    }
    drop(changed);
    let stopper = async {
        stop.cancelled().await;
        // Last started, first stopped: the apiserver hears everybody's last words.
        for (own_stop, task) in stops.iter().zip(&mut tasks).rev() {
            own_stop.trigger();
            let _ended = task.await;
        }
    };
    tokio::pin!(stopper);
    loop {
        tokio::select! {
            () = &mut stopper => break,
            Some((index, pid, restarts)) = changes.recv() => {
                let component: &mut Component = &mut running.components[index];
                component.pid = pid;
                component.restarts = restarts;
                // The components are more important than what `orrery ps` is told of them.
                if let Err(error) = dir.write_running(&running) {
                    tracing::warn!(error = format!("{error:#}"), "cannot say what runs");
                }
            }
        }
    }
    for component in &mut running.components {
        component.pid = None;
    }
    dir.write_running(&running)
}

/// Keeps one component running.
struct Keeper {
    spec: Spec,
    index: usize,
    program: std::path::PathBuf,
    dir: DataDir,
    clock: Clock,
    notices: mpsc::Sender<Notice>,
    changed: mpsc::Sender<(usize, Option<u32>, u32)>,
}

impl Keeper {
    async fn keep(self, stop: Shutdown) {
        let name = self.spec.name;
        let mut deaths = 0;
        let mut restarts = 0;
        loop {
            let started = self.clock.now();
            match self.spawn() {
                Ok(mut child) => {
                    let pid = child.id().unwrap_or_default();
                    self.tell(Notice::Started {
                        name,
                        pid,
                        again: restarts > 0,
                    });
                    self.change(Some(pid), restarts).await;
                    let Some(how) = self.run(&mut child, &stop).await else {
                        return;
                    };
                    deaths = self.count_death(started, deaths);
                    self.tell(Notice::Died {
                        name,
                        how,
                        delay: restart_delay(deaths),
                    });
                    self.change(None, restarts).await;
                }
                Err(error) => {
                    // What cannot be started once is not tried again at once.
                    deaths = (deaths + 1).max(2);
                    self.tell(Notice::Failed {
                        name,
                        why: format!("{error:#}"),
                        delay: restart_delay(deaths),
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(restart_delay(deaths)) => restarts += 1,
            }
        }
    }

    fn spawn(&self) -> Result<Child> {
        let path = self.dir.log(self.spec.name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        Command::new(&self.program)
            .arg(self.spec.name)
            .args(&self.spec.args)
            .env(EXIT_WITH_STDIN, "1")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C on a terminal goes to the whole group; the children are stopped by us, in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} {}", self.program.display(), self.spec.name))
    }

    /// Waits for the end of the child: in words when it died, `None` when it was stopped.
    async fn run(&self, child: &mut Child, stop: &Shutdown) -> Option<String> {
        // Waiting for a child closes its stdin, unless somebody else holds it.
        let stdin = child.stdin.take();
        tokio::select! {
            status = child.wait() => {
                return Some(status.map_or_else(|error| format!("lost: {error}"), in_words));
            }
            () = stop.cancelled() => {}
        }
        // Closing the pipe asks the child to stop, as the end of the supervisor would.
        drop(stdin);
        if self.clock.timeout(STOP_WITHIN, child.wait()).await.is_err() {
            tracing::warn!(component = self.spec.name, "did not stop in time; killing it");
            let _gone = child.kill().await;
        }
        self.change(None, 0).await;
        None
    }

    fn count_death(&self, started: Instant, deaths: u32) -> u32 {
        if self.clock.now() - started >= WELL_AFTER {
            1
        } else {
            deaths + 1
        }
    }

    fn tell(&self, notice: Notice) {
        // Nobody listens any more only while everything stops.
        let _unheard = self.notices.try_send(notice);
    }

    async fn change(&self, pid: Option<u32>, restarts: u32) {
        let _unheard = self.changed.send((self.index, pid, restarts)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_longer_up_to_a_bound() {
        let delays: Vec<_> = [1, 2, 3, 4, 7, 40]
            .map(|deaths| restart_delay(deaths).as_millis())
            .into();
        assert_eq!(delays, [0, 200, 400, 800, 5000, 5000]);
    }

    #[test]
    fn an_end_is_told_in_words() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(in_words(ExitStatus::from_raw(9)), "killed by signal 9");
        assert_eq!(in_words(ExitStatus::from_raw(256)), "exited with code 1");
    }
}
