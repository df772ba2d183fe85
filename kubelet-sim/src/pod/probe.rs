//! When a probe comes to its verdict: arithmetic instead of a timer for every probe.
//!
//! Probes run at `since + initialDelay + k * period`, `since` being the container's start. A simulated probe succeeds
//! once the program is up (`…-delay` annotations) and fails from the moment that it breaks (`liveness-fail-after`), so
//! the time of every verdict is known beforehand.
//! Rules: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes>.

use proto::api::core::v1::Probe;
use std::time::Duration;

/// The numbers of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTiming {
    /// Before the first try.
    pub initial_delay: Duration,
    /// Between two tries.
    pub period: Duration,
    /// So many successes in a row count as success.
    pub success_threshold: u32,
    /// So many failures in a row count as failure.
    pub failure_threshold: u32,
}

impl ProbeTiming {
    /// Reads a probe; what is not set has Kubernetes' default.
    pub fn of(probe: &Probe) -> Self {
        let positive =
            |value: i32, default: u32| u32::try_from(value).ok().filter(|v| *v > 0).unwrap_or(default);
        Self {
            initial_delay: Duration::from_secs(u64::try_from(probe.initial_delay_seconds).unwrap_or(0)),
            period: Duration::from_secs(positive(probe.period_seconds, 10).into()),
            success_threshold: positive(probe.success_threshold, 1),
            failure_threshold: positive(probe.failure_threshold, 3),
        }
    }

    /// When the first try at or after `from` happens. All times count from the container's start.
    fn first_try(&self, from: Duration) -> Duration {
        let waited = from.saturating_sub(self.initial_delay).as_nanos();
        let periods = waited.div_ceil(self.period.as_nanos());
        self.initial_delay + self.period * u32::try_from(periods).unwrap_or(u32::MAX)
    }

    /// When the probe counts as successful, if tries succeed from `up` on.
    pub fn success(&self, up: Duration) -> Duration {
        self.first_try(up) + self.period * (self.success_threshold - 1)
    }

    /// When the probe counts as failed, if tries fail from `broken` on.
    pub fn failure(&self, broken: Duration) -> Duration {
        self.first_try(broken) + self.period * (self.failure_threshold - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_come_at_the_tries_that_decide() {
        let probe = |delay, period, success, failure| {
            ProbeTiming::of(&Probe {
                initial_delay_seconds: delay,
                period_seconds: period,
                success_threshold: success,
                failure_threshold: failure,
                ..Probe::default()
            })
        };
        let seconds = Duration::from_secs;
        // (probe, the program is up or broken at, success at, failure at)
        let cases = [
            (probe(0, 10, 1, 3), 0, 0, 20),
            (probe(5, 10, 1, 3), 0, 5, 25),
            (probe(5, 10, 1, 3), 6, 15, 35),
            (probe(5, 10, 1, 3), 15, 15, 35),
            (probe(5, 10, 3, 1), 0, 25, 5),
            (probe(0, 0, 0, 0), 1, 10, 30),
        ];
        for (probe, at, success, failure) in cases {
            assert_eq!(
                probe.success(seconds(at)),
                seconds(success),
                "{probe:?} up at {at}"
            );
            assert_eq!(
                probe.failure(seconds(at)),
                seconds(failure),
                "{probe:?} broken at {at}"
            );
        }
    }
}
