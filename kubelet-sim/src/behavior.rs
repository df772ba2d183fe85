//! What a container does, as `sim.orrery.dev/…` annotations on its pod say.
//!
//! Input: a pod's annotations. Output: a [`Behavior`] for each container, and a [`Fault`] for each annotation that
//! cannot be read. Invariant: every container gets a behaviour; what is malformed gets its default and a fault.
//!
//! | annotation (`sim.orrery.dev/` …) | meaning | default |
//! | --- | --- | --- |
//! | `pull-latency` | time to pull the image, once a node unless `imagePullPolicy: Always` | `uniform(0s,100ms)` |
//! | `start-latency` | time from image to running | `50ms` |
//! | `readiness-delay` | time from running until the program answers readiness probes | `0s` |
//! | `startup-delay` | time from running until the program answers startup probes | `0s` |
//! | `run-time` | the container exits by itself after it, with `exit-code` | never; `100ms` for init containers |
//! | `exit-code` | what it exits with by itself | 0 |
//! | `crash-after` | it exits after it, with `exit-code`, or 1 when that is 0 | never |
//! | `liveness-fail-after` | liveness probes fail from then on | never |
//! | `stop-latency` | time from SIGTERM to exit | `100ms` |
//! | `log` | what it writes to its log when it starts; may have several lines | nothing |
//! | `log-period` | it writes that again and again, so far apart | once |
//!
//! `<key>.<container>` concerns one container and wins. A key without a container concerns all containers when it is a
//! latency or delay; the others then leave init containers and sidecars alone, because a failing one would keep the pod
//! from ever running.

use crate::distribution::Distribution;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What every annotation of ours starts with.
pub const PREFIX: &str = "sim.orrery.dev/";

const KEYS: [&str; 11] = [
    "pull-latency",
    "start-latency",
    "readiness-delay",
    "startup-delay",
    "run-time",
    "exit-code",
    "crash-after",
    "liveness-fail-after",
    "stop-latency",
    "log",
    "log-period",
];

/// The longest text that a container writes at one time. A log of `pod::MOST_LINES` of them has 10 MiB.
pub const LONGEST_LOG: usize = 1 << 10;

/// The shortest `log-period`: nobody reads faster.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// What part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs to completion before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: starts in its turn and keeps running.
    Sidecar,
    /// What the pod is there for.
    Main,
}

/// What one container does.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Time to pull its image.
    pub pull_latency: Distribution,
    /// Time from image to running.
    pub start_latency: Distribution,
    /// Time from running until readiness probes succeed.
    pub readiness_delay: Distribution,
    /// Time from running until startup probes succeed.
    pub startup_delay: Distribution,
    /// Time from running until it exits by itself; `None` for never.
    pub run_time: Option<Distribution>,
    /// What it exits with by itself.
    pub exit_code: i32,
    /// Time from running until it crashes; `None` for never.
    pub crash_after: Option<Distribution>,
    /// Time from running until liveness probes fail; `None` for never.
    pub liveness_fail_after: Option<Distribution>,
    /// Time from SIGTERM to exit.
    pub stop_latency: Distribution,
    /// What it writes to its log.
    pub log: Option<Arc<str>>,
    /// How long until it writes that again; `None` for never.
    pub log_period: Option<Duration>,
}

impl Behavior {
    /// What a container does that no annotation speaks of.
    pub fn default_for(role: Role) -> Self {
        Self {
            pull_latency: Distribution::Uniform {
                low: Duration::ZERO,
                high: Duration::from_millis(100),
            },
            start_latency: Distribution::millis(50),
            readiness_delay: Distribution::ZERO,
            startup_delay: Distribution::ZERO,
            run_time: (role == Role::Init).then_some(Distribution::millis(100)),
            exit_code: 0,
            crash_after: None,
            liveness_fail_after: None,
            stop_latency: Distribution::millis(100),
            log: None,
            log_period: None,
        }
    }

    /// Reads the annotations that concern one container; adds what is malformed to `faults`.
    pub fn of(
        annotations: &BTreeMap<String, String>,
        container: &str,
        role: Role,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut behavior = Self::default_for(role);
        let default = behavior.clone();
        let mut reader = Reader {
            annotations,
            container,
            role,
            faults,
        };
        reader.duration("pull-latency", &mut behavior.pull_latency);
        reader.duration("start-latency", &mut behavior.start_latency);
        reader.duration("readiness-delay", &mut behavior.readiness_delay);
        reader.duration("startup-delay", &mut behavior.startup_delay);
        reader.duration("stop-latency", &mut behavior.stop_latency);
        reader.optional("run-time", &mut behavior.run_time, default.run_time);
        reader.optional("crash-after", &mut behavior.crash_after, None);
        reader.optional("liveness-fail-after", &mut behavior.liveness_fail_after, None);
        reader.exit_code(&mut behavior.exit_code);
        behavior.log = reader.log();
        behavior.log_period = reader.log_period();
        behavior
    }
}

/// An annotation that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The annotation's key.
    pub annotation: String,
    /// What is wrong with it, and what stands in its place.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "annotation {}: {}", self.annotation, self.problem)
    }
}

/// Annotations of ours that name no key or no container of this pod.
pub fn unknown(annotations: &BTreeMap<String, String>, containers: &[&str]) -> Vec<Fault> {
    let ours = annotations
        .keys()
        .filter_map(|key| Some((key, key.strip_prefix(PREFIX)?)));
    ours.filter_map(|(annotation, rest)| {
        let (key, container) = rest.split_once('.').map_or((rest, None), |(k, c)| (k, Some(c)));
        let problem = if !KEYS.contains(&key) {
            format!("there is no {key:?}; there are {}", KEYS.join(", "))
        } else if let Some(name) = container.filter(|name| !containers.contains(name)) {
            format!("the pod has no container {name:?}")
        } else {
            return None;
        };
        Some(Fault {
            annotation: annotation.clone(),
            problem,
        })
    })
    .collect()
}

struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    container: &'a str,
    role: Role,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// The annotation that decides, `own_only` leaving out those for all containers.
    fn get(&self, key: &str, own_only: bool) -> Option<(String, &'a str)> {
        let own = format!("{PREFIX}{key}.{}", self.container);
        if let Some(value) = self.annotations.get(&own) {
            return Some((own, value));
        }
        let all = format!("{PREFIX}{key}");
        let value = self.annotations.get(&all).filter(|_| !own_only)?;
        Some((all, value))
    }

    fn fault(&mut self, annotation: String, problem: String) {
        let fault = Fault { annotation, problem };
        // One for all containers is read once for each.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn duration(&mut self, key: &str, value: &mut Distribution) {
        let Some((annotation, text)) = self.get(key, false) else {
            return;
        };
        match text.parse() {
            Ok(parsed) => *value = parsed,
            Err(error) => self.fault(annotation, format!("{error}; using {value}")),
        }
    }

    fn optional(&mut self, key: &str, value: &mut Option<Distribution>, default: Option<Distribution>) {
        let Some((annotation, text)) = self.get(key, self.role != Role::Main) else {
            return;
        };
        match text.parse() {
            Ok(parsed) => *value = Some(parsed),
            Err(error) => {
                *value = default;
                let instead = default.map_or_else(|| "never".to_owned(), |d| d.to_string());
                self.fault(annotation, format!("{error}; using {instead}"));
            }
        }
    }

    fn log(&mut self) -> Option<Arc<str>> {
        let (annotation, text) = self.get("log", self.role != Role::Main)?;
        if text.len() <= LONGEST_LOG {
            return Some(text.into());
        }
        let problem = format!(
            "{} bytes are more than {LONGEST_LOG}; writing nothing",
            text.len()
        );
        self.fault(annotation, problem);
        None
    }

    fn log_period(&mut self) -> Option<Duration> {
        let (annotation, text) = self.get("log-period", self.role != Role::Main)?;
        let parsed = text.parse::<Distribution>().map(Distribution::constant);
        match parsed {
            Ok(Some(period)) if period >= SHORTEST_PERIOD => return Some(period),
            Ok(Some(_)) => self.fault(
                annotation,
                format!("{text:?} is shorter than {SHORTEST_PERIOD:?}; using once"),
            ),
            Ok(None) => self.fault(annotation, format!("{text:?} is not one duration; using once")),
            Err(error) => self.fault(annotation, format!("{error}; using once")),
        }
        None
    }

    fn exit_code(&mut self, value: &mut i32) {
        let Some((annotation, text)) = self.get("exit-code", self.role != Role::Main) else {
            return;
        };
        match text.trim().parse::<u8>() {
            Ok(code) => *value = i32::from(code),
            Err(_) => self.fault(
                annotation,
                format!("{text:?} is not a number from 0 to 255; using 0"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| (format!("{PREFIX}{k}"), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn one_containers_own_annotation_wins_over_the_one_for_all() {
        let annotations = annotations(&[("start-latency", "1s"), ("start-latency.app", "2s")]);
        let start = |name: &str| {
            let mut faults = Vec::new();
            Behavior::of(&annotations, name, Role::Main, &mut faults).start_latency
        };
        assert_eq!(start("app"), Distribution::millis(2000));
        assert_eq!(start("other"), Distribution::millis(1000));
    }

    #[test]
    fn a_pods_exit_code_leaves_its_init_containers_alone() {
        let annotations = annotations(&[("exit-code", "3"), ("run-time", "5s"), ("exit-code.own", "4")]);
        let code = |name: &str, role| Behavior::of(&annotations, name, role, &mut Vec::new()).exit_code;
        assert_eq!(code("main", Role::Main), 3);
        assert_eq!(code("setup", Role::Init), 0);
        assert_eq!(code("own", Role::Init), 4);
        let setup = Behavior::of(&annotations, "setup", Role::Init, &mut Vec::new());
        assert_eq!(setup.run_time, Some(Distribution::millis(100)));
    }

    #[test]
    fn what_is_malformed_is_told_once_and_gets_its_default() {
        let annotations = annotations(&[
            ("start-latency", "soon"),
            ("exit-code", "300"),
            ("run-time", "x"),
            ("log-period", "exp(1s)"),
        ]);
        let mut faults = Vec::new();
        for container in ["a", "b"] {
            let behavior = Behavior::of(&annotations, container, Role::Main, &mut faults);
            assert_eq!(behavior, Behavior::default_for(Role::Main));
        }
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "annotation sim.orrery.dev/start-latency: \"soon\" is not a duration; write for example 500ms, 2s or \
                 1m30s; using 50ms",
                "annotation sim.orrery.dev/run-time: \"x\" is not a duration; write for example 500ms, 2s or 1m30s; \
                 using never",
                "annotation sim.orrery.dev/exit-code: \"300\" is not a number from 0 to 255; using 0",
                "annotation sim.orrery.dev/log-period: \"exp(1s)\" is not one duration; using once",
            ]
        );
    }

    #[test]
    fn unknown_keys_and_containers_are_named() {
        let annotations = annotations(&[
            ("start-latensy", "1s"),
            ("run-time.ap", "1s"),
            ("run-time.app", "1s"),
        ]);
        let told: Vec<String> = unknown(&annotations, &["app"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("no container \"ap\""), "{told:?}");
        assert!(told[1].contains("there is no \"start-latensy\""), "{told:?}");
    }
}
