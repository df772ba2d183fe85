//! The log of writes: who wrote what, when, and because of which earlier write.

use super::errors::{self, Result};
use super::{Registry, request};
use crate::limits::{MAX_HISTORY, MAX_HISTORY_BYTES};
use apimachinery::kinds::{self, KindInfo};
use apimachinery::wire::with_resource_version;
use bytes::Bytes;
use proto::Object;
use proto::orrery::v1::{Change, GetChangeRequest, ListChangesRequest, ListChangesResponse};
use storage::store::{self, HistoryLimit, Key, Revision};

impl Registry {
    /// The write that made a revision.
    pub async fn get_change(&self, asked: GetChangeRequest) -> Result<Change> {
        if asked.revision <= 0 {
            return Err(errors::bad_request("revision must be at least 1"));
        }
        let change = self.store().change(asked.revision).await;
        api_change(&*change.map_err(|error| errors::store(&error))?)
    }

    /// The writes to one object, newest first.
    pub async fn list_changes(&self, asked: ListChangesRequest) -> Result<ListChangesResponse> {
        let info = self.kind(&asked.kind)?;
        let key = request::key(&info, &asked.namespace, &asked.name)?;
        if asked.limit < 0 {
            return Err(errors::bad_request("limit must not be negative"));
        }
        let changes = match usize::try_from(asked.limit) {
            Ok(limit) if limit > 0 => limit.min(MAX_HISTORY),
            _ => MAX_HISTORY,
        };
        // The newest is always told; alone it fits any message.
        let limit = HistoryLimit {
            changes,
            bytes: MAX_HISTORY_BYTES,
        };
        let failed = |error| errors::store(&error);
        let changes = self.store().history(&key, limit).await.map_err(failed)?;
        let (_, compacted_revision) = self.store().revisions().await.map_err(failed)?;
        Ok(ListChangesResponse {
            changes: changes
                .iter()
                .map(|change| api_change(change))
                .collect::<Result<_>>()?,
            compacted_revision,
        })
    }
}

/// A change of the store as the API shows it.
fn api_change(change: &store::Change) -> Result<Change> {
    let info = kind_of(&change.key)?;
    let (_, namespace, name) = change.key.parts();
    let before = change
        .before
        .as_ref()
        .map(|before| object(info, &before.value, before.revision));
    let after = change
        .after
        .as_ref()
        .map(|after| object(info, after, change.revision));
    Ok(Change {
        revision: change.revision,
        kind: info.kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        actor: change.origin.actor.to_string(),
        cause: change.origin.cause,
        time: Some(change.origin.time),
        before: before.transpose()?,
        after: after.transpose()?,
    })
}

fn object(info: &KindInfo, value: &Bytes, revision: Revision) -> Result<Object> {
    let bytes = with_resource_version(value, revision)
        .map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))?;
    Ok(Object {
        number: info.arm(),
        bytes,
    })
}

fn kind_of(key: &Key) -> Result<&'static KindInfo> {
    let resource = key.parts().0;
    let custom = || kinds::custom::by_number(kinds::custom::number(resource)?);
    // Of a custom kind whose definition is gone only its objects tell what they were.
    let gone = || resource.contains('.').then_some(&kinds::ANY_CUSTOM);
    let found = kinds::lookup(resource).or_else(custom).or_else(gone);
    found.ok_or_else(|| {
        errors::internal(format!(
            "the log holds {:?}, which is of no known kind",
            key.as_str()
        ))
    })
}
