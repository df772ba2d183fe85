//! One write as one etcd transaction, and the answer as a change or a conflict. Pure.
//!
//! Each write has a transaction of its own, since etcd gives a transaction one revision whatever it writes.

use super::layout::{Envelope, Layout, versioned};
use crate::store::{Change, Conflict, Precondition, Revision, StoreError, Write};
use bytes::Bytes;
use proto::etcd::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse, compare,
    request_op, response_op,
};
use proto::etcd::mvccpb::KeyValue;
use std::sync::Arc;

/// The transaction that does a write when its precondition holds, and else tells the key's revision.
pub(super) fn request(layout: &Layout, write: &Write) -> TxnRequest {
    let key = layout.object(&write.key);
    let removal = layout.removal(&write.key);
    let envelope = Envelope::new(&write.origin, write.value.clone().unwrap_or_default()).bytes();
    let mut success = if write.value.is_some() {
        let mut operations = vec![put(key.clone(), envelope)];
        // A write at a revision knows that the key is there, so that no removal can be.
        if !matches!(write.precondition, Precondition::At(_)) {
            operations.push(delete(removal));
        }
        operations
    } else {
        vec![delete(key.clone()), put(removal, envelope)]
    };
    success.push(put(
        layout.head(),
        Bytes::copy_from_slice(write.key.as_str().as_bytes()),
    ));
    TxnRequest {
        compare: compares(write, &key),
        success,
        failure: vec![operation(request_op::Request::RequestRange(RangeRequest {
            key,
            keys_only: true,
            ..RangeRequest::default()
        }))],
    }
}

/// What [`Write::is_allowed`] says, in etcd's words.
fn compares(write: &Write, key: &Bytes) -> Vec<Compare> {
    let exists = || compare_created(key, compare::CompareResult::Greater);
    let absent = || compare_created(key, compare::CompareResult::Equal);
    let mut compares = match write.precondition {
        Precondition::None => vec![],
        Precondition::Absent => vec![absent()],
        Precondition::At(revision) => vec![Compare {
            target: compare::CompareTarget::Mod as i32,
            key: key.clone(),
            target_union: Some(compare::TargetUnion::ModRevision(revision)),
            ..Compare::default()
        }],
    };
    // etcd says of a key that is not there that it was written at 0.
    if write.value.is_none() || write.precondition == Precondition::At(0) {
        compares.push(exists());
    }
    compares
}

fn compare_created(key: &Bytes, result: compare::CompareResult) -> Compare {
    Compare {
        result: result as i32,
        target: compare::CompareTarget::Create as i32,
        key: key.clone(),
        target_union: Some(compare::TargetUnion::CreateRevision(0)),
    }
}

/// Reads keys at one revision.
pub(super) fn read(keys: impl IntoIterator<Item = Bytes>) -> TxnRequest {
    let range = |key| RangeRequest {
        key,
        ..RangeRequest::default()
    };
    TxnRequest {
        success: keys
            .into_iter()
            .map(|key| operation(request_op::Request::RequestRange(range(key))))
            .collect(),
        ..TxnRequest::default()
    }
}

/// What [`read`] found, in its order, and the revision of etcd at which it did.
pub(super) fn found(response: TxnResponse) -> Result<(Vec<Option<KeyValue>>, Revision), StoreError> {
    let now = response.header.ok_or_else(unexpected)?.revision;
    let found = response
        .responses
        .into_iter()
        .map(|op| match op.response {
            Some(response_op::Response::ResponseRange(range)) => Ok(range.kvs.into_iter().next()),
            _ => Err(unexpected()),
        })
        .collect::<Result<_, _>>()?;
    Ok((found, now))
}

/// Removes a key when it is written at `revision`.
pub(super) fn delete_at(key: Bytes, revision: Revision) -> TxnRequest {
    TxnRequest {
        compare: vec![Compare {
            target: compare::CompareTarget::Mod as i32,
            key: key.clone(),
            target_union: Some(compare::TargetUnion::ModRevision(revision)),
            ..Compare::default()
        }],
        success: vec![delete(key)],
        failure: Vec::new(),
    }
}

/// Writes a key when it is still at `revision`; 0 when it is not there.
pub(super) fn put_at(key: Bytes, value: Bytes, revision: Revision) -> TxnRequest {
    TxnRequest {
        success: vec![put(key.clone(), value)],
        ..delete_at(key, revision)
    }
}

/// What became of a write.
pub(super) fn answer(
    write: Write,
    response: TxnResponse,
) -> Result<Result<Arc<Change>, Conflict>, StoreError> {
    let first = response.responses.into_iter().next().and_then(|op| op.response);
    if !response.succeeded {
        let Some(response_op::Response::ResponseRange(range)) = first else {
            return Err(unexpected());
        };
        return Ok(Err(Conflict {
            key: write.key,
            current: range.kvs.first().map(|kv| kv.mod_revision),
        }));
    }
    let before = match first {
        Some(response_op::Response::ResponsePut(put)) => put.prev_kv,
        Some(response_op::Response::ResponseDeleteRange(delete)) => delete.prev_kvs.into_iter().next(),
        _ => return Err(unexpected()),
    };
    Ok(Ok(Arc::new(Change {
        revision: response.header.ok_or_else(unexpected)?.revision,
        key: write.key,
        before: before.as_ref().map(versioned).transpose()?,
        after: write.value,
        origin: write.origin,
    })))
}

pub(super) fn unexpected() -> StoreError {
    StoreError::Unavailable("etcd answered a transaction with something else".into())
}

fn put(key: Bytes, value: Bytes) -> RequestOp {
    operation(request_op::Request::RequestPut(PutRequest {
        key,
        value,
        prev_kv: true,
        ..PutRequest::default()
    }))
}

fn delete(key: Bytes) -> RequestOp {
    operation(request_op::Request::RequestDeleteRange(DeleteRangeRequest {
        key,
        prev_kv: true,
        ..DeleteRangeRequest::default()
    }))
}

fn operation(request: request_op::Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}
