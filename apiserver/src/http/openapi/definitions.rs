//! Definitions of Kubernetes' messages, made from the schema: fields as JSON spells them, its comments as descriptions,
//! its options as Kubernetes' extensions. Pure.
//!
//! In: the full name of a message. Out: its definition, which points to others by name.
//! Invariant: a definition points only to messages, so that whoever follows the pointers finds every one.

use super::names::{self, Dialect};
use prost_reflect::{
    Cardinality, DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Set,
};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

pub(super) const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1";
const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The messages that are no messages in the schema: what JSON writes for them is a value, or Go has a type of its own.
/// Their definition's description comes with them.
fn special(message: &str, dialect: Dialect) -> Option<Value> {
    let text = |format: &str, description: &str| json!({"type": "string", "format": format, "description": description});
    let comment = proto::comment(message).unwrap_or_default();
    let v3 = dialect == Dialect::V3;
    let name = message.strip_prefix("k8s.io.")?;
    Some(match name {
        "apimachinery.pkg.apis.meta.v1.Time" => text(
            "date-time",
            "A moment, in RFC 3339, to the second: `2026-01-02T03:04:05Z`.",
        ),
        "apimachinery.pkg.apis.meta.v1.MicroTime" => text(
            "date-time",
            "A moment, in RFC 3339, to the microsecond: `2026-01-02T03:04:05.000000Z`.",
        ),
        "apimachinery.pkg.apis.meta.v1.Duration" => json!({"type": "string", "description": comment}),
        "apimachinery.pkg.apis.meta.v1.FieldsV1" | "apimachinery.pkg.runtime.RawExtension" => {
            json!({"type": "object", "description": comment})
        }
        "apimachinery.pkg.apis.meta.v1.Patch" => json!({
            "type": "object",
            "description": "A change to an object, in the form that the request's content type says.",
        }),
        "apimachinery.pkg.api.resource.Quantity" if v3 => {
            json!({"oneOf": [{"type": "string"}, {"type": "number"}], "description": comment})
        }
        "apimachinery.pkg.api.resource.Quantity" => json!({"type": "string", "description": comment}),
        "apimachinery.pkg.util.intstr.IntOrString" if v3 => json!({
            "oneOf": [{"type": "integer"}, {"type": "string"}],
            "format": "int-or-string",
            "description": comment,
        }),
        "apimachinery.pkg.util.intstr.IntOrString" => text("int-or-string", comment),
        "apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON" => json!({"description": comment}),
        _ if name.ends_with(".ExtraValue") => {
            json!({"type": "array", "items": {"type": "string"}, "description": comment})
        }
        _ => return None,
    })
}

/// The definition of a message.
pub(super) fn definition(message: &str, dialect: Dialect) -> Value {
    if let Some(value) = special(message, dialect) {
        return value;
    }
    let comment = proto::comment(message).unwrap_or_default();
    let Some(descriptor) = proto::descriptors().get_message_by_name(message) else {
        return json!({"description": comment});
    };
    if OPTIONS.is_set(&descriptor, &OPTIONS.union) {
        // An object, a list or a bool: OpenAPI 2 cannot say it, and upstream leaves it open in both.
        return json!({"description": comment});
    }
    let mut fields: Vec<Property> = properties(&descriptor, dialect).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| json!(field.name))
        .collect();
    let mut out = Map::new();
    out.insert("description".into(), comment.into());
    if !required.is_empty() {
        out.insert("required".into(), required.into());
    }
    out.insert("type".into(), "object".into());
    if !fields.is_empty() {
        let fields = fields.into_iter().map(|field| (field.name, field.schema));
        out.insert("properties".into(), fields.collect::<Map<_, _>>().into());
    }
    if OPTIONS.is_set(&descriptor, &OPTIONS.atomic_struct) {
        out.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    out.into()
}

/// One field of an object.
struct Property {
    name: String,
    required: bool,
    schema: Value,
}

/// The fields as JSON has them: those of inlined messages among them.
fn properties(descriptor: &MessageDescriptor, dialect: Dialect) -> Box<dyn Iterator<Item = Property> + '_> {
    Box::new(descriptor.fields().flat_map(move |field| {
        if OPTIONS.is(&field, &OPTIONS.inline)
            && let Kind::Message(inlined) = field.kind()
        {
            return properties(&inlined, dialect).collect::<Vec<_>>();
        }
        let schema = described(&field, &value_of(&field, dialect), dialect);
        vec![Property {
            name: field.json_name().to_owned(),
            required: OPTIONS.is(&field, &OPTIONS.required),
            schema,
        }]
    }))
}

/// What a field holds.
fn value_of(field: &FieldDescriptor, dialect: Dialect) -> Value {
    let micro = OPTIONS.is(field, &OPTIONS.micro);
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let values = scalar_or_reference(&entry.map_entry_value_field(), micro, dialect);
            json!({"type": "object", "additionalProperties": values})
        }
        _ if field.cardinality() == Cardinality::Repeated => {
            json!({"type": "array", "items": scalar_or_reference(field, micro, dialect)})
        }
        _ => scalar_or_reference(field, micro, dialect),
    }
}

fn scalar_or_reference(field: &FieldDescriptor, micro: bool, dialect: Dialect) -> Value {
    match field.kind() {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int32 => json!({"type": "integer", "format": "int32"}),
        Kind::Int64 => json!({"type": "integer", "format": "int64"}),
        Kind::Double => json!({"type": "number", "format": "double"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::Message(message) => {
            let time = if micro { "MicroTime" } else { "Time" };
            let name = match message.full_name() {
                TIMESTAMP => format!("{META}.{time}"),
                name => name.to_owned(),
            };
            json!({"$ref": dialect.reference(&names::definition(&name))})
        }
        _ => json!({"type": "string"}),
    }
}

/// A field's value with what the schema says about the field.
fn described(field: &FieldDescriptor, value: &Value, dialect: Dialect) -> Value {
    let mut out = Map::new();
    let comment = proto::comment(field.full_name()).unwrap_or_default();
    out.insert("description".into(), comment.into());
    // In OpenAPI 3 nothing may stand beside a pointer.
    match value.get("$ref") {
        Some(_) if dialect == Dialect::V3 => {
            out.insert("allOf".into(), json!([value]));
        }
        _ => out.extend(value.as_object().cloned().unwrap_or_default()),
    }
    let default = OPTIONS.text(field, &OPTIONS.key_default);
    if !default.is_empty() {
        out.insert("default".into(), default.into());
    }
    extend(&mut out, field);
    out.into()
}

/// What patches and server-side apply go by.
fn extend(out: &mut Map<String, Value>, field: &FieldDescriptor) {
    let options = &*OPTIONS;
    let merge_key = options.text(field, &options.patch_merge_key);
    let merges = !merge_key.is_empty() || options.is(field, &options.patch_merge);
    let retains = options.is(field, &options.patch_retain_keys);
    let strategy = match (merges, retains) {
        (true, true) => "merge,retainKeys",
        (true, false) => "merge",
        (false, true) => "retainKeys",
        (false, false) => "",
    };
    if !strategy.is_empty() {
        out.insert("x-kubernetes-patch-strategy".into(), strategy.into());
    }
    if !merge_key.is_empty() {
        out.insert("x-kubernetes-patch-merge-key".into(), merge_key.into());
    }
    let list_type = match options.number(field, &options.list_type) {
        1 => "atomic",
        2 => "set",
        3 => "map",
        _ => "",
    };
    if !list_type.is_empty() {
        out.insert("x-kubernetes-list-type".into(), list_type.into());
    }
    let keys = options.texts(field, &options.list_map_key);
    if !keys.is_empty() {
        out.insert("x-kubernetes-list-map-keys".into(), keys.into());
    }
    if options.is(field, &options.atomic) {
        out.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
}

static OPTIONS: LazyLock<Options> = LazyLock::new(|| Options::new(proto::descriptors()));

/// The options that OpenAPI shows.
struct Options {
    inline: ExtensionDescriptor,
    micro: ExtensionDescriptor,
    required: ExtensionDescriptor,
    patch_merge: ExtensionDescriptor,
    patch_merge_key: ExtensionDescriptor,
    patch_retain_keys: ExtensionDescriptor,
    list_type: ExtensionDescriptor,
    list_map_key: ExtensionDescriptor,
    key_default: ExtensionDescriptor,
    atomic: ExtensionDescriptor,
    atomic_struct: ExtensionDescriptor,
    union: ExtensionDescriptor,
}

impl Options {
    fn new(pool: &DescriptorPool) -> Self {
        let option = |name: &str| {
            pool.get_extension_by_name(&format!("orrery.{name}"))
                .expect("schema.proto declares it")
        };
        Self {
            inline: option("inline"),
            micro: option("micro"),
            required: option("required"),
            patch_merge: option("patch_merge"),
            patch_merge_key: option("patch_merge_key"),
            patch_retain_keys: option("patch_retain_keys"),
            list_type: option("list_type"),
            list_map_key: option("list_map_key"),
            key_default: option("key_default"),
            atomic: option("atomic"),
            atomic_struct: option("atomic_struct"),
            union: option("union"),
        }
    }

    fn is(&self, field: &FieldDescriptor, option: &ExtensionDescriptor) -> bool {
        matches!(*field.options().get_extension(option), Set::Bool(true))
    }

    fn is_set(&self, message: &MessageDescriptor, option: &ExtensionDescriptor) -> bool {
        matches!(*message.options().get_extension(option), Set::Bool(true))
    }

    fn text(&self, field: &FieldDescriptor, option: &ExtensionDescriptor) -> String {
        let options = field.options();
        let value = options.get_extension(option);
        value.as_str().unwrap_or_default().to_owned()
    }

    fn texts(&self, field: &FieldDescriptor, option: &ExtensionDescriptor) -> Vec<String> {
        let options = field.options();
        let value = options.get_extension(option);
        let items = value.as_list().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    }

    fn number(&self, field: &FieldDescriptor, option: &ExtensionDescriptor) -> i32 {
        let options = field.options();
        options.get_extension(option).as_enum_number().unwrap_or_default()
    }
}
