//! What of a pod's spec and annotations its life depends on: a few hundred bytes where the object has kilobytes.
//!
//! Input: a Pod. Output: a [`Program`], which pods of one template share (see [`Programs`]).
//! Invariant: a program is a function of spec and annotations alone; nothing in it changes while the pod lives,
//! except when somebody edits those.

use super::probe::ProbeTiming;
use crate::behavior::{self, Behavior, Fault, PREFIX, Role};
use apimachinery::resources::{self, Amounts};
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{Container, NodeSelector, Pod, PodSpec};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The grace that a pod has whose spec names none.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// When the kubelet restarts a container: `restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After every exit.
    Always,
    /// After an exit code other than 0.
    OnFailure,
    /// Never.
    Never,
}

impl RestartPolicy {
    fn read(text: &str) -> Self {
        match text {
            "Never" => Self::Never,
            "OnFailure" => Self::OnFailure,
            _ => Self::Always,
        }
    }

    fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// When an image is pulled: `imagePullPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// Once a node.
    IfNotPresent,
    /// The node is taken to have it: a simulated node lacks no image that somebody counts on.
    Never,
}

/// A rule of `restartPolicyRules`: restart although the policy would not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartRule {
    /// `In` when true, `NotIn` when false.
    pub within: bool,
    /// The exit codes.
    pub codes: Box<[i32]>,
}

/// What one container's life depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerProgram {
    /// Its name.
    pub name: Box<str>,
    /// Its image.
    pub image: Arc<str>,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Its part in the pod.
    pub role: Role,
    /// When it is restarted.
    pub restart: RestartPolicy,
    /// Exceptions to `restart`.
    pub rules: Box<[RestartRule]>,
    /// Until it succeeds, the other probes wait and the container has not started.
    pub startup: Option<ProbeTiming>,
    /// Decides whether the container is ready.
    pub readiness: Option<ProbeTiming>,
    /// Kills the container when it fails.
    pub liveness: Option<ProbeTiming>,
    /// What the program inside does.
    pub behavior: Behavior,
}

impl ContainerProgram {
    /// Whether the kubelet starts it again after this exit code.
    pub fn restarts_after(&self, exit_code: i32) -> bool {
        let matches = |rule: &RestartRule| rule.codes.contains(&exit_code) == rule.within;
        let restarts = || self.rules.iter().any(matches) || self.restart.restarts(exit_code);
        match self.role {
            Role::Sidecar => true,
            // An init container that is done is done, whatever its policy.
            Role::Init => exit_code != 0 && restarts(),
            Role::Main => restarts(),
        }
    }
}

/// What a pod's life depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Init containers and sidecars first, then the main ones, each in the spec's order.
    pub containers: Box<[ContainerProgram]>,
    /// How many of `containers` come from `initContainers`.
    pub init: usize,
    /// How long containers have to stop when the kubelet itself ends the pod.
    pub grace: Duration,
    /// How long the pod may be active.
    pub active_deadline: Option<Duration>,
    /// Whether the pod has its node's address.
    pub host_network: bool,
    /// Conditions that others set and readiness waits for.
    pub readiness_gates: Box<[String]>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Rules that its node must meet.
    pub node_affinity: Option<NodeSelector>,
    /// What it takes of its node.
    pub requests: Amounts,
    /// Its quality of service.
    pub qos: &'static str,
    /// What is wrong with its annotations.
    pub faults: Box<[Fault]>,
}

impl Program {
    /// Reads a pod.
    pub fn of(pod: &Pod) -> Self {
        let empty = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        let annotations = &pod.meta().annotations;
        let mut faults = Vec::new();
        let policy = RestartPolicy::read(&spec.restart_policy);
        let init = spec.init_containers.iter().map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            (container, if sidecar { Role::Sidecar } else { Role::Init })
        });
        let main = spec.containers.iter().map(|container| (container, Role::Main));
        let containers: Box<[_]> = init
            .chain(main)
            .map(|(container, role)| {
                let behavior = Behavior::of(annotations, &container.name, role, &mut faults);
                container_program(container, role, policy, behavior)
            })
            .collect();
        let names: Vec<&str> = containers.iter().map(|c| &*c.name).collect();
        faults.extend(behavior::unknown(annotations, &names));
        let seconds = |s: i64| Duration::from_secs(s.max(0).unsigned_abs());
        Self {
            init: spec.init_containers.len(),
            grace: spec
                .termination_grace_period_seconds
                .map_or(DEFAULT_GRACE, seconds),
            active_deadline: spec.active_deadline_seconds.map(seconds),
            host_network: spec.host_network,
            readiness_gates: spec
                .readiness_gates
                .iter()
                .map(|g| g.condition_type.clone())
                .collect(),
            node_selector: spec.node_selector.clone(),
            node_affinity: spec
                .affinity
                .as_ref()
                .and_then(|a| a.node_affinity.as_ref())
                .and_then(|a| a.required_during_scheduling_ignored_during_execution.clone()),
            requests: resources::pod_requests(spec),
            qos: resources::qos_class(spec),
            faults: faults.into(),
            containers,
        }
    }
}

fn container_program(
    container: &Container,
    role: Role,
    pod_policy: RestartPolicy,
    behavior: Behavior,
) -> ContainerProgram {
    let pull = match container.image_pull_policy.as_str() {
        "Always" => PullPolicy::Always,
        "Never" => PullPolicy::Never,
        _ => PullPolicy::IfNotPresent,
    };
    let rules = container
        .restart_policy_rules
        .iter()
        .filter(|rule| rule.action == "Restart");
    let rules = rules
        .filter_map(|rule| rule.exit_codes.as_ref())
        .map(|on| RestartRule {
            within: on.operator == "In",
            codes: on.values.clone().into(),
        });
    ContainerProgram {
        name: container.name.as_str().into(),
        image: container.image.as_str().into(),
        pull,
        role,
        restart: container
            .restart_policy
            .as_deref()
            .map_or(pod_policy, RestartPolicy::read),
        rules: rules.collect(),
        startup: container.startup_probe.as_ref().map(ProbeTiming::of),
        readiness: container.readiness_probe.as_ref().map(ProbeTiming::of),
        liveness: container.liveness_probe.as_ref().map(ProbeTiming::of),
        behavior,
    }
}

/// The programs in use, each once: ten thousand pods of one Deployment share one.
#[derive(Debug, Default)]
pub struct Programs {
    by_text: HashMap<Box<[u8]>, Weak<Program>>,
    /// When the map has grown to this, programs that no pod uses are dropped from it.
    sweep_at: usize,
}

impl Programs {
    /// The map is not swept while it is smaller than this.
    const SMALLEST_SWEEP: usize = 64;

    /// The program of a pod.
    pub fn get(&mut self, pod: &mut Pod) -> Arc<Program> {
        let text = fingerprint(pod);
        if let Some(program) = self.by_text.get(&text).and_then(Weak::upgrade) {
            return program;
        }
        if self.by_text.len() >= self.sweep_at {
            self.by_text.retain(|_, program| program.strong_count() > 0);
            self.sweep_at = (2 * self.by_text.len()).max(Self::SMALLEST_SWEEP);
        }
        let program = Arc::new(Program::of(pod));
        self.by_text.insert(text, Arc::downgrade(&program));
        program
    }
}

/// All that [`Program::of`] reads, as bytes. Takes away from the pod what differs among pods of one template.
fn fingerprint(pod: &mut Pod) -> Box<[u8]> {
    let mut text = Vec::new();
    if let Some(spec) = &mut pod.spec {
        spec.node_name.clear();
        spec.hostname.clear();
        spec.volumes.clear();
        spec.encode(&mut text).expect("a Vec grows as needed");
    }
    for (key, value) in &pod.meta().annotations {
        if key.starts_with(PREFIX) {
            // NUL is in no annotation key and cannot begin a field, so that two pods never share bytes by accident.
            text.push(0);
            text.extend_from_slice(key.as_bytes());
            text.push(0);
            text.extend_from_slice(value.as_bytes());
        }
    }
    text.into()
}
