//! A pod as the process remembers it, and how to tell the API of it.

use crate::node::NodeState;
use crate::pod::{Deletion, Identity, PodState, Program, Surroundings, render};
use client::ObjectKey;
use component_base::rng::Seed;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1 as core;
use proto::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, DeleteRequest, UpdateRequest};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is kept of a pod: its program is shared with its siblings.
#[derive(Debug)]
pub(super) struct PodRecord {
    /// Its UID.
    pub(super) uid: Box<str>,
    /// The index of its node.
    pub(super) node: usize,
    /// The revision of the pod as it was last seen or written.
    pub(super) revision: i64,
    /// Its generation.
    pub(super) generation: i64,
    /// Whether it is being deleted.
    pub(super) deletion: Option<Deletion>,
    /// What its life depends on.
    pub(super) program: Arc<Program>,
    /// Conditions that others set before its node took or refused it; part of `state` from then on.
    pub(super) early: Vec<core::PodCondition>,
    /// Where it stands; `None` before its node has taken or refused it.
    pub(super) state: Option<PodState>,
    /// When to look at it again.
    pub(super) due: Option<Timestamp>,
    /// Whether the API does not know its state yet.
    pub(super) dirty: bool,
    /// Whether a write of it is on its way.
    pub(super) in_flight: bool,
    /// Whether its last deletion was acknowledged: only finalizers hold it now.
    pub(super) let_go: bool,
    /// Whether it was found at a start, and has not been looked at since.
    pub(super) found: bool,
}

/// A pod's deletion, as its metadata tells it.
pub(super) fn deletion(meta: &ObjectMeta) -> Option<Deletion> {
    let by = client::time::timestamp(meta.deletion_timestamp.as_ref()?);
    let grace = meta
        .deletion_grace_period_seconds
        .unwrap_or(0)
        .max(0)
        .unsigned_abs();
    let grace = Duration::from_secs(grace);
    // The API names the end; the containers are told at the beginning.
    let requested = by.checked_sub(grace).unwrap_or(by);
    Some(Deletion { requested, grace })
}

impl PodRecord {
    /// Where the chance of this pod comes from.
    pub(super) fn seed(&self, node: &NodeState) -> Seed {
        node.seed.child(&self.uid)
    }

    /// Whether its containers run, may run, or hold resources.
    pub(super) fn is_active(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.end().is_none())
    }

    /// Whether nothing of it runs any more, and it is to go.
    pub(super) fn is_to_go(&self) -> bool {
        self.deletion.is_some() && !self.let_go && !self.is_active()
    }

    /// The next write that the API needs, if any: its status first, then its end.
    pub(super) fn operation(&self, key: &ObjectKey, node: &NodeState) -> Option<BatchOperation> {
        let operation = match &self.state {
            Some(state) if self.dirty => Operation::Update(self.status_update(key, state, node)),
            _ if self.is_to_go() => Operation::Delete(self.deletion_request(key)),
            _ => return None,
        };
        Some(BatchOperation {
            operation: Some(operation),
            cause: self.revision,
        })
    }

    fn status_update(&self, key: &ObjectKey, state: &PodState, node: &NodeState) -> UpdateRequest {
        let around = Surroundings {
            pod: self.identity(key),
            generation: self.generation,
            host_ip: IpAddr::V4(node.address),
        };
        // The status alone is written: of the rest, only what the write depends on.
        let pod = core::Pod {
            metadata: Some(ObjectMeta {
                name: key.name.to_string(),
                namespace: key.namespace.to_string(),
                uid: self.uid.to_string(),
                resource_version: self.revision.to_string(),
                ..ObjectMeta::default()
            }),
            spec: None,
            status: Some(render(state, &self.program, &around)),
        };
        UpdateRequest {
            object: Some(proto::Object::encode_from(&pod)),
            subresource: "status".to_owned(),
            ..UpdateRequest::default()
        }
    }

    fn deletion_request(&self, key: &ObjectKey) -> DeleteRequest {
        DeleteRequest {
            kind: core::Pod::NAME.to_owned(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            options: Some(DeleteOptions {
                grace_period_seconds: Some(0),
                preconditions: Some(Preconditions {
                    uid: Some(self.uid.to_string()),
                    ..Preconditions::default()
                }),
                ..DeleteOptions::default()
            }),
        }
    }

    /// Which pod it is.
    pub(super) fn identity<'a>(&'a self, key: &'a ObjectKey) -> Identity<'a> {
        Identity {
            namespace: &key.namespace,
            name: &key.name,
            uid: &self.uid,
        }
    }
}
