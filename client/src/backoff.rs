//! Waiting longer after each failure, with jitter, so that many clients never retry in step.
//!
//! [`Backoff`] is for one who reconnects again and again; [`Policy::delay`] for a table of failures per key. Both draw
//! from a seeded generator. Invariant: every delay lies between the policy's first and longest.

use component_base::rng::Rng;
use rand::RngExt;
use std::time::Duration;

/// How delays grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The shortest delay, and that after the first failure.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Policy {
    /// For a connection: soon back after a restart, and never a storm on a server that stays away.
    pub const RECONNECT: Self = Self {
        first: Duration::from_millis(20),
        longest: Duration::from_secs(2),
    };

    /// For a key that fails: as client-go's controllers, but never longer than half a minute, since a cluster here
    /// lives minutes rather than months.
    pub const REQUEUE: Self = Self {
        first: Duration::from_millis(5),
        longest: Duration::from_secs(30),
    };

    /// The delay after so many failures in a row (1 for the first): doubles each time, then anything from half of it
    /// to all of it.
    pub fn delay(self, failures: u32, rng: &mut Rng) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(factor).min(self.longest);
        between(full / 2, full, rng).max(self.first)
    }
}

/// The delays of one who fails again and again: each is drawn from between the first and three times the last
/// ("decorrelated jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    last: Option<Duration>,
    rng: Rng,
}

impl Backoff {
    /// No failure yet.
    pub fn new(policy: Policy, rng: Rng) -> Self {
        Self {
            policy,
            last: None,
            rng,
        }
    }

    /// How long to wait after one more failure.
    pub fn fail(&mut self) -> Duration {
        let delay = match self.last {
            None => self.policy.first,
            Some(last) => {
                let most = last.saturating_mul(3).min(self.policy.longest);
                between(self.policy.first, most, &mut self.rng)
            }
        };
        self.last = Some(delay);
        delay
    }

    /// It worked: the next failure is the first.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

fn between(least: Duration, most: Duration, rng: &mut Rng) -> Duration {
    if most <= least {
        return least;
    }
    least + (most - least).mul_f64(rng.random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::rng::Seed;
    use proptest::prelude::*;

    #[test]
    fn success_makes_the_next_failure_the_first_again() {
        let mut backoff = Backoff::new(Policy::RECONNECT, Seed(1).fork("test"));
        assert_eq!(backoff.fail(), Policy::RECONNECT.first);
        for _ in 0..20 {
            backoff.fail();
        }
        backoff.reset();
        assert_eq!(backoff.fail(), Policy::RECONNECT.first);
    }

    #[test]
    fn a_key_that_fails_on_waits_half_a_minute_in_the_end() {
        let mut rng = Seed(1).fork("test");
        assert_eq!(Policy::REQUEUE.delay(1, &mut rng), Duration::from_millis(5));
        let late = Policy::REQUEUE.delay(500, &mut rng);
        assert!(
            (Duration::from_secs(15)..=Duration::from_secs(30)).contains(&late),
            "{late:?}"
        );
    }

    proptest! {
        #[test]
        fn delays_stay_between_the_first_and_the_longest(seed: u64, failures in 0u32..100) {
            let policy = Policy::RECONNECT;
            let within = policy.first..=policy.longest;
            let mut rng = Seed(seed).fork("test");
            prop_assert!(within.contains(&policy.delay(failures, &mut rng)));
            let mut backoff = Backoff::new(policy, rng);
            for _ in 0..failures {
                prop_assert!(within.contains(&backoff.fail()));
            }
        }
    }
}
