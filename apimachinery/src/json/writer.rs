//! Wire bytes to JSON, in one pass over each message.
//!
//! In: a message's encoded bytes. Out: its JSON, appended to a `Vec<u8>`. Fields are sorted by name, as kubectl shows
//! them, with `apiVersion` and `kind` first; maps are sorted by key. Unknown wire fields are left out.
//!
//! Invariant: what is appended is valid JSON, or an error is returned and the rest of the buffer is rubbish.

use super::buffer::Buffer;
use super::fault::{Fallible, Fault, FaultKind, Segment};
use super::raw;
use super::scanner::escape;
use super::schema::{self, Field, Kind, MAX_DEPTH, Message, Shape, Target};
use super::special;
use super::wire::{self, IntOrString};
use crate::wire::{Fields, Value, varint};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A record that was found in a message: which field it belongs to, and its value.
#[derive(Clone, Copy)]
struct Record<'a> {
    field: u16,
    value: Value<'a>,
}

/// Appends the JSON of a message that stands alone.
pub(super) fn write(message: &'static Message, bytes: &[u8], out: &mut Vec<u8>) -> Fallible<()> {
    // JSON is about twice as long as the wire's form.
    let mut buffer = Buffer::behind(std::mem::take(out), bytes.len() * 2);
    let written = write_to(message, bytes, &mut buffer);
    *out = buffer.into_vec();
    written
}

/// [`write()`], to where something else was written already.
pub(super) fn write_to(message: &'static Message, bytes: &[u8], out: &mut Buffer) -> Fallible<()> {
    Writer {
        out,
        records: Vec::with_capacity(RECORDS),
    }
    .message(message, bytes, 0, true)
}

/// Room for the records of a usual object's messages, on the way to the deepest one.
const RECORDS: usize = 64;

struct Writer<'a, 'o> {
    out: &'o mut Buffer,
    /// The records of every message that is being written, outermost first.
    records: Vec<Record<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn message(
        &mut self,
        message: &'static Message,
        bytes: &'a [u8],
        depth: usize,
        alone: bool,
    ) -> Fallible<()> {
        if depth >= MAX_DEPTH {
            return Err(Fault::boxed(
                FaultKind::TooDeep,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        let base = self.records.len();
        self.collect(&message.targets, bytes)?;
        let found = &mut self.records[base..];
        if !found.is_sorted_by_key(|r| r.field) {
            // Stable: the order of a list's items is theirs.
            found.sort_by_key(|r| r.field);
        }

        self.out.push(b'{');
        let empty = self.out.len();
        if alone && let Some(meta) = &message.type_meta {
            self.out.put(meta.quoted.as_bytes());
        }
        let mut always = message.always.iter().copied().peekable();
        let mut at = base;
        while at < self.records.len() {
            let index = self.records[at].field;
            let mut end = at + 1;
            while end < self.records.len() && self.records[end].field == index {
                end += 1;
            }
            while let Some(missing) = always.next_if(|&a| a < index) {
                self.absent(&message.fields[usize::from(missing)], empty, depth)?;
            }
            let is_always = always.next_if_eq(&index).is_some();
            let field = &message.fields[usize::from(index)];
            let before = self.out.len();
            let written = self.field(field, at, end, empty, depth);
            if !written.map_err(|fault| fault.below(Segment::Field(field.name.clone())))? {
                self.out.truncate(before);
                if is_always {
                    self.absent(field, empty, depth)?;
                }
            }
            at = end;
        }
        for missing in always {
            self.absent(&message.fields[usize::from(missing)], empty, depth)?;
        }
        self.out.push(b'}');
        self.records.truncate(base);
        Ok(())
    }

    /// Finds the records of a message and of those inlined in it.
    fn collect(&mut self, targets: &[Target], bytes: &'a [u8]) -> Fallible<()> {
        for found in Fields::new(bytes) {
            let found = found?;
            match schema::target(targets, found.number) {
                Target::Field(field) => self.records.push(Record {
                    field: *field,
                    value: found.value,
                }),
                Target::Inline(inner) => self.collect(inner, wire::bytes(found.value)?)?,
                Target::Unknown => {}
            }
        }
        Ok(())
    }

    fn key(&mut self, field: &Field, empty: usize) {
        let is_first = self.out.len() == empty;
        self.out.put_padded(&field.quoted[usize::from(is_first)]);
    }

    /// Writes a field that JSON prints although there is nothing in it, as Go prints its zero value.
    fn absent(&mut self, field: &Field, empty: usize, depth: usize) -> Fallible<()> {
        self.key(field, empty);
        if field.presence || field.shape != Shape::Single {
            self.out.put(b"null");
            return Ok(());
        }
        self.zero(field.kind, depth)
    }

    fn zero(&mut self, kind: Kind, depth: usize) -> Fallible<()> {
        let text: &[u8] = match kind {
            Kind::Bool => b"false",
            Kind::Int32 | Kind::Int64 | Kind::Double | Kind::IntOrString => b"0",
            Kind::String => b"\"\"",
            Kind::Quantity => b"\"0\"",
            Kind::Duration => b"\"0s\"",
            Kind::Bytes | Kind::Time | Kind::MicroTime | Kind::Raw => b"null",
            Kind::Union(index) => return self.union(schema::message(index), &[], depth + 1),
            Kind::Message(index) => return self.message(schema::message(index), &[], depth + 1, false),
        };
        self.out.put(text);
        Ok(())
    }

    /// Writes the field of `records[at..end]`. False when it is empty and must not be printed.
    fn field(
        &mut self,
        field: &'static Field,
        at: usize,
        end: usize,
        empty: usize,
        depth: usize,
    ) -> Fallible<bool> {
        self.key(field, empty);
        match field.shape {
            Shape::Single => {
                let value = self.records[end - 1].value;
                if let Kind::Message(index) = field.kind {
                    if end - at > 1 {
                        self.merged(index, at, end, depth)?;
                        return Ok(true);
                    }
                    if !field.presence && wire::bytes(value)?.is_empty() {
                        return Ok(false);
                    }
                }
                self.single(field, value, depth)
            }
            Shape::List => {
                self.items(field, at, end, depth)?;
                Ok(true)
            }
            Shape::Map => {
                self.map(field, at, end, depth)?;
                Ok(true)
            }
        }
    }

    fn single(&mut self, field: &'static Field, value: Value<'a>, depth: usize) -> Fallible<bool> {
        // A time without any bytes is Go's zero time, which JSON does not know.
        let is_zero = match field.kind {
            Kind::Bool | Kind::Int32 | Kind::Int64 => wire::varint(value)? == 0 && !field.presence,
            Kind::Time | Kind::MicroTime => wire::bytes(value)?.is_empty(),
            Kind::Raw => wire::raw_of(wire::bytes(value)?)?.is_empty(),
            Kind::Double => wire::double(value)?.to_bits() == 0 && !field.presence,
            Kind::Message(_) | Kind::Union(_) => false,
            _ => wire::bytes(value)?.is_empty() && !field.presence,
        };
        if !is_zero {
            self.value(field.kind, value, depth)?;
        }
        Ok(!is_zero)
    }

    /// Writes a message that is there more than once: protobuf merges them, which is reading them one after the other.
    fn merged(&mut self, index: u16, at: usize, end: usize, depth: usize) -> Fallible<()> {
        let mut joined = Vec::new();
        for record in &self.records[at..end] {
            joined.extend_from_slice(wire::bytes(record.value)?);
        }
        let mut inner = Writer {
            out: self.out,
            records: Vec::new(),
        };
        inner.message(schema::message(index), &joined, depth + 1, false)
    }

    fn item(
        &mut self,
        field: &Field,
        value: Value<'a>,
        first: usize,
        index: usize,
        depth: usize,
    ) -> Fallible<()> {
        // A list of numbers may come packed, whatever the schema says.
        if let (Value::Bytes(mut packed), Kind::Bool | Kind::Int32 | Kind::Int64) = (value, field.kind) {
            while !packed.is_empty() {
                let number = varint(&mut packed)?;
                self.item(field, Value::Varint(number), first, index, depth)?;
            }
            return Ok(());
        }
        if self.out.len() > first {
            self.out.push(b',');
        }
        self.value(field.kind, value, depth)
            .map_err(|fault| fault.below(Segment::Index(index)))
    }

    fn map(&mut self, field: &Field, at: usize, end: usize, depth: usize) -> Fallible<()> {
        let start = self.out.len();
        self.out.push(b'{');
        let mut last_key: Option<&str> = None;
        for i in at..end {
            let (key, value) = wire::entry_of(wire::bytes(self.records[i].value)?)?;
            if last_key.is_some_and(|last| last >= key) {
                self.out.truncate(start);
                return self.unsorted_map(field, at, end, depth);
            }
            self.entry(field, key, value, last_key.is_none(), depth)?;
            last_key = Some(key);
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Go writes maps in any order, and a key that is there twice counts once, with its last value.
    fn unsorted_map(&mut self, field: &Field, at: usize, end: usize, depth: usize) -> Fallible<()> {
        let mut entries = std::collections::BTreeMap::new();
        for record in &self.records[at..end] {
            let (key, value) = wire::entry_of(wire::bytes(record.value)?)?;
            entries.insert(key, value);
        }
        self.out.push(b'{');
        for (i, (key, value)) in entries.into_iter().enumerate() {
            self.entry(field, key, value, i == 0, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn entry(
        &mut self,
        field: &Field,
        key: &str,
        value: Option<Value<'a>>,
        first: bool,
        depth: usize,
    ) -> Fallible<()> {
        let depth = depth + 1;
        if !first {
            self.out.push(b',');
        }
        write_text(key.as_bytes(), self.out)?;
        self.out.push(b':');
        match value {
            Some(value) => self.value(field.kind, value, depth),
            // Go reads an entry without a value as empty bytes, not as none.
            None if field.kind == Kind::Bytes => {
                self.out.put(b"\"\"");
                Ok(())
            }
            None => self.zero(field.kind, depth),
        }
        .map_err(|fault| fault.below(Segment::Key(key.to_owned())))
    }

    fn value(&mut self, kind: Kind, value: Value<'a>, depth: usize) -> Fallible<()> {
        match kind {
            Kind::Bool => {
                let text: &[u8] = if wire::varint(value)? == 0 {
                    b"false"
                } else {
                    b"true"
                };
                self.out.put(text);
            }
            Kind::Int32 => write_number(i64::from(wire::varint(value)? as i32), self.out),
            Kind::Int64 => write_number(wire::varint(value)? as i64, self.out),
            Kind::Double => write_double(wire::double(value)?, self.out),
            Kind::String => write_text(wire::bytes(value)?, self.out)?,
            Kind::Bytes => write_base64(wire::bytes(value)?, self.out),
            Kind::Quantity => match wire::text_of(wire::bytes(value)?)? {
                "" => self.out.put(b"\"0\""),
                text => write_string(text, self.out),
            },
            Kind::IntOrString => match wire::int_or_string_of(wire::bytes(value)?)? {
                IntOrString::Int(number) => write_number(i64::from(number), self.out),
                IntOrString::Text(text) => write_string(text, self.out),
            },
            Kind::Time | Kind::MicroTime => {
                let bytes = wire::bytes(value)?;
                let (seconds, nanos) = wire::time_of(bytes)?;
                if bytes.is_empty() {
                    self.out.put(b"null");
                } else {
                    special::write_time(seconds, nanos, kind == Kind::MicroTime, self.out);
                }
            }
            Kind::Duration => {
                let nanos = wire::number_of(wire::bytes(value)?)?;
                write_string(&special::format_duration(nanos), self.out);
            }
            Kind::Raw => match wire::raw_of(wire::bytes(value)?)? {
                [] => self.out.put(b"null"),
                json => raw::copy(json, depth + 1, self.out)?,
            },
            Kind::Message(index) => {
                self.message(schema::message(index), wire::bytes(value)?, depth + 1, false)?;
            }
            Kind::Union(index) => self.union(schema::message(index), wire::bytes(value)?, depth + 1)?,
        }
        Ok(())
    }

    /// Writes the one field that is set in place of the message that holds it.
    fn union(&mut self, message: &'static Message, bytes: &'a [u8], depth: usize) -> Fallible<()> {
        let base = self.records.len();
        self.collect(&message.targets, bytes)?;
        self.records[base..].sort_by_key(|r| r.field);
        let union = message.union.unwrap_or_default();
        let of = |index: Option<u16>| {
            let index = index?;
            let records = &self.records[base..];
            let from = records.partition_point(|r| r.field < index);
            let until = records.partition_point(|r| r.field <= index);
            (from < until).then_some((index, base + from, base + until))
        };
        let found = of(union.list)
            .or_else(|| of(union.object))
            .or_else(|| of(union.bool));
        match found {
            Some((index, at, end)) => {
                let field = &message.fields[usize::from(index)];
                match field.kind {
                    Kind::Message(inner) if field.shape == Shape::Single && end - at > 1 => {
                        self.merged(inner, at, end, depth)?;
                    }
                    _ if field.shape == Shape::List => self.items(field, at, end, depth)?,
                    kind => self.value(kind, self.records[end - 1].value, depth)?,
                }
            }
            None if union.bool.is_some() => self.out.put(b"false"),
            None if union.object.is_some() => self.out.put(b"null"),
            None => self.out.put(b"[]"),
        }
        self.records.truncate(base);
        Ok(())
    }

    fn items(&mut self, field: &'static Field, at: usize, end: usize, depth: usize) -> Fallible<()> {
        self.out.push(b'[');
        let first = self.out.len();
        for i in at..end {
            let value = self.records[i].value;
            self.item(field, value, first, i - at, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }
}

fn write_number(number: i64, out: &mut Buffer) {
    out.put(itoa::Buffer::new().format(number).as_bytes());
}

/// As Go prints it: whole numbers without a fraction.
pub(super) fn write_double(number: f64, out: &mut Buffer) {
    /// Every whole number up to here is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= EXACT && !is_negative_zero {
        write_number(number as i64, out);
    } else {
        out.put(&serde_json::to_vec(&number).expect("a finite number is printable"));
    }
}

/// Appends a string that need not be UTF-8. Nearly all of Kubernetes' strings are plain ASCII, and copying them tells.
#[inline]
fn write_text(bytes: &[u8], out: &mut Buffer) -> Fallible<()> {
    if !out.put_quoted(bytes) {
        write_escaped(wire::utf8(bytes)?, out);
    }
    Ok(())
}

pub(super) fn write_string(text: &str, out: &mut Buffer) {
    if !out.put_quoted(text.as_bytes()) {
        write_escaped(text, out);
    }
}

fn write_escaped(text: &str, out: &mut Buffer) {
    out.push(b'"');
    escape(text, &mut |piece| out.put(piece.as_bytes()));
    out.push(b'"');
}

fn write_base64(bytes: &[u8], out: &mut Buffer) {
    out.push(b'"');
    let room = out.take(bytes.len().div_ceil(3) * 4);
    let length = room.len();
    let written = STANDARD.encode_slice(bytes, room);
    debug_assert_eq!(written, Ok(length));
    out.push(b'"');
}
