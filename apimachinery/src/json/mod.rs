//! Kubernetes' JSON and YAML, straight from the schema.
//!
//! In: an object's protobuf wire bytes, or its JSON or YAML text. Out: the other one. A table compiled from the
//! descriptors and our field options (`proto/orrery/schema.proto`) drives both ways; there is no struct and no tree in
//! between, and no code for any kind. A tree ([`Value`]) is read through its text, so that there is one reader.
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

mod buffer;
mod check;
pub mod custom;
mod fault;
mod plain;
mod raw;
mod reader;
mod scanner;
mod schema;
mod special;
mod wire;
mod writer;
pub mod yaml;

pub use fault::{Fault, FaultKind, Faults, MAX_FAULTS, Place, Segment};
pub use reader::Unknown;
pub use schema::{MAX_DEPTH, Message};
pub(crate) use special::parse_duration;

use crate::kinds;
use bytes::Bytes;
use fault::Fallible;
use scanner::{Scanner, Token};
use serde_json::Value;

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
    serde_json::from_slice(&json).map_err(|error| Fault::syntax(error.to_string()))
}

/// The object as YAML, as kubectl prints it.
pub fn to_yaml(number: u32, bytes: &[u8]) -> Result<String, Fault> {
    to_value(number, bytes).map(|value| yaml::print(&value))
}

/// Reads an object whose `apiVersion` and `kind` say what it is.
pub fn from_json(text: &[u8], unknown: Unknown) -> Result<Decoded, Faults> {
    let source = Scanner::new(text).map_err(|fault| *fault)?;
    let number = TypeMeta::find(source).map_err(|fault| *fault)?.number()?;
    read(number, source, unknown)
}

/// Reads an object of this kind; `apiVersion` and `kind` may be missing, and must fit when they are there.
pub fn from_json_as(number: u32, text: &[u8], unknown: Unknown) -> Result<Decoded, Faults> {
    read(number, Scanner::new(text).map_err(|fault| *fault)?, unknown)
}

/// Reads an object whose `apiVersion` and `kind` say what it is.
pub fn from_value(value: &Value, unknown: Unknown) -> Result<Decoded, Faults> {
    let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let found = TypeMeta {
        api_version: text("apiVersion"),
        kind: text("kind"),
    };
    from_value_as(found.number()?, value, unknown)
}

/// Reads an object of this kind; `apiVersion` and `kind` may be missing, and must fit when they are there.
pub fn from_value_as(number: u32, value: &Value, unknown: Unknown) -> Result<Decoded, Faults> {
    let text = serde_json::to_vec(value).expect("a value is printable");
    from_json_as(number, &text, unknown).map_err(without_places)
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

fn read(number: u32, source: Scanner<'_>, unknown: Unknown) -> Result<Decoded, Faults> {
    let (bytes, warnings) = if custom::is_custom(number) {
        custom::read(source, unknown)?
    } else {
        reader::read(arm(number)?, source, unknown)?
    };
    Ok(Decoded {
        number: kinds::arm(number),
        bytes,
        warnings,
    })
}

/// The faults of a text that nobody has seen.
fn without_places(mut faults: Faults) -> Faults {
    for fault in &mut faults.0 {
        fault.place = None;
    }
    faults
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
        serde_json::from_slice(&json).map_err(|error| Fault::syntax(error.to_string()))
    }

    /// Reads the message's JSON: its canonical bytes, and the warnings that were asked for.
    pub fn from_json(&'static self, text: &[u8], unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
        reader::read(self, Scanner::new(text).map_err(|fault| *fault)?, unknown)
    }

    /// Reads the message from a tree.
    pub fn from_value(&'static self, value: &Value, unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
        let text = serde_json::to_vec(value).expect("a value is printable");
        self.from_json(&text, unknown).map_err(without_places)
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

/// What is said of an object before anything else is known of it.
#[derive(Default)]
struct TypeMeta {
    api_version: Option<String>,
    kind: Option<String>,
}

impl TypeMeta {
    /// Looks for `apiVersion` and `kind`, and stops when it has both.
    fn find(mut source: Scanner<'_>) -> Fallible<Self> {
        let mut found = Self::default();
        source.object()?;
        let mut first = true;
        while found.api_version.is_none() || found.kind.is_none() {
            let Some(key) = source.key(&mut first)? else { break };
            let text = match &*key {
                "apiVersion" => &mut found.api_version,
                "kind" => &mut found.kind,
                _ => {
                    source.skip()?;
                    continue;
                }
            };
            let at = source.offset();
            match source.token()? {
                Token::Text(value) => *text = Some(value.into_owned()),
                // What else it is the reader would name; nobody can say of what.
                _ => source.skip_from(at)?,
            }
        }
        Ok(found)
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

#[cfg(test)]
mod tests;
