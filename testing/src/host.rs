//! [`Host`]: a thread with a runtime of its own, on which a cluster's components live.
//!
//! Not the caller's runtime: a test may block its own thread, pause its clock, or end its runtime before the cluster is
//! dropped, and the cluster must neither stop nor hang then.

use component_base::shutdown::Shutdown;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread::JoinHandle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a debugger calls the threads of a cluster.
const THREAD_NAME: &str = "orrery-test";

/// A component that is going to run.
pub(crate) struct Part {
    /// The component's name.
    pub(crate) name: &'static str,
    /// Its life. Polled on the host's thread alone.
    pub(crate) run: Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>,
}

/// A component that ended, and what it said.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) component: &'static str,
    pub(crate) reason: String,
}

/// The thread. When it is dropped, the components have ended, and so has the thread.
#[derive(Debug)]
pub(crate) struct Host {
    shutdown: Shutdown,
    ended: watch::Receiver<Option<Ended>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Runs the parts until `shutdown`.
    pub(crate) fn start(parts: Vec<Part>, shutdown: Shutdown) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(THREAD_NAME)
            .build()?;
        let (tell, ended) = watch::channel(None);
        let thread = std::thread::Builder::new()
            .name(THREAD_NAME.into())
            .spawn(move || runtime.block_on(run(parts, &tell)))?;
        Ok(Self {
            shutdown,
            ended,
            thread: Some(thread),
        })
    }

    /// Returns when a component has ended by itself: something is wrong then.
    pub(crate) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let first = ended.wait_for(Option::is_some).await;
        first.ok().and_then(|ended| ended.clone()).unwrap_or(Ended {
            component: "the cluster",
            reason: "its thread is gone".into(),
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a component of the test cluster panicked");
        }
    }
}

/// Runs the parts until all have ended; tells of the first that does.
async fn run(parts: Vec<Part>, tell: &watch::Sender<Option<Ended>>) {
    let mut running = JoinSet::new();
    for Part { name, run } in parts {
        running.spawn(async move { (name, run.await) });
    }
    while let Some(joined) = running.join_next().await {
        let ended = match joined {
            Ok((component, result)) => Ended {
                component,
                reason: result.map_or_else(|error| format!("{error:#}"), |()| "it was asked to".into()),
            },
            Err(error) => Ended {
                component: "a component",
                reason: error.to_string(),
            },
        };
        tell.send_if_modified(|first| first.is_none().then(|| *first = Some(ended)).is_some());
    }
}
