//! What needs more than one crate: integration, simulation, end to end.
