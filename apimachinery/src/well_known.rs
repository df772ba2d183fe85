//! Labels, annotations, taints and finalizers that have a meaning of their own. One home, so that no two components
//! spell them differently. <https://kubernetes.io/docs/reference/labels-annotations-taints/>

/// Label of every Namespace: its own name.
pub const METADATA_NAME: &str = "kubernetes.io/metadata.name";
/// Label of a Deployment's ReplicaSets and their Pods: which template they have.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";
/// Label of a Node: its host's name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// Label of a Node: its failure zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// Label of a Node: its region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// Label of a Node: its operating system.
pub const OS: &str = "kubernetes.io/os";
/// Label of a Node: its processor's architecture.
pub const ARCH: &str = "kubernetes.io/arch";

/// Annotation of a Deployment and its ReplicaSets: the number of the rollout.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation of a ReplicaSet: the earlier rollouts that had the same template.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotation of a ReplicaSet: how many replicas its Deployment wants.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// Annotation of a ReplicaSet: how many replicas its Deployment allows, surge included.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Annotation of a Deployment: why it was changed.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// Annotation of a Pod: a higher number survives a scale-down longer.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Annotation of a Pod template: when `rollout restart` was asked for.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Annotation of a claim: it has its volume, for good.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Annotation of a claim or a volume: the cluster has chosen the other, not a person.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Annotation of a volume: who has made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Annotation of a claim: the node of the Pod that its volume is made for.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Annotation of a claim or a volume: its class, where it goes before the field.
pub const STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Annotation of a StorageClass: claims that name none have this one.
pub const DEFAULT_STORAGE_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// Taint of a Node whose Ready condition is False.
pub const TAINT_NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Taint of a Node that has not been heard of.
pub const TAINT_UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taint of a cordoned Node.
pub const TAINT_UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Taint of a Node that is short of memory.
pub const TAINT_MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";
/// Taint of a Node that is short of disk.
pub const TAINT_DISK_PRESSURE: &str = "node.kubernetes.io/disk-pressure";
/// Taint of a Node that is short of process ids.
pub const TAINT_PID_PRESSURE: &str = "node.kubernetes.io/pid-pressure";
/// Taint of a Node without a network.
pub const TAINT_NETWORK_UNAVAILABLE: &str = "node.kubernetes.io/network-unavailable";
/// Taint of a Node whose machine somebody says is gone for good, so that its Pods may be given up.
pub const TAINT_OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Label of a Node that does not count when a zone's health is judged.
pub const EXCLUDE_DISRUPTION: &str = "node.kubernetes.io/exclude-disruption";

/// The effect of a taint that also drives away the Pods that are on the Node.
pub const NO_EXECUTE: &str = "NoExecute";
/// The effect of a taint that keeps new Pods away.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// The effect of a taint that only asks new Pods to go elsewhere.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";

/// Annotation of a simulated Node: where its kubelet answers the apiserver.
pub const KUBELET_ENDPOINT: &str = "sim.orrery.dev/kubelet-endpoint";

/// The Namespace of the Leases that Nodes renew.
pub const NODE_LEASE_NAMESPACE: &str = "kube-node-lease";

/// Finalizer that deletes dependents first.
pub const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Finalizer that frees dependents first.
pub const ORPHAN: &str = "orphan";
/// Finalizer in a Namespace's spec, held until the Namespace is empty.
pub const NAMESPACE_FINALIZER: &str = "kubernetes";

/// The label by which a Pod belongs to a PodGroup of its namespace.
pub const POD_GROUP: &str = "scheduling.x-k8s.io/pod-group";
