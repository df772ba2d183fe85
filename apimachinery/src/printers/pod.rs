//! Pods: what one word says about all of their containers.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{age, or_none};
use crate::meta::{get_condition, is_condition_true};
use crate::resources::is_sidecar;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus,
};

pub(super) const PODS: &[Column] = &[
    NAME,
    Column::text("Ready", "Containers that are ready, of all."),
    Column::text("Status", "What its containers come to, in a word."),
    Column::text(
        "Restarts",
        "How often its containers were started again, and when last.",
    ),
    AGE,
    Column::wide("IP", "Address of the pod."),
    Column::wide("Node", "Node that it runs on."),
    Column::wide("Nominated Node", "Node where room is being made for it."),
    Column::wide(
        "Readiness Gates",
        "Conditions of others that hold, of those that it waits for.",
    ),
];

/// What the containers of a Pod come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many containers are ready.
    pub ready: usize,
    /// How many there are, sidecars included.
    pub total: usize,
    /// `Running`, `Init:0/1`, `CrashLoopBackOff`, `Terminating`, …
    pub status: String,
    /// How often containers were started again.
    pub restarts: i32,
    /// When the last of them ended.
    pub last_restart: Option<proto::Timestamp>,
}

pub(super) fn pod(pod: &Pod, now: Timestamp) -> Vec<Cell> {
    let summary = summary(pod);
    let none = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&none.0);
    let status = pod.status.as_ref().unwrap_or(&none.1);
    let restarts = match &summary.last_restart {
        Some(last) if summary.restarts > 0 => format!("{} ({} ago)", summary.restarts, age(Some(last), now)),
        _ => summary.restarts.to_string(),
    };
    let met = spec
        .readiness_gates
        .iter()
        .filter(|gate| is_condition_true(&status.conditions, &gate.condition_type));
    let gates = match spec.readiness_gates.len() {
        0 => String::new(),
        all => format!("{}/{all}", met.count()),
    };
    row![
        pod.name(),
        format!("{}/{}", summary.ready, summary.total),
        summary.status,
        restarts,
        age(pod.meta().creation_timestamp.as_ref(), now),
        or_none(&status.pod_ip),
        or_none(&spec.node_name),
        or_none(&status.nominated_node_name),
        or_none(&gates),
    ]
}

/// Sums a Pod up as `kubectl get pods` does.
pub fn summary(pod: &Pod) -> Summary {
    let none = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&none.0);
    let status = pod.status.as_ref().unwrap_or(&none.1);
    let sidecars = spec
        .init_containers
        .iter()
        .filter(|container| is_sidecar(container))
        .count();
    let mut summary = Summary {
        total: spec.containers.len() + sidecars,
        status: status.phase.clone(),
        ..Summary::default()
    };
    if !status.reason.is_empty() {
        summary.status.clone_from(&status.reason);
    }
    let scheduled = get_condition(&status.conditions, "PodScheduled");
    if scheduled.is_some_and(|condition| condition.reason == "SchedulingGated") {
        summary.status = "SchedulingGated".into();
    }
    let mut of_sidecars = Summary::default();
    let initializing = init_containers(spec, status, &mut summary, &mut of_sidecars);
    if !initializing || is_condition_true(&status.conditions, "Initialized") {
        summary.restarts = of_sidecars.restarts;
        summary.last_restart = of_sidecars.last_restart;
        containers(status, &mut summary);
    }
    if pod.meta().deletion_timestamp.is_some() {
        if status.reason == "NodeLost" {
            summary.status = "Unknown".into();
        } else if !matches!(status.phase.as_str(), "Succeeded" | "Failed") {
            summary.status = "Terminating".into();
        }
    }
    summary
}

/// Goes through the init containers, up to the one that holds the Pod up. Says whether there is one.
fn init_containers(spec: &PodSpec, status: &PodStatus, all: &mut Summary, of_sidecars: &mut Summary) -> bool {
    for (index, container) in status.init_container_statuses.iter().enumerate() {
        let sidecar = spec
            .init_containers
            .iter()
            .any(|init| init.name == container.name && is_sidecar(init));
        count_restarts(container, all);
        if sidecar {
            count_restarts(container, of_sidecars);
        }
        let state = container.state.clone().unwrap_or_default();
        let why = match (&state.terminated, &state.waiting) {
            (Some(ended), _) if ended.exit_code == 0 => continue,
            _ if sidecar && container.started == Some(true) => {
                all.ready += usize::from(container.ready);
                continue;
            }
            (Some(ended), _) => end(ended),
            (None, Some(waiting)) if !waiting.reason.is_empty() && waiting.reason != "PodInitializing" => {
                waiting.reason.clone()
            }
            _ => format!("{index}/{}", spec.init_containers.len()),
        };
        all.status = format!("Init:{why}");
        return true;
    }
    false
}

fn containers(status: &PodStatus, summary: &mut Summary) {
    let mut running = false;
    // The first container that has something to say has the last word.
    for container in status.container_statuses.iter().rev() {
        count_restarts(container, summary);
        let ContainerState {
            waiting, terminated, ..
        } = container.state.clone().unwrap_or_default();
        match (waiting, terminated) {
            (Some(waiting), _) if !waiting.reason.is_empty() => summary.status = waiting.reason,
            (_, Some(ended)) => summary.status = end(&ended),
            (_, None) => {
                let runs = container
                    .state
                    .as_ref()
                    .is_some_and(|state| state.running.is_some());
                if runs && container.ready {
                    running = true;
                    summary.ready += 1;
                }
            }
        }
    }
    // One that ended well beside one that runs.
    if summary.status == "Completed" && running {
        let ready = is_condition_true(&status.conditions, "Ready");
        summary.status = if ready { "Running" } else { "NotReady" }.into();
    }
}

fn count_restarts(container: &ContainerStatus, summary: &mut Summary) {
    summary.restarts += container.restart_count;
    let ended = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let finished = ended.and_then(|ended| ended.finished_at);
    let later = |time: &proto::Timestamp| (time.seconds, time.nanos);
    summary.last_restart = [summary.last_restart, finished]
        .into_iter()
        .flatten()
        .max_by_key(later);
}

/// Why a container ended, in a word.
fn end(ended: &ContainerStateTerminated) -> String {
    match ended {
        _ if !ended.reason.is_empty() => ended.reason.clone(),
        _ if ended.signal != 0 => format!("Signal:{}", ended.signal),
        _ => format!("ExitCode:{}", ended.exit_code),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;

    fn status(rest: &str) -> String {
        let manifest = format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  initContainers: [{{name: i}}, {{name: side, restartPolicy: Always}}]
  containers: [{{name: a}}, {{name: b}}]
{rest}"
        );
        let shown = shown(&manifest);
        let row: Vec<&str> = shown.lines().nth(1).unwrap().split(" | ").collect();
        row[1..4].join(" ")
    }

    #[test]
    fn a_pod_is_summed_up_as_kubectl_does() {
        let running = "{name: a, ready: true, restartCount: 0, image: '', imageID: '', state: {running: {}}}";
        let crash = "{name: b, ready: false, restartCount: 2, image: '', imageID: '', state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, finishedAt: '2026-01-01T00:09:55Z'}}}";
        let done = "{name: b, ready: false, restartCount: 0, image: '', imageID: '', state: {terminated: {exitCode: 0, reason: Completed}}}";
        let failed = "{name: b, ready: false, restartCount: 0, image: '', imageID: '', state: {terminated: {exitCode: 3}}}";
        let init = "{name: i, ready: false, restartCount: 0, image: '', imageID: '', state: {running: {}}}";
        let init_done = "{name: i, ready: true, restartCount: 4, image: '', imageID: '', state: {terminated: {exitCode: 0}}}";
        let side = "{name: side, ready: true, started: true, restartCount: 1, image: '', imageID: '', state: {running: {}}}";
        for (rest, expected) in [
            ("status: {phase: Pending}".to_owned(), "0/3 Pending 0"),
            ("status: {phase: Failed, reason: Evicted}".to_owned(), "0/3 Evicted 0"),
            (
                "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}"
                    .to_owned(),
                "0/3 SchedulingGated 0",
            ),
            (format!("status: {{phase: Running, containerStatuses: [{running}, {crash}]}}"), "1/3 CrashLoopBackOff 2 (5s ago)"),
            (
                format!("status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}], containerStatuses: [{running}, {done}]}}"),
                "1/3 Running 0",
            ),
            (format!("status: {{phase: Running, containerStatuses: [{running}, {done}]}}"), "1/3 NotReady 0"),
            (format!("status: {{phase: Running, containerStatuses: [{failed}]}}"), "0/3 ExitCode:3 0"),
            (format!("status: {{phase: Pending, initContainerStatuses: [{init}]}}"), "0/3 Init:0/2 0"),
            (
                format!("status: {{phase: Running, initContainerStatuses: [{init_done}, {side}], containerStatuses: [{running}]}}"),
                "2/3 Running 1",
            ),
        ] {
            assert_eq!(status(&rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_pod_that_is_being_deleted_terminates_unless_it_ended_before() {
        let shown = |phase: &str| {
            let manifest = format!(
                "apiVersion: v1
kind: Pod
metadata: {{name: p, deletionTimestamp: '2026-01-01T00:00:00Z'}}
spec: {{containers: [{{name: a}}]}}
status: {{phase: {phase}}}"
            );
            shown(&manifest)
                .lines()
                .nth(1)
                .unwrap()
                .split(" | ")
                .nth(2)
                .unwrap()
                .to_owned()
        };
        assert_eq!(shown("Running"), "Terminating");
        assert_eq!(shown("Succeeded"), "Succeeded");
    }
}
