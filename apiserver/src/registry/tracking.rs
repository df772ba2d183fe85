//! Keeps `metadata.managedFields`: who owns which fields of an object after a write. Pure.
//!
//! In: an object before and after a write that was admitted, and who writes. Out: the object with its managers.
//!
//! An object is tracked from its creation on, when the request to create it names a field manager; from its first apply; or
//! because a client sends `managedFields`. Writes to other objects cost a look at their metadata and nothing more.

use super::errors::{self, Result};
use super::metadata;
use super::outline::Outline;
use super::update::{Subresource, parse_stored};
use apimachinery::json;
use apimachinery::kinds::KindInfo;
use apimachinery::managed_fields::{Cursor, Managers, Part, Schema, Writer, of_any, of_kind};
use bytes::Bytes;
use component_base::grpc::Caller;
use proto::Timestamp;
use proto::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;
use std::sync::Arc;

/// The longest name of a field manager, as upstream has it.
const MAX_FIELD_MANAGER_CHARS: usize = 128;

/// Who writes, as `managedFields` says it.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    name: String,
    /// Whether the request names its field manager. One that does not writes under the name of its actor, and what it
    /// creates is not tracked.
    is_named: bool,
    now: Timestamp,
    /// The schema of a kind that the `.proto` files do not describe.
    schema: Option<Arc<Schema>>,
}

impl Author {
    /// The author of a request with this field manager.
    pub(crate) fn new(
        caller: &Caller,
        field_manager: &str,
        now: Timestamp,
        schema: Option<Arc<Schema>>,
    ) -> Result<Self> {
        let is_named = !field_manager.is_empty();
        if field_manager.chars().count() > MAX_FIELD_MANAGER_CHARS
            || field_manager.chars().any(char::is_control)
        {
            return Err(errors::bad_request(format!(
                "fieldManager must be no longer than {MAX_FIELD_MANAGER_CHARS} printable characters"
            )));
        }
        Ok(Self {
            name: if is_named {
                field_manager.to_owned()
            } else {
                caller.actor.as_str().to_owned()
            },
            is_named,
            now: apimachinery::meta::whole_seconds(now),
            schema,
        })
    }

    #[cfg(test)]
    pub(crate) fn for_test(name: &str) -> Self {
        let now = Timestamp { seconds: 1, nanos: 0 };
        Self::new(&Caller::new("tests"), name, now, None).expect("the name is short")
    }

    /// The type of a kind's objects.
    pub(crate) fn types(&self, info: &KindInfo) -> Cursor<'_> {
        match &self.schema {
            Some(schema) => schema.root(),
            None => of_kind(info.number).unwrap_or_else(of_any),
        }
    }

    /// As the managers know it.
    pub(crate) fn writer(&self, info: &KindInfo, part: Subresource) -> Writer {
        Writer {
            name: self.name.clone(),
            api_version: info.api_version(),
            subresource: part.name().to_owned(),
            time: self.now,
        }
    }
}

/// The fields that a write to a part of an object can come to own.
pub(crate) fn owned_part(info: &KindInfo, part: Subresource) -> Part {
    match part {
        Subresource::Status => Part::Status,
        _ if info.has_status => Part::WithoutStatus,
        _ => Part::Whole,
    }
}

/// A new object with its managers. Its creator owns what it sent and the defaults of that, but nothing that the server
/// adds to every object of the kind: a later apply that leaves that out must not take it away. `said` is what the client
/// says of the managers, which holds where it can be read.
pub(crate) fn created(
    info: &KindInfo,
    value: Bytes,
    (sent, said): (&Bytes, &[ManagedFieldsEntry]),
    author: &Author,
) -> Result<Bytes> {
    if !author.is_named {
        return Ok(value);
    }
    let mut managers = Managers::decode(said).unwrap_or_default();
    let wanted = if info.is_custom() {
        value.clone()
    } else {
        super::strategy::defaulted(info, sent)?
    };
    let (empty, object) = (tree(info, &Bytes::new())?, tree(info, &wanted)?);
    let (part, writer) = (
        owned_part(info, Subresource::Main),
        author.writer(info, Subresource::Main),
    );
    managers.update(author.types(info), &empty, &object, part, &writer);
    with_managers(info, &value, managers.encode())
}

/// `value`, which an update led to from `old`, with its managers. `sent` is the object that the client sent.
pub(crate) fn updated(
    info: &KindInfo,
    part: Subresource,
    (old, sent): (&Bytes, &Bytes),
    value: Bytes,
    author: &Author,
) -> Result<Bytes> {
    let is_tracked = metadata::view(old)?.has_managed_fields();
    let is_said = part == Subresource::Main && metadata::view(sent)?.has_managed_fields();
    if !is_tracked && !is_said {
        return Ok(value);
    }
    let live = parse_stored(info, old)?.meta.managed_fields;
    let said = if is_said {
        parse_stored(info, sent)?.meta.managed_fields
    } else {
        Vec::new()
    };
    let managers = said_or_live(&said, &live);
    // A client has forgotten them all, or nobody can read them: they are not made up again.
    if managers.is_empty() {
        return with_managers(info, &value, Vec::new());
    }
    let (before, after) = differing(&bare(info, old)?, &bare(info, &value)?);
    let mut next = managers;
    if before != after {
        let (before, after) = (tree(info, &before.encode())?, tree(info, &after.encode())?);
        let (owns, writer) = (owned_part(info, part), author.writer(info, part));
        next.update(author.types(info), &before, &after, owns, &writer);
    }
    settled(info, (old, &live), &value, &next)
}

/// `value` with its managers; those of `old` where nothing but their times would change.
pub(crate) fn settled(
    info: &KindInfo,
    (old, live): (&Bytes, &[ManagedFieldsEntry]),
    value: &Bytes,
    managers: &Managers,
) -> Result<Bytes> {
    let is_same = Managers::decode(live).is_ok_and(|live| live.same_but_for_times(managers));
    if is_same && bare(info, old)? == bare(info, value)? {
        return Ok(old.clone());
    }
    with_managers(info, value, managers.encode())
}

/// What the client says of the managers; what is stored where it says nothing, or nothing that can be read.
fn said_or_live(said: &[ManagedFieldsEntry], live: &[ManagedFieldsEntry]) -> Managers {
    // One empty entry asks to forget them all.
    if let [only] = said
        && *only == ManagedFieldsEntry::default()
    {
        return Managers::default();
    }
    match Managers::decode(said) {
        Ok(managers) if !managers.is_empty() => managers,
        _ => Managers::decode(live).unwrap_or_default(),
    }
}

/// The object with these managers.
pub(crate) fn with_managers(
    info: &KindInfo,
    value: &Bytes,
    entries: Vec<ManagedFieldsEntry>,
) -> Result<Bytes> {
    let mut outline = parse_stored(info, value)?;
    outline.meta.managed_fields = entries;
    let value = outline.encode();
    super::strategy::check_size(&value)?;
    Ok(value)
}

/// The object without its managers.
fn bare(info: &KindInfo, value: &Bytes) -> Result<Outline> {
    let mut outline = parse_stored(info, value)?;
    outline.meta.managed_fields.clear();
    Ok(outline)
}

/// Both objects without the fields at their top that are the same in both: comparing those as trees would find nothing.
fn differing(old: &Outline, new: &Outline) -> (Outline, Outline) {
    let same_meta = old.meta == new.meta;
    let keep = |outline: &Outline, other: &Outline| {
        let mut kept = outline.without_fields_of(other);
        if same_meta {
            kept.meta = ObjectMeta::default();
        }
        kept
    };
    (keep(old, new), keep(new, old))
}

/// An object as a tree.
pub(crate) fn tree(info: &KindInfo, value: &Bytes) -> Result<Value> {
    json::to_value(info.number, value)
        .map_err(|fault| errors::internal(format!("a stored {} cannot be shown as JSON: {fault}", info.kind)))
}
