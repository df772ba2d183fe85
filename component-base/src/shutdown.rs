//! How a process ends: one token that everybody watches, triggered by SIGTERM, SIGINT, or a test.
//!
//! Whoever waits for something also waits for [`Shutdown::cancelled`]. Nobody waits for ever for others to end:
//! [`drain`] has a limit. The first signal asks; the second one ends the process at once.

use crate::clock::Clock;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The exit code after a second SIGINT or SIGTERM: 128 + SIGINT, as shells have it.
const IMPATIENT_EXIT_CODE: i32 = 130;

/// Tells everybody when to end. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// One that only [`Shutdown::trigger`] triggers.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGTERM and SIGINT trigger too. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The signal handlers could not be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let this = shutdown.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let signal = next().await;
            tracing::info!(signal, "shutting down; a second signal ends the process at once");
            this.trigger();
            let signal = next().await;
            tracing::warn!(signal, "ending at once");
            std::process::exit(IMPATIENT_EXIT_CODE);
        });
        Ok(shutdown)
    }

    /// Ends with this one, and can be triggered alone: for a part of a process.
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
        }
    }

    /// Asks everybody to end.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Whether everybody has been asked to end.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until everybody is asked to end. Borrows nothing, so that a stream can keep it.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.token.clone().cancelled_owned()
    }

    /// Runs `future` until it is done or everybody is asked to end, whichever comes first; `None` for the latter.
    pub async fn unless_triggered<F: Future>(&self, future: F) -> Option<F::Output> {
        self.token.run_until_cancelled(future).await
    }
}

/// Waits for `tasks` to end, at most for `limit`; then aborts the rest and returns how many they were.
pub async fn drain<T: 'static>(clock: &Clock, limit: Duration, tasks: &mut JoinSet<T>) -> usize {
    let all = async { while tasks.join_next().await.is_some() {} };
    if clock.timeout(limit, all).await.is_ok() {
        return 0;
    }
    let cut_off = tasks.len();
    tasks.shutdown().await;
    cut_off
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_child_ends_with_its_parent_but_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        assert!(first.is_triggered() && !parent.is_triggered() && !second.is_triggered());
        assert_eq!(second.unless_triggered(async { 7 }).await, Some(7));
        parent.trigger();
        second.cancelled().await;
        assert_eq!(second.unless_triggered(std::future::pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_ends_in_time_and_cuts_off_the_rest() {
        let clock = Clock::system();
        let mut tasks = JoinSet::new();
        for seconds in [1, 2, 60] {
            let clock = clock.clone();
            tasks.spawn(async move { clock.sleep(Duration::from_secs(seconds)).await });
        }
        let start = clock.now();
        assert_eq!(drain(&clock, Duration::from_secs(5), &mut tasks).await, 1);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(drain(&clock, Duration::from_secs(5), &mut tasks).await, 0);
    }
}
