//! Finds what is known of a container's run, in upstream's words when there is nothing.

use super::Kubelet;
use crate::logs::Wanted;
use crate::pod::{ContainerLog, NoLog};
use client::ObjectKey;
use jiff::Timestamp;
use proto::api::core::v1 as core;

/// Why there is no log. Upstream's kubelet says the same: <https://github.com/kubernetes/kubernetes>, `kubelet_pods.go`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No such pod runs here.
    #[error("pod {0:?} does not run on any of this kubelet's nodes")]
    NoPod(String),
    /// The node is cut off.
    #[error("node {0:?} is stopped, and its kubelet does not answer: `orrery node resume {0}`")]
    Stopped(String),
    /// The pod has no such container, or was never admitted.
    #[error("container {container:?} in pod {pod:?} is not available")]
    Unavailable {
        /// The container.
        container: String,
        /// The pod.
        pod: String,
    },
    /// It has not run yet.
    #[error("container {container:?} in pod {pod:?} is waiting to start: {reason}")]
    Waiting {
        /// The container.
        container: String,
        /// The pod.
        pod: String,
        /// What its status says.
        reason: &'static str,
    },
    /// It has run only once, or that run is forgotten.
    #[error("previous terminated container {container:?} in pod {pod:?} not found")]
    NoPrevious {
        /// The container.
        container: String,
        /// The pod.
        pod: String,
    },
}

impl Kubelet {
    /// What is known of one run of a container.
    ///
    /// # Errors
    /// There is no such run.
    pub(crate) fn container_log(
        &mut self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<ContainerLog, LogError> {
        // What is due by now has happened: a follower must not read beyond an exit that nobody has looked at.
        self.tick(now);
        let (pod, container) = (wanted.pod.clone(), wanted.container.clone());
        let key = ObjectKey::new::<core::Pod>(&wanted.namespace, &pod);
        let Some(record) = self.pods.get(&key) else {
            return Err(LogError::NoPod(format!("{}/{pod}", wanted.namespace)));
        };
        let node = &self.nodes[record.node];
        if node.stopped {
            return Err(LogError::Stopped(node.name.to_string()));
        }
        let known = record.state.as_ref().filter(|state| state.ip.is_some());
        let place = record
            .program
            .containers
            .iter()
            .position(|cp| *cp.name == *container);
        let Some((state, place)) = known.zip(place) else {
            return Err(LogError::Unavailable { container, pod });
        };
        ContainerLog::of(
            &record.program,
            place,
            &state.containers[place],
            wanted.run,
            record.seed(node),
            record.deletion,
        )
        .map_err(|missing| match missing {
            NoLog::Waiting(reason) => LogError::Waiting {
                container,
                pod,
                reason,
            },
            NoLog::NoPrevious | NoLog::Gone => LogError::NoPrevious { container, pod },
        })
    }
}
