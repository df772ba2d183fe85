//! apimachinery's rules for each kind, as the registry asks for them, and what is checked before them: size, and bytes
//! that the schema does not know.

use super::Resource;
use super::errors::{self, Result};
use crate::limits::MAX_OBJECT_BYTES;
use apimachinery::json::{self, Faults, Unknown};
use apimachinery::kinds::KindInfo;
use apimachinery::status::FieldError;
use apimachinery::strategy::{self, Rejection, Stamp};
use bytes::Bytes;
use proto::api::autoscaling::v1::Scale;
use proto::meta::v1::Status;
use storage::store::Revision;

pub(crate) use apimachinery::strategy::Subresource as Part;

/// Refuses what is too large, malformed or unknown to the schema, each fault by its path. `number` is an arm of `Object`.
pub(crate) fn check_sent(number: u32, value: &Bytes) -> Result<()> {
    check_size(value)?;
    let unknown = json::check_wire(number, value).map_err(|faults| unreadable(&faults))?;
    no_unknown(&unknown)
}

fn no_unknown(unknown: &[String]) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    let status = errors::bad_request(format!("strict decoding error: {}", list.join(", ")));
    Err(unknown.iter().zip(list).fold(status, |status, (path, message)| {
        errors::with_cause(status, "FieldValueForbidden", path, message)
    }))
}

/// Refuses what the store would not take.
pub(crate) fn check_size(value: &Bytes) -> Result<()> {
    if value.len() > MAX_OBJECT_BYTES {
        return Err(errors::too_large(value.len()));
    }
    Ok(())
}

/// The faults of an object that cannot be read.
pub(crate) fn unreadable(faults: &Faults) -> Box<Status> {
    let status = errors::bad_request(format!("the object cannot be read: {faults}"));
    faults.0.iter().fold(status, |status, fault| {
        let FieldError {
            reason,
            field,
            message,
        } = fault.into();
        errors::with_cause(status, reason, &field, message)
    })
}

/// The new object as it is stored: stamped, with its defaults, checked.
pub(crate) fn create(info: &Resource, sent: &Bytes, stamp: Stamp<'_>) -> Result<Bytes> {
    let value = match &info.custom {
        Some(version) => version.create(sent, stamp),
        None => strategy::admit_create(info.number, sent, stamp),
    };
    let value = value.map_err(|rejection| refused(&rejection))?;
    check_size(&value)?;
    Ok(value)
}

/// The changed object as it is stored: `part` of `new` over `old`, with its defaults, checked.
pub(crate) fn update(info: &Resource, old: &Bytes, new: &Bytes, part: Part) -> Result<Bytes> {
    let admitted = match &info.custom {
        Some(version) => version.update(old, new, part),
        None => strategy::admit_update(info.number, old, new, part),
    };
    let admitted = admitted.map_err(|rejection| refused(&rejection))?;
    check_size(&admitted.bytes)?;
    Ok(admitted.bytes)
}

/// The object with its defaults, and nothing else done to it.
pub(crate) fn defaulted(info: &KindInfo, sent: &Bytes) -> Result<Bytes> {
    strategy::default_object(info.number, sent).map_err(|rejection| refused(&rejection))
}

/// An object's scale.
pub(crate) fn scale_of(info: &Resource, object: &Bytes) -> Result<Scale> {
    let scale = match &info.custom {
        Some(version) => version.scale_of(object),
        None => strategy::scale_of(info.number, object),
    };
    scale.map_err(|rejection| refused(&rejection))
}

/// The object with as many replicas as `scale` wants.
pub(crate) fn with_scale(info: &Resource, object: &Bytes, scale: &Scale) -> Result<Bytes> {
    let scaled = match &info.custom {
        Some(version) => version.with_scale(object, scale),
        None => strategy::with_scale(info.number, object, scale),
    };
    scaled.map_err(|rejection| refused(&rejection))
}

/// A stored object as the version that was asked for shows it.
pub(crate) fn shown(info: &Resource, stored: &Bytes, revision: Revision) -> Result<Bytes> {
    match &info.custom {
        Some(version) => version
            .show(stored, revision)
            .map_err(|rejection| refused(&rejection)),
        None => Ok(stored.clone()),
    }
}

/// What a writer is told about fields that a custom kind's schema does not have, or the refusal of them.
pub(crate) fn check_fields(info: &Resource, sent: &Bytes, unknown: Unknown) -> Result<Vec<String>> {
    let Some(version) = info.custom.as_ref().filter(|_| unknown != Unknown::Ignore) else {
        return Ok(Vec::new());
    };
    let found = version
        .unknown_fields(sent)
        .map_err(|rejection| refused(&rejection))?;
    if unknown == Unknown::Warn {
        return Ok(found
            .iter()
            .map(|path| format!("unknown field {path:?}"))
            .collect());
    }
    no_unknown(&found).map(|()| Vec::new())
}

/// How many seconds an object gets to end.
pub(crate) fn grace_seconds(info: &KindInfo, object: &Bytes, asked: Option<i64>) -> Result<i64> {
    strategy::grace_seconds(info.number, object, asked).map_err(|rejection| refused(&rejection))
}

fn refused(rejection: &Rejection) -> Box<Status> {
    Box::new(rejection.to_status())
}
