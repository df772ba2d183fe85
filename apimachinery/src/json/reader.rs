//! JSON to wire bytes, in one pass over the text.
//!
//! In: JSON text. Out: the message's canonical encoding: fields by number, maps by key, zero values left out, as prost
//! writes it. Two objects are equal when their bytes are.
//!
//! The scanner gives one value after the other; what it comes to is appended to one buffer. JSON's order is rarely the
//! wire's, so each message notes where its fields' records lie and, when it ends, puts them in order.
//!
//! Invariant: a value of the wrong type is skipped and noted, so that one reading names every fault.

mod order;

use super::buffer::Buffer;
use super::fault::{Fallible, Fault, FaultKind, Faults, MAX_FAULTS, Segment};
use super::scanner::{Number, Scanner, Token, shorten};
use super::schema::{self, Chosen, Field, Kind, MAX_DEPTH, Message, Shape};
use super::special;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use order::{Entry, Order, Span};
use prost::encoding::WireType;
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

/// The wire tags of a map's entry: its key, and its value as a number or as bytes.
const ENTRY_KEY: u8 = 1 << 3 | 2;
const ENTRY_NUMBER: u32 = 2 << 3;
const ENTRY_DOUBLE: u32 = 2 << 3 | 1;
const ENTRY_BYTES: u32 = 2 << 3 | 2;

/// Reads a whole object: its encoding and the warnings that were asked for, or every fault that it has.
pub(super) fn read(
    message: &'static Message,
    source: Scanner<'_>,
    unknown: Unknown,
) -> Result<(Bytes, Vec<Fault>), Faults> {
    let mut reader = Reader {
        out: Buffer::behind(Vec::new(), source.len()),
        source,
        faults: Vec::new(),
        warnings: Vec::new(),
        unknown,
        depth: 0,
        order: Order::new(),
    };
    if let Err(fault) = reader.root(message) {
        reader.faults.push(*fault);
    }
    if reader.faults.is_empty() {
        Ok((reader.out.into_vec().into(), reader.warnings))
    } else {
        Err(Faults(reader.faults))
    }
}

struct Reader<'a> {
    source: Scanner<'a>,
    out: Buffer,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    unknown: Unknown,
    depth: usize,
    order: Order,
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

impl<'p> Path<'p> {
    fn below(&'p self, step: Step<'p>) -> Self {
        Path {
            parent: Some(self),
            step,
        }
    }
}

/// Which part of a field a value is, which decides what precedes it on the wire and whether an empty one is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of it, for lists and maps too.
    Whole,
    /// An item of a list.
    Item,
    /// A value in a map.
    Entry,
}

/// Where a value belongs.
#[derive(Clone, Copy)]
struct Slot<'p> {
    field: &'static Field,
    part: Part,
    path: &'p Path<'p>,
    /// Where the value begins in the text.
    at: usize,
}

impl Slot<'_> {
    /// Whether a value that is not in brackets may stand here.
    fn is_single(&self) -> bool {
        self.part != Part::Whole || self.field.shape == Shape::Single
    }

    /// Whether a zero value is written: it is where the wire tells it from nothing.
    fn writes_zero(&self) -> bool {
        match self.part {
            Part::Whole => self.field.presence,
            Part::Item => true,
            Part::Entry => false,
        }
    }

    fn tag(&self) -> u32 {
        match self.part {
            Part::Whole | Part::Item => self.field.tag,
            Part::Entry => match self.field.kind.wire_type() {
                WireType::Varint => ENTRY_NUMBER,
                WireType::SixtyFourBit => ENTRY_DOUBLE,
                _ => ENTRY_BYTES,
            },
        }
    }

    fn expected(&self) -> &'static str {
        match (self.field.shape, self.field.kind) {
            (Shape::List, _) if !self.is_single() => "a list",
            (Shape::Map, _) if !self.is_single() => "an object",
            (_, Kind::Bool) => "true or false",
            (_, Kind::Int32 | Kind::Int64) => "an integer",
            (_, Kind::Double) => "a number",
            (_, Kind::String) => "a string",
            (_, Kind::Bytes) => "a base64 string",
            (_, Kind::Quantity) => "a quantity such as \"500m\" or 2",
            (_, Kind::IntOrString) => "an integer or a string",
            (_, Kind::Time | Kind::MicroTime) => "a time such as \"2026-01-02T03:04:05Z\"",
            (_, Kind::Duration) => "a duration such as \"1m30s\"",
            (_, Kind::Raw) => "any value",
            (_, Kind::Message(_)) => "an object",
            (_, Kind::Union(index)) => {
                let union = schema::message(index).union.unwrap_or_default();
                match (union.object, union.bool) {
                    (None, _) => "a list",
                    (_, None) => "an object or a list",
                    (_, Some(_)) => "an object, true or false",
                }
            }
        }
    }
}

/// A message that has been begun: where its tag and its content lie.
struct Begun {
    start: usize,
    content: usize,
}

impl Reader<'_> {
    fn root(&mut self, message: &'static Message) -> Fallible<()> {
        let at = self.source.offset();
        self.source.object()?;
        let path = Path {
            parent: None,
            step: Step::Root,
        };
        self.message(message, &path, at)?;
        self.source.end()
    }

    #[cold]
    fn fault_of(&self, kind: FaultKind, path: &Path<'_>, at: usize, message: String) -> Fault {
        let mut fault = Fault::new(kind, message);
        fault.place = Some(self.source.place(at));
        let mut next = Some(path);
        while let Some(Path { parent, step }) = next {
            match *step {
                Step::Root => {}
                Step::Field(name) => fault.path.push(Segment::Field(name.to_owned())),
                Step::Index(index) => fault.path.push(Segment::Index(index)),
                Step::Key(start, end) => {
                    let key = String::from_utf8_lossy(self.out.slice(start, end)).into_owned();
                    fault.path.push(Segment::Key(key));
                }
            }
            next = *parent;
        }
        fault.path.reverse();
        fault
    }

    fn fault(&mut self, kind: FaultKind, slot: Slot<'_>, message: impl fmt::Display) {
        if self.faults.len() < MAX_FAULTS {
            let fault = self.fault_of(kind, slot.path, slot.at, message.to_string());
            self.faults.push(fault);
        }
    }

    /// Notes an unknown or duplicate field, if anybody wants to know.
    fn stray(&mut self, kind: FaultKind, path: &Path<'_>, at: usize, message: &str) {
        let noted = match self.unknown {
            Unknown::Strict => &self.faults,
            Unknown::Warn => &self.warnings,
            Unknown::Ignore => return,
        };
        if noted.len() >= MAX_FAULTS {
            return;
        }
        let fault = self.fault_of(kind, path, at, message.to_owned());
        if self.unknown == Unknown::Strict {
            self.faults.push(fault);
        } else {
            // As upstream words it in a `Warning` header: without a place.
            self.warnings.push(Fault { place: None, ..fault });
        }
    }

    fn message(&mut self, message: &'static Message, path: &Path<'_>, at: usize) -> Fallible<()> {
        if self.depth >= MAX_DEPTH {
            let text = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(self.fault_of(FaultKind::TooDeep, path, at, text)));
        }
        self.depth += 1;
        let start = self.out.len();
        let base = self.order.spans.len();
        let mut seen: u128 = 0;
        let mut first = true;
        while let Some(name) = self.source.key(&mut first)? {
            let at = self.source.offset();
            let Some(index) = message.field_index(&name) else {
                self.not_a_field(message, &name, path, at)?;
                continue;
            };
            let field = &message.fields[usize::from(index)];
            let path = &path.below(Step::Field(&field.name));
            let bit = 1 << index;
            if seen & bit != 0 {
                self.stray(FaultKind::DuplicateField, path, at, "the field is there twice");
                self.order.forget(base, field.order);
            }
            seen |= bit;
            let from = self.out.len();
            self.value(Slot {
                field,
                part: Part::Whole,
                path,
                at,
            })?;
            let end = self.out.len();
            if end > from {
                self.order.spans.push(Span {
                    order: field.order,
                    start: from,
                    end,
                });
            }
        }
        self.order.arrange(start, base, &mut self.out);
        self.depth -= 1;
        Ok(())
    }

    /// Reads past `apiVersion`, `kind`, or a field that the schema does not have. Objects inside of others (a
    /// StatefulSet's claim templates) may have the first two as well; there they say nothing.
    fn not_a_field(
        &mut self,
        message: &'static Message,
        name: &str,
        path: &Path<'_>,
        at: usize,
    ) -> Fallible<()> {
        let type_meta = message.type_meta.as_ref();
        let (expected, is_any) = match (name, type_meta) {
            ("apiVersion", Some(meta)) => (&meta.api_version, meta.any_version),
            ("kind", Some(meta)) => (&meta.kind, false),
            _ => {
                let path = path.below(Step::Field(name));
                self.stray(FaultKind::UnknownField, &path, at, "no such field");
                return self.source.skip();
            }
        };
        if self.source.is_null() || is_any || !matches!(path.step, Step::Root) {
            return self.source.skip();
        }
        let found = self.source.token()?;
        let (kind, message) = match &found {
            Token::Text(text) if text.is_empty() || text == expected => return Ok(()),
            Token::Text(text) => {
                let message = format!("expected \"{expected}\", got \"{}\"", shorten(text));
                (FaultKind::UnknownKind, message)
            }
            _ => (FaultKind::WrongType, format!("expected a string, got {found}")),
        };
        if self.faults.len() < MAX_FAULTS {
            let fault = self.fault_of(kind, &path.below(Step::Field(name)), at, message);
            self.faults.push(fault);
        }
        self.source.skip_from(at)
    }

    /// Reads one value and appends its records.
    fn value(&mut self, slot: Slot<'_>) -> Fallible<()> {
        // Most values are such.
        if slot.field.kind == Kind::String
            && slot.is_single()
            && let Some(text) = self.source.plain()?
        {
            self.bytes(slot, text.as_bytes());
            return Ok(());
        }
        if slot.field.kind == Kind::Raw && slot.is_single() && !self.source.is_null() {
            return self.raw(slot);
        }
        if let Kind::Union(index) = slot.field.kind
            && slot.is_single()
            && let Some(chosen) = self
                .source
                .form()
                .and_then(|form| schema::message(index).chosen(form))
        {
            return self.union(slot, chosen);
        }
        let token = self.source.token()?;
        if token == Token::Null {
            self.null(slot);
            return Ok(());
        }
        match (slot.is_single(), slot.field.shape, slot.field.kind, &token) {
            (true, _, Kind::String, Token::Text(text)) => self.bytes(slot, text.as_bytes()),
            (true, _, Kind::Message(index), Token::Map) => {
                let begun = self.begin(slot);
                self.message(schema::message(index), slot.path, slot.at)?;
                self.end(slot, begun);
            }
            (true, _, _, Token::Text(text)) => self.text(slot, text),
            (true, _, _, Token::Number(number)) => self.number(slot, *number),
            (true, _, Kind::Bool, Token::Bool(value)) => self.varint(slot, i64::from(*value)),
            (false, Shape::List, _, Token::List) => return self.list(slot),
            (false, Shape::Map, _, Token::Map) => return self.map(slot),
            _ => {
                self.wrong_type(slot, &token);
                if matches!(token, Token::List | Token::Map) {
                    return self.source.skip_from(slot.at);
                }
            }
        }
        Ok(())
    }

    /// `null` is nothing; as an item of a list it is that item's zero value, as in Go, and a quantity is zero in a map too.
    fn null(&mut self, slot: Slot<'_>) {
        if slot.field.kind == Kind::Quantity && slot.part != Part::Whole {
            self.quantity(slot, "");
        } else if slot.part == Part::Item {
            match slot.field.kind.wire_type() {
                WireType::Varint => self.varint(slot, 0),
                WireType::SixtyFourBit => self.double(slot, 0.0),
                _ => self.bytes(slot, &[]),
            }
        }
    }

    fn list(&mut self, slot: Slot<'_>) -> Fallible<()> {
        let mut first = true;
        let mut index = 0;
        while self.source.item(&mut first)? {
            let item = Slot {
                path: &slot.path.below(Step::Index(index)),
                part: Part::Item,
                at: self.source.offset(),
                ..slot
            };
            self.value(item)?;
            index += 1;
        }
        Ok(())
    }

    fn map(&mut self, slot: Slot<'_>) -> Fallible<()> {
        let start = self.out.len();
        // Maps do not nest without a message between, so that one list serves; a map inside of one empties it early.
        let base = self.order.entries.len();
        let mut first = true;
        while let Some(key) = self.source.key(&mut first)? {
            let begun = self.begin(slot);
            // An empty key is left out, as every zero value is.
            if !key.is_empty() {
                self.out.push(ENTRY_KEY);
                self.out.put_bytes(key.as_bytes());
            }
            let end = self.out.len();
            let at = self.source.offset();
            let faults = self.faults.len();
            self.depth += 1;
            self.value(Slot {
                path: &slot.path.below(Step::Key(end - key.len(), end)),
                part: Part::Entry,
                at,
                ..slot
            })?;
            self.depth -= 1;
            if self.faults.len() > faults {
                // The object is refused anyway; half an entry would only confuse what follows.
                self.out.truncate(begun.start);
                continue;
            }
            let moved = self.out.close(begun.content);
            self.order.entries.push(Entry {
                start: begun.start,
                end: self.out.len(),
                key: (end + moved - key.len(), end + moved),
                at,
            });
        }
        for twin in self.order.twins(base, &self.out) {
            let path = slot.path.below(Step::Key(twin.key.0, twin.key.1));
            self.stray(
                FaultKind::DuplicateField,
                &path,
                twin.at,
                "the key is there twice",
            );
        }
        self.order.arrange_entries(start, base, &mut self.out);
        Ok(())
    }

    /// Writes a union's message, the value read into the chosen field.
    fn union(&mut self, slot: Slot<'_>, chosen: Chosen<'static>) -> Fallible<()> {
        let begun = self.begin(slot);
        if let Some(also) = chosen.also {
            self.out.put_varint(also.tag.into());
            self.out.push(1);
        }
        self.depth += 1;
        self.value(Slot {
            field: chosen.field,
            part: Part::Whole,
            ..slot
        })?;
        self.depth -= 1;
        self.end(slot, begun);
        Ok(())
    }

    fn raw(&mut self, slot: Slot<'_>) -> Fallible<()> {
        let begun = self.begin(slot);
        self.out.push(1 << 3 | 2);
        let content = self.out.open();
        let copied = self.source.copy(self.depth, &mut self.out);
        copied.map_err(|fault| match fault.kind {
            FaultKind::TooDeep => {
                Box::new(self.fault_of(FaultKind::TooDeep, slot.path, slot.at, fault.message))
            }
            _ => fault,
        })?;
        self.out.close(content);
        self.end(slot, begun);
        Ok(())
    }

    fn text(&mut self, slot: Slot<'_>, text: &str) {
        match slot.field.kind {
            Kind::String => self.bytes(slot, text.as_bytes()),
            Kind::Quantity => self.quantity(slot, text),
            Kind::IntOrString => self.small(slot, &[(1, 1)], (!text.is_empty()).then_some((3, text))),
            Kind::Time | Kind::MicroTime => {
                match special::parse_time(text, slot.field.kind == Kind::MicroTime) {
                    // Without a byte it would be Go's zero time, not 1970.
                    Some((0, 0)) => self.small(slot, &[(1, 0)], None),
                    Some((0, nanos)) => self.small(slot, &[(2, i64::from(nanos))], None),
                    Some((seconds, 0)) => self.small(slot, &[(1, seconds)], None),
                    Some((seconds, nanos)) => self.small(slot, &[(1, seconds), (2, i64::from(nanos))], None),
                    None => self.invalid(slot, text),
                }
            }
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
                    Ok(bytes) => self.bytes(slot, &bytes),
                    Err(_) => self.invalid(slot, text),
                }
            }
            Kind::Duration => match special::parse_duration(text) {
                Some(0) => self.small(slot, &[], None),
                Some(nanos) => self.small(slot, &[(1, nanos)], None),
                None => self.invalid(slot, text),
            },
            Kind::Raw
            | Kind::Bool
            | Kind::Int32
            | Kind::Int64
            | Kind::Double
            | Kind::Message(_)
            | Kind::Union(_) => {
                self.wrong_type(slot, &Token::Text(text.into()));
            }
        }
    }

    /// An empty quantity is zero, as in Go, which prints it as such; where a field may be left out it is none.
    fn quantity(&mut self, slot: Slot<'_>, text: &str) {
        let is_absent = text.is_empty() && slot.part == Part::Whole && !slot.field.presence;
        let text = if text.is_empty() { "0" } else { text };
        self.small(slot, &[], (!is_absent).then_some((1, text)));
    }

    fn number(&mut self, slot: Slot<'_>, number: Number<'_>) {
        let is_32_bits = matches!(slot.field.kind, Kind::Int32 | Kind::IntOrString);
        let fits = number
            .integer
            .filter(|&n| !is_32_bits || i32::try_from(n).is_ok());
        match (slot.field.kind, fits) {
            (Kind::Int32 | Kind::Int64, Some(number)) => self.varint(slot, number),
            (Kind::IntOrString, Some(0)) => self.small(slot, &[], None),
            (Kind::IntOrString, Some(number)) => self.small(slot, &[(2, number)], None),
            (Kind::Quantity, _) => self.small(slot, &[], Some((1, number.text))),
            (Kind::Double, _) => self.double(slot, number.double()),
            (Kind::Int32 | Kind::Int64 | Kind::IntOrString, None) if number.is_integer => {
                let bits = if is_32_bits { 32 } else { 64 };
                let message = format!("integer `{}` does not fit {bits} bits", shorten(number.text));
                self.fault(FaultKind::InvalidValue, slot, message);
            }
            _ => self.wrong_type(slot, &Token::Number(number)),
        }
    }

    fn wrong_type(&mut self, slot: Slot<'_>, got: &Token<'_>) {
        let message = format!("expected {}, got {got}", slot.expected());
        self.fault(FaultKind::WrongType, slot, message);
    }

    fn invalid(&mut self, slot: Slot<'_>, got: &str) {
        let message = format!("expected {}, got \"{}\"", slot.expected(), shorten(got));
        self.fault(FaultKind::InvalidValue, slot, message);
    }

    fn varint(&mut self, slot: Slot<'_>, number: i64) {
        if number != 0 || slot.writes_zero() {
            self.out.put_varint(slot.tag().into());
            self.out.put_varint(number as u64);
        }
    }

    fn double(&mut self, slot: Slot<'_>, number: f64) {
        if number.to_bits() != 0 || slot.writes_zero() {
            self.out.put_varint(slot.tag().into());
            self.out.put(&number.to_le_bytes());
        }
    }

    #[inline]
    fn bytes(&mut self, slot: Slot<'_>, bytes: &[u8]) {
        if !bytes.is_empty() || slot.writes_zero() {
            self.out.put_varint(slot.tag().into());
            self.out.put_bytes(bytes);
        }
    }

    fn begin(&mut self, slot: Slot<'_>) -> Begun {
        let start = self.out.len();
        self.out.put_varint(slot.tag().into());
        let content = self.out.open();
        Begun { start, content }
    }

    fn end(&mut self, slot: Slot<'_>, begun: Begun) {
        if self.out.len() == begun.content && !slot.writes_zero() {
            self.out.truncate(begun.start);
        } else {
            self.out.close(begun.content);
        }
    }

    /// Writes a small message of these numbers and this text.
    fn small(&mut self, slot: Slot<'_>, numbers: &[(u8, i64)], text: Option<(u8, &str)>) {
        let begun = self.begin(slot);
        for &(field, number) in numbers {
            self.out.push(field << 3);
            self.out.put_varint(number as u64);
        }
        if let Some((field, text)) = text {
            self.out.push(field << 3 | 2);
            self.out.put_bytes(text.as_bytes());
        }
        self.end(slot, begun);
    }
}
