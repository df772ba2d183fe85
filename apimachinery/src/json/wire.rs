//! Protobuf's wire format, as far as the transcoder needs it: records in, records out.
//!
//! Invariant: reading never goes past the bytes given, whatever they are.

use super::fault::{Fallible, Fault, FaultKind};
use super::special;
use prost::encoding::{decode_varint, encode_varint};

/// The value of one record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 8 bytes: a double.
    Fixed64(u64),
    /// 4 bytes; no field of Kubernetes has this type.
    Fixed32,
}

impl<'a> Payload<'a> {
    pub(super) fn varint(self) -> Fallible<u64> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(malformed("wrong wire type: a number belongs here")),
        }
    }

    pub(super) fn bytes(self) -> Fallible<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("wrong wire type: bytes belong here")),
        }
    }

    /// A number with a fraction. JSON knows neither infinity nor NaN.
    pub(super) fn double(self) -> Fallible<f64> {
        match self {
            Self::Fixed64(bits) if f64::from_bits(bits).is_finite() => Ok(f64::from_bits(bits)),
            Self::Fixed64(_) => Err(Fault::boxed(
                FaultKind::InvalidValue,
                "neither finite nor a number",
            )),
            _ => Err(malformed("wrong wire type: a double belongs here")),
        }
    }

    pub(super) fn text(self) -> Fallible<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("not valid UTF-8"))
    }
}

/// Bytes that are no protobuf, or none of this message.
#[cold]
pub(super) fn malformed(message: &str) -> Box<Fault> {
    Fault::boxed(FaultKind::Syntax, message)
}

/// Takes the next record off `bytes`: field number and value; `None` at the end.
#[inline]
pub(super) fn next_record<'a>(bytes: &mut &'a [u8]) -> Fallible<Option<(u32, Payload<'a>)>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).unwrap_or(0);
    if number == 0 || number > MAX_NUMBER {
        return Err(malformed("malformed field key"));
    }
    let payload = match key & 7 {
        0 => Payload::Varint(varint(bytes)?),
        2 => {
            let length = varint(bytes)?;
            Payload::Bytes(take(bytes, length)?)
        }
        1 => {
            let value = take(bytes, 8)?.try_into().expect("eight bytes were taken");
            Payload::Fixed64(u64::from_le_bytes(value))
        }
        5 => {
            take(bytes, 4)?;
            Payload::Fixed32
        }
        3 | 4 => return Err(malformed("groups are not supported")),
        _ => return Err(malformed("malformed field key")),
    };
    Ok(Some((number, payload)))
}

/// Field numbers have 29 bits.
const MAX_NUMBER: u32 = (1 << 29) - 1;

/// Takes a number off `bytes`. Keys, most lengths and most values are one byte.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Fallible<u64> {
    if let [first @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    decode_varint(bytes).map_err(|_| malformed("malformed or truncated number"))
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Fallible<&'a [u8]> {
    let taken = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length));
    let (head, tail) = taken.ok_or_else(|| malformed("truncated: the length goes past the end"))?;
    *bytes = tail;
    Ok(head)
}

/// The last value of field `number` in a small message; last wins in protobuf. Every one of them must be readable.
fn last<'a, T>(
    mut bytes: &'a [u8],
    number: u32,
    read: fn(Payload<'a>) -> Fallible<T>,
) -> Fallible<Option<T>> {
    let mut found = None;
    while let Some((n, payload)) = next_record(&mut bytes)? {
        if n == number {
            found = Some(read(payload)?);
        }
    }
    Ok(found)
}

/// The string in field 1: Quantity.
pub(super) fn text_of(bytes: &[u8]) -> Fallible<&str> {
    Ok(last(bytes, 1, Payload::text)?.unwrap_or_default())
}

/// The bytes in field 1: RawExtension, FieldsV1.
pub(super) fn raw_of(bytes: &[u8]) -> Fallible<&[u8]> {
    Ok(last(bytes, 1, Payload::bytes)?.unwrap_or_default())
}

/// The number in field 1: Duration.
pub(super) fn number_of(bytes: &[u8]) -> Fallible<i64> {
    Ok(last(bytes, 1, Payload::varint)?.unwrap_or_default() as i64)
}

/// Seconds and nanoseconds of a Timestamp that RFC 3339 can write.
pub(super) fn time_of(bytes: &[u8]) -> Fallible<(i64, i32)> {
    let seconds = last(bytes, 1, Payload::varint)?.unwrap_or_default() as i64;
    let nanos = last(bytes, 2, Payload::varint)?.unwrap_or_default() as i32;
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
pub(super) fn int_or_string_of(bytes: &[u8]) -> Fallible<IntOrString<'_>> {
    let kind = last(bytes, 1, Payload::varint)?.unwrap_or_default();
    let number = last(bytes, 2, Payload::varint)?.unwrap_or_default() as i32;
    let text = last(bytes, 3, Payload::text)?.unwrap_or_default();
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
pub(super) fn entry_of(mut bytes: &[u8]) -> Fallible<(&str, Option<Payload<'_>>)> {
    let (mut key, mut value) = ("", None);
    while let Some((number, payload)) = next_record(&mut bytes)? {
        match number {
            1 => key = payload.text()?,
            2 if value.is_none() => value = Some(payload),
            2 => return Err(malformed("a map's entry has two values")),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Makes room for a length that is not known yet; [`close`] fills it in.
pub(super) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of what was appended since [`open`] returned `start`. Most lengths fit the one byte set aside;
/// longer ones move the content, which is cheaper than measuring it beforehand.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    let length = end - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = [0; 10];
    let mut rest = &mut prefix[..];
    encode_varint(length as u64, &mut rest);
    let used = 10 - rest.len();
    out.resize(end + used - 1, 0);
    out.copy_within(start..end, start + used - 1);
    out[start - 1..start - 1 + used].copy_from_slice(&prefix[..used]);
}

/// Appends length and bytes.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
