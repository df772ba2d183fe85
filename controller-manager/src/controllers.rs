//! The list of controllers. A new one is a file and a line here.

use crate::deployment::DeploymentController;
use crate::disruption::DisruptionController;
use crate::ephemeral_volume::EphemeralVolumeController;
use crate::garbage_collector::GarbageCollector;
use crate::namespace::NamespaceController;
use crate::node_lifecycle::NodeLifecycleController;
use crate::persistent_volume::PersistentVolumeController;
use crate::pod_gc::PodGcController;
use crate::replicaset::ReplicaSetController;
use crate::service_account::ServiceAccountController;
use crate::settings::Settings;
use crate::taint_eviction::TaintEvictionController;
use client::controller::Controller;

/// Every controller that runs.
pub fn all(settings: &Settings) -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(DeploymentController),
        Box::new(ReplicaSetController),
        Box::new(DisruptionController),
        Box::new(GarbageCollector),
        Box::new(NamespaceController),
        Box::new(ServiceAccountController),
        Box::new(NodeLifecycleController::new(settings)),
        Box::new(TaintEvictionController::new(settings)),
        Box::new(PodGcController::new(settings)),
        Box::new(PersistentVolumeController::new(settings)),
        Box::new(EphemeralVolumeController),
    ]
}
