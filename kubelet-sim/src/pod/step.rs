//! The kubelet's rules: what becomes of a pod when time passes.
//!
//! Inputs: its program, its state, its deletion, the time, chance. Outputs: the next state, what to tell, and when to
//! look again. No I/O; nothing is remembered elsewhere.
//! Invariant: [`advance`] at every moment that it names itself gives the same life as calling it at any other moments
//! besides. What the container runtime does by itself (an exit) has the time at which it was due; what the kubelet does
//! (a start, a kill) has the time at which it does it, because a kubelet that was away cannot have done it before.
//!
//! Rules: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/> and
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>.

use super::program::{ContainerProgram, Program, PullPolicy};
use super::state::{Condition, ContainerState, Deletion, End, Exit, KILLED, Phase, PodState, Stage, after};
use super::timing::{own_exit, probe_kill, readiness, sample, startup};
use crate::behavior::Role;
use component_base::rng::Seed;
use jiff::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The images that a node has.
pub type Images = HashSet<Arc<str>>;

/// What a step depends on besides the pod's state.
#[derive(Debug)]
pub struct Context<'a> {
    /// The pod's program.
    pub program: &'a Program,
    /// The chance of this pod alone: forked by its UID.
    pub seed: Seed,
    /// The time.
    pub now: Timestamp,
    /// Whether the pod is being deleted.
    pub deletion: Option<Deletion>,
    /// What its node has pulled already.
    pub images: &'a mut Images,
}

/// Something to tell the user: an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `reason`, such as `Started`.
    pub reason: &'static str,
    /// Whether its type is `Warning`.
    pub warning: bool,
    /// The index of the container concerned; `None` for the pod.
    pub container: Option<usize>,
    /// What to say.
    pub message: String,
}

/// What a step came to.
#[derive(Debug, Default)]
pub struct Step {
    /// Whether the status has changed.
    pub changed: bool,
    /// What to tell.
    pub told: Vec<Told>,
    /// How many containers were started again.
    pub restarts: u32,
    /// When to look again; `None` when only others can change anything.
    pub next: Option<Timestamp>,
}

/// Why and when containers have to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stopping {
    /// Since when.
    since: Timestamp,
    /// When what still runs is killed.
    kill_at: Timestamp,
    /// Whether the pod has been active for too long.
    too_old: bool,
}

/// Takes the pod as far as it has come by now.
pub fn advance(state: &mut PodState, cx: &mut Context<'_>) -> Step {
    let mut step = Step::default();
    while state.end().is_none() && pass(state, cx, &mut step) {}
    update_marks(state, cx, &mut step);
    step.next = deadline(state, cx);
    step
}

/// Ends a container at once, as a crash would. `false` when it does not run.
pub fn crash_container(state: &mut PodState, index: usize, code: i32, now: Timestamp) -> bool {
    let Some(container) = state.containers.get_mut(index) else {
        return false;
    };
    let Some(since) = container.running_since() else {
        return false;
    };
    exit(container, since, now, code);
    true
}

/// Ends a pod at once and leaves it Failed. `false` when it has ended before.
pub fn crash_pod(state: &mut PodState, now: Timestamp) -> bool {
    if state.end().is_some() {
        return false;
    }
    for container in &mut state.containers {
        if let Some(since) = container.running_since() {
            exit(container, since, now, KILLED);
        }
        cancel(container);
    }
    state.stage = Stage::Ended(Box::new(End {
        succeeded: false,
        reason: "Crashed".into(),
        message: "The pod was crashed on request".into(),
    }));
    true
}

/// One pass over the pod; `true` when anything moved, so that another pass may find more to do.
fn pass(state: &mut PodState, cx: &mut Context<'_>, step: &mut Step) -> bool {
    let mut moved = false;
    if let Some(stopping) = stopping(state, cx) {
        if !state.stop_told {
            state.stop_told = true;
            tell_killing(state, cx.program, step);
        }
        for index in 0..state.containers.len() {
            moved |= stop_container(state, index, stopping, cx, step);
        }
        if state.containers.iter().all(|c| c.running_since().is_none()) {
            state.stage = Stage::Ended(Box::new(end(state, cx, stopping)));
            step.changed = true;
        }
    } else {
        for index in 0..state.containers.len() {
            moved |= run_container(state, index, cx, step);
        }
        let mut init = state
            .containers
            .iter()
            .zip(&cx.program.containers)
            .take(cx.program.init);
        if !state.holds(Condition::Initialized) && init.all(|(c, cp)| init_done(c, cp, cx).is_some()) {
            moved |= mark(state, Condition::Initialized, true, cx, step);
        }
    }
    moved
}

/// Whether, and since when, the pod's containers have to stop. Derived, so that a restarted kubelet knows it too.
fn stopping(state: &PodState, cx: &Context<'_>) -> Option<Stopping> {
    let program = cx.program;
    let deleted = cx.deletion.map(|d| Stopping {
        since: d.requested,
        kill_at: after(d.requested, d.grace),
        too_old: false,
    });
    let by_itself = |since, too_old| Stopping {
        since,
        kill_at: after(since, program.grace),
        too_old,
    };
    let too_old = program
        .active_deadline
        .map(|limit| after(state.accepted, limit))
        .filter(|at| *at <= cx.now)
        .map(|at| by_itself(at, true));
    let done = completed(state, program).or_else(|| init_failed(state, program));
    let done = done.map(|at| by_itself(at, false));
    let all = [deleted, too_old, done].into_iter().flatten();
    all.reduce(|a, b| Stopping {
        since: a.since.min(b.since),
        kill_at: a.kill_at.min(b.kill_at),
        too_old: if a.since <= b.since { a.too_old } else { b.too_old },
    })
}

/// When the last main container ended, if all have and none is restarted.
fn completed(state: &PodState, program: &Program) -> Option<Timestamp> {
    let main = state
        .containers
        .iter()
        .zip(&program.containers)
        .skip(program.init);
    let ends = main.map(|(container, cp)| {
        let exit = container.ended()?;
        (!cp.restarts_after(exit.code)).then_some(exit.finished)
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// When an init container failed that is not restarted.
fn init_failed(state: &PodState, program: &Program) -> Option<Timestamp> {
    let init = state
        .containers
        .iter()
        .zip(&program.containers)
        .take(program.init);
    init.filter(|(_, cp)| cp.role == Role::Init)
        .filter_map(|(container, cp)| {
            let exit = container.ended()?;
            (exit.code != 0 && !cp.restarts_after(exit.code)).then_some(exit.finished)
        })
        .min()
}

fn tell_killing(state: &PodState, program: &Program, step: &mut Step) {
    for (index, container) in state.containers.iter().enumerate() {
        if container.running_since().is_some() {
            step.told.push(Told {
                reason: "Killing",
                warning: false,
                container: Some(index),
                message: format!("Stopping container {}", program.containers[index].name),
            });
        }
    }
}

/// How the pod ended, once nothing of it runs.
fn end(state: &PodState, cx: &Context<'_>, stopping: Stopping) -> End {
    if stopping.too_old {
        return End {
            succeeded: false,
            reason: "DeadlineExceeded".into(),
            message: "Pod was active on the node longer than the specified deadline".into(),
        };
    }
    let main = state.containers.iter().skip(cx.program.init);
    let succeeded = main
        .map(ContainerState::ended)
        .all(|exit| exit.is_some_and(|e| e.code == 0));
    End {
        succeeded,
        reason: "".into(),
        message: "".into(),
    }
}

/// A container of a pod whose containers have to stop.
fn stop_container(
    state: &mut PodState,
    index: usize,
    stopping: Stopping,
    cx: &Context<'_>,
    step: &mut Step,
) -> bool {
    let Some(since) = state.containers[index].running_since() else {
        cancel(&mut state.containers[index]);
        return false;
    };
    let cp = &cx.program.containers[index];
    let (at, code) = own_exit(&state.containers[index], cp, since, cx).unwrap_or((Timestamp::MAX, 0));
    let stop = stop_at(state, index, stopping, cx);
    let container = &mut state.containers[index];
    if at <= cx.now && at <= stop.unwrap_or(stopping.kill_at) {
        exit(container, since, at, code);
    } else if stop.is_some_and(|stop| stop <= cx.now) {
        exit(container, since, cx.now, 0);
    } else if stopping.kill_at <= cx.now {
        exit(container, since, cx.now, KILLED);
    } else {
        return false;
    }
    step.changed = true;
    true
}

/// When a container follows its SIGTERM; `None` when it does not in time, or is not told to stop yet: sidecars are told
/// in reverse order, each when all that started after it have stopped.
fn stop_at(state: &PodState, index: usize, stopping: Stopping, cx: &Context<'_>) -> Option<Timestamp> {
    let cp = &cx.program.containers[index];
    let container = &state.containers[index];
    let told = match cp.role {
        Role::Init | Role::Main => stopping.since,
        Role::Sidecar => {
            let later = state
                .containers
                .iter()
                .zip(&cx.program.containers)
                .skip(index + 1);
            let mut told = stopping.since;
            for (other, _) in later {
                if other.running_since().is_some() {
                    return None;
                }
                told = other.exit.map_or(told, |exit| told.max(exit.finished));
            }
            told
        }
    };
    let at = after(
        told,
        sample(cx.seed, cp, container.attempt(), "stop", cp.behavior.stop_latency),
    );
    (at < stopping.kill_at).then_some(at)
}

/// What has not run yet never will.
fn cancel(container: &mut ContainerState) {
    container.phase = if container.exit.is_some() {
        Phase::Exited
    } else {
        Phase::Waiting
    };
}

/// A container of a pod that is to run.
fn run_container(state: &mut PodState, index: usize, cx: &mut Context<'_>, step: &mut Step) -> bool {
    let turn = turn(state, index, cx);
    let cp = &cx.program.containers[index];
    let container = &mut state.containers[index];
    let attempt = container.attempt();
    match container.phase {
        Phase::Pulling { .. } | Phase::Starting { .. } if turn.is_none() && container.exit.is_none() => {
            container.phase = Phase::Waiting;
        }
        Phase::Waiting => match turn {
            Some(at) => begin(container, index, at, cx, step),
            None => return false,
        },
        Phase::Pulling { until } if until <= cx.now => {
            cx.images.insert(cp.image.clone());
            step.tell(
                "Pulled",
                index,
                format!("Successfully pulled image \"{}\"", cp.image),
            );
            let latency = sample(cx.seed, cp, attempt, "start", cp.behavior.start_latency);
            container.phase = Phase::Starting {
                until: after(until, latency),
            };
        }
        Phase::Starting { until } if until <= cx.now => {
            if container.exit.is_some() {
                container.restarts = attempt;
                step.restarts += 1;
            }
            container.phase = Phase::Running { since: cx.now };
            container.previous = None;
            step.tell("Created", index, format!("Created container {}", cp.name));
            step.tell("Started", index, format!("Started container {}", cp.name));
            step.changed = true;
        }
        Phase::Running { since } => return watch_running(container, index, since, cx, step),
        Phase::Exited => {
            let Some(last) = container.exit.filter(|exit| cp.restarts_after(exit.code)) else {
                return false;
            };
            let delay = last.restart_delay();
            if delay.is_zero() {
                begin(container, index, last.finished, cx, step);
            } else {
                container.phase = Phase::BackOff {
                    until: after(last.finished, delay),
                };
                container.previous = None;
                step.told.push(Told {
                    reason: "BackOff",
                    warning: true,
                    container: Some(index),
                    message: format!("Back-off restarting failed container {}", cp.name),
                });
                step.changed = true;
            }
        }
        Phase::BackOff { until } if until <= cx.now => begin(container, index, until, cx, step),
        Phase::Pulling { .. } | Phase::Starting { .. } | Phase::BackOff { .. } => return false,
    }
    true
}

/// Pulls the image of a container, or starts it where the image is there.
fn begin(container: &mut ContainerState, index: usize, at: Timestamp, cx: &Context<'_>, step: &mut Step) {
    let cp = &cx.program.containers[index];
    let attempt = container.attempt();
    let present = match cp.pull {
        PullPolicy::Always => false,
        PullPolicy::IfNotPresent => cx.images.contains(&cp.image),
        PullPolicy::Never => true,
    };
    if present {
        let message = format!("Container image \"{}\" already present on machine", cp.image);
        step.tell("Pulled", index, message);
        let latency = sample(cx.seed, cp, attempt, "start", cp.behavior.start_latency);
        container.phase = Phase::Starting {
            until: after(at, latency),
        };
    } else {
        step.tell("Pulling", index, format!("Pulling image \"{}\"", cp.image));
        let latency = sample(cx.seed, cp, attempt, "pull", cp.behavior.pull_latency);
        container.phase = Phase::Pulling {
            until: after(at, latency),
        };
    }
}

/// When a container's turn to start for the first time came; `None` while those before it are not done, or a sidecar
/// before it is down again. Main containers wait for the condition Initialized, which never falls.
fn turn(state: &PodState, index: usize, cx: &Context<'_>) -> Option<Timestamp> {
    if index >= cx.program.init {
        let mark = state.marks[Condition::Initialized as usize];
        return mark.holds.then_some(mark.since);
    }
    let mut at = state.accepted;
    for (container, cp) in state.containers.iter().zip(&cx.program.containers).take(index) {
        at = at.max(init_done(container, cp, cx)?);
    }
    Some(at)
}

/// Since when an init container or sidecar lets the next one start.
fn init_done(container: &ContainerState, cp: &ContainerProgram, cx: &Context<'_>) -> Option<Timestamp> {
    if cp.role == Role::Sidecar {
        let since = container.running_since().filter(|_| container.started)?;
        return Some(after(since, startup(container, cp, cx)?));
    }
    container
        .ended()
        .filter(|exit| exit.code == 0)
        .map(|exit| exit.finished)
}

/// A running container: it may end, be killed by a probe, start up or get ready.
fn watch_running(
    container: &mut ContainerState,
    index: usize,
    since: Timestamp,
    cx: &Context<'_>,
    step: &mut Step,
) -> bool {
    let cp = &cx.program.containers[index];
    let own = own_exit(container, cp, since, cx).filter(|(at, _)| *at <= cx.now);
    let kill = probe_kill(container, cp, since, cx).filter(|(at, _)| *at <= cx.now);
    match (own, kill) {
        (Some((at, code)), kill) if kill.is_none_or(|(killed, _)| at <= killed) => {
            exit(container, since, at, code);
        }
        (_, Some((_, probe))) => {
            step.told.push(Told {
                reason: "Unhealthy",
                warning: true,
                container: Some(index),
                message: format!("{probe} probe failed"),
            });
            let message = format!(
                "Container {} failed {} probe, will be restarted",
                cp.name,
                probe.to_lowercase()
            );
            step.tell("Killing", index, message);
            exit(container, since, cx.now, KILLED);
        }
        _ => {
            let due = |delay: Option<Duration>| delay.is_some_and(|d| after(since, d) <= cx.now);
            let started = due(startup(container, cp, cx));
            let ready = started && cp.role != Role::Init && due(readiness(container, cp, cx));
            let moved = (started, ready) != (container.started, container.ready);
            (container.started, container.ready) = (started, ready);
            step.changed |= moved;
            return moved;
        }
    }
    step.changed = true;
    true
}

fn exit(container: &mut ContainerState, started: Timestamp, finished: Timestamp, code: i32) {
    let row = container.row();
    let exit = Exit {
        code,
        started,
        finished,
        row,
    };
    container.previous = container.exit.replace(exit).map(Box::new);
    container.phase = Phase::Exited;
    container.started = false;
    container.ready = false;
}

/// Brings the conditions up to date.
fn update_marks(state: &mut PodState, cx: &Context<'_>, step: &mut Step) {
    let serving = state
        .containers
        .iter()
        .zip(&cx.program.containers)
        .filter(|(_, cp)| cp.role != Role::Init);
    let ready = state.end().is_none() && serving.clone().all(|(container, _)| container.ready);
    let gates = cx.program.readiness_gates.iter().all(|gate| {
        let mut conditions = state.foreign.iter();
        conditions.any(|condition| condition.r#type == *gate && condition.status == "True")
    });
    mark(
        state,
        Condition::ReadyToStartContainers,
        state.end().is_none() && state.ip.is_some(),
        cx,
        step,
    );
    mark(state, Condition::Ready, ready && gates, cx, step);
    mark(state, Condition::ContainersReady, ready, cx, step);
}

/// Sets a condition; `true` when it was otherwise before.
fn mark(state: &mut PodState, condition: Condition, holds: bool, cx: &Context<'_>, step: &mut Step) -> bool {
    let mark = &mut state.marks[condition as usize];
    let moved = mark.holds != holds;
    if moved {
        (mark.holds, mark.since) = (holds, cx.now);
        step.changed = true;
    }
    moved
}

/// The next moment at which anything changes by itself.
fn deadline(state: &PodState, cx: &Context<'_>) -> Option<Timestamp> {
    if state.end().is_some() {
        return None;
    }
    let stopping = stopping(state, cx);
    let too_old = cx
        .program
        .active_deadline
        .map(|limit| after(state.accepted, limit));
    let mut moments: Vec<Timestamp> = too_old.filter(|_| stopping.is_none()).into_iter().collect();
    for (index, (container, cp)) in state.containers.iter().zip(&cx.program.containers).enumerate() {
        match container.phase {
            Phase::Waiting | Phase::Exited => {}
            Phase::Pulling { until } | Phase::Starting { until } | Phase::BackOff { until } => {
                moments.push(until);
            }
            Phase::Running { since } => {
                moments.extend(own_exit(container, cp, since, cx).map(|(at, _)| at));
                if let Some(stopping) = stopping {
                    moments.push(stop_at(state, index, stopping, cx).unwrap_or(stopping.kill_at));
                    continue;
                }
                moments.extend(probe_kill(container, cp, since, cx).map(|(at, _)| at));
                if !container.started {
                    moments.extend(startup(container, cp, cx).map(|delay| after(since, delay)));
                } else if !container.ready && cp.role != Role::Init {
                    moments.extend(readiness(container, cp, cx).map(|delay| after(since, delay)));
                }
            }
        }
    }
    moments.into_iter().min()
}

impl Step {
    fn tell(&mut self, reason: &'static str, container: usize, message: String) {
        self.told.push(Told {
            reason,
            warning: false,
            container: Some(container),
            message,
        });
    }
}
