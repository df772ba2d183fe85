//! What a panic may take with it: the one request that it happened in, or else the whole process.
//!
//! A panic is a bug. One that a single request runs into must not end the service of all others, so what handles
//! requests runs [`contain`]ed. Anywhere else (a store's committer, a controller's loop) nobody knows what is half done:
//! [`abort_on_others`] ends the process there, and its supervisor starts it anew from what is durable.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// A panic that was caught. Its message is in the log already.
#[derive(Debug)]
pub struct Panicked {
    message: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Panicked {}

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self {
            message: message.unwrap_or_else(|| "a panic without a message".into()),
        }
    }
}

/// Runs `work`; a panic in it ends nothing else. What `work` shares with others must bear being left half done.
///
/// # Errors
/// It panicked.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|payload| Panicked::new(&*payload))
}

/// [`contained`], for a future.
///
/// # Errors
/// It panicked; it is not polled again.
pub async fn contain<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match contained(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// From now on a panic that nobody contains ends the process, after it has been reported.
pub fn abort_on_others() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if !CONTAINED.get() {
            std::process::abort();
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_contained_panic_is_an_error_and_what_follows_is_not_contained() {
        assert_eq!(contain(async { 7 }).await.unwrap(), 7);
        let late = contain(async {
            tokio::task::yield_now().await;
            assert!(CONTAINED.get());
            panic!("{} is no moon", "that");
        });
        assert_eq!(late.await.unwrap_err().to_string(), "that is no moon");
        assert!(!CONTAINED.get());
    }
}
