//! Deployments, ReplicaSets, garbage collection, namespaces, node lifecycle.
