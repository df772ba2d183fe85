//! How `patch` and `apply` merge each list, from the field options of the schema.
//!
//! In: the descriptors with `orrery.patch_merge` and `orrery.patch_merge_key`. Out: per message its JSON fields (those of
//! inlined messages lifted into it) that are lists, or lead to some. Compiled once, at first use.

use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Items {
    /// They are not: the list is one value.
    Whole,
    /// By a field of theirs.
    Keyed(String),
    /// By their value.
    Set,
}

/// The fields of one message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    fields: HashMap<String, Field>,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    /// For a list, how its items merge.
    pub(crate) items: Items,
    message: Option<usize>,
}

impl Message {
    /// The message of an arm of `orrery.v1.Object`; `None` where the schema has none.
    pub(crate) fn by_number(number: u32) -> Option<&'static Self> {
        let table = table();
        table.by_arm.get(&number).map(|&index| &table.messages[index])
    }

    /// The field that JSON calls `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }
}

impl Field {
    /// The message of the field's values. A map's values merge by key, and theirs are scalars throughout the schema.
    pub(crate) fn message(&self) -> Option<&'static Message> {
        self.message.map(|index| &table().messages[index])
    }
}

struct Table {
    messages: Vec<Message>,
    by_arm: HashMap<u32, usize>,
}

fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(compile);
    &TABLE
}

/// The field options that merging depends on.
struct Options {
    inline: ExtensionDescriptor,
    merge: ExtensionDescriptor,
    merge_key: ExtensionDescriptor,
}

fn compile() -> Table {
    let pool = proto::descriptors();
    let option = |name| {
        pool.get_extension_by_name(name)
            .expect("schema.proto declares it")
    };
    let options = Options {
        inline: option("orrery.inline"),
        merge: option("orrery.patch_merge"),
        merge_key: option("orrery.patch_merge_key"),
    };
    let descriptors: Vec<MessageDescriptor> = pool.all_messages().filter(|m| !m.is_map_entry()).collect();
    let places: HashMap<&str, usize> = descriptors
        .iter()
        .enumerate()
        .map(|(index, message)| (message.full_name(), index))
        .collect();
    let place = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(message) => places.get(message.full_name()).copied(),
        _ => None,
    };
    let messages = descriptors.iter().map(|descriptor| {
        let mut message = Message::default();
        for field in descriptor.fields() {
            if !flag(&field, &options.inline) {
                message.add(&field, &options, place(&field));
                continue;
            }
            for inner in message_of(&field).iter().flat_map(MessageDescriptor::fields) {
                message.add(&inner, &options, place(&inner));
            }
        }
        message
    });
    let object = pool
        .get_message_by_name("orrery.v1.Object")
        .expect("object.proto declares it");
    Table {
        messages: messages.collect(),
        by_arm: object
            .fields()
            .filter_map(|arm| Some((arm.number(), place(&arm)?)))
            .collect(),
    }
}

impl Message {
    fn add(&mut self, field: &FieldDescriptor, options: &Options, message: Option<usize>) {
        let items = match &*field.options().get_extension(&options.merge_key) {
            Value::String(key) if !key.is_empty() => Items::Keyed(key.clone()),
            _ if flag(field, &options.merge) => Items::Set,
            _ => Items::Whole,
        };
        // What is neither merged as a list nor leads to one needs no row.
        if items != Items::Whole || message.is_some() {
            self.fields
                .insert(field.json_name().to_owned(), Field { items, message });
        }
    }
}

fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

fn flag(field: &FieldDescriptor, option: &ExtensionDescriptor) -> bool {
    matches!(*field.options().get_extension(option), Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind as _;
    use proto::api::autoscaling::v1::Scale;
    use proto::api::core::v1::Pod;

    #[test]
    fn lists_are_found_by_their_json_names_along_the_schema() {
        let pod = Message::by_number(Pod::NUMBER).unwrap();
        let spec = pod.field("spec").unwrap().message().unwrap();
        assert_eq!(
            spec.field("containers").unwrap().items,
            Items::Keyed("name".into())
        );
        assert_eq!(spec.field("volumes").unwrap().items, Items::Keyed("name".into()));
        let meta = pod.field("metadata").unwrap().message().unwrap();
        assert_eq!(meta.field("finalizers").unwrap().items, Items::Set);
        let volume = spec.field("volumes").unwrap().message().unwrap();
        assert!(volume.field("configMap").is_some(), "an inlined volume source");
        assert!(Message::by_number(Scale::NUMBER).is_some() && Message::by_number(9999).is_none());
    }
}
