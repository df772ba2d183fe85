//! Objects of custom kinds. Their message ([`CustomResource`]) holds what every object has in fields of its own, and all
//! else as JSON text; in JSON they are flat, as their users know them.
//!
//! In and out as for every other kind, see the module above. The text is canonical: no white space, keys sorted, whole
//! numbers without a fraction, empty for no fields at all; so equal objects have equal bytes here too.
//!
//! Which fields such an object may have is not known here: everything beside the metadata is taken as it is. Only that a
//! key is there twice is told.

use super::buffer::Buffer;
use super::fault::{Fallible, Fault, FaultKind, Faults, MAX_FAULTS, Segment};
use super::raw;
use super::reader::Unknown;
use super::scanner::{Scanner, Token};
use super::schema::{MAX_DEPTH, Message};
use super::wire;
use super::writer::{self, write_double, write_string};
use crate::wire::Fields;
use bytes::Bytes;
use prost::Message as _;
use proto::Kind;
use proto::orrery::v1::CustomResource;
use serde_json::{Map, Value};

/// The fields of the flat object that are fields of the message.
const OWN: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Whether objects of this kind or arm are of the form that this module knows.
pub(super) fn is_custom(number: u32) -> bool {
    crate::kinds::arm(number) == CustomResource::NUMBER
}

fn metadata() -> &'static Message {
    Message::by_name("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta").expect("meta.proto declares it")
}

/// Appends the flat object.
pub(super) fn write(bytes: &[u8], out: &mut Vec<u8>) -> Fallible<()> {
    // `fields` is most of it, and is text already.
    let mut buffer = Buffer::behind(std::mem::take(out), bytes.len() + bytes.len() / 2);
    let written = write_to(bytes, &mut buffer);
    *out = buffer.into_vec();
    written
}

fn write_to(bytes: &[u8], out: &mut Buffer) -> Fallible<()> {
    let (mut meta, mut api_version, mut kind, mut fields) = (Vec::new(), "", "", "");
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            // In several pieces, they merge: a decoder reads them one after the other.
            1 => meta.extend_from_slice(wire::bytes(field.value)?),
            2 => api_version = wire::text(field.value)?,
            3 => kind = wire::text(field.value)?,
            4 => fields = wire::text(field.value)?,
            _ => {}
        }
    }
    out.put(b"{\"apiVersion\":");
    write_string(api_version, out);
    out.put(b",\"kind\":");
    write_string(kind, out);
    out.put(b",\"metadata\":");
    let written = writer::write_to(metadata(), &meta, out);
    written.map_err(|fault| fault.below(Segment::Field("metadata".to_owned())))?;
    if !fields.is_empty() {
        let inner = fields
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
            .ok_or_else(|| Fault::boxed(FaultKind::InvalidValue, "fields must be a JSON object's text"))?;
        if !inner.is_empty() {
            out.push(b',');
            out.put(inner.as_bytes());
        }
    }
    out.push(b'}');
    Ok(())
}

/// Reads the flat object's text.
pub(super) fn read(source: Scanner<'_>, unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
    let mut tree = Tree {
        source,
        path: Vec::new(),
        twice: Vec::new(),
    };
    let value = tree.value().and_then(|value| tree.source.end().map(|()| value));
    let value = value.map_err(|fault| *fault)?;
    let twice = tree.twice;
    let read = if unknown == Unknown::Strict && !twice.is_empty() {
        let mut faults = twice;
        if let Err(more) = from_value(&value, unknown) {
            faults.extend(more.0);
        }
        Err(Faults(faults))
    } else {
        from_value(&value, unknown).map(|(bytes, mut warnings)| {
            if unknown == Unknown::Warn {
                warnings.splice(0..0, twice);
            }
            (bytes, warnings)
        })
    };
    read.map_err(|mut faults| {
        for fault in &mut faults.0 {
            fault.place = fault.place.or_else(|| source.locate(&fault.path).ok());
        }
        faults
    })
}

/// Reads the flat object from a tree.
fn from_value(value: &Value, unknown: Unknown) -> Result<(Bytes, Vec<Fault>), Faults> {
    let Value::Object(all) = value else {
        return Err(Fault::new(FaultKind::WrongType, "expected an object").into());
    };
    let mut faults = Vec::new();
    let mut text = |name: &str| match all.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => {
            let fault = Fault::boxed(FaultKind::WrongType, "expected a string");
            faults.push(*fault.below(Segment::Field(name.to_owned())));
            String::new()
        }
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let mut warnings = Vec::new();
    let below = |fault: Fault| *Box::new(fault).below(Segment::Field("metadata".to_owned()));
    let mut object = CustomResource {
        api_version,
        kind,
        ..CustomResource::default()
    };
    match all.get("metadata") {
        None | Some(Value::Null) => {}
        Some(meta) => match metadata().from_value(meta, unknown) {
            Ok((bytes, found)) => {
                warnings.extend(found.into_iter().map(below));
                // Empty metadata, which is always printed, is none, as in every other kind.
                if !bytes.is_empty() {
                    let decoded = proto::meta::v1::ObjectMeta::decode(bytes);
                    object.metadata = Some(decoded.expect("what was read is canonical"));
                }
            }
            Err(found) => faults.extend(found.0.into_iter().map(below)),
        },
    }
    let fields = all.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    match fields_text(fields) {
        Ok(text) => object.fields = text,
        Err(fault) => faults.push(*fault),
    }
    if faults.is_empty() {
        Ok((object.encode_to_vec().into(), warnings))
    } else {
        Err(Faults(faults))
    }
}

/// The canonical text of an object's fields beside `apiVersion`, `kind` and `metadata`; empty for none.
pub fn text_of(fields: &Map<String, Value>) -> Result<String, Fault> {
    let own = fields.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    fields_text(own).map_err(|fault| *fault)
}

/// The fields behind a canonical text.
pub fn fields_of(text: &str) -> Result<Map<String, Value>, Fault> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|error| Fault::syntax(error.to_string()))
}

/// What is wrong with the message's `fields`, as a client sent them.
pub(super) fn check(bytes: &[u8]) -> Vec<Fault> {
    let Ok(object) = CustomResource::decode(bytes) else {
        return Vec::new();
    };
    let below = |fault: Fault| *Box::new(fault).below(Segment::Field("fields".to_owned()));
    if object.fields.is_empty() {
        return Vec::new();
    }
    if let Err(fault) = raw::check(object.fields.as_bytes(), 0) {
        return vec![below(*fault)];
    }
    match fields_of(&object.fields) {
        Ok(fields) => OWN
            .iter()
            .filter(|name| fields.contains_key(**name))
            .map(|name| {
                let fault = Fault::boxed(FaultKind::InvalidValue, "belongs into the message's own field");
                below(*fault.below(Segment::Field((*name).to_owned())))
            })
            .collect(),
        Err(_) => vec![below(Fault::new(
            FaultKind::WrongType,
            "expected a JSON object's text",
        ))],
    }
}

fn fields_text<'v>(fields: impl Iterator<Item = (&'v String, &'v Value)>) -> Fallible<String> {
    let mut out = Buffer::behind(Vec::new(), 0);
    write_object(fields, 1, &mut out)?;
    let mut out = out.into_vec();
    if out == b"{}" {
        out.clear();
    }
    Ok(String::from_utf8(out).expect("JSON is written as UTF-8"))
}

fn write_object<'v>(
    fields: impl Iterator<Item = (&'v String, &'v Value)>,
    depth: usize,
    out: &mut Buffer,
) -> Fallible<()> {
    let mut sorted: Vec<_> = fields.collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (i, (name, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write_value(value, depth, out).map_err(|fault| fault.below(Segment::Field(name.clone())))?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(value: &Value, depth: usize, out: &mut Buffer) -> Fallible<()> {
    if depth >= MAX_DEPTH {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        return Err(Fault::boxed(FaultKind::TooDeep, message));
    }
    match value {
        Value::Object(fields) => write_object(fields.iter(), depth + 1, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(item, depth + 1, out).map_err(|fault| fault.below(Segment::Index(i)))?;
            }
            out.push(b']');
        }
        Value::String(text) => write_string(text, out),
        Value::Number(number) if number.is_f64() => {
            write_double(number.as_f64().expect("it is a double"), out);
        }
        simple => out.put(simple.to_string().as_bytes()),
    }
    Ok(())
}

/// Reads any JSON into a tree, and notes every key that is there twice. The last one counts.
struct Tree<'a> {
    source: Scanner<'a>,
    path: Vec<Segment>,
    twice: Vec<Fault>,
}

impl Tree<'_> {
    fn value(&mut self) -> Fallible<Value> {
        let mut first = true;
        Ok(match self.source.token()? {
            Token::Null => Value::Null,
            Token::Bool(value) => value.into(),
            Token::Number(number) => Value::Number(number.exact()),
            Token::Text(text) => text.into(),
            Token::List => {
                let mut read = Vec::new();
                while self.source.item(&mut first)? {
                    let item = self.below(Segment::Index(read.len()))?;
                    self.path.pop();
                    read.push(item);
                }
                read.into()
            }
            Token::Map => {
                let mut read = Map::new();
                while let Some(name) = self.source.key(&mut first)? {
                    let name = name.into_owned();
                    let value = self.below(Segment::Field(name.clone()))?;
                    if read.insert(name, value).is_some() && self.twice.len() < MAX_FAULTS {
                        self.twice.push(Fault {
                            path: self.path.clone(),
                            ..Fault::new(FaultKind::DuplicateField, "the field is there twice")
                        });
                    }
                    self.path.pop();
                }
                read.into()
            }
        })
    }

    /// Reads the value below; its segment stays in the path.
    fn below(&mut self, segment: Segment) -> Fallible<Value> {
        self.path.push(segment);
        if self.path.len() > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(Fault {
                path: self.path.clone(),
                ..Fault::new(FaultKind::TooDeep, message)
            }));
        }
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_wire, from_json_as, to_json, to_value};
    use super::*;
    use serde_json::json;

    const NUMBER: u32 = CustomResource::NUMBER;

    fn read(text: &str, unknown: Unknown) -> Result<super::super::Decoded, Faults> {
        from_json_as(NUMBER, text.as_bytes(), unknown)
    }

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        to_json(NUMBER, bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_custom_object_is_flat_and_equal_ones_have_equal_bytes() {
        let one = r#"{"kind":"Widget","apiVersion":"example.com/v1","spec":{"b":[1.0,2.5,null],"a":{"y":1,"x":"é"}},
            "metadata":{"name":"w","labels":{"app":"web"}},"data":-0.0}"#;
        let other = r#"{"apiVersion":"example.com/v1","data":-0.0,"kind":"Widget","metadata":{"labels":{"app":"web"},"name":"w"},
            "spec":{"a":{"x":"\u00e9","y":1},"b":[1,2.5,null]}}"#;
        let (one, other) = (
            read(one, Unknown::Strict).unwrap(),
            read(other, Unknown::Strict).unwrap(),
        );
        assert_eq!(one, other);
        let printed = shown(&one.bytes);
        assert_eq!(
            printed,
            r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"labels":{"app":"web"},"name":"w"},"data":-0.0,"spec":{"a":{"x":"é","y":1},"b":[1,2.5,null]}}"#
        );
        assert_eq!(read(&printed, Unknown::Strict).unwrap(), one);
        assert_eq!(
            super::super::from_value_as(NUMBER, &to_value(NUMBER, &one.bytes).unwrap(), Unknown::Strict)
                .unwrap(),
            one
        );
        assert_eq!(check_wire(NUMBER, &one.bytes), Ok(Vec::new()));
    }

    #[test]
    fn an_object_without_fields_is_its_metadata() {
        for text in ["{}", r#"{"metadata":{},"kind":null}"#] {
            let read = read(text, Unknown::Strict).unwrap();
            assert_eq!(
                to_value(NUMBER, &read.bytes).unwrap(),
                json!({"apiVersion": "", "kind": "", "metadata": {}})
            );
            assert_eq!(read.bytes, "");
        }
    }

    #[test]
    fn metadata_is_typed_and_keys_are_there_once() {
        let cases: [(&str, &[&str]); 6] = [
            (r#"{"metadata":{"nam":"x"}}"#, &["metadata.nam"]),
            (r#"{"metadata":{"labels":{"a":1}}}"#, &["metadata.labels[a]"]),
            (r#"{"metadata":"x","kind":1}"#, &["kind", "metadata"]),
            (r#"{"spec":{"a":1,"a":2}}"#, &["spec.a"]),
            (
                r#"{"spec":[{"a":1},{"b":1,"b":1}],"spec":1}"#,
                &["spec[1].b", "spec"],
            ),
            ("[]", &[""]),
        ];
        for (text, expected) in cases {
            let faults = read(text, Unknown::Strict).unwrap_err();
            let fields: Vec<String> = faults.0.iter().map(Fault::field).collect();
            assert_eq!(fields, expected, "{text}");
        }
        let warned = read(r#"{"spec":{"a":1,"a":2},"metadata":{"nam":"x"}}"#, Unknown::Warn).unwrap();
        assert_eq!(warned.warnings.len(), 2);
        assert_eq!(to_value(NUMBER, &warned.bytes).unwrap()["spec"], json!({"a": 2}));
    }

    #[test]
    fn hostile_text_is_refused() {
        for text in [
            "",
            "{",
            "{}x",
            "nul",
            &"{\"a\":".repeat(10_000),
            &"[".repeat(10_000),
        ] {
            assert!(read(text, Unknown::Ignore).is_err());
        }
        for (fields, expected) in [
            ("{", "fields"),
            ("[]", "fields"),
            ("{}{}", "fields"),
            (r#"{"kind":1}"#, "fields.kind"),
        ] {
            let object = CustomResource {
                fields: fields.into(),
                ..CustomResource::default()
            };
            let faults = check_wire(NUMBER, &object.encode_to_vec()).unwrap_err();
            assert_eq!(faults.0[0].field(), expected);
        }
    }
}
