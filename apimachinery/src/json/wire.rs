//! The small messages whose JSON form is a scalar, and the values of fields, read off the wire.
//!
//! In: what [`crate::wire`] finds in a message. Out: what it means, or a fault that says what does not fit.

use super::fault::{Fallible, Fault, FaultKind};
use super::special;
use crate::wire::{Fields, Value};

/// Bytes that are none of this message.
#[cold]
fn malformed(message: &str) -> Box<Fault> {
    Fault::boxed(FaultKind::Syntax, message)
}

#[inline]
pub(super) fn varint(value: Value<'_>) -> Fallible<u64> {
    match value {
        Value::Varint(number) => Ok(number),
        _ => Err(malformed("wrong wire type: a number belongs here")),
    }
}

#[inline]
pub(super) fn bytes(value: Value<'_>) -> Fallible<&[u8]> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(malformed("wrong wire type: bytes belong here")),
    }
}

/// A number with a fraction. JSON knows neither infinity nor NaN.
pub(super) fn double(value: Value<'_>) -> Fallible<f64> {
    match value {
        Value::Fixed64(bits) if f64::from_bits(bits).is_finite() => Ok(f64::from_bits(bits)),
        Value::Fixed64(_) => Err(Fault::boxed(
            FaultKind::InvalidValue,
            "neither finite nor a number",
        )),
        _ => Err(malformed("wrong wire type: a double belongs here")),
    }
}

#[inline]
pub(super) fn text(value: Value<'_>) -> Fallible<&str> {
    utf8(bytes(value)?)
}

#[inline]
pub(super) fn utf8(bytes: &[u8]) -> Fallible<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("not valid UTF-8"))
}

/// The last value of field `number` in a small message; last wins in protobuf. Every one of them must be readable.
#[inline]
fn last<'a, T>(
    message: &'a [u8],
    number: u32,
    read: impl Fn(Value<'a>) -> Fallible<T>,
) -> Fallible<Option<T>> {
    let mut found = None;
    for field in Fields::new(message) {
        let field = field?;
        if field.number == number {
            found = Some(read(field.value)?);
        }
    }
    Ok(found)
}

/// The string in field 1: Quantity.
pub(super) fn text_of(message: &[u8]) -> Fallible<&str> {
    Ok(last(message, 1, text)?.unwrap_or_default())
}

/// The bytes in field 1: RawExtension, FieldsV1.
pub(super) fn raw_of(message: &[u8]) -> Fallible<&[u8]> {
    Ok(last(message, 1, bytes)?.unwrap_or_default())
}

/// The number in field 1: Duration.
pub(super) fn number_of(message: &[u8]) -> Fallible<i64> {
    Ok(last(message, 1, varint)?.unwrap_or_default() as i64)
}

/// Seconds and nanoseconds of a Timestamp that RFC 3339 can write.
pub(super) fn time_of(message: &[u8]) -> Fallible<(i64, i32)> {
    let seconds = last(message, 1, varint)?.unwrap_or_default() as i64;
    let nanos = last(message, 2, varint)?.unwrap_or_default() as i32;
    if special::is_time(seconds, nanos) {
        Ok((seconds, nanos))
    } else {
        Err(Fault::boxed(
            FaultKind::InvalidValue,
            "a time outside of the years 1 to 9999",
        ))
    }
}

/// An IntOrString.
pub(super) enum IntOrString<'a> {
    Int(i32),
    Text(&'a str),
}

/// Reads an IntOrString.
pub(super) fn int_or_string_of(message: &[u8]) -> Fallible<IntOrString<'_>> {
    let kind = last(message, 1, varint)?.unwrap_or_default();
    let number = last(message, 2, varint)?.unwrap_or_default() as i32;
    let text = last(message, 3, text)?.unwrap_or_default();
    match kind {
        0 => Ok(IntOrString::Int(number)),
        1 => Ok(IntOrString::Text(text)),
        _ => Err(Fault::boxed(
            FaultKind::InvalidValue,
            "type must be 0 (number) or 1 (string)",
        )),
    }
}

/// Key and value of a map's entry.
pub(super) fn entry_of(message: &[u8]) -> Fallible<(&str, Option<Value<'_>>)> {
    let (mut key, mut value) = ("", None);
    for field in Fields::new(message) {
        let field = field?;
        match field.number {
            1 => key = text(field.value)?,
            2 if value.is_none() => value = Some(field.value),
            2 => return Err(malformed("a map's entry has two values")),
            _ => {}
        }
    }
    Ok((key, value))
}
