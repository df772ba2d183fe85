//! Wire bytes from strangers: is this a well-formed object, and what in it does the schema not have?
//!
//! In: a message and its bytes. Out: every fault and every unknown field, each by its path.
//!
//! Invariant: bytes without a fault decode with prost and print as JSON.

use super::fault::{Fault, FaultKind, MAX_FAULTS, Segment};
use super::raw;
use super::schema::{self, Field, Kind, MAX_DEPTH, Message, Shape, Target};
use super::wire;
use crate::wire::{Fields, Value, varint};

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Fault>,
    pub(super) unknown: Vec<Fault>,
}

/// Walks all of a message.
pub(super) fn check(message: &'static Message, bytes: &[u8]) -> Findings {
    let mut checker = Checker {
        found: Findings::default(),
        path: Vec::new(),
        depth: 0,
    };
    checker.message(message, bytes);
    checker.found
}

struct Checker {
    found: Findings,
    path: Vec<Segment>,
    /// How many messages the walk is in.
    depth: usize,
}

impl Checker {
    fn fault(&mut self, mut fault: Fault) {
        // What a stranger sends may have a fault in every other byte.
        if self.found.faults.len() < MAX_FAULTS {
            let mut path = self.path.clone();
            path.append(&mut fault.path);
            self.found.faults.push(Fault { path, ..fault });
        }
    }

    fn unknown(&mut self, number: u32) {
        if self.found.unknown.len() < MAX_FAULTS {
            let mut path = self.path.clone();
            path.push(Segment::Field(number.to_string()));
            let fault = Fault::new(FaultKind::UnknownField, "no field has this number");
            self.found.unknown.push(Fault { path, ..fault });
        }
    }

    fn message(&mut self, message: &'static Message, bytes: &[u8]) {
        if self.depth >= MAX_DEPTH {
            self.fault(Fault::new(
                FaultKind::TooDeep,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
            return;
        }
        let mut counts = vec![0; message.fields.len()];
        self.depth += 1;
        self.records(message, &message.targets, &mut counts, bytes);
        self.depth -= 1;
    }

    /// `counts` holds how many items of each list were seen, to number them by.
    fn records(
        &mut self,
        message: &'static Message,
        targets: &'static [Target],
        counts: &mut [usize],
        bytes: &[u8],
    ) {
        for found in Fields::new(bytes) {
            let found = match found {
                Ok(found) => found,
                Err(error) => return self.fault(*Box::from(error)),
            };
            match schema::target(targets, found.number) {
                Target::Field(index) => {
                    let index = usize::from(*index);
                    let field = &message.fields[index];
                    self.path.push(Segment::Field(field.name.clone()));
                    self.field(field, found.value, counts[index]);
                    self.path.pop();
                    counts[index] += 1;
                }
                Target::Inline(inner) => match wire::bytes(found.value) {
                    Ok(bytes) => self.records(message, inner, counts, bytes),
                    Err(fault) => self.fault(*fault),
                },
                Target::Unknown => self.unknown(found.number),
            }
        }
    }

    fn field(&mut self, field: &'static Field, value: Value<'_>, index: usize) {
        match field.shape {
            Shape::Single => self.value(field.kind, value),
            Shape::List => {
                self.path.push(Segment::Index(index));
                match (field.kind, value) {
                    (Kind::Bool | Kind::Int32 | Kind::Int64, Value::Bytes(packed)) => self.packed(packed),
                    _ => self.value(field.kind, value),
                }
                self.path.pop();
            }
            Shape::Map => match wire::bytes(value).and_then(wire::entry_of) {
                Ok((key, value)) => {
                    self.path.push(Segment::Key(key.to_owned()));
                    self.depth += 1;
                    if let Some(value) = value {
                        self.value(field.kind, value);
                    }
                    self.depth -= 1;
                    self.path.pop();
                }
                Err(fault) => self.fault(*fault),
            },
        }
    }

    fn packed(&mut self, mut packed: &[u8]) {
        while !packed.is_empty() {
            if let Err(error) = varint(&mut packed) {
                return self.fault(*Box::from(error));
            }
        }
    }

    fn value(&mut self, kind: Kind, value: Value<'_>) {
        let result = match kind {
            Kind::Bool | Kind::Int32 | Kind::Int64 => wire::varint(value).map(drop),
            Kind::Double => wire::double(value).map(drop),
            Kind::String => wire::text(value).map(drop),
            Kind::Bytes => wire::bytes(value).map(drop),
            Kind::Quantity => wire::bytes(value).and_then(wire::text_of).map(drop),
            Kind::IntOrString => wire::bytes(value).and_then(wire::int_or_string_of).map(drop),
            Kind::Time | Kind::MicroTime => wire::bytes(value).and_then(wire::time_of).map(drop),
            Kind::Duration => wire::bytes(value).and_then(wire::number_of).map(drop),
            Kind::Raw => match wire::bytes(value).and_then(wire::raw_of) {
                Ok([]) => Ok(()),
                Ok(json) => raw::check(json, self.depth),
                Err(fault) => Err(fault),
            },
            Kind::Message(index) | Kind::Union(index) => match wire::bytes(value) {
                Ok(bytes) => return self.message(schema::message(index), bytes),
                Err(fault) => Err(fault),
            },
        };
        if let Err(fault) = result {
            self.fault(*fault);
        }
    }
}
