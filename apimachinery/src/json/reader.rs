//! JSON to wire bytes, in one pass over the text.
//!
//! In: any serde deserializer (JSON text, a `serde_json::Value`). Out: the message's canonical encoding: fields by
//! number, maps by key, zero values left out, as prost writes it. Two objects are equal when their bytes are.
//!
//! serde parses; the visitors here append records to one buffer. JSON's order is rarely the wire's, so each message
//! notes where its fields' records lie and, when it ends, puts them in order.
//!
//! Invariant: a value of the wrong type is skipped and noted, so that one reading names every fault.

use super::fault::{Fault, FaultKind, MAX_FAULTS, Segment};
use super::raw::Text;
use super::schema::{self, Field, Kind, MAX_DEPTH, Message, Shape};
use super::special;
use super::wire::{close, open, put_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use std::borrow::Cow;
use std::fmt;

/// What to do about fields that the schema does not have, and about fields that are there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are errors, each named.
    #[default]
    Strict,
    /// They are left out and named as warnings; of a field that is there twice the last counts.
    Warn,
    /// They are left out silently.
    Ignore,
}

/// The wire keys of a map entry's value: field 2, as a number or as bytes.
const ENTRY_KEY: u8 = 0x0a;
const ENTRY_VALUE_NUMBER: &[u8] = &[0x10];
const ENTRY_VALUE_DOUBLE: &[u8] = &[0x11];
const ENTRY_VALUE_BYTES: &[u8] = &[0x12];

/// Where a field's records lie in the output.
#[derive(Clone, Copy)]
struct Span {
    order: u32,
    start: usize,
    end: usize,
}

/// Where a map's entry lies in the output, and its key therein.
#[derive(Clone, Copy)]
struct EntrySpan {
    start: usize,
    end: usize,
    key: (usize, usize),
}

/// What reading leaves behind.
pub(super) struct Reader {
    pub(super) out: Vec<u8>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    unknown: Unknown,
    depth: usize,
    /// The fields of every message that is being read, outermost first.
    spans: Vec<Span>,
    /// The entries of the map that is being read.
    entries: Vec<EntrySpan>,
    /// For putting things in order.
    scratch: Vec<u8>,
}

/// The way to the value that is being read, on the stack: it costs nothing until a fault asks for it.
#[derive(Clone, Copy)]
struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
    /// A map's key, as its place in the output.
    Key(usize, usize),
}

/// Where a value stands, which decides what precedes it on the wire and whether an empty one is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The value of a field: all of it, for lists and maps.
    Field,
    /// An item of a list.
    Item,
    /// A value in a map.
    Entry,
}

impl Reader {
    pub(super) fn new(unknown: Unknown, capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            faults: Vec::new(),
            warnings: Vec::new(),
            unknown,
            depth: 0,
            spans: Vec::new(),
            entries: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Reads a whole object into `self.out`. An error is the deserializer's, or one that `self.faults` names better.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        &mut self,
        message: &'static Message,
        deserializer: D,
    ) -> Result<(), D::Error> {
        deserializer.deserialize_any(Root {
            reader: self,
            message,
        })
    }

    fn fault(&mut self, kind: FaultKind, path: &Path<'_>, message: impl Into<String>) {
        let mut fault = Fault::new(kind, message);
        let mut at = Some(path);
        while let Some(Path { parent, step }) = at {
            match *step {
                Step::Root => {}
                Step::Field(name) => fault.path.push(Segment::Field(name.to_owned())),
                Step::Index(index) => fault.path.push(Segment::Index(index)),
                Step::Key(start, end) => {
                    let key = String::from_utf8_lossy(&self.out[start..end]).into_owned();
                    fault.path.push(Segment::Key(key));
                }
            }
            at = *parent;
        }
        fault.path.reverse();
        let stray = matches!(kind, FaultKind::UnknownField | FaultKind::DuplicateField);
        let list = match self.unknown {
            Unknown::Ignore if stray => return,
            Unknown::Warn if stray => &mut self.warnings,
            _ => &mut self.faults,
        };
        if list.len() < MAX_FAULTS {
            list.push(fault);
        }
    }

    fn message<'de, A: MapAccess<'de>>(
        &mut self,
        message: &'static Message,
        path: &Path<'_>,
        mut map: A,
    ) -> Result<(), A::Error> {
        self.descend(path)?;
        let start = self.out.len();
        let base = self.spans.len();
        let mut seen: u128 = 0;
        while let Some(name) = map.next_key_seed(NameSeed { message })? {
            let index = match name {
                Name::Field(index) => index,
                Name::TypeMeta(name) => {
                    self.type_meta(message, name, path, &mut map)?;
                    continue;
                }
                Name::Unknown(name) => {
                    let step = Path {
                        parent: Some(path),
                        step: Step::Field(&name),
                    };
                    self.fault(FaultKind::UnknownField, &step, "no such field");
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let field = &message.fields[usize::from(index)];
            let step = Path {
                parent: Some(path),
                step: Step::Field(&field.name),
            };
            let bit = 1 << index;
            if seen & bit != 0 {
                self.fault(FaultKind::DuplicateField, &step, "the field is there twice");
                let order = field.order();
                let twin = self.spans[base..].iter().position(|span| span.order == order);
                if let Some(twin) = twin {
                    self.spans.remove(base + twin);
                }
            }
            seen |= bit;
            let from = self.out.len();
            map.next_value_seed(Value {
                reader: self,
                field,
                path: &step,
                place: Place::Field,
            })?;
            let end = self.out.len();
            if end > from {
                self.spans.push(Span {
                    order: field.order(),
                    start: from,
                    end,
                });
            }
        }
        self.arrange(start, base);
        self.depth -= 1;
        Ok(())
    }

    fn descend<E: Error>(&mut self, path: &Path<'_>) -> Result<(), E> {
        if self.depth >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.fault(FaultKind::TooDeep, path, message.as_str());
            return Err(E::custom(message));
        }
        self.depth += 1;
        Ok(())
    }

    /// Puts a message's records into the wire's order and wraps those of inlined messages.
    fn arrange(&mut self, start: usize, base: usize) {
        let Self {
            out, spans, scratch, ..
        } = self;
        let found = &mut spans[base..];
        let inlined = |span: &Span| span.order & 0xffff != 0;
        let whole: usize = found.iter().map(|span| span.end - span.start).sum();
        let in_order = found.is_sorted_by_key(|span| span.order) && whole == out.len() - start;
        if !in_order || found.iter().any(inlined) {
            found.sort_unstable_by_key(|span| span.order);
            scratch.clear();
            scratch.extend_from_slice(&out[start..]);
            out.truncate(start);
            let mut at = 0;
            while at < found.len() {
                let outer = found[at].order >> 16;
                let wrapped = inlined(&found[at]).then(|| {
                    encode_key(outer, WireType::LengthDelimited, out);
                    open(out)
                });
                while at < found.len() && found[at].order >> 16 == outer {
                    let Span { start: from, end, .. } = found[at];
                    out.extend_from_slice(&scratch[from - start..end - start]);
                    at += 1;
                }
                if let Some(content) = wrapped {
                    close(out, content);
                }
            }
        }
        spans.truncate(base);
    }

    /// Checks `apiVersion` or `kind` of the whole object. Objects inside of others (a StatefulSet's claim templates)
    /// may have them too; there they say nothing.
    fn type_meta<'de, A: MapAccess<'de>>(
        &mut self,
        message: &'static Message,
        name: &'static str,
        path: &Path<'_>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let Some(text) = map.next_value::<Option<Cow<'_, str>>>()? else {
            return Ok(());
        };
        let Some(meta) = message
            .type_meta
            .as_ref()
            .filter(|_| matches!(path.step, Step::Root))
        else {
            return Ok(());
        };
        let expected = if name == "kind" {
            &meta.kind
        } else {
            &meta.api_version
        };
        let any = name == "apiVersion" && meta.any_version;
        if !text.is_empty() && text != expected.as_str() && !any {
            let step = Path {
                parent: Some(path),
                step: Step::Field(name),
            };
            self.fault(
                FaultKind::UnknownKind,
                &step,
                format!("expected \"{expected}\", got \"{text}\""),
            );
        }
        Ok(())
    }

    fn map<'de, A: MapAccess<'de>>(
        &mut self,
        field: &'static Field,
        path: &Path<'_>,
        mut map: A,
    ) -> Result<(), A::Error> {
        let first = self.out.len();
        // Maps do not nest without a message between, so that one list serves; a map inside of one empties it early.
        let base = self.entries.len();
        loop {
            let start = self.out.len();
            self.out.extend_from_slice(&field.key);
            let content = open(&mut self.out);
            let Some(key) = map.next_key_seed(KeySeed { out: &mut self.out })? else {
                self.out.truncate(start);
                break;
            };
            let step = Path {
                parent: Some(path),
                step: Step::Key(key.0, key.1),
            };
            let before = self.faults.len();
            self.depth += 1;
            map.next_value_seed(Value {
                reader: self,
                field,
                path: &step,
                place: Place::Entry,
            })?;
            self.depth -= 1;
            if self.faults.len() > before {
                // The object is refused anyway; half an entry would only confuse what follows.
                self.out.truncate(start);
                continue;
            }
            let unshifted = self.out.len();
            close(&mut self.out, content);
            let shift = self.out.len() - unshifted;
            let end = self.out.len();
            self.entries.push(EntrySpan {
                start,
                end,
                key: (key.0 + shift, key.1 + shift),
            });
        }
        self.arrange_entries(first, base, path);
        Ok(())
    }

    /// Puts a map's entries in order and drops all but the last of equal keys.
    fn arrange_entries(&mut self, first: usize, base: usize, path: &Path<'_>) {
        let out = &self.out;
        let key = |entry: &EntrySpan| &out[entry.key.0..entry.key.1];
        let rising = self.entries[base..]
            .windows(2)
            .all(|pair| key(&pair[0]) < key(&pair[1]));
        if rising {
            self.entries.truncate(base);
            return;
        }
        let mut entries = self.entries.split_off(base);
        entries.sort_by(|a, b| key(a).cmp(key(b)));
        let mut twins = Vec::new();
        let mut kept: Vec<EntrySpan> = Vec::with_capacity(entries.len());
        for entry in entries {
            if kept.last().is_some_and(|last| key(last) == key(&entry)) {
                twins.push(entry.key);
                kept.pop();
            }
            kept.push(entry);
        }
        for (start, end) in twins {
            let step = Path {
                parent: Some(path),
                step: Step::Key(start, end),
            };
            self.fault(FaultKind::DuplicateField, &step, "the key is there twice");
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.out[first..]);
        self.out.truncate(first);
        for entry in kept {
            self.out
                .extend_from_slice(&self.scratch[entry.start - first..entry.end - first]);
        }
    }
}

/// What a key of an object means.
enum Name {
    Field(u16),
    TypeMeta(&'static str),
    Unknown(String),
}

struct NameSeed {
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
        Ok(match self.message.field_index(name) {
            Some(index) => Name::Field(index),
            None => match name {
                "apiVersion" if self.message.type_meta.is_some() => Name::TypeMeta("apiVersion"),
                "kind" if self.message.type_meta.is_some() => Name::TypeMeta("kind"),
                _ => Name::Unknown(name.to_owned()),
            },
        })
    }
}

/// Appends a map entry's key; gives its place in the output. An empty key is left out, as every zero value is.
struct KeySeed<'r> {
    out: &'r mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = (usize, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = (usize, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map's key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if !key.is_empty() {
            self.out.push(ENTRY_KEY);
            put_bytes(key.as_bytes(), self.out);
        }
        Ok((self.out.len() - key.len(), self.out.len()))
    }
}

struct Root<'r> {
    reader: &'r mut Reader,
    message: &'static Message,
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.reader.message(
            self.message,
            &Path {
                parent: None,
                step: Step::Root,
            },
            map,
        )
    }
}

/// Reads one value and appends its records.
struct Value<'r, 'p> {
    reader: &'r mut Reader,
    field: &'static Field,
    path: &'p Path<'p>,
    place: Place,
}

impl Value<'_, '_> {
    /// Whether a value that is not in brackets may stand here.
    fn is_single(&self) -> bool {
        self.place != Place::Field || self.field.shape == Shape::Single
    }

    /// Whether a zero value is written: it is where the wire tells it from nothing.
    fn writes_zero(&self) -> bool {
        match self.place {
            Place::Field => self.field.presence,
            Place::Item => true,
            Place::Entry => false,
        }
    }

    fn begin(&mut self) {
        let key = match self.place {
            Place::Field | Place::Item => &self.field.key,
            Place::Entry => match self.field.kind.wire_type() {
                WireType::Varint => ENTRY_VALUE_NUMBER,
                WireType::SixtyFourBit => ENTRY_VALUE_DOUBLE,
                _ => ENTRY_VALUE_BYTES,
            },
        };
        self.reader.out.extend_from_slice(key);
    }

    fn number(mut self, number: i64) {
        if number != 0 || self.writes_zero() {
            self.begin();
            encode_varint(number as u64, &mut self.reader.out);
        }
    }

    fn double(mut self, number: f64) {
        if number.to_bits() != 0 || self.writes_zero() {
            self.begin();
            self.reader.out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// The field that takes this form of a union's value, if a union stands here and has it.
    fn chosen(&self, form: fn(schema::Union) -> Option<u16>) -> Option<Chosen> {
        let Kind::Union(index) = self.field.kind else {
            return None;
        };
        let message = schema::message(index);
        let union = message.union.filter(|_| self.is_single())?;
        let at = |index: u16| &message.fields[usize::from(index)];
        let field = at(form(union)?);
        let also = union.bool.map(at).filter(|also| also.kind != field.kind);
        Some(Chosen { field, also })
    }

    /// Writes a union's message; `fill` reads into the chosen field.
    fn union<E>(self, chosen: Chosen, fill: impl FnOnce(Value<'_, '_>) -> Result<(), E>) -> Result<(), E> {
        self.nested(|value| {
            if let Some(also) = chosen.also {
                value.reader.out.extend_from_slice(&also.key);
                value.reader.out.push(1);
            }
            value.reader.depth += 1;
            fill(Value {
                reader: value.reader,
                field: chosen.field,
                path: value.path,
                place: Place::Field,
            })?;
            value.reader.depth -= 1;
            Ok(())
        })
    }

    fn bytes(mut self, bytes: &[u8]) {
        if !bytes.is_empty() || self.writes_zero() {
            self.begin();
            put_bytes(bytes, &mut self.reader.out);
        }
    }

    /// Writes a message whose content `fill` appends.
    fn nested<E>(mut self, fill: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        let start = self.reader.out.len();
        self.begin();
        let content = open(&mut self.reader.out);
        fill(&mut self)?;
        if self.reader.out.len() == content && !self.writes_zero() {
            self.reader.out.truncate(start);
        } else {
            close(&mut self.reader.out, content);
        }
        Ok(())
    }

    /// Writes a small message of these numbers and texts.
    fn fields(self, numbers: &[(u32, i64)], text: Option<(u32, &str)>) {
        let done: Result<(), std::convert::Infallible> = self.nested(|value| {
            let out = &mut value.reader.out;
            for &(field, number) in numbers {
                encode_key(field, WireType::Varint, out);
                encode_varint(number as u64, out);
            }
            if let Some((field, text)) = text {
                encode_key(field, WireType::LengthDelimited, out);
                put_bytes(text.as_bytes(), out);
            }
            Ok(())
        });
        let Ok(()) = done;
    }

    fn quantity(self, text: &str) {
        self.fields(&[], (!text.is_empty()).then_some((1, text)));
    }

    fn expected(&self) -> &'static str {
        if !self.is_single() {
            return if self.field.shape == Shape::List {
                "a list"
            } else {
                "an object"
            };
        }
        match self.field.kind {
            Kind::Bool => "true or false",
            Kind::Int32 | Kind::Int64 => "an integer",
            Kind::Double => "a number",
            Kind::String => "a string",
            Kind::Bytes => "a base64 string",
            Kind::Quantity => "a quantity such as \"500m\" or 2",
            Kind::IntOrString => "an integer or a string",
            Kind::Time | Kind::MicroTime => "a time such as \"2026-01-02T03:04:05Z\"",
            Kind::Duration => "a duration such as \"1m30s\"",
            Kind::Raw => "any value",
            Kind::Message(_) => "an object",
            Kind::Union(index) => {
                let union = schema::message(index).union.unwrap_or_default();
                match (union.object, union.bool) {
                    (None, _) => "a list",
                    (_, None) => "an object or a list",
                    (_, Some(_)) => "an object, true or false",
                }
            }
        }
    }

    fn wrong_type(self, got: Unexpected<'_>) {
        let message = format!("expected {}, got {got}", self.expected());
        self.reader.fault(FaultKind::WrongType, self.path, message);
    }

    fn invalid(self, got: &str) {
        let message = format!("expected {}, got \"{}\"", self.expected(), shorten(got));
        self.reader.fault(FaultKind::InvalidValue, self.path, message);
    }

    fn integer(self, number: Option<i64>, got: Unexpected<'_>) {
        let is_32_bits = self.field.kind == Kind::Int32 || self.field.kind == Kind::IntOrString;
        let fits = number.filter(|&n| !is_32_bits || i32::try_from(n).is_ok());
        match (self.field.kind, fits) {
            (Kind::Int32 | Kind::Int64, Some(number)) => self.number(number),
            (Kind::IntOrString, Some(0)) => self.fields(&[], None),
            (Kind::IntOrString, Some(number)) => self.fields(&[(2, number)], None),
            (Kind::Int32 | Kind::Int64 | Kind::IntOrString, None) => {
                let bits = if is_32_bits { 32 } else { 64 };
                let message = format!("{got} does not fit {bits} bits");
                self.reader.fault(FaultKind::InvalidValue, self.path, message);
            }
            _ => self.wrong_type(got),
        }
    }

    fn time(self, text: &str) {
        match special::parse_time(text, self.field.kind == Kind::MicroTime) {
            // Without a byte it would be Go's zero time, not 1970.
            Some((0, 0)) => self.fields(&[(1, 0)], None),
            Some((0, nanos)) => self.fields(&[(2, i64::from(nanos))], None),
            Some((seconds, 0)) => self.fields(&[(1, seconds)], None),
            Some((seconds, nanos)) => self.fields(&[(1, seconds), (2, i64::from(nanos))], None),
            None => self.invalid(text),
        }
    }

    fn raw<E: Error>(self, copy: impl FnOnce(Text<'_>) -> Result<(), E>) -> Result<(), E> {
        self.nested(|value| {
            let depth = value.reader.depth;
            let out = &mut value.reader.out;
            encode_key(1, WireType::LengthDelimited, out);
            let content = open(out);
            copy(Text { out, depth })?;
            close(out, content);
            Ok(())
        })
    }
}

/// Which field of a union takes a value.
struct Chosen {
    field: &'static Field,
    /// The union's bool, which is true where another field is set.
    also: Option<&'static Field>,
}

/// Enough of a text to recognise it by.
fn shorten(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Value::expected(self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !self.is_single() {
            self.wrong_type(Unexpected::Str(&shorten(text)));
            return Ok(());
        }
        match self.field.kind {
            Kind::String => self.bytes(text.as_bytes()),
            Kind::Quantity => self.quantity(text),
            Kind::IntOrString => self.fields(&[(1, 1)], (!text.is_empty()).then_some((3, text))),
            Kind::Time | Kind::MicroTime => self.time(text),
            Kind::Bytes => {
                // Go skips line ends in base64, and manifests fold long values.
                let folded: String;
                let unfolded = if text.contains(['\n', '\r']) {
                    folded = text.replace(['\n', '\r'], "");
                    folded.as_str()
                } else {
                    text
                };
                match STANDARD.decode(unfolded) {
                    Ok(bytes) => self.bytes(&bytes),
                    Err(_) => self.invalid(text),
                }
            }
            Kind::Duration => match special::parse_duration(text) {
                Some(0) => self.fields(&[], None),
                Some(nanos) => self.fields(&[(1, nanos)], None),
                None => self.invalid(text),
            },
            Kind::Raw => return self.raw(|raw| raw.visit_str(text)),
            Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Message(_) | Kind::Union(_) => {
                self.wrong_type(Unexpected::Str(&shorten(text)));
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if let Some(chosen) = self.chosen(|union| union.bool) {
            return self.union(chosen, |field| field.visit_bool(value));
        }
        match self.field.kind {
            Kind::Bool if self.is_single() => self.number(i64::from(value)),
            Kind::Raw if self.is_single() => return self.raw(|raw| raw.visit_bool(value)),
            _ => self.wrong_type(Unexpected::Bool(value)),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match self.field.kind {
            _ if !self.is_single() => self.wrong_type(Unexpected::Signed(number)),
            Kind::Quantity => self.quantity(&number.to_string()),
            Kind::Double => self.double(number as f64),
            Kind::Raw => return self.raw(|raw| raw.visit_i64(number)),
            _ => self.integer(Some(number), Unexpected::Signed(number)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match self.field.kind {
            _ if !self.is_single() => self.wrong_type(Unexpected::Unsigned(number)),
            Kind::Quantity => self.quantity(&number.to_string()),
            Kind::Double => self.double(number as f64),
            Kind::Raw => return self.raw(|raw| raw.visit_u64(number)),
            _ => self.integer(i64::try_from(number).ok(), Unexpected::Unsigned(number)),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Quantity if self.is_single() && number.is_finite() => self.quantity(&number.to_string()),
            Kind::Double if self.is_single() => self.double(number),
            Kind::Raw if self.is_single() => return self.raw(|raw| raw.visit_f64(number)),
            _ => self.wrong_type(Unexpected::Float(number)),
        }
        Ok(())
    }

    /// `null` is nothing; as an item of a list it is that item's zero value, as in Go.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.place == Place::Item {
            match self.field.kind.wire_type() {
                WireType::Varint => self.number(0),
                WireType::SixtyFourBit => self.double(0.0),
                _ => self.bytes(&[]),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.is_single() && self.field.kind == Kind::Raw {
            return self.raw(|raw| raw.visit_seq(items));
        }
        if let Some(chosen) = self.chosen(|union| union.list) {
            return self.union(chosen, |field| field.visit_seq(items));
        }
        if self.is_single() || self.field.shape != Shape::List {
            self.wrong_type(Unexpected::Seq);
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let Self {
            reader, field, path, ..
        } = self;
        for index in 0.. {
            let path = &Path {
                parent: Some(path),
                step: Step::Index(index),
            };
            let item = Value {
                reader: &mut *reader,
                field,
                path,
                place: Place::Item,
            };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !self.is_single() && self.field.shape == Shape::Map {
            return self.reader.map(self.field, self.path, map);
        }
        if let Some(chosen) = self.chosen(|union| union.object) {
            return self.union(chosen, |field| field.visit_map(map));
        }
        match self.field.kind {
            Kind::Message(index) if self.is_single() => {
                self.nested(|value| value.reader.message(schema::message(index), value.path, map))
            }
            Kind::Raw if self.is_single() => self.raw(|raw| raw.visit_map(map)),
            _ => {
                self.wrong_type(Unexpected::Map);
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }
    }
}
