//! When a running container does what it does by itself, and when the kubelet must interfere.
//!
//! Inputs: the container, its program, chance. Outputs: durations since its start, or moments. All are known from the
//! start of a run on, whoever asks and however often, because every draw is named by container, run and purpose.

use super::program::ContainerProgram;
use super::state::{ContainerState, after};
use super::step::Context;
use crate::distribution::Distribution;
use component_base::rng::Seed;
use jiff::Timestamp;
use std::time::Duration;

/// How long after its start a container's startup probe succeeds; `None` when it fails for good.
pub(super) fn startup(
    container: &ContainerState,
    cp: &ContainerProgram,
    cx: &Context<'_>,
) -> Option<Duration> {
    let Some(probe) = &cp.startup else {
        return Some(Duration::ZERO);
    };
    let up = sample(
        cx.seed,
        cp,
        container.attempt(),
        "startup",
        cp.behavior.startup_delay,
    );
    let success = probe.success(up);
    (success <= probe.failure(Duration::ZERO)).then_some(success)
}

/// How long after its start a container is ready; `None` when it never is.
pub(super) fn readiness(
    container: &ContainerState,
    cp: &ContainerProgram,
    cx: &Context<'_>,
) -> Option<Duration> {
    let delay = sample(
        cx.seed,
        cp,
        container.attempt(),
        "readiness",
        cp.behavior.readiness_delay,
    );
    let up = delay.max(startup(container, cp, cx)?);
    Some(cp.readiness.as_ref().map_or(up, |probe| probe.success(up)))
}

/// When the kubelet kills a running container because of a probe, and which probe that is.
pub(super) fn probe_kill(
    container: &ContainerState,
    cp: &ContainerProgram,
    since: Timestamp,
    cx: &Context<'_>,
) -> Option<(Timestamp, &'static str)> {
    let Some(started) = startup(container, cp, cx) else {
        let probe = cp.startup.as_ref()?;
        return Some((after(since, probe.failure(Duration::ZERO)), "Startup"));
    };
    let (probe, fails) = (cp.liveness.as_ref()?, cp.behavior.liveness_fail_after?);
    let broken = sample(cx.seed, cp, container.attempt(), "liveness", fails).max(started);
    Some((after(since, probe.failure(broken)), "Liveness"))
}

/// When a running container ends by itself, and its exit code.
pub(super) fn own_exit(
    container: &ContainerState,
    cp: &ContainerProgram,
    since: Timestamp,
    cx: &Context<'_>,
) -> Option<(Timestamp, i32)> {
    let attempt = container.attempt();
    let behavior = &cp.behavior;
    let at = |what, distribution: Option<Distribution>| {
        distribution.map(|d| after(since, sample(cx.seed, cp, attempt, what, d)))
    };
    let exits = at("run", behavior.run_time).map(|at| (at, behavior.exit_code));
    let crash_code = if behavior.exit_code == 0 {
        1
    } else {
        behavior.exit_code
    };
    let crashes = at("crash", behavior.crash_after).map(|at| (at, crash_code));
    exits.into_iter().chain(crashes).min_by_key(|(at, _)| *at)
}

/// Draws a duration that belongs to one run of one container, whatever was drawn before.
pub(super) fn sample(
    seed: Seed,
    cp: &ContainerProgram,
    attempt: i32,
    what: &str,
    distribution: Distribution,
) -> Duration {
    distribution.constant().unwrap_or_else(|| {
        let mut rng = seed.fork(&format!("{}/{attempt}/{what}", cp.name));
        distribution.sample(&mut rng)
    })
}
