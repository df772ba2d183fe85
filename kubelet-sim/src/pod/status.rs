//! A pod's state as the API shows it, and back.
//!
//! [`render`] makes the status, [`recover`] reads it: a restarted kubelet goes on from what it wrote.
//! Invariant: `recover(render(state)) == state`, but for containers that are being pulled or started, which are read as
//! what they look like; the rules (`step`) then find the same ends for them.
//!
//! What other kubelets keep on their disk stands in `containerID`: `sim://<pod UID>/<container>/<run>?row=<n>`, `n` being
//! how many runs in a row before this one ended soon (see CrashLoopBackOff).

use super::program::{ContainerProgram, Program};
use super::state::{Condition, ContainerState, End, Exit, Identity, Mark, Phase, PodState, Stage, after};
use crate::behavior::Role;
use client::time::{micro_time, timestamp};
use jiff::Timestamp;
use proto::api::core::v1 as core;
use std::net::IpAddr;
use std::sync::Arc;

/// `waiting.reason` of a container that is restarted too often.
const CRASH_LOOP: &str = "CrashLoopBackOff";

/// What a status tells besides the pod's own state.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Which pod it is.
    pub pod: Identity<'a>,
    /// The pod's generation, which the status then stands for.
    pub generation: i64,
    /// The node's address.
    pub host_ip: IpAddr,
}

/// The status of a pod.
pub fn render(state: &PodState, program: &Program, around: &Surroundings<'_>) -> core::PodStatus {
    let (reason, message) = match state.end() {
        Some(end) => (end.reason.to_string(), end.message.to_string()),
        None => {
            let faults: Vec<String> = program.faults.iter().map(ToString::to_string).collect();
            (String::new(), faults.join("; "))
        }
    };
    let mut status = core::PodStatus {
        observed_generation: around.generation,
        phase: state.phase(program).to_owned(),
        reason,
        message,
        start_time: Some(micro_time(state.accepted)),
        qos_class: program.qos.to_owned(),
        conditions: conditions(state, program, around),
        host_ip: around.host_ip.to_string(),
        host_ips: vec![core::HostIp {
            ip: around.host_ip.to_string(),
        }],
        ..core::PodStatus::default()
    };
    // A pod that was refused has never had anything to show.
    let Some(ip) = state.ip else {
        return status;
    };
    status.pod_ip = ip.to_string();
    status.pod_ips = vec![core::PodIp { ip: ip.to_string() }];
    let mut containers: Vec<core::ContainerStatus> = state
        .containers
        .iter()
        .zip(&program.containers)
        .map(|(container, cp)| container_status(container, cp, program, around))
        .collect();
    status.container_statuses = containers.split_off(program.init.min(containers.len()));
    status.init_container_statuses = containers;
    status
}

fn conditions(state: &PodState, program: &Program, around: &Surroundings<'_>) -> Vec<core::PodCondition> {
    let own = Condition::ALL
        .into_iter()
        .zip(&state.marks)
        .map(|(condition, mark)| {
            let (reason, message) = explain(condition, mark.holds, state, program);
            core::PodCondition {
                r#type: condition.as_str().to_owned(),
                observed_generation: around.generation,
                status: if mark.holds { "True" } else { "False" }.to_owned(),
                last_transition_time: Some(micro_time(mark.since)),
                reason,
                message,
                ..core::PodCondition::default()
            }
        });
    own.chain(state.foreign.iter().cloned()).collect()
}

/// Why a condition does not hold.
fn explain(condition: Condition, holds: bool, state: &PodState, program: &Program) -> (String, String) {
    let pairs = || state.containers.iter().zip(&program.containers);
    let names = |wanted: &dyn Fn(&ContainerState, &ContainerProgram) -> bool| {
        let names: Vec<&str> = pairs()
            .filter(|(c, cp)| wanted(c, cp))
            .map(|(_, cp)| &*cp.name)
            .collect();
        names.join(" ")
    };
    let text = |reason: &str, message: String| (reason.to_owned(), message);
    match condition {
        _ if holds => text("", String::new()),
        Condition::ReadyToStartContainers => text("", String::new()),
        Condition::Initialized => {
            let missing = names(&|c, cp| match cp.role {
                Role::Init => c.ended().is_none_or(|exit| exit.code != 0),
                Role::Sidecar => !c.started,
                Role::Main => false,
            });
            text(
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{missing}]"),
            )
        }
        Condition::Ready | Condition::ContainersReady => {
            if let Some(end) = state.end() {
                let reason = if end.succeeded {
                    "PodCompleted"
                } else {
                    "PodFailed"
                };
                return text(reason, String::new());
            }
            let unready = names(&|c, cp| cp.role != Role::Init && !c.ready);
            if !unready.is_empty() {
                return text(
                    "ContainersNotReady",
                    format!("containers with unready status: [{unready}]"),
                );
            }
            let mut gates = program.readiness_gates.iter();
            let closed = gates.find(|gate| {
                !state
                    .foreign
                    .iter()
                    .any(|c| c.r#type == **gate && c.status == "True")
            });
            let gate = closed.map(String::as_str).unwrap_or_default();
            let message = format!("the status of pod readiness gate \"{gate}\" is not \"True\"");
            text("ReadinessGatesNotReady", message)
        }
    }
}

fn container_status(
    container: &ContainerState,
    cp: &ContainerProgram,
    program: &Program,
    around: &Surroundings<'_>,
) -> core::ContainerStatus {
    let running = container.running_since();
    // The run that `exit` tells of is the newest one, or the one before the one that runs now.
    let exited_run = container.restarts - i32::from(running.is_some());
    let terminated = |exit: &Exit, run: i32| core::ContainerState {
        terminated: Some(core::ContainerStateTerminated {
            exit_code: exit.code,
            reason: if exit.code == 0 { "Completed" } else { "Error" }.to_owned(),
            started_at: Some(micro_time(exit.started)),
            finished_at: Some(micro_time(exit.finished)),
            container_id: container_id(around, cp, run, exit.row),
            ..Default::default()
        }),
        ..Default::default()
    };
    let exit = container.exit.as_ref().map(|exit| terminated(exit, exited_run));
    let previous = container
        .previous
        .as_ref()
        .map(|exit| terminated(exit, exited_run - 1));
    let waits = container
        .exit
        .as_ref()
        .is_some_and(|exit| !exit.restart_delay().is_zero());
    let (state, last) = match container.phase {
        Phase::Running { since } => {
            let running = core::ContainerStateRunning {
                started_at: Some(micro_time(since)),
            };
            let state = core::ContainerState {
                running: Some(running),
                ..Default::default()
            };
            (Some(state), exit)
        }
        Phase::Pulling { .. } | Phase::Starting { .. } if container.exit.is_some() && !waits => {
            (exit, previous)
        }
        Phase::Exited => (exit, previous),
        Phase::BackOff { .. } | Phase::Pulling { .. } | Phase::Starting { .. } if waits => (
            Some(waiting(CRASH_LOOP, back_off_message(container, cp, around))),
            exit,
        ),
        _ => {
            let reason = if program.init > 0 {
                "PodInitializing"
            } else {
                "ContainerCreating"
            };
            (Some(waiting(reason, String::new())), None)
        }
    };
    let (row, ran) = match (running, &container.exit) {
        (Some(_), _) => (container.row(), true),
        (None, Some(exit)) => (exit.row, true),
        (None, None) => (0, false),
    };
    core::ContainerStatus {
        name: cp.name.to_string(),
        state,
        last_state: Some(last.unwrap_or_default()),
        ready: container.ready
            || (cp.role == Role::Init && container.ended().is_some_and(|exit| exit.code == 0)),
        restart_count: container.restarts,
        image: cp.image.to_string(),
        image_id: if ran {
            format!("sim://{}", cp.image)
        } else {
            String::new()
        },
        container_id: if ran {
            container_id(around, cp, container.restarts, row)
        } else {
            String::new()
        },
        started: Some(container.started),
        ..Default::default()
    }
}

fn waiting(reason: &str, message: String) -> core::ContainerState {
    core::ContainerState {
        waiting: Some(core::ContainerStateWaiting {
            reason: reason.to_owned(),
            message,
        }),
        ..Default::default()
    }
}

fn back_off_message(container: &ContainerState, cp: &ContainerProgram, around: &Surroundings<'_>) -> String {
    let delay = container
        .exit
        .map(|exit| exit.restart_delay())
        .unwrap_or_default();
    let Identity { namespace, name, uid } = around.pod;
    let seconds = delay.as_secs();
    format!(
        "back-off {seconds}s restarting failed container={} pod={name}_{namespace}({uid})",
        cp.name
    )
}

fn container_id(around: &Surroundings<'_>, cp: &ContainerProgram, run: i32, row: u8) -> String {
    format!("sim://{}/{}/{run}?row={row}", around.pod.uid, cp.name)
}

fn row_of(container_id: &str) -> u8 {
    container_id
        .rsplit_once("?row=")
        .and_then(|(_, row)| row.parse().ok())
        .unwrap_or(0)
}

/// The state that a status tells of; `None` for a pod that no kubelet has taken yet.
pub fn recover(status: &core::PodStatus, program: &Program) -> Option<PodState> {
    let ended = matches!(status.phase.as_str(), "Succeeded" | "Failed");
    let accepted = status.start_time.as_ref().map(timestamp);
    if accepted.is_none() && !ended {
        return None;
    }
    let accepted = accepted.unwrap_or(Timestamp::UNIX_EPOCH);
    let all = || {
        status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
    };
    let containers = program.containers.iter().map(|cp| {
        let own = all().find(|status| status.name == *cp.name);
        own.map_or(ContainerState::NEW, |own| recover_container(own, cp))
    });
    let end = || End {
        succeeded: status.phase == "Succeeded",
        reason: status.reason.as_str().into(),
        message: status.message.as_str().into(),
    };
    Some(PodState {
        accepted,
        stage: if ended {
            Stage::Ended(Box::new(end()))
        } else {
            Stage::Active
        },
        ip: status.pod_ip.parse().ok(),
        containers: containers.collect(),
        marks: Condition::ALL.map(|condition| recover_mark(status, condition, accepted)),
        foreign: foreign(status),
        stop_told: false,
    })
}

/// The images that the pod's containers have run, so that its node must have them.
pub fn images(status: &core::PodStatus) -> impl Iterator<Item = Arc<str>> {
    let all = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses);
    all.filter(|container| !container.image_id.is_empty())
        .map(|container| container.image.as_str().into())
}

/// The conditions that are not the kubelet's.
pub fn foreign(status: &core::PodStatus) -> Vec<core::PodCondition> {
    let own = |condition: &core::PodCondition| Condition::ALL.iter().any(|c| c.as_str() == condition.r#type);
    status.conditions.iter().filter(|c| !own(c)).cloned().collect()
}

fn recover_mark(status: &core::PodStatus, condition: Condition, accepted: Timestamp) -> Mark {
    let own = status.conditions.iter().find(|c| c.r#type == condition.as_str());
    Mark {
        holds: own.is_some_and(|c| c.status == "True"),
        since: own
            .and_then(|c| c.last_transition_time.as_ref())
            .map_or(accepted, timestamp),
    }
}

fn recover_container(status: &core::ContainerStatus, cp: &ContainerProgram) -> ContainerState {
    let exit_of = |state: Option<&core::ContainerState>| {
        let terminated = state?.terminated.as_ref()?;
        let finished = timestamp(terminated.finished_at.as_ref()?);
        Some(Exit {
            code: terminated.exit_code,
            started: terminated.started_at.as_ref().map_or(finished, timestamp),
            finished,
            row: row_of(&terminated.container_id),
        })
    };
    let now = exit_of(status.state.as_ref());
    let last = exit_of(status.last_state.as_ref());
    let state = status.state.as_ref();
    let running = state
        .and_then(|s| s.running.as_ref()?.started_at.as_ref())
        .map(timestamp);
    let (phase, exit, previous) = match (running, now, last) {
        (Some(since), _, last) => (Phase::Running { since }, last, None),
        (None, Some(now), last) => (Phase::Exited, Some(now), last.map(Box::new)),
        (None, None, Some(last)) => {
            let until = after(last.finished, last.restart_delay());
            (Phase::BackOff { until }, Some(last), None)
        }
        (None, None, None) => (Phase::Waiting, None, None),
    };
    ContainerState {
        phase,
        exit,
        previous,
        restarts: status.restart_count,
        started: status.started.unwrap_or(false),
        ready: status.ready && cp.role != Role::Init,
    }
}
