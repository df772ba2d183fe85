//! Kubernetes' JSON and YAML, straight from the schema.
//!
//! In: an object's protobuf wire bytes, or its JSON or YAML text. Out: the other one. A table compiled from the
//! descriptors and our field options (`proto/orrery/schema.proto`) drives both ways; there is no struct and no tree in
//! between, and no code for any kind.
//!
//! - [`to_json`], [`to_json_pretty`], [`to_value`], [`to_yaml`]: what kubectl shows.
//! - [`from_json`], [`from_json_as`], [`from_value`], [`from_value_as`], [`yaml::documents`]: what kubectl sends.
//! - [`check_wire`], [`canonical`]: what any client may send.
//!
//! Objects of custom kinds have their own form, `custom`; these functions know it, [`Message`] does not.
//!
//! Objects are named by their arm in `orrery.v1.Object` ([`proto::Kind::NUMBER`]); other messages (`Status`,
//! `DeleteOptions`) go through [`Message`].
//!
//! Invariants: what we write, we read back to the same bytes; reading yields canonical bytes (as prost writes them), so
//! that equal objects have equal bytes; no input makes any of this panic or nest without bound. The size of the input is
//! the caller's to limit.
//!
//! The forms are those of <https://kubernetes.io/docs/reference/using-api/api-concepts/> and of upstream's Go types:
//! 64-bit integers are numbers, `null` is absent, a quantity keeps the text that the user wrote.

mod check;
pub mod custom;
mod fault;
mod raw;
mod reader;
mod schema;
mod special;
mod wire;
mod writer;
pub mod yaml;

pub use fault::{Fault, FaultKind, Faults, MAX_FAULTS, Place, Segment};
pub use reader::Unknown;
pub use schema::{MAX_DEPTH, Message};

use crate::kinds;
use bytes::Bytes;
use reader::Reader;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its arm in `orrery.v1.Object`.
    pub number: u32,
    /// Its canonical encoding.
    pub bytes: Bytes,
    /// Unknown and duplicate fields, when they were asked for as warnings.
    pub warnings: Vec<Fault>,
}

/// Appends the object's JSON to `out`. On an error (bytes that are no such object), what was appended is rubbish.
pub fn to_json(number: u32, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if custom::is_custom(number) {
        return custom::write(bytes, out).map_err(|fault| *fault);
    }
    arm(number)?.to_json(bytes, out)
}

/// [`to_json`], indented for people.
pub fn to_json_pretty(number: u32, bytes: &[u8]) -> Result<String, Fault> {
    let value = to_value(number, bytes)?;
    Ok(serde_json::to_string_pretty(&value).expect("a value is printable"))
}

/// The object as a tree, for patches and printing.
pub fn to_value(number: u32, bytes: &[u8]) -> Result<Value, Fault> {
    let mut json = Vec::with_capacity(bytes.len() * 2);
    to_json(number, bytes, &mut json)?;
    // Nested as deep as ours may be, serde_json's own limit would refuse it.
    serde_json::from_slice(&json).map_err(|error| syntax(&error))
}

/// The object as YAML, as kubectl prints it.
pub fn to_yaml(number: u32, bytes: &[u8]) -> Result<String, Fault> {
    to_value(number, bytes).map(|value| yaml::print(&value))
}

/// Reads an object whose `apiVersion` and `kind` say what it is.
pub fn from_json(text: &[u8], unknown: Unknown) -> Result<Decoded, Faults> {
    let mut found = Probe::default();
    let mut source = serde_json::Deserializer::from_slice(text);
    let result = serde::Deserializer::deserialize_map(&mut source, &mut found);
    if let Err(error) = result
        && !found.is_complete()
    {
        return Err(syntax(&error).into());
    }
    from_json_as(found.number()?, text, unknown)
}

/// Reads an object of this kind; `apiVersion` and `kind` may be missing, and must fit when they are there.
pub fn from_json_as(number: u32, text: &[u8], unknown: Unknown) -> Result<Decoded, Faults> {
    let (bytes, warnings) = if custom::is_custom(number) {
        custom::from_json(text, unknown)?
    } else {
        arm(number)?.from_json(text, unknown)?
    };
    Ok(Decoded {
        number: kinds::arm(number),
        bytes,
        warnings,
    })
}

/// Reads an object whose `apiVersion` and `kind` say what it is.
pub fn from_value(value: &Value, unknown: Unknown) -> Result<Decoded, Faults> {
    let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let found = Probe {
        api_version: text("apiVersion"),
        kind: text("kind"),
    };
    from_value_as(found.number()?, value, unknown)
}

/// Reads an object of this kind; `apiVersion` and `kind` may be missing, and must fit when they are there.
pub fn from_value_as(number: u32, value: &Value, unknown: Unknown) -> Result<Decoded, Faults> {
    let (bytes, warnings) = if custom::is_custom(number) {
        custom::from_value(value, unknown)?
    } else {
        arm(number)?.from_value(value, unknown)?
    };
    Ok(Decoded {
        number: kinds::arm(number),
        bytes,
        warnings,
    })
}

/// The object's canonical bytes: as prost writes them, without zero values and without fields that the schema does not
/// have. Go's encoder writes zero values and sorts nothing; objects are compared in this form.
pub fn canonical(number: u32, bytes: &[u8]) -> Result<Bytes, Faults> {
    let mut json = Vec::with_capacity(bytes.len() * 2);
    to_json(number, bytes, &mut json)?;
    from_json_as(number, &json, Unknown::Strict).map(|decoded| decoded.bytes)
}

/// Whether the bytes are a well-formed object: wire types, lengths, UTF-8, times, embedded JSON, depth. The error names
/// every field that is not. Fields that the schema does not have are no faults: their paths, at most [`MAX_FAULTS`], are
/// given back (`spec.containers[0].99`).
pub fn check_wire(number: u32, bytes: &[u8]) -> Result<Vec<String>, Faults> {
    let unknown = arm(number)?.check_wire(bytes)?;
    if custom::is_custom(number) {
        let faults = custom::check(bytes);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
    }
    Ok(unknown)
}

fn arm(number: u32) -> Result<&'static Message, Fault> {
    Message::by_number(kinds::arm(number))
        .ok_or_else(|| Fault::new(FaultKind::UnknownKind, format!("no kind has the number {number}")))
}

impl Message {
    /// Appends the message's JSON to `out`. On an error, what was appended is rubbish.
    pub fn to_json(&'static self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        writer::write(self, bytes, out).map_err(|fault| *fault)
    }

    /// The message as a tree.
    pub fn to_value(&'static self, bytes: &[u8]) -> Result<Value, Fault> {
        let mut json = Vec::with_capacity(bytes.len() * 2);
        self.to_json(bytes, &mut json)?;
        // Nested as deep as ours may be, serde_json's own limit would refuse it.
        serde_json::from_slice(&json).map_err(|error| syntax(&error))
    }

    /// Reads the message's JSON: its canonical bytes, and the warnings that were asked for.
    pub fn from_json(&'static self, text: &[u8], unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
        let mut reader = Reader::new(unknown, text.len());
        let mut source = serde_json::Deserializer::from_slice(text);
        let result = reader.read(self, &mut source).and_then(|()| source.end());
        finish(reader, result).map_err(|mut faults| {
            for fault in &mut faults.0 {
                fault.place = fault.place.or_else(|| locate(text, &fault.path));
            }
            faults
        })
    }

    /// Reads the message from a tree.
    pub fn from_value(&'static self, value: &Value, unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
        let mut reader = Reader::new(unknown, 0);
        let result = reader.read(self, value);
        finish(reader, result)
    }

    /// As the function [`check_wire`].
    pub fn check_wire(&'static self, bytes: &[u8]) -> Result<Vec<String>, Faults> {
        let found = check::check(self, bytes);
        if found.faults.is_empty() {
            Ok(found.unknown.iter().map(Fault::field).collect())
        } else {
            Err(Faults(found.faults))
        }
    }
}

fn finish(mut reader: Reader, result: Result<(), serde_json::Error>) -> Result<(Bytes, Vec<Fault>), Faults> {
    if let Err(error) = result
        && !reader.faults.iter().any(|fault| fault.kind == FaultKind::TooDeep)
    {
        reader.faults.push(syntax(&error));
    }
    if reader.faults.is_empty() {
        Ok((reader.out.into(), reader.warnings))
    } else {
        Err(Faults(reader.faults))
    }
}

/// serde_json's error with its place taken out of the message.
fn syntax(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    let place = Place {
        line: error.line(),
        column: error.column(),
    };
    let suffix = format!(" at line {} column {}", place.line, place.column);
    let message = text.strip_suffix(&suffix).unwrap_or(&text);
    Fault {
        place: (place.line > 0).then_some(place),
        ..Fault::new(FaultKind::Syntax, message)
    }
}

/// Where a field's value begins in a JSON text, or the nearest one above it that can be found. Only for errors: it
/// parses the text again for every step.
fn locate(text: &[u8], path: &[Segment]) -> Option<Place> {
    let mut at: &RawValue = serde_json::from_slice(text).ok()?;
    for segment in path {
        let below = match segment {
            Segment::Field(name) | Segment::Key(name) => {
                let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(at.get()).ok()?;
                fields.get(name.as_str()).copied()
            }
            Segment::Index(index) => {
                let items: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
                items.get(*index).copied()
            }
        };
        match below {
            Some(value) => at = value,
            None => break,
        }
    }
    // The raw values borrow from the text, so that their addresses tell their places.
    let offset = (at.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let before = std::str::from_utf8(text.get(..offset)?).ok()?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some(Place { line, column })
}

/// Looks for `apiVersion` and `kind`, and stops when it has both.
#[derive(Default)]
struct Probe {
    api_version: Option<String>,
    kind: Option<String>,
}

impl Probe {
    fn is_complete(&self) -> bool {
        self.api_version.is_some() && self.kind.is_some()
    }

    fn number(&self) -> Result<u32, Fault> {
        let missing = |name: &str| {
            let message = "required: it says what the object is";
            *Fault::boxed(FaultKind::UnknownKind, message).below(Segment::Field(name.to_owned()))
        };
        let api_version = self.api_version.as_deref().ok_or_else(|| missing("apiVersion"))?;
        let kind = self.kind.as_deref().ok_or_else(|| missing("kind"))?;
        kinds::by_gvk(api_version, kind)
            .map(|info| info.number)
            .ok_or_else(|| {
                let message = format!("no kind \"{kind}\" in version \"{api_version}\" is served here");
                *Fault::boxed(FaultKind::UnknownKind, message).below(Segment::Field("kind".to_owned()))
            })
    }
}

impl<'de> Visitor<'de> for &mut Probe {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "apiVersion" => self.api_version = map.next_value()?,
                "kind" => self.kind = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if self.is_complete() {
                return Err(A::Error::custom("found"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
