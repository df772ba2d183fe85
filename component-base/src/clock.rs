//! The clock that everybody is handed, so that a test can run a day in a millisecond.
//!
//! Monotonic time is tokio's: a runtime whose time is paused (tests, turmoil) advances it by itself whenever all tasks
//! wait. Wall time is the machine's for [`Clock::system`], and follows tokio's for [`Clock::starting_at`], so that
//! virtual time moves timestamps too.
#![allow(
    clippy::disallowed_methods,
    reason = "the one place that may ask for the time"
)]

use jiff::Timestamp;
use std::future::Future;
use std::time::Duration;

/// A moment on the monotonic clock.
pub use tokio::time::Instant;

/// Tells the time and waits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Where virtual wall time began; `None` for the machine's.
    origin: Option<(Instant, Timestamp)>,
}

/// The time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { origin: None }
    }

    /// A clock whose wall time starts now at `wall` and advances with tokio's time, paused or not.
    /// Must be called on a tokio runtime.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self {
            origin: Some((Instant::now(), wall)),
        }
    }

    /// Monotonic time: for durations and deadlines.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Wall time: for timestamps in objects, never for measuring.
    pub fn wall(&self) -> Timestamp {
        match self.origin {
            None => Timestamp::now(),
            Some((start, wall)) => wall
                .checked_add(
                    jiff::SignedDuration::try_from(start.elapsed()).unwrap_or(jiff::SignedDuration::MAX),
                )
                .unwrap_or(Timestamp::MAX),
        }
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until a moment; returns at once when it has passed.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }

    /// Runs `future` for at most `duration`, then drops it.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(duration, future).await.map_err(|_| Elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_wall_time_moves_with_the_paused_clock() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(start);
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.wall(), "2026-01-01T01:00:00Z".parse().unwrap());
        assert_eq!(
            clock
                .timeout(Duration::from_secs(1), std::future::pending::<()>())
                .await,
            Err(Elapsed)
        );
    }
}
