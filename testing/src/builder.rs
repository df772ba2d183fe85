//! What a cluster shall be like, before it starts.

use crate::{Cluster, StartError};
use component_base::rng::Seed;

/// Nodes of a cluster that nobody asked for more of.
const DEFAULT_NODES: u32 = 3;

/// What a cluster shall be like.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) nodes: u32,
    pub(crate) controllers: bool,
    pub(crate) scheduler: bool,
    pub(crate) seed: Option<Seed>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: DEFAULT_NODES,
            controllers: true,
            scheduler: true,
            seed: None,
        }
    }
}

impl Builder {
    /// How many simulated nodes run Pods; 3 unless said. 0 leaves the kubelets out, and Pods stay Pending.
    #[must_use]
    pub fn nodes(mut self, count: u32) -> Self {
        self.nodes = count;
        self
    }

    /// Leaves out the controllers: nothing makes ReplicaSets or Pods, collects garbage or empties namespaces.
    #[must_use]
    pub fn without_controllers(mut self) -> Self {
        self.controllers = false;
        self
    }

    /// Leaves out the scheduler: for a test of another one.
    #[must_use]
    pub fn without_scheduler(mut self) -> Self {
        self.scheduler = false;
        self
    }

    /// Only the apiserver: for a test that plays every other part itself.
    #[must_use]
    pub fn apiserver_only(self) -> Self {
        self.nodes(0).without_controllers().without_scheduler()
    }

    /// Where names, UIDs and the simulated kubelets' chances come from; drawn unless given. The same seed draws the same.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(Seed(seed));
        self
    }

    /// Starts the cluster, and returns when its API answers, its controllers know the cluster, and its nodes are Ready.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self) -> Result<Cluster, StartError> {
        Cluster::start_as(self).await
    }
}
