//! etcd's events as changes. Pure.
//!
//! In: the events of whole revisions, in order. Out: one change for each revision that wrote an object of ours.

use super::layout::{Envelope, Layout, Place, versioned};
use crate::store::{Change, Origin, StoreError};
use proto::etcd::mvccpb::{Event, event::EventType};
use std::sync::Arc;

/// Who is said to have removed an object that went without our knowing.
const UNKNOWN_ACTOR: &str = "unknown";

/// The changes that the events tell of.
pub(super) fn changes(layout: &Layout, events: &[Event]) -> Result<Vec<Arc<Change>>, StoreError> {
    events
        .chunk_by(|a, b| revision(a) == revision(b))
        .filter_map(|events| change(layout, events).transpose())
        .collect()
}

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// The change of one revision, if it wrote an object.
fn change(layout: &Layout, events: &[Event]) -> Result<Option<Arc<Change>>, StoreError> {
    for event in events {
        let Some(kv) = &event.kv else { continue };
        let Place::Object(key) = layout.place(&kv.key) else {
            continue;
        };
        let before = event.prev_kv.as_ref().map(versioned).transpose()?;
        let (after, origin) = if event.r#type() == EventType::Put {
            let envelope = Envelope::read(kv)?;
            let origin = envelope.origin();
            (Some(envelope.value), origin)
        } else {
            (None, removal_origin(layout, events)?)
        };
        return Ok(Some(Arc::new(Change {
            revision: kv.mod_revision,
            key,
            before,
            after,
            origin,
        })));
    }
    Ok(None)
}

fn removal_origin(layout: &Layout, events: &[Event]) -> Result<Origin, StoreError> {
    let note = events
        .iter()
        .filter_map(|event| event.kv.as_ref())
        .find(|kv| matches!(layout.place(&kv.key), Place::Removal(_)));
    match note {
        Some(kv) => Ok(Envelope::read(kv)?.origin()),
        None => Ok(Origin {
            actor: UNKNOWN_ACTOR.into(),
            cause: 0,
            time: proto::Timestamp::default(),
        }),
    }
}
