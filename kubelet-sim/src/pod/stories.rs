//! Pods' lives on virtual time: each test tells one, line by line, as a user who watches the pod would see it.

use super::*;
use crate::pod::state::ContainerState;
use apimachinery::json::{Unknown, yaml};
use component_base::rng::Seed;
use jiff::Timestamp;
use proptest::prelude::*;
use proto::Kind;
use proto::api::core::v1 as core;
use std::time::Duration;

const UID: &str = "11111111-2222-3333-4444-555555555555";

/// A pod on a node of its own, and what was seen of it.
struct Story {
    pod: core::Pod,
    state: PodState,
    images: Images,
    start: Timestamp,
    now: Timestamp,
    next: Option<Timestamp>,
    deletion: Option<Deletion>,
    seed: u64,
    /// What the pod looked like, whenever that changed.
    seen: Vec<String>,
    told: Vec<String>,
}

fn pod(manifest: &str) -> core::Pod {
    let document = yaml::documents(manifest)
        .next()
        .expect("a document")
        .expect("YAML");
    let decoded = document.decode(Unknown::Strict).expect("a Pod");
    let mut pod: core::Pod = prost::Message::decode(decoded.bytes).expect("a Pod");
    pod.metadata_mut().uid = UID.into();
    pod.metadata_mut().namespace = "default".into();
    pod
}

/// A pod of simple parts. `annotations` come as `key=value`; the spec is YAML in braces.
fn simple(annotations: &[&str], spec: &str) -> core::Pod {
    let pairs = annotations
        .iter()
        .map(|text| text.split_once('=').expect("key=value"));
    let lines: Vec<String> = pairs
        .map(|(k, v)| format!("sim.orrery.dev/{k}: \"{v}\""))
        .collect();
    pod(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web, annotations: {{{}}}}}, spec: {spec}}}",
        lines.join(", ")
    ))
}

/// No latency but what a test asks for.
const QUICK: &str = "pull-latency=1s";

impl Story {
    fn begin(pod: core::Pod, seed: u64) -> Self {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let program = Program::of(&pod);
        let ip = "10.0.0.2".parse().unwrap();
        let mut story = Self {
            state: PodState::accept(&program, ip, start, Vec::new()),
            pod,
            images: Images::new(),
            start,
            now: start,
            next: None,
            deletion: None,
            seed,
            seen: Vec::new(),
            told: Vec::new(),
        };
        story.advance();
        story
    }

    fn status(&self) -> core::PodStatus {
        let around = Surroundings {
            pod: Identity {
                namespace: "default",
                name: "web",
                uid: UID,
            },
            generation: 1,
            host_ip: "172.16.0.1".parse().unwrap(),
        };
        render(&self.state, &Program::of(&self.pod), &around)
    }

    fn advance(&mut self) {
        let program = Program::of(&self.pod);
        let mut cx = Context {
            program: &program,
            seed: Seed(self.seed).child(UID),
            now: self.now,
            deletion: self.deletion,
            images: &mut self.images,
        };
        let step = advance(&mut self.state, &mut cx);
        self.told.extend(
            step.told
                .into_iter()
                .map(|told| format!("{}: {}", told.reason, told.message)),
        );
        self.next = step.next;
        assert!(
            self.next.is_none_or(|next| next > self.now),
            "a deadline in the past: {:?}",
            self.state
        );
        let line = self.describe();
        if self.seen.last().map(|seen| &seen[seen.find(' ').unwrap()..])
            != Some(&line[line.find(' ').unwrap()..])
        {
            self.seen.push(line);
        }
    }

    /// Lets time pass until `seconds` after the beginning.
    fn until(&mut self, seconds: f64) -> &mut Self {
        let end = after(self.start, Duration::from_secs_f64(seconds));
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = next;
            self.advance();
        }
        self.now = self.now.max(end);
        self
    }

    fn delete(&mut self, grace: u64) -> &mut Self {
        self.deletion = Some(Deletion {
            requested: self.now,
            grace: Duration::from_secs(grace),
        });
        self.advance();
        self
    }

    /// Forgets everything but what the API holds, as a killed process does.
    fn restart(&mut self) -> &mut Self {
        self.images = images(&self.status()).collect();
        self.state = recover(&self.status(), &Program::of(&self.pod)).expect("accepted before");
        self.advance();
        self
    }

    /// `1.5s Running web=running/ready side=waiting:CrashLoopBackOff(2)`
    fn describe(&self) -> String {
        let status = self.status();
        let seconds = self.now.duration_since(self.start).as_secs_f64();
        let mut line = format!("{}s {}", (seconds * 1000.0).round() / 1000.0, status.phase);
        if !status.reason.is_empty() {
            line += &format!("({})", status.reason);
        }
        let ready = status
            .conditions
            .iter()
            .find(|c| c.r#type == "Ready")
            .expect("the condition");
        if ready.status == "True" {
            line += " Ready";
        }
        for container in status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
        {
            let state = container.state.clone().unwrap_or_default();
            let text = match (state.running, state.terminated, state.waiting) {
                (Some(_), ..) if container.ready => "ready".to_owned(),
                (Some(_), ..) if container.started == Some(true) => "started".to_owned(),
                (Some(_), ..) => "running".to_owned(),
                (_, Some(terminated), _) => format!("exit {}", terminated.exit_code),
                (.., waiting) => waiting.unwrap_or_default().reason,
            };
            line += &format!(", {} {text}", container.name);
            if container.restart_count > 0 {
                line += &format!("({})", container.restart_count);
            }
        }
        line
    }

    fn check(&self, expected: &[&str]) {
        assert_eq!(self.seen, expected, "told: {:#?}", self.told);
    }
}

#[test]
fn a_plain_pod_pulls_starts_and_is_ready() {
    let mut story = Story::begin(simple(&[QUICK], "{containers: [{name: app, image: nginx}]}"), 0);
    story.until(3600.0).check(&[
        "0s Pending, app ContainerCreating",
        "1.05s Running Ready, app ready",
    ]);
    assert_eq!(
        story.told,
        [
            "Pulling: Pulling image \"nginx\"",
            "Pulled: Successfully pulled image \"nginx\"",
            "Created: Created container app",
            "Started: Started container app",
        ]
    );
    let status = story.status();
    assert_eq!(
        (status.pod_ip.as_str(), status.host_ip.as_str()),
        ("10.0.0.2", "172.16.0.1")
    );
    assert_eq!(status.qos_class, "BestEffort");
    let ready = &status.conditions[2];
    assert_eq!((ready.r#type.as_str(), ready.status.as_str()), ("Ready", "True"));
    let transition = client::time::timestamp(ready.last_transition_time.as_ref().unwrap());
    assert_eq!(transition, after(story.start, Duration::from_millis(1050)));
}

#[test]
fn an_image_is_pulled_once_a_node_unless_it_always_is() {
    let spec = "{containers: [{name: a, image: x}, {name: b, image: x, imagePullPolicy: Always}, \
                {name: c, image: z, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&[QUICK], spec), 0);
    story.until(10.0).check(&[
        "0s Pending, a ContainerCreating, b ContainerCreating, c ContainerCreating",
        "0.05s Pending, a ContainerCreating, b ContainerCreating, c ready",
        "1.05s Running Ready, a ready, b ready, c ready",
    ]);
    let mut second = Story::begin(simple(&[QUICK], spec), 0);
    second.images = story.images;
    second.state.containers[0] = ContainerState::NEW;
    second.advance();
    second.until(0.5);
    assert_eq!(
        second.seen.last().unwrap(),
        "0.05s Pending, a ready, b ContainerCreating, c ready"
    );
}

#[test]
fn init_containers_run_one_after_the_other_and_sidecars_stay() {
    let spec = "{initContainers: [{name: setup, image: i}, {name: proxy, image: i, restartPolicy: Always, \
                startupProbe: {periodSeconds: 2}}, {name: migrate, image: i}], containers: [{name: app, image: i}]}";
    let annotations = [
        QUICK,
        "run-time.setup=4s",
        "run-time.migrate=2s",
        "startup-delay.proxy=3s",
    ];
    let mut story = Story::begin(simple(&annotations, spec), 0);
    story.until(100.0).check(&[
        "0s Pending, setup PodInitializing, proxy PodInitializing, migrate PodInitializing, app PodInitializing",
        "1.05s Pending, setup started, proxy PodInitializing, migrate PodInitializing, app PodInitializing",
        "5.05s Pending, setup exit 0, proxy PodInitializing, migrate PodInitializing, app PodInitializing",
        "5.1s Pending, setup exit 0, proxy running, migrate PodInitializing, app PodInitializing",
        "9.1s Pending, setup exit 0, proxy ready, migrate PodInitializing, app PodInitializing",
        "9.15s Pending, setup exit 0, proxy ready, migrate started, app PodInitializing",
        "11.15s Pending, setup exit 0, proxy ready, migrate exit 0, app PodInitializing",
        "11.2s Running Ready, setup exit 0, proxy ready, migrate exit 0, app ready",
    ]);
    // Deleted, the app stops first, then the sidecar.
    story.seen.clear();
    story.delete(30).until(200.0).check(&[
        "100s Running Ready, setup exit 0, proxy ready, migrate exit 0, app ready",
        "100.1s Running, setup exit 0, proxy ready, migrate exit 0, app exit 0",
        "100.2s Succeeded, setup exit 0, proxy exit 0, migrate exit 0, app exit 0",
    ]);
}

#[test]
fn a_failing_init_container_is_retried_or_fails_the_pod() {
    let annotations = [QUICK, "exit-code.setup=3", "run-time.setup=1s"];
    let spec = "{initContainers: [{name: setup, image: i}], containers: [{name: app, image: i}]}";
    Story::begin(simple(&annotations, spec), 0).until(16.0).check(&[
        "0s Pending, setup PodInitializing, app PodInitializing",
        "1.05s Pending, setup started, app PodInitializing",
        "2.05s Pending, setup exit 3, app PodInitializing",
        "2.1s Pending, setup started(1), app PodInitializing",
        "3.1s Pending, setup CrashLoopBackOff(1), app PodInitializing",
        "13.15s Pending, setup started(2), app PodInitializing",
        "14.15s Pending, setup CrashLoopBackOff(2), app PodInitializing",
    ]);
    let spec = "{restartPolicy: Never, initContainers: [{name: setup, image: i}], containers: [{name: app, image: i}]}";
    Story::begin(simple(&annotations, spec), 0).until(60.0).check(&[
        "0s Pending, setup PodInitializing, app PodInitializing",
        "1.05s Pending, setup started, app PodInitializing",
        "2.05s Failed, setup exit 3, app PodInitializing",
    ]);
}

#[test]
fn a_crashing_container_backs_off_and_starts_over_after_a_long_run() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&["start-latency=0s", "crash-after=1s"], spec), 0);
    story.until(40.0).check(&[
        "0s Running Ready, app ready",
        "1s Running Ready, app ready(1)",
        "2s Running, app CrashLoopBackOff(1)",
        "12s Running Ready, app ready(2)",
        "13s Running, app CrashLoopBackOff(2)",
        "33s Running Ready, app ready(3)",
        "34s Running, app CrashLoopBackOff(3)",
    ]);
    let status = story.status();
    let container = &status.container_statuses[0];
    let waiting = container.state.clone().unwrap().waiting.unwrap();
    let expected = format!("back-off 40s restarting failed container=app pod=web_default({UID})");
    assert_eq!(waiting.message, expected);
    let last = container.last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (1, "Error"));
    assert!(
        story
            .told
            .contains(&"BackOff: Back-off restarting failed container app".to_owned())
    );
}

#[test]
fn restart_policies_decide_by_the_exit_code() {
    let cases = [
        ("Never", "0", "1s Succeeded, app exit 0"),
        ("Never", "7", "1s Failed, app exit 7"),
        ("OnFailure", "0", "1s Succeeded, app exit 0"),
        ("OnFailure", "7", "2s Running, app CrashLoopBackOff(1)"),
        ("Always", "0", "2s Running, app CrashLoopBackOff(1)"),
    ];
    for (policy, code, last) in cases {
        let spec = format!(
            "{{restartPolicy: {policy}, containers: [{{name: app, image: i, imagePullPolicy: Never}}]}}"
        );
        let code = format!("exit-code={code}");
        let mut story = Story::begin(simple(&["start-latency=0s", "run-time=1s", &code], &spec), 0);
        assert_eq!(story.until(11.0).seen.last().unwrap(), last, "{policy} {code}");
    }
}

#[test]
fn restart_rules_are_exceptions_to_the_policy() {
    let spec = "{restartPolicy: Never, containers: [{name: app, image: i, imagePullPolicy: Never, restartPolicy: Never, \
                restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]}";
    for (code, last) in [
        ("42", "2s Running, app CrashLoopBackOff(1)"),
        ("43", "1s Failed, app exit 43"),
    ] {
        let code = format!("exit-code={code}");
        let mut story = Story::begin(simple(&["start-latency=0s", "run-time=1s", &code], spec), 0);
        assert_eq!(story.until(11.0).seen.last().unwrap(), last);
    }
}

#[test]
fn an_init_container_follows_its_own_policy_and_rules_before_the_pods() {
    let after_failing = |of_pod: &str, of_container: &str| {
        let spec = format!(
            "{{restartPolicy: {of_pod}, initContainers: [{{name: setup, image: i, imagePullPolicy: Never, {of_container}}}], \
             containers: [{{name: app, image: i, imagePullPolicy: Never}}]}}"
        );
        let annotations = ["start-latency=0s", "run-time.setup=1s", "exit-code.setup=3"];
        let mut story = Story::begin(simple(&annotations, &spec), 0);
        story.until(1.5).status().phase
    };
    let rules = |code: u8| {
        format!(
            "restartPolicy: Never, restartPolicyRules: [{{action: Restart, exitCodes: {{operator: In, values: [{code}]}}}}]"
        )
    };
    for (of_pod, of_container, phase) in [
        ("Always", String::new(), "Pending"),
        ("Always", "restartPolicy: Never".into(), "Failed"),
        ("Never", "restartPolicy: OnFailure".into(), "Pending"),
        ("Never", rules(3), "Pending"),
        ("Never", rules(4), "Failed"),
    ] {
        assert_eq!(
            after_failing(of_pod, &of_container),
            phase,
            "{of_pod}, {of_container}"
        );
    }
}

#[test]
fn probes_decide_when_a_container_has_started_and_is_ready() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never, \
                startupProbe: {initialDelaySeconds: 1, periodSeconds: 2, failureThreshold: 3}, \
                readinessProbe: {periodSeconds: 5, successThreshold: 2}}]}";
    let annotations = ["start-latency=0s", "startup-delay=4s", "readiness-delay=7s"];
    Story::begin(simple(&annotations, spec), 0).until(60.0).check(&[
        "0s Running, app running",
        "5s Running, app started",
        "15s Running Ready, app ready",
    ]);
    // One more failure, and the startup probe kills it.
    let annotations = ["start-latency=0s", "startup-delay=6s"];
    let mut story = Story::begin(simple(&annotations, spec), 0);
    story.until(15.9).check(&[
        "0s Running, app running",
        "5s Running, app running(1)",
        "10s Running, app CrashLoopBackOff(1)",
    ]);
    assert!(story.told.contains(&"Unhealthy: Startup probe failed".to_owned()));
}

#[test]
fn a_failing_liveness_probe_restarts_the_container() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never, \
                livenessProbe: {periodSeconds: 10, failureThreshold: 3}}]}";
    let mut story = Story::begin(simple(&["start-latency=0s", "liveness-fail-after=25s"], spec), 0);
    story
        .until(60.0)
        .check(&["0s Running Ready, app ready", "50s Running Ready, app ready(1)"]);
    let last = story.status().container_statuses[0].last_state.clone().unwrap();
    assert_eq!(last.terminated.unwrap().exit_code, KILLED);
}

#[test]
fn a_container_that_does_not_stop_in_time_is_killed() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&["start-latency=0s", "stop-latency=60s"], spec), 0);
    story
        .until(5.0)
        .delete(30)
        .until(100.0)
        .check(&["0s Running Ready, app ready", "35s Failed, app exit 137"]);
    assert!(story.told.contains(&"Killing: Stopping container app".to_owned()));
}

#[test]
fn a_pod_deleted_before_it_ran_never_runs() {
    let mut story = Story::begin(simple(&[QUICK], "{containers: [{name: app, image: i}]}"), 0);
    story.until(0.5).delete(30).until(100.0).check(&[
        "0s Pending, app ContainerCreating",
        "0.5s Failed, app ContainerCreating",
    ]);
}

#[test]
fn a_pod_that_is_active_for_too_long_fails() {
    let spec = "{activeDeadlineSeconds: 10, containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    Story::begin(simple(&["start-latency=0s"], spec), 0)
        .until(60.0)
        .check(&[
            "0s Running Ready, app ready",
            "10.1s Failed(DeadlineExceeded), app exit 0",
        ]);
}

#[test]
fn sidecars_stop_when_a_jobs_main_container_is_done() {
    let spec = "{restartPolicy: Never, initContainers: [{name: log, image: i, restartPolicy: Always, \
                imagePullPolicy: Never}], containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    Story::begin(simple(&["start-latency=0s", "run-time=5s"], spec), 0)
        .until(60.0)
        .check(&[
            "0s Running Ready, log ready, app ready",
            "5s Running, log ready, app exit 0",
            "5.1s Succeeded, log exit 0, app exit 0",
        ]);
}

#[test]
fn crashes_on_request_end_a_container_or_the_pod() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&["start-latency=1s"], spec), 0);
    assert!(
        !crash_container(&mut story.state, 0, 9, story.now),
        "it does not run yet"
    );
    story.until(5.0);
    assert!(crash_container(&mut story.state, 0, 9, story.now));
    story.advance();
    story.until(10.0);
    assert!(crash_pod(&mut story.state, story.now));
    story.advance();
    assert!(!crash_pod(&mut story.state, story.now), "it has ended already");
    story.until(60.0).check(&[
        "0s Pending, app ContainerCreating",
        "1s Running Ready, app ready",
        "5s Running, app exit 9",
        "6s Running Ready, app ready(1)",
        "10s Failed(Crashed), app exit 137(1)",
    ]);
}

#[test]
fn readiness_gates_wait_for_somebody_elses_condition() {
    let spec = "{readinessGates: [{conditionType: example.com/lb}], \
                containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&["start-latency=0s"], spec), 0);
    story.until(5.0).check(&["0s Running, app ready"]);
    assert_eq!(story.status().conditions[2].reason, "ReadinessGatesNotReady");
    story.state.foreign.push(core::PodCondition {
        r#type: "example.com/lb".into(),
        status: "True".into(),
        ..Default::default()
    });
    story.advance();
    story.check(&["0s Running, app ready", "5s Running Ready, app ready"]);
}

#[test]
fn malformed_annotations_are_told_in_the_status() {
    let spec = "{containers: [{name: app, image: i}]}";
    let story = Story::begin(simple(&["start-latency=soon"], spec), 0);
    assert!(
        story
            .status()
            .message
            .starts_with("annotation sim.orrery.dev/start-latency: \"soon\" is not a")
    );
}

#[test]
fn after_a_long_absence_exits_have_their_own_time_and_starts_the_kubelets() {
    let spec = "{containers: [{name: app, image: i, imagePullPolicy: Never}]}";
    let mut story = Story::begin(simple(&["start-latency=0s", "crash-after=10s"], spec), 0);
    story.now = after(story.start, Duration::from_secs(1000));
    story.restart();
    let status = story.status().container_statuses[0].clone();
    assert_eq!(status.restart_count, 1);
    let running = status.state.unwrap().running.unwrap().started_at.unwrap();
    assert_eq!(client::time::timestamp(&running), story.now);
    let last = status
        .last_state
        .unwrap()
        .terminated
        .unwrap()
        .finished_at
        .unwrap();
    assert_eq!(
        client::time::timestamp(&last),
        after(story.start, Duration::from_secs(10))
    );
}

fn distributions() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0s",
        "1s",
        "700ms",
        "uniform(0s,4s)",
        "exp(3s)",
        "normal(5s,2s)",
        "lognormal(2s,1)",
    ])
}

/// Annotations and a spec, for [`simple`].
fn pods() -> impl Strategy<Value = (Vec<String>, String)> {
    let keys = prop::sample::select(vec![
        "pull-latency",
        "start-latency",
        "readiness-delay",
        "startup-delay",
        "run-time",
        "crash-after",
        "liveness-fail-after",
        "stop-latency",
        "run-time.setup",
    ]);
    let annotations = prop::collection::vec(
        (keys, distributions()).prop_map(|(k, v)| format!("{k}={v}")),
        0..5,
    );
    let annotations = annotations.prop_map(|mut list| {
        list.sort();
        list.dedup_by(|a, b| a.split('=').next() == b.split('=').next());
        list
    });
    let spec = (
        prop::sample::select(vec!["Always", "OnFailure", "Never"]),
        prop::sample::select(vec!["", "activeDeadlineSeconds: 20,"]),
        prop::sample::select(vec![
            "",
            "initContainers: [{name: setup, image: a}],",
            "initContainers: [{name: proxy, image: a, restartPolicy: Always, startupProbe: {periodSeconds: 1}}, \
             {name: setup, image: a}],",
        ]),
        prop::sample::select(vec![
            "{name: app, image: b}",
            "{name: app, image: b, readinessProbe: {periodSeconds: 2}, livenessProbe: {periodSeconds: 3}}",
            "{name: app, image: b, imagePullPolicy: Always, startupProbe: {periodSeconds: 1}}, {name: two, image: c}",
        ]),
    );
    let spec = spec.prop_map(|(policy, deadline, init, main)| {
        format!("{{restartPolicy: {policy}, {deadline} {init} containers: [{main}]}}")
    });
    (annotations, spec)
}

fn build((annotations, spec): &(Vec<String>, String)) -> core::Pod {
    let annotations: Vec<&str> = annotations.iter().map(String::as_str).collect();
    simple(&annotations, spec)
}

proptest! {
    /// The kubelet keeps nothing that it cannot read back: killed at any moments, it shows the same life.
    #[test]
    fn a_restart_at_any_moment_changes_nothing_that_is_seen(
        pod in pods(),
        seed: u64,
        restarts in prop::collection::btree_set(0..600u32, 1..6),
        delete_at in prop::option::of(0..60u32),
    ) {
        let live = |restarts: &[u32]| {
            let mut story = Story::begin(build(&pod), seed);
            let mut moments: Vec<(f64, bool)> = restarts.iter().map(|at| (f64::from(*at) / 10.0, true)).collect();
            moments.extend(delete_at.map(|at| (f64::from(at) + 0.05, false)));
            moments.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (at, restart) in moments {
                story.until(at);
                if restart { story.restart() } else { story.delete(5) };
            }
            story.until(120.0);
            story
        };
        let restarts: Vec<u32> = restarts.into_iter().collect();
        let (undisturbed, restarted) = (live(&[]), live(&restarts));
        prop_assert_eq!(&restarted.seen, &undisturbed.seen);
        prop_assert_eq!(restarted.status(), undisturbed.status());
    }

    /// What is written is read back, and reads the same again.
    #[test]
    fn a_status_survives_being_read_back(pod in pods(), seed: u64, at in 0..600u32) {
        let mut story = Story::begin(build(&pod), seed);
        story.until(f64::from(at) / 10.0);
        let before = story.status();
        story.state = recover(&before, &Program::of(&story.pod)).unwrap();
        prop_assert_eq!(story.status(), before);
    }
}
