//! The schema as a table that the transcoder walks.
//!
//! In: the descriptors of every Kubernetes message, with our field options. Out: per message its JSON fields (those of
//! inlined messages lifted into it) found by wire number and by JSON name. Compiled once, at first use.
//!
//! Invariant: a message's fields are sorted by JSON name, and an index into them fits the `u128` of fields seen.

use super::buffer::Padded;
use crate::kinds;
use prost::encoding::WireType;
use prost_reflect::{
    Cardinality, DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind as ProtoKind, MessageDescriptor,
    Value,
};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Nesting allowed in wire bytes and in JSON. Kubernetes' own kinds need about 15 levels; prost stops at 100 too.
pub const MAX_DEPTH: usize = 100;

/// Objects of custom kinds. Their fields are no fields of the message: see `custom.rs`.
const CUSTOM_RESOURCE: &str = "orrery.v1.CustomResource";

/// More fields in one message would not fit the reader's bit set of fields seen.
const MAX_FIELDS: usize = 128;

/// How a value is written on the wire and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    /// Any number in JSON.
    Double,
    String,
    /// Base64 in JSON.
    Bytes,
    /// A string in JSON; a number is read too.
    Quantity,
    /// A number or a string in JSON.
    IntOrString,
    /// RFC 3339 in seconds.
    Time,
    /// RFC 3339 in microseconds.
    MicroTime,
    /// Go's notation: `1h0m0s`.
    Duration,
    /// JSON kept as it is in a message's first field (RawExtension, FieldsV1).
    Raw,
    /// An object; the index of its message in [`Schema::messages`].
    Message(u16),
    /// One of an object, a list and a bool; the index of the message whose fields hold them, see [`Union`].
    Union(u16),
}

impl Kind {
    /// The wire type of one value.
    pub(super) fn wire_type(self) -> WireType {
        match self {
            Self::Bool | Self::Int32 | Self::Int64 => WireType::Varint,
            Self::Double => WireType::SixtyFourBit,
            _ => WireType::LengthDelimited,
        }
    }
}

/// How many values a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    List,
    /// Keys are strings; upstream has no others.
    Map,
}

/// One JSON field.
#[derive(Debug)]
pub(super) struct Field {
    /// As JSON spells it.
    pub(super) name: String,
    /// `,"name":` and `"name":`, ready to be written: the first field goes without the comma.
    pub(super) quoted: [Padded; 2],
    pub(super) number: u32,
    /// The number of the inlined message that holds the field; 0 when the message itself holds it.
    pub(super) outer: u32,
    /// What precedes a value on the wire: number and wire type.
    pub(super) tag: u32,
    /// Where the field stands in a canonical encoding: by the number of what holds it, then by its own.
    pub(super) order: u32,
    /// The values; for a map those of its entries.
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    /// JSON prints it even when it is empty.
    pub(super) always: bool,
    /// Empty is different from absent (a pointer in Go).
    pub(super) presence: bool,
}

/// What a wire number stands for.
#[derive(Debug)]
pub(super) enum Target {
    Unknown,
    /// Index into [`Message::fields`].
    Field(u16),
    /// A message whose fields JSON lifts into its parent's.
    Inline(Vec<Target>),
}

/// What a wire number stands for; numbers past the end are unknown.
pub(super) fn target(targets: &[Target], number: u32) -> &Target {
    targets.get(number as usize).unwrap_or(&Target::Unknown)
}

/// `apiVersion` and `kind` of a message that stands alone.
#[derive(Debug)]
pub(super) struct TypeMeta {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// Clients send these kinds under any version of any group (DeleteOptions).
    pub(super) any_version: bool,
    /// `"apiVersion":…,"kind":…`, ready to be written.
    pub(super) quoted: String,
}

/// The fields of a message that JSON writes as the one of them that is set: indexes into [`Message::fields`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Union {
    pub(super) object: Option<u16>,
    pub(super) list: Option<u16>,
    pub(super) bool: Option<u16>,
}

/// The forms of value that unions tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Object,
    List,
    Bool,
}

/// Which field of a union takes a value.
pub(super) struct Chosen<'s> {
    pub(super) field: &'s Field,
    /// The union's bool, which is true where another field is set.
    pub(super) also: Option<&'s Field>,
}

/// One message of the schema: everything that the transcoder has to know about it.
#[derive(Debug)]
pub struct Message {
    pub(super) full_name: String,
    pub(super) type_meta: Option<TypeMeta>,
    pub(super) fields: Vec<Field>,
    pub(super) targets: Vec<Target>,
    /// Indexes of the fields that JSON always prints, ascending.
    pub(super) always: Vec<u16>,
    /// Set when JSON writes one field in place of the message.
    pub(super) union: Option<Union>,
    names: NameTable,
}

impl Message {
    /// The message of an arm of `orrery.v1.Object`.
    pub fn by_number(number: u32) -> Option<&'static Self> {
        let schema = schema();
        schema
            .by_arm
            .get(&number)
            .map(|&i| &schema.messages[usize::from(i)])
    }

    /// The message of a full protobuf name: `k8s.io.apimachinery.pkg.apis.meta.v1.Status`.
    pub fn by_name(full_name: &str) -> Option<&'static Self> {
        let schema = schema();
        schema
            .by_name
            .get(full_name)
            .map(|&i| &schema.messages[usize::from(i)])
    }

    /// The `apiVersion` and `kind` of a message that stands alone.
    pub fn type_meta(&self) -> Option<(&str, &str)> {
        let meta = self.type_meta.as_ref()?;
        Some((&meta.api_version, &meta.kind))
    }

    /// The message's full protobuf name.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Which field of a union takes a value of this form, if any does.
    pub(super) fn chosen(&self, form: Form) -> Option<Chosen<'_>> {
        let union = self.union?;
        let at = |index: u16| &self.fields[usize::from(index)];
        let field = at(match form {
            Form::Object => union.object,
            Form::List => union.list,
            Form::Bool => union.bool,
        }?);
        let also = union.bool.map(at).filter(|_| form != Form::Bool);
        Some(Chosen { field, also })
    }

    /// The index of the field that JSON calls `name`.
    pub(super) fn field_index(&self, name: &str) -> Option<u16> {
        self.names.find(&self.fields, name)
    }
}

/// A hash table from JSON names to fields. Names are told apart by their first and last eight bytes; only longer ones
/// than both together are compared as a whole.
#[derive(Debug)]
struct NameTable {
    slots: Vec<Slot>,
    mask: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    words: (u64, u64),
    len: u32,
    index: u16,
}

const FREE: Slot = Slot {
    words: (0, 0),
    len: u32::MAX,
    index: 0,
};

impl NameTable {
    fn new(fields: &[Field]) -> Self {
        let size = (fields.len() * 2).next_power_of_two().max(2);
        let mut table = Self {
            slots: vec![FREE; size],
            mask: size - 1,
        };
        for (index, field) in fields.iter().enumerate() {
            let words = words(field.name.as_bytes());
            let mut slot = hash(words) & table.mask;
            while table.slots[slot].len != FREE.len {
                slot = (slot + 1) & table.mask;
            }
            table.slots[slot] = Slot {
                words,
                len: field.name.len() as u32,
                index: index as u16,
            };
        }
        table
    }

    #[inline]
    fn find(&self, fields: &[Field], name: &str) -> Option<u16> {
        let words = words(name.as_bytes());
        let mut slot = hash(words) & self.mask;
        loop {
            let found = &self.slots[slot];
            if found.words == words
                && found.len as usize == name.len()
                && (name.len() <= 16 || fields[usize::from(found.index)].name == name)
            {
                return Some(found.index);
            }
            if found.len == FREE.len {
                return None;
            }
            slot = (slot + 1) & self.mask;
        }
    }
}

/// The first and the last eight bytes of a name; they overlap in short ones.
#[inline]
fn words(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        (
            u32::from_le_bytes(*first).into(),
            u32::from_le_bytes(*last).into(),
        )
    } else {
        let word = name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        (word, 0)
    }
}

#[inline]
fn hash((first, last): (u64, u64)) -> usize {
    let spread = (first ^ last.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (spread >> 40) as usize
}

/// Every message that can be transcoded.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) messages: Vec<Message>,
    by_name: HashMap<String, u16>,
    by_arm: HashMap<u32, u16>,
}

/// The compiled schema.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(compile);
    &SCHEMA
}

/// The message behind [`Kind::Message`].
pub(super) fn message(index: u16) -> &'static Message {
    &schema().messages[usize::from(index)]
}

fn compile() -> Schema {
    let pool = proto::descriptors();
    let descriptors: Vec<MessageDescriptor> = pool
        .all_messages()
        .filter(|m| m.full_name().starts_with("k8s.io.") || m.full_name() == CUSTOM_RESOURCE)
        .filter(|m| !m.is_map_entry())
        .collect();
    let by_name: HashMap<String, u16> = descriptors
        .iter()
        .enumerate()
        .map(|(i, m)| (m.full_name().to_owned(), i as u16))
        .collect();
    let object = pool
        .get_message_by_name("orrery.v1.Object")
        .expect("object.proto declares it");
    let by_arm: HashMap<u32, u16> = object
        .fields()
        .filter_map(|arm| match arm.kind() {
            ProtoKind::Message(m) => Some((arm.number(), by_name[m.full_name()])),
            _ => None,
        })
        .collect();
    let standing_alone: Vec<u16> = by_arm.values().copied().collect();
    let options = Options::new(pool);
    let messages = descriptors
        .iter()
        .enumerate()
        .map(|(i, m)| compile_message(m, &by_name, &options, standing_alone.contains(&(i as u16))))
        .collect();
    Schema {
        messages,
        by_name,
        by_arm,
    }
}

fn compile_message(
    descriptor: &MessageDescriptor,
    by_name: &HashMap<String, u16>,
    options: &Options,
    alone: bool,
) -> Message {
    let mut fields = Vec::new();
    for field in descriptor.fields() {
        let flags = options.of(&field);
        if !flags.inline {
            fields.push(compile_field(&field, 0, by_name, options, &flags));
            continue;
        }
        let inlined = message_of(&field).expect("only messages are inlined");
        for inner in inlined.fields() {
            let flags = options.of(&inner);
            assert!(
                !flags.inline,
                "{}: inlining goes one level deep",
                inner.full_name()
            );
            fields.push(compile_field(&inner, field.number(), by_name, options, &flags));
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(
        fields.len() <= MAX_FIELDS,
        "{} has too many fields",
        descriptor.full_name()
    );
    let mut targets = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let holder = if field.outer == 0 {
            &mut targets
        } else {
            let slot = slot(&mut targets, field.outer);
            if matches!(slot, Target::Unknown) {
                *slot = Target::Inline(Vec::new());
            }
            match slot {
                Target::Inline(inner) => inner,
                _ => unreachable!("a number is either a field or an inlined message"),
            }
        };
        *slot(holder, field.number) = Target::Field(index as u16);
    }
    let union = options.is_union(descriptor).then(|| union_of(&fields));
    let always = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| field.always)
        .map(|(index, _)| index as u16)
        .collect();
    Message {
        full_name: descriptor.full_name().to_owned(),
        type_meta: type_meta(descriptor, alone),
        names: NameTable::new(&fields),
        fields,
        targets,
        always,
        union,
    }
}

fn union_of(fields: &[Field]) -> Union {
    let position = |is: fn(&Field) -> bool| fields.iter().position(is).map(|index| index as u16);
    Union {
        object: position(|f| f.shape == Shape::Single && matches!(f.kind, Kind::Message(_))),
        list: position(|f| f.shape == Shape::List),
        bool: position(|f| f.shape == Shape::Single && f.kind == Kind::Bool),
    }
}

fn slot(targets: &mut Vec<Target>, number: u32) -> &mut Target {
    let number = number as usize;
    while targets.len() <= number {
        targets.push(Target::Unknown);
    }
    &mut targets[number]
}

fn compile_field(
    field: &FieldDescriptor,
    outer: u32,
    by_name: &HashMap<String, u16>,
    options: &Options,
    flags: &Flags,
) -> Field {
    let (kind, shape) = match message_of(field).filter(|_| field.is_map()) {
        Some(entry) => {
            let value = entry.map_entry_value_field();
            (kind_of(&value, by_name, options, flags.micro), Shape::Map)
        }
        None if field.cardinality() == Cardinality::Repeated => {
            (kind_of(field, by_name, options, flags.micro), Shape::List)
        }
        None => (kind_of(field, by_name, options, flags.micro), Shape::Single),
    };
    let wire_type = if shape == Shape::Map {
        WireType::LengthDelimited
    } else {
        kind.wire_type()
    };
    let number = field.number();
    Field {
        name: field.json_name().to_owned(),
        quoted: [",", ""].map(|comma| Padded::new(&format!("{comma}\"{}\":", field.json_name()))),
        number,
        outer,
        tag: number << 3 | wire_type as u32,
        order: match outer {
            0 => number << 16,
            outer => outer << 16 | number,
        },
        kind,
        shape,
        always: flags.always,
        presence: field.field_descriptor_proto().proto3_optional(),
    }
}

fn kind_of(field: &FieldDescriptor, by_name: &HashMap<String, u16>, options: &Options, micro: bool) -> Kind {
    match field.kind() {
        ProtoKind::Bool => Kind::Bool,
        ProtoKind::Int32 => Kind::Int32,
        ProtoKind::Int64 => Kind::Int64,
        ProtoKind::Double => Kind::Double,
        ProtoKind::String => Kind::String,
        ProtoKind::Bytes => Kind::Bytes,
        ProtoKind::Message(m) => match m.full_name() {
            "google.protobuf.Timestamp" if micro => Kind::MicroTime,
            "google.protobuf.Timestamp" => Kind::Time,
            "k8s.io.apimachinery.pkg.api.resource.Quantity" => Kind::Quantity,
            "k8s.io.apimachinery.pkg.util.intstr.IntOrString" => Kind::IntOrString,
            "k8s.io.apimachinery.pkg.apis.meta.v1.Duration" => Kind::Duration,
            "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1"
            | "k8s.io.apimachinery.pkg.runtime.RawExtension"
            | "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON" => Kind::Raw,
            name if options.is_union(&m) => Kind::Union(by_name[name]),
            name => Kind::Message(by_name[name]),
        },
        other => panic!("{}: Kubernetes' schema has no {other:?}", field.full_name()),
    }
}

fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        ProtoKind::Message(m) => Some(m),
        _ => None,
    }
}

/// The field options that JSON depends on.
struct Options {
    inline: ExtensionDescriptor,
    always: ExtensionDescriptor,
    micro: ExtensionDescriptor,
    union: ExtensionDescriptor,
}

/// Those of one field.
struct Flags {
    inline: bool,
    always: bool,
    micro: bool,
}

impl Options {
    fn new(pool: &DescriptorPool) -> Self {
        let option = |name| {
            pool.get_extension_by_name(name)
                .expect("schema.proto declares it")
        };
        Self {
            inline: option("orrery.inline"),
            always: option("orrery.always"),
            micro: option("orrery.micro"),
            union: option("orrery.union"),
        }
    }

    fn is_union(&self, message: &MessageDescriptor) -> bool {
        matches!(*message.options().get_extension(&self.union), Value::Bool(true))
    }

    fn of(&self, field: &FieldDescriptor) -> Flags {
        let options = field.options();
        let is_set = |option| matches!(*options.get_extension(option), Value::Bool(true));
        Flags {
            inline: is_set(&self.inline),
            always: is_set(&self.always),
            micro: is_set(&self.micro),
        }
    }
}

/// Package `k8s.io.api.<directory>.<version>` names its group by directory; the registry knows the group's full name.
fn type_meta(descriptor: &MessageDescriptor, alone: bool) -> Option<TypeMeta> {
    let package = descriptor.package_name();
    let kind = descriptor.name();
    let (api_version, any_version) = if package == "k8s.io.apimachinery.pkg.apis.meta.v1" {
        if !matches!(kind, "Status" | "DeleteOptions") {
            return None;
        }
        ("v1".to_owned(), true)
    } else if let Some(info) = kinds::all()
        .iter()
        .find(|info| info.message == descriptor.full_name())
    {
        (info.api_version(), false)
    } else if alone {
        let (directory, version) = package.strip_prefix("k8s.io.api.")?.split_once('.')?;
        let sibling = kinds::all().iter().find(|info| {
            info.message
                .strip_prefix("k8s.io.api.")
                .and_then(|m| m.split('.').next())
                == Some(directory)
        });
        let api_version = match sibling.map(|info| info.group) {
            Some("") => version.to_owned(),
            Some(group) => format!("{group}/{version}"),
            // Groups of which nothing is stored; all of them came late enough to have the suffix.
            None => format!("{directory}.k8s.io/{version}"),
        };
        (api_version, false)
    } else {
        return None;
    };
    Some(TypeMeta {
        quoted: format!("\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\""),
        api_version,
        kind: kind.to_owned(),
        any_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_kind_has_its_message_and_type_meta() {
        for info in kinds::all() {
            let message = Message::by_number(info.arm()).unwrap();
            let meta = message.type_meta.as_ref().unwrap();
            assert_eq!(
                (meta.api_version.as_str(), meta.kind.as_str()),
                (info.api_version().as_str(), info.kind)
            );
        }
        for (number, api_version, kind) in [
            (1000, "autoscaling/v1", "Scale"),
            (1003, "authorization.k8s.io/v1", "SelfSubjectAccessReview"),
            (1005, "authentication.k8s.io/v1", "SelfSubjectReview"),
            (1006, "autoscaling/v1", "HorizontalPodAutoscaler"),
            (1007, "events.k8s.io/v1", "Event"),
        ] {
            let meta = Message::by_number(number).unwrap().type_meta.as_ref().unwrap();
            assert_eq!(
                (meta.api_version.as_str(), meta.kind.as_str()),
                (api_version, kind)
            );
        }
    }

    #[test]
    fn every_field_is_found_by_its_name_and_number_and_no_other_is() {
        for message in &schema().messages {
            for (index, field) in message.fields.iter().enumerate() {
                assert_eq!(
                    message.field_index(&field.name),
                    Some(index as u16),
                    "{}",
                    message.full_name
                );
                let targets = match field.outer {
                    0 => &message.targets,
                    outer => match target(&message.targets, outer) {
                        Target::Inline(inner) => inner,
                        other => panic!("{} is {other:?}", message.full_name),
                    },
                };
                assert!(
                    matches!(target(targets, field.number), Target::Field(i) if usize::from(*i) == index)
                );
                assert_eq!(message.field_index(&format!("{}x", field.name)), None);
            }
            assert_eq!(message.field_index(""), None);
        }
    }
}
