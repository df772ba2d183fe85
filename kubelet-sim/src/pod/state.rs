//! Where a pod stands: what the kubelet holds in memory of it, and no more.
//!
//! ```text
//! container:            image absent                              exits
//!   Waiting ──turn──▶ Pulling ──▶ Starting ──▶ Running ─────────────────▶ Exited
//!                        ▲            ▲                                      │ to be restarted
//!                        └────────────┴───────── BackOff ◀── 10 s … 300 s ───┤
//!                                     ▲                                      │
//!                                     └────────── first restart: at once ────┘
//! pod:  Active ──all containers done, deleted, too old, crashed──▶ Ended
//! ```
//! Invariant: everything here can be read back from the pod's status (`recover`), but for `Pulling` and `Starting`,
//! which look like what came before them and whose ends follow from it.

use super::program::Program;
use jiff::Timestamp;
use proto::api::core::v1::PodCondition;
use std::net::IpAddr;
use std::time::Duration;

/// `code` of a container that was killed: 128 + SIGKILL.
pub const KILLED: i32 = 137;

/// The first delay of CrashLoopBackOff.
const BACKOFF_FIRST: Duration = Duration::from_secs(10);
/// The longest delay of CrashLoopBackOff.
const BACKOFF_LONGEST: Duration = Duration::from_secs(300);
/// A container that ran for so long starts over with the first delay.
const BACKOFF_RESET: Duration = Duration::from_secs(600);
/// Exits in a row are counted up to here; the delay has reached its longest before.
const ROW_MOST: u8 = 7;

/// `at` plus `duration`; the end of time where that lies beyond it.
pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Names a pod.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub code: i32,
    /// When it had started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How many runs in a row before it had ended soon: what the back-off grows with.
    pub row: u8,
}

impl Exit {
    fn soon_in_a_row(&self) -> u8 {
        let ran = Duration::try_from(self.finished.duration_since(self.started)).unwrap_or_default();
        if ran >= BACKOFF_RESET { 0 } else { self.row }
    }

    /// How long the kubelet waits before it starts the container again. The first restart comes at once.
    pub fn restart_delay(&self) -> Duration {
        match self.soon_in_a_row() {
            0 => Duration::ZERO,
            n => (BACKOFF_FIRST * 2u32.pow(u32::from(n.min(ROW_MOST)) - 1)).min(BACKOFF_LONGEST),
        }
    }
}

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its turn has not come.
    Waiting,
    /// Its image is being pulled.
    Pulling {
        /// When the image is there.
        until: Timestamp,
    },
    /// It is being created.
    Starting {
        /// When it runs.
        until: Timestamp,
    },
    /// It runs.
    Running {
        /// When it started.
        since: Timestamp,
    },
    /// It has ended, as `exit` tells.
    Exited,
    /// It has ended too often, and waits to be restarted.
    BackOff {
        /// When it is started again.
        until: Timestamp,
    },
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    /// Where it stands.
    pub phase: Phase,
    /// How the newest run that has ended did so.
    pub exit: Option<Exit>,
    /// How the run before `exit` ended, while `exit` is what the status shows as its state.
    pub previous: Option<Box<Exit>>,
    /// How often it was restarted.
    pub restarts: i32,
    /// Whether its startup probe has succeeded, or it has none and runs.
    pub started: bool,
    /// Whether it is ready.
    pub ready: bool,
}

impl ContainerState {
    /// A container whose turn has not come.
    pub const NEW: Self = Self {
        phase: Phase::Waiting,
        exit: None,
        previous: None,
        restarts: 0,
        started: false,
        ready: false,
    };

    /// Since when it runs.
    pub fn running_since(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Running { since } => Some(since),
            _ => None,
        }
    }

    /// How it ended, when it has and does not run again by itself.
    pub fn ended(&self) -> Option<&Exit> {
        match self.phase {
            Phase::Exited => self.exit.as_ref(),
            _ => None,
        }
    }

    /// The number of the run that is going on or comes next, from 0.
    pub fn attempt(&self) -> i32 {
        let over = self.exit.is_some() && self.running_since().is_none();
        self.restarts + i32::from(over)
    }

    /// The `row` of the run after `exit`.
    pub fn row(&self) -> u8 {
        self.exit
            .map_or(0, |exit| (exit.soon_in_a_row() + 1).min(ROW_MOST))
    }
}

/// A condition of the kubelet's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its status.
    pub holds: bool,
    /// Since when: `lastTransitionTime`.
    pub since: Timestamp,
}

/// The conditions that the kubelet keeps, in the order in which the status lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The pod has its sandbox and address.
    ReadyToStartContainers,
    /// All init containers are done, and all sidecars have started.
    Initialized,
    /// The pod is ready to serve.
    Ready,
    /// All containers are ready.
    ContainersReady,
}

impl Condition {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::ReadyToStartContainers,
        Self::Initialized,
        Self::Ready,
        Self::ContainersReady,
    ];

    /// As `type` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadyToStartContainers => "PodReadyToStartContainers",
            Self::Initialized => "Initialized",
            Self::ContainersReady => "ContainersReady",
            Self::Ready => "Ready",
        }
    }
}

/// How a pod ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// `Succeeded` when true, else `Failed`.
    pub succeeded: bool,
    /// `status.reason`; empty for an end that needs none.
    pub reason: Box<str>,
    /// `status.message`.
    pub message: Box<str>,
}

/// What a pod does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its containers start, run, restart and stop.
    Active,
    /// Nothing of it runs any more, nor will.
    Ended(Box<End>),
}

/// A pod's deletion, as its metadata tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When it was asked for.
    pub requested: Timestamp,
    /// How long its containers have to stop.
    pub grace: Duration,
}

/// A pod on its node.
#[derive(Clone, Debug, PartialEq)]
pub struct PodState {
    /// When the kubelet took it: `startTime`.
    pub accepted: Timestamp,
    /// What it does.
    pub stage: Stage,
    /// Its address; `None` for a pod that was never admitted.
    pub ip: Option<IpAddr>,
    /// As the program's containers.
    pub containers: Box<[ContainerState]>,
    /// One for each of [`Condition::ALL`].
    pub marks: [Mark; 4],
    /// Conditions of others, kept as they are: PodScheduled, readiness gates, DisruptionTarget.
    pub foreign: Vec<PodCondition>,
    /// Whether its containers have been told to stop, so that `Killing` is told once. Not in the status.
    pub stop_told: bool,
}

impl PodState {
    /// A pod that the kubelet takes now, whose sandbox stands at once.
    pub fn accept(program: &Program, ip: IpAddr, now: Timestamp, foreign: Vec<PodCondition>) -> Self {
        let mut state = Self {
            accepted: now,
            stage: Stage::Active,
            ip: Some(ip),
            containers: vec![ContainerState::NEW; program.containers.len()].into(),
            marks: [Mark {
                holds: false,
                since: now,
            }; 4],
            foreign,
            stop_told: false,
        };
        state.marks[Condition::ReadyToStartContainers as usize].holds = true;
        state.marks[Condition::Initialized as usize].holds = program.init == 0;
        state
    }

    /// A pod that its node refuses.
    pub fn reject(
        program: &Program,
        now: Timestamp,
        foreign: Vec<PodCondition>,
        reason: &str,
        why: &str,
    ) -> Self {
        let end = End {
            succeeded: false,
            reason: reason.into(),
            message: format!("Pod was rejected: {why}").into(),
        };
        Self {
            accepted: now,
            stage: Stage::Ended(Box::new(end)),
            ip: None,
            containers: vec![ContainerState::NEW; program.containers.len()].into(),
            marks: [Mark {
                holds: false,
                since: now,
            }; 4],
            foreign,
            stop_told: false,
        }
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Active => None,
            Stage::Ended(end) => Some(end),
        }
    }

    /// Whether a condition holds.
    pub fn holds(&self, condition: Condition) -> bool {
        self.marks[condition as usize].holds
    }

    /// `status.phase`.
    pub fn phase(&self, program: &Program) -> &'static str {
        if let Some(end) = self.end() {
            return if end.succeeded { "Succeeded" } else { "Failed" };
        }
        let main = &self.containers[program.init.min(self.containers.len())..];
        let never_ran = |c: &ContainerState| c.exit.is_none() && c.running_since().is_none();
        if !self.holds(Condition::Initialized) || main.iter().any(never_ran) {
            "Pending"
        } else {
            "Running"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_to_five_minutes_and_forgets_after_ten_minutes_of_running() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut container = ContainerState::NEW;
        let mut delays = Vec::new();
        let mut run = |seconds| {
            let exit = Exit {
                code: 1,
                started: start,
                finished: after(start, Duration::from_secs(seconds)),
                row: container.row(),
            };
            container.exit = Some(exit);
            delays.push(exit.restart_delay().as_secs());
        };
        for seconds in [599, 1, 1, 1, 1, 1, 1, 1, 1, 600, 1] {
            run(seconds);
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300, 300, 0, 10]);
    }
}
