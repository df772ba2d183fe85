//! Batches of writes, and what their results mean.

use super::outbox::Item;
use super::{Kubelet, REPORT_PERIOD};
use crate::node::object::{self, LEASE_NAMESPACE};
use crate::node::{NodeState, Presence};
use crate::pod::after;
use apimachinery::wire::MetaView;
use client::{Error, ObjectKey};
use jiff::Timestamp;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1 as core;
use proto::meta::v1::ObjectMeta;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{
    BatchOperation, CreateRequest, DeleteRequest, PatchRequest, UpdateRequest, patch_request,
};
use proto::{Kind, Object};
use std::time::Duration;

/// The most writes in one batch: a tenth of what the server takes, so that several are on their way at once.
const BATCH: usize = 256;
/// How long nothing is written after the server did not answer or asked for patience.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes on their way.
#[derive(Debug)]
pub struct Batch {
    /// The writes.
    pub operations: Vec<BatchOperation>,
    sent: Vec<Sent>,
}

#[derive(Debug)]
enum Sent {
    Register(usize),
    Metadata(usize),
    Status(usize),
    LeaseCreate(usize),
    LeaseUpdate(usize),
    DeleteNode(usize),
    DeleteLease(usize),
    PodStatus {
        key: ObjectKey,
        uid: Box<str>,
        revision: i64,
    },
    PodDelete {
        key: ObjectKey,
        uid: Box<str>,
    },
}

/// What was done, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pod statuses written.
    pub pod_statuses: u64,
    /// Node statuses written.
    pub node_statuses: u64,
    /// Leases renewed.
    pub leases: u64,
    /// Pods deleted for good.
    pub pod_deletes: u64,
    /// Writes refused because the object had changed.
    pub conflicts: u64,
    /// Containers that were started again.
    pub restarts: u64,
}

fn create<K: Kind>(object: &K) -> Operation {
    Operation::Create(CreateRequest {
        object: Some(Object::encode_from(object)),
        ..CreateRequest::default()
    })
}

fn update<K: Kind>(object: &K, subresource: &str) -> Operation {
    Operation::Update(UpdateRequest {
        object: Some(Object::encode_from(object)),
        subresource: subresource.to_owned(),
        ..UpdateRequest::default()
    })
}

fn delete<K: Kind>(namespace: &str, name: &str) -> Operation {
    Operation::Delete(DeleteRequest {
        kind: apimachinery::kinds::of::<K>().resource(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        options: None,
    })
}

fn node_status(node: &NodeState, now: Timestamp) -> core::Node {
    core::Node {
        metadata: Some(ObjectMeta {
            name: node.name.to_string(),
            uid: node.uid.clone(),
            ..ObjectMeta::default()
        }),
        spec: None,
        status: Some(object::status(node, now)),
    }
}

impl Kubelet {
    /// The next batch of writes; `None` when there is nothing to write, or the server needs a rest.
    pub fn batch(&mut self, now: Timestamp) -> Option<Batch> {
        if self.pause_until.is_some_and(|until| until > now) {
            return None;
        }
        let mut batch = Batch {
            operations: Vec::new(),
            sent: Vec::new(),
        };
        while batch.operations.len() < BATCH
            && let Some(item) = self.outbox.pop()
        {
            if let Some((operation, sent)) = self.write(item, now) {
                batch.operations.push(operation);
                batch.sent.push(sent);
            }
        }
        (!batch.operations.is_empty()).then_some(batch)
    }

    /// The write that an item stands for now; `None` when it has become needless.
    fn write(&mut self, item: Item, now: Timestamp) -> Option<(BatchOperation, Sent)> {
        if let Item::Pod(key) = item {
            return self.pod_write(key);
        }
        let (operation, sent) = self.node_write(&item, now)?;
        let operation = BatchOperation {
            operation: Some(operation),
            cause: 0,
        };
        Some((operation, sent))
    }

    fn pod_write(&mut self, key: ObjectKey) -> Option<(BatchOperation, Sent)> {
        let record = self.pods.get_mut(&key)?;
        let node = &self.nodes[record.node];
        if record.in_flight || !node.is_alive() {
            return None;
        }
        let operation = record.operation(&key, node)?;
        let uid = record.uid.clone();
        let sent = if record.dirty {
            let revision = record.revision;
            Sent::PodStatus { key, uid, revision }
        } else {
            Sent::PodDelete { key, uid }
        };
        record.in_flight = true;
        record.dirty = false;
        Some((operation, sent))
    }

    fn node_write(&mut self, item: &Item, now: Timestamp) -> Option<(Operation, Sent)> {
        let (Item::Register(index)
        | Item::Metadata(index)
        | Item::Status(index)
        | Item::Lease(index)
        | Item::DeleteNode(index)
        | Item::DeleteLease(index)) = *item
        else {
            return None;
        };
        let node = &mut self.nodes[index];
        let alive = node.is_alive();
        let registered = alive && node.presence == Presence::Registered;
        Some(match item {
            Item::Register(_) if alive && node.presence == Presence::Unknown => {
                node.ready_since = now;
                (
                    create(&object::node(node, &self.endpoints, now)),
                    Sent::Register(index),
                )
            }
            Item::Metadata(_) if registered => {
                let patch = PatchRequest {
                    kind: core::Node::NAME.to_owned(),
                    name: node.name.to_string(),
                    r#type: patch_request::Type::Merge.into(),
                    patch: self.patches.get(&index)?.clone(),
                    ..PatchRequest::default()
                };
                (Operation::Patch(patch), Sent::Metadata(index))
            }
            Item::Status(_) if registered => {
                node.report_at = after(now, REPORT_PERIOD);
                (update(&node_status(node, now), "status"), Sent::Status(index))
            }
            Item::Lease(_) if registered => {
                let lease = object::lease(node, now);
                if node.lease_known {
                    (update(&lease, ""), Sent::LeaseUpdate(index))
                } else {
                    (create(&lease), Sent::LeaseCreate(index))
                }
            }
            Item::DeleteNode(_) => (delete::<core::Node>("", &node.name), Sent::DeleteNode(index)),
            Item::DeleteLease(_) => (
                delete::<Lease>(LEASE_NAMESPACE, &node.name),
                Sent::DeleteLease(index),
            ),
            _ => return None,
        })
    }

    /// Takes in what became of a batch.
    pub fn settle(&mut self, batch: Batch, results: Vec<Result<Object, Error>>, now: Timestamp) {
        for (sent, result) in batch.sent.into_iter().zip(results) {
            if let Err(error) = &result
                && error.retryable()
            {
                if self.pause_until.is_none() {
                    tracing::warn!(%error, "writing again in a moment");
                }
                self.pause_until = Some(after(now, PAUSE));
            }
            self.settle_one(sent, result, now);
        }
    }

    fn settle_one(&mut self, sent: Sent, result: Result<Object, Error>, now: Timestamp) {
        match (sent, result) {
            (Sent::PodStatus { key, uid, revision }, result) => {
                self.settle_status(&key, &uid, revision, result);
            }
            (Sent::PodDelete { key, uid }, result) => self.settle_delete(&key, &uid, &result),
            (Sent::Register(index), Ok(object)) => self.registered(index, &object, now),
            // Somebody made it since: the watch brings it.
            (Sent::Register(_), Err(error)) if error.is_already_exists() => {}
            (Sent::Metadata(index), Ok(_)) => {
                self.patches.remove(&index);
            }
            (Sent::Status(_), Ok(_)) => self.counts.node_statuses += 1,
            (Sent::LeaseCreate(index) | Sent::LeaseUpdate(index), Ok(_)) => {
                self.nodes[index].lease_known = true;
                self.counts.leases += 1;
            }
            (Sent::LeaseCreate(index), Err(error)) if error.is_already_exists() => {
                self.nodes[index].lease_known = true;
                self.outbox.push(Item::Lease(index));
            }
            (Sent::LeaseUpdate(index), Err(error)) if error.is_not_found() => {
                self.nodes[index].lease_known = false;
                self.outbox.push(Item::Lease(index));
            }
            (Sent::DeleteNode(_) | Sent::DeleteLease(_), Ok(_)) => {}
            (Sent::DeleteNode(_) | Sent::DeleteLease(_), Err(error)) if error.is_not_found() => {}
            (sent, Err(error)) => self.settle_failure(&sent, &error),
        }
    }

    /// A write about a node that failed: again, when that can help; else the next period tries anew.
    fn settle_failure(&mut self, sent: &Sent, error: &Error) {
        let (item, index) = match *sent {
            Sent::Register(index) => (Item::Register(index), index),
            Sent::Metadata(index) => (Item::Metadata(index), index),
            Sent::Status(index) => (Item::Status(index), index),
            Sent::LeaseCreate(index) | Sent::LeaseUpdate(index) => (Item::Lease(index), index),
            Sent::DeleteNode(index) => (Item::DeleteNode(index), index),
            Sent::DeleteLease(index) => (Item::DeleteLease(index), index),
            Sent::PodStatus { .. } | Sent::PodDelete { .. } => return,
        };
        if error.retryable() {
            self.outbox.push(item);
        } else {
            tracing::error!(node = &*self.nodes[index].name, ?item, %error, "a node's write is refused");
        }
    }

    fn settle_status(&mut self, key: &ObjectKey, uid: &str, sent_at: i64, result: Result<Object, Error>) {
        let Some(record) = self.pods.get_mut(key).filter(|record| *record.uid == *uid) else {
            return;
        };
        record.in_flight = false;
        match result {
            Ok(object) => {
                self.counts.pod_statuses += 1;
                let revision = MetaView::parse(&object.bytes).map_or(0, |meta| meta.revision());
                record.revision = record.revision.max(revision);
            }
            Err(error) if error.is_conflict() => {
                self.counts.conflicts += 1;
                record.dirty = true;
                // Else the watch is about to bring what the write collided with, and that writes again.
                if record.revision == sent_at {
                    return;
                }
            }
            Err(error) if error.is_not_found() => return,
            Err(error) if error.retryable() => record.dirty = true,
            Err(error) => tracing::error!(pod = %key, %error, "a pod's status is refused"),
        }
        if record.dirty || record.is_to_go() {
            self.outbox.push(Item::Pod(key.clone()));
        }
    }

    fn settle_delete(&mut self, key: &ObjectKey, uid: &str, result: &Result<Object, Error>) {
        let Some(record) = self.pods.get_mut(key).filter(|record| *record.uid == *uid) else {
            return;
        };
        record.in_flight = false;
        match result {
            Err(error) if error.retryable() => self.outbox.push(Item::Pod(key.clone())),
            Err(error) if !error.is_not_found() && !error.is_conflict() => {
                tracing::error!(pod = %key, %error, "a pod's deletion is refused");
            }
            _ => {
                record.let_go = true;
                self.counts.pod_deletes += 1;
            }
        }
    }

    /// What was done since the process began.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many things wait to be written.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }
}
