//! The list of controllers. A new one is a file and a line here.

use crate::deployment::DeploymentController;
use crate::garbage_collector::GarbageCollector;
use crate::namespace::NamespaceController;
use crate::replicaset::ReplicaSetController;
use client::controller::Controller;

/// Every controller that runs.
pub fn all() -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(DeploymentController),
        Box::new(ReplicaSetController),
        Box::new(GarbageCollector),
        Box::new(NamespaceController),
    ]
}
