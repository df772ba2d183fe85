//! Makes objects of any kind from the descriptors alone, so that a new kind or field is covered the day it is declared.
//!
//! In: a message's descriptor, a seed, and how many of its fields to fill. Out: the object, encoded.

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use std::collections::HashMap;

/// Deeper messages get no optional fields. No kind nests deeper, so that this only bounds the generator.
const MAX_DEPTH: usize = 20;

/// Schemas hold schemas in a dozen ways; without an end they would fill the memory.
const MAX_SCHEMA_DEPTH: usize = 6;

const TEXTS: [&str; 8] = [
    "web",
    "a/b",
    "10.0.0.1",
    "",
    "héllo \u{1f600}",
    "say \"hi\"\\\n\ttwice\u{7f}",
    "\u{1}",
    "yes",
];
const QUANTITIES: [&str; 6] = ["0", "1", "500m", "1.5Gi", "1e3", "-0.25"];
const JSON: [&str; 3] = [
    r#"{"spec":{"n":[1,-2,2.5,null,true]}}"#,
    r#"{"f:metadata":{"f:labels":{".":{}}}}"#,
    "{}",
];

/// A stream of choices from a seed (splitmix64).
pub(super) struct Choices(pub(super) u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.below(options.len() as u64) as usize]
    }

    fn number(&mut self) -> i64 {
        match self.below(4) {
            0 => 0,
            1 => self.below(100) as i64,
            2 => -1,
            _ => self.next() as i64,
        }
    }
}

/// An object with about `density` percent of its fields filled.
pub(super) fn object(descriptor: &MessageDescriptor, seed: u64, density: u64) -> Vec<u8> {
    message(descriptor, &mut Choices(seed), density, 0).encode_to_vec()
}

fn message(
    descriptor: &MessageDescriptor,
    choices: &mut Choices,
    density: u64,
    depth: usize,
) -> DynamicMessage {
    let mut made = DynamicMessage::new(descriptor.clone());
    let is_deep = depth >= MAX_DEPTH || (descriptor.name() == "JSONSchemaProps" && depth >= MAX_SCHEMA_DEPTH);
    for field in descriptor.fields() {
        // k8s-openapi refuses the `null` that Go prints for a required time that is not set.
        let is_needed = is_time(&field) && is_set(&field, "required");
        if is_needed || (!is_deep && choices.below(100) < density) {
            let value = value(&field, choices, density, depth);
            made.set_field(&field, value);
        }
    }
    made
}

fn value(field: &FieldDescriptor, choices: &mut Choices, density: u64, depth: usize) -> Value {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            unreachable!("maps are messages")
        };
        let values = entry.map_entry_value_field();
        let entries: HashMap<MapKey, Value> = (0..=choices.below(3))
            .map(|_| {
                let key = choices.of(&TEXTS).to_owned();
                (MapKey::String(key), single(&values, choices, density, depth))
            })
            .collect();
        return Value::Map(entries);
    }
    if field.is_list() {
        let items = (0..=choices.below(4) / 3).map(|_| single(field, choices, density, depth));
        return Value::List(items.collect());
    }
    single(field, choices, density, depth)
}

fn single(field: &FieldDescriptor, choices: &mut Choices, density: u64, depth: usize) -> Value {
    match field.kind() {
        Kind::Bool => Value::Bool(choices.below(2) == 0),
        Kind::Int32 => Value::I32(choices.number() as i32),
        Kind::Int64 => Value::I64(choices.number()),
        Kind::Double => Value::F64(f64::from(choices.number() as i32) / 4.0),
        Kind::String => Value::String(choices.of(&TEXTS).to_owned()),
        Kind::Bytes => Value::Bytes(
            choices.next().to_be_bytes()[..choices.below(9) as usize]
                .to_vec()
                .into(),
        ),
        Kind::Message(inner) => Value::Message(
            special(field, &inner, choices)
                .or_else(|| union(&inner, choices, density, depth))
                .unwrap_or_else(|| message(&inner, choices, density, depth + 1)),
        ),
        other => panic!("Kubernetes' schema has no {other:?}"),
    }
}

/// Messages whose content is not free: only some of it has a JSON form.
fn special(
    field: &FieldDescriptor,
    inner: &MessageDescriptor,
    choices: &mut Choices,
) -> Option<DynamicMessage> {
    let fields: Vec<(u32, Value)> = match inner.name() {
        "Timestamp" => {
            let nanos = if is_set(field, "micro") {
                choices.below(1_000_000) as i32 * 1000
            } else {
                0
            };
            vec![
                (1, Value::I64(1 + choices.below(4_000_000_000) as i64)),
                (2, Value::I32(nanos)),
            ]
        }
        "Quantity" => vec![(1, Value::String(choices.of(&QUANTITIES).to_owned()))],
        "IntOrString" if choices.below(2) == 0 => vec![(2, Value::I32(choices.number() as i32))],
        "IntOrString" => vec![
            (1, Value::I64(1)),
            (3, Value::String(choices.of(&TEXTS).to_owned())),
        ],
        "Duration" => vec![(1, Value::I64(choices.number()))],
        "RawExtension" | "FieldsV1" | "JSON" => {
            vec![(1, Value::Bytes(choices.of(&JSON).as_bytes().to_vec().into()))]
        }
        _ => return None,
    };
    let mut made = DynamicMessage::new(inner.clone());
    for (number, value) in fields {
        made.set_field_by_number(number, value);
    }
    Some(made)
}

/// A message of which JSON shows one field: that field alone is set, and the bool beside an object.
fn union(
    inner: &MessageDescriptor,
    choices: &mut Choices,
    density: u64,
    depth: usize,
) -> Option<DynamicMessage> {
    let option = inner.parent_pool().get_extension_by_name("orrery.union").unwrap();
    if *inner.options().get_extension(&option) != Value::Bool(true) {
        return None;
    }
    let fields: Vec<_> = inner.fields().collect();
    let chosen = &fields[choices.below(fields.len() as u64) as usize];
    let mut made = DynamicMessage::new(inner.clone());
    made.set_field(chosen, value(chosen, choices, density, depth + 1));
    let is_object = matches!(chosen.kind(), Kind::Message(_)) && !chosen.is_list();
    for bool in fields.iter().filter(|f| is_object && f.kind() == Kind::Bool) {
        made.set_field(bool, Value::Bool(true));
    }
    Some(made)
}

fn is_time(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(inner) if inner.name() == "Timestamp")
}

/// Whether a field has the boolean option `orrery.<name>`.
fn is_set(field: &FieldDescriptor, name: &str) -> bool {
    let option = field
        .parent_pool()
        .get_extension_by_name(&format!("orrery.{name}"))
        .unwrap();
    *field.options().get_extension(&option) == Value::Bool(true)
}
