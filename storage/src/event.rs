//! A change as watches see it: the event is encoded when the change is applied, once, however many watch it.
//!
//! The frame's bytes are also where the cache keeps the object: [`Stored::bytes`] is a slice of the frame, so an object
//! lies in memory once, and recent history costs only what is no longer live.
//!
//! For a watch with a selector an update may be an arrival or a departure. Those forms are encoded when the first
//! watch needs one, and kept with the change.

use crate::filter::number_of;
use crate::store::{Change, Key, Origin, Revision, StoreError, Versioned};
use apimachinery::kinds::arm;
use apimachinery::wire::{Fields, WireError, with_resource_version};
use bytes::Bytes;
use proto::{Event, EventFrame, EventType, Object};
use std::sync::{Arc, OnceLock};

/// An object as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The encoded message, with `metadata.resourceVersion`.
    pub bytes: Bytes,
    /// The revision of its last write.
    pub revision: Revision,
}

impl Stored {
    /// A value from the store, as it is handed out.
    pub(crate) fn from_value(key: &Key, value: &Versioned) -> Result<Self, StoreError> {
        let bytes = with_resource_version(&value.value, value.revision)
            .map_err(|error| damaged(key, value.revision, error))?;
        Ok(Self {
            bytes,
            revision: value.revision,
        })
    }
}

/// A stored value that cannot be read.
pub(crate) fn damaged(key: &Key, revision: Revision, error: WireError) -> StoreError {
    StoreError::Corrupt(format!("{} at revision {revision}: {error}", key.as_str()))
}

/// A change, its object before and after, and its event in every form that a watch has asked for.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) revision: Revision,
    pub(crate) key: Key,
    /// The kind's number.
    pub(crate) number: u32,
    pub(crate) before: Option<Stored>,
    pub(crate) after: Option<Stored>,
    origin: Origin,
    /// The event for a watch that sees the object before and after.
    natural: EventFrame,
    /// The event for a watch whose selector the object begins to match.
    added: OnceLock<EventFrame>,
    /// The event for a watch whose selector the object ceases to match.
    deleted: OnceLock<EventFrame>,
}

impl Recorded {
    /// Encodes a change. `before` can be given later, where the cache still holds it: see [`Draft`].
    pub(crate) fn new(change: &Change) -> Result<Self, StoreError> {
        let draft = Draft::new(change)?;
        let before = change.before.as_ref();
        let before = before
            .map(|before| Stored::from_value(&change.key, before))
            .transpose()?;
        Ok(draft.finish(before))
    }

    /// How many bytes the change keeps in memory that nothing else does, about.
    pub(crate) fn weight(&self) -> usize {
        // Names and the two rarer forms are not counted; the constant stands for them and for the struct itself.
        self.natural.0.len() + 256
    }

    /// The event for a watch that sees the object before, after, or both. `None` when it sees neither.
    pub(crate) fn frame(&self, saw: bool, sees: bool) -> Result<Option<EventFrame>, StoreError> {
        let natural = || Ok(Some(self.natural.clone()));
        match (saw && self.before.is_some(), sees && self.after.is_some()) {
            (false, false) => Ok(None),
            (true, true) => natural(),
            (false, true) if self.before.is_none() => natural(),
            (true, false) if self.after.is_none() => natural(),
            (false, true) => self.form(&self.added, EventType::Added, self.after.as_ref()),
            (true, false) => self.form(&self.deleted, EventType::Deleted, self.before.as_ref()),
        }
    }

    fn form(
        &self,
        cell: &OnceLock<EventFrame>,
        r#type: EventType,
        object: Option<&Stored>,
    ) -> Result<Option<EventFrame>, StoreError> {
        let Some(object) = object else { return Ok(None) };
        if let Some(frame) = cell.get() {
            return Ok(Some(frame.clone()));
        }
        let bytes = with_resource_version(&object.bytes, self.revision)
            .map_err(|error| damaged(&self.key, self.revision, error))?;
        let frame = encode(r#type, self.revision, self.number, bytes, Some(&self.origin));
        Ok(Some(cell.get_or_init(|| frame).clone()))
    }
}

/// A change whose event is encoded, but whose `before` is still with the cache.
pub(crate) struct Draft {
    recorded: Recorded,
    /// The revision that the object must have had before.
    pub(crate) expected: Option<Revision>,
}

impl Draft {
    /// Does the work that needs no lock.
    pub(crate) fn new(change: &Change) -> Result<Self, StoreError> {
        let Change {
            revision,
            key,
            before,
            after,
            origin,
        } = change;
        let number = number_of(key.parts().0)
            .ok_or_else(|| StoreError::Corrupt(format!("{} is of no known kind", key.as_str())))?;
        let r#type = match (before, after) {
            (_, None) => EventType::Deleted,
            (None, Some(_)) => EventType::Added,
            (Some(_), Some(_)) => EventType::Modified,
        };
        let value = after.as_ref().or(before.as_ref().map(|before| &before.value));
        let value =
            value.ok_or_else(|| StoreError::Corrupt(format!("revision {revision} changes nothing")))?;
        let bytes =
            with_resource_version(value, *revision).map_err(|error| damaged(key, *revision, error))?;
        let natural = encode(r#type, *revision, number, bytes, Some(origin));
        let after = match after {
            Some(_) => Some(Stored {
                bytes: object_in(&natural).map_err(|error| damaged(key, *revision, error))?,
                revision: *revision,
            }),
            None => None,
        };
        let recorded = Recorded {
            revision: *revision,
            key: key.clone(),
            number,
            before: None,
            after,
            origin: origin.clone(),
            natural,
            added: OnceLock::new(),
            deleted: OnceLock::new(),
        };
        Ok(Self {
            recorded,
            expected: before.as_ref().map(|before| before.revision),
        })
    }

    pub(crate) fn key(&self) -> &Key {
        &self.recorded.key
    }

    pub(crate) fn revision(&self) -> Revision {
        self.recorded.revision
    }

    pub(crate) fn number(&self) -> u32 {
        self.recorded.number
    }

    pub(crate) fn after(&self) -> Option<&Stored> {
        self.recorded.after.as_ref()
    }

    /// The whole, now that the object before is known.
    pub(crate) fn finish(self, before: Option<Stored>) -> Recorded {
        Recorded {
            before,
            ..self.recorded
        }
    }
}

/// The event that shows an object which was there before the watch began. Who wrote it is not kept with live objects.
pub(crate) fn initial(number: u32, object: &Stored) -> EventFrame {
    encode(
        EventType::Added,
        object.revision,
        number,
        object.bytes.clone(),
        None,
    )
}

/// A BOOKMARK or SYNCED.
pub(crate) fn mark(r#type: EventType, revision: Revision) -> EventFrame {
    EventFrame::new(&Event {
        r#type: r#type as i32,
        revision,
        ..Event::default()
    })
}

fn encode(
    r#type: EventType,
    revision: Revision,
    number: u32,
    bytes: Bytes,
    origin: Option<&Origin>,
) -> EventFrame {
    EventFrame::new(&Event {
        r#type: r#type as i32,
        revision,
        object: Some(Object {
            number: arm(number),
            bytes,
        }),
        actor: origin.map_or_else(String::new, |origin| origin.actor.as_ref().to_owned()),
        cause: origin.map_or(0, |origin| origin.cause),
        time: origin.map(|origin| origin.time),
    })
}

/// The object's bytes inside a frame, sharing its memory.
fn object_in(frame: &EventFrame) -> Result<Bytes, WireError> {
    const OBJECT: u32 = 3;
    for field in Fields::new(&frame.0) {
        let field = field?;
        if field.number == OBJECT {
            let arm = Fields::new(field.bytes()?).next().ok_or(WireError::Truncated)??;
            return Ok(frame.0.slice_ref(arm.bytes()?));
        }
    }
    Err(WireError::Truncated)
}

/// Changes that were applied together, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Never empty.
    pub(crate) changes: Box<[Slot]>,
    pub(crate) weight: usize,
}

/// A change with what most watches skip it by, so that they need not follow the pointer.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) revision: Revision,
    pub(crate) number: u32,
    pub(crate) change: Arc<Recorded>,
}

impl Batch {
    /// `None` when there are no changes.
    pub(crate) fn new(changes: Vec<Recorded>) -> Option<Self> {
        let weight = changes.iter().map(Recorded::weight).sum();
        let slot = |change: Recorded| Slot {
            revision: change.revision,
            number: change.number,
            change: Arc::new(change),
        };
        let changes: Box<[Slot]> = changes.into_iter().map(slot).collect();
        (!changes.is_empty()).then_some(Self { changes, weight })
    }

    pub(crate) fn first(&self) -> Revision {
        self.changes.first().map_or(0, |slot| slot.revision)
    }

    pub(crate) fn last(&self) -> Revision {
        self.changes.last().map_or(0, |slot| slot.revision)
    }

    /// The changes after a revision.
    pub(crate) fn after(&self, revision: Revision) -> &[Slot] {
        &self.changes[self.changes.partition_point(|slot| slot.revision <= revision)..]
    }
}
