//! Places Pods on Nodes.
