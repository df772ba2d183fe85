//! The [`Schema`] of every kind that the `.proto` files describe, compiled from their field options once.

use super::element::Scalar;
use super::schema::{Builder, Cursor, Key, Schema, Type, TypeId};
use prost_reflect::{
    Cardinality, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The type of the objects of an arm of `orrery.v1.Object`; `None` where the schema has no such arm.
pub fn of_kind(number: u32) -> Option<Cursor<'static>> {
    let compiled = compiled();
    let id = compiled.arms.get(&number)?;
    Some(compiled.schema.cursor(*id))
}

/// The type of objects of which nothing is known but that they have metadata.
pub fn of_any() -> Cursor<'static> {
    let compiled = compiled();
    compiled.schema.cursor(compiled.any)
}

/// The type of every object's metadata, for schemas that come from elsewhere ([`Type::Of`]).
pub fn object_meta() -> Cursor<'static> {
    let compiled = compiled();
    compiled.schema.cursor(compiled.meta)
}

fn compiled() -> &'static Compiled {
    static COMPILED: LazyLock<Compiled> = LazyLock::new(compile);
    &COMPILED
}

struct Compiled {
    schema: Schema,
    arms: HashMap<u32, TypeId>,
    meta: TypeId,
    any: TypeId,
}

/// `orrery.ListType`, as options hold it.
const ATOMIC: i32 = 1;
const SET: i32 = 2;
const MAP: i32 = 3;

struct Compiler {
    builder: Builder,
    atomic: TypeId,
    deduced: TypeId,
    /// The type of each message that was met, complete or not.
    messages: HashMap<String, TypeId>,
    options: HashMap<&'static str, ExtensionDescriptor>,
}

fn compile() -> Compiled {
    let pool = proto::descriptors();
    let mut builder = Builder::default();
    let (atomic, deduced) = (builder.add(Type::Atomic), builder.add(Type::Deduced));
    let names = [
        "inline",
        "atomic",
        "atomic_struct",
        "list_type",
        "list_map_key",
        "key_default",
        "patch_merge",
        "patch_merge_key",
    ];
    let options = names.map(|name| {
        let option = pool.get_extension_by_name(&format!("orrery.{name}"));
        (name, option.expect("schema.proto declares it"))
    });
    let mut compiler = Compiler {
        builder,
        atomic,
        deduced,
        messages: HashMap::new(),
        options: options.into(),
    };
    let object = pool
        .get_message_by_name("orrery.v1.Object")
        .expect("object.proto declares it");
    let arms = object.fields().filter_map(|arm| match arm.kind() {
        Kind::Message(message) => Some((arm.number(), compiler.root(&message))),
        _ => None,
    });
    let arms = arms.collect();
    let meta = pool
        .get_message_by_name("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        .expect("meta.proto declares it");
    let meta = compiler.message(&meta);
    let fields = [
        ("apiVersion", compiler.atomic),
        ("kind", compiler.atomic),
        ("metadata", meta),
    ];
    let any = compiler.builder.add(Type::Struct {
        fields: fields.map(|(name, id)| (name.into(), id)).into(),
        rest: Some(compiler.deduced),
    });
    Compiled {
        schema: compiler.builder.build(),
        arms,
        meta,
        any,
    }
}

impl Compiler {
    /// What stands alone has `apiVersion` and `kind`, which no message has.
    fn root(&mut self, message: &MessageDescriptor) -> TypeId {
        let mut fields = self.fields(message);
        fields.insert("apiVersion".into(), self.atomic);
        fields.insert("kind".into(), self.atomic);
        self.builder.add(Type::Struct { fields, rest: None })
    }

    fn message(&mut self, message: &MessageDescriptor) -> TypeId {
        match message.full_name() {
            "google.protobuf.Timestamp"
            | "k8s.io.apimachinery.pkg.api.resource.Quantity"
            | "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
            | "k8s.io.apimachinery.pkg.apis.meta.v1.Duration" => return self.atomic,
            "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1"
            | "k8s.io.apimachinery.pkg.runtime.RawExtension" => return self.deduced,
            _ => {}
        }
        if let Some(&id) = self.messages.get(message.full_name()) {
            return id;
        }
        // Messages may hold themselves.
        let id = self.builder.add(Type::Atomic);
        self.messages.insert(message.full_name().to_owned(), id);
        let is_atomic = matches!(
            *message.options().get_extension(&self.options["atomic_struct"]),
            Value::Bool(true)
        );
        if !is_atomic {
            let fields = self.fields(message);
            self.builder.set(id, Type::Struct { fields, rest: None });
        }
        id
    }

    fn fields(&mut self, message: &MessageDescriptor) -> HashMap<Box<str>, TypeId> {
        let mut fields = HashMap::new();
        for field in message.fields() {
            match field.kind() {
                Kind::Message(inlined) if self.flag(&field, "inline") => {
                    fields.extend(self.fields(&inlined));
                }
                _ => {
                    let id = self.field(&field);
                    fields.insert(field.json_name().into(), id);
                }
            }
        }
        fields
    }

    fn field(&mut self, field: &FieldDescriptor) -> TypeId {
        if self.flag(field, "atomic") {
            return self.atomic;
        }
        let items = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = match entry.map_entry_value_field().kind() {
                    Kind::Message(values) => self.message(&values),
                    _ => self.atomic,
                };
                return self.builder.add(Type::Map(values));
            }
            Kind::Message(message) => self.message(&message),
            _ => self.atomic,
        };
        if field.cardinality() != Cardinality::Repeated {
            return items;
        }
        match self.list_type(field) {
            SET => self.builder.add(Type::Set),
            MAP => {
                let keys = self.keys(field);
                self.builder.add(Type::ListMap { keys, items })
            }
            _ => self.atomic,
        }
    }

    /// A list that says nothing of apply merges as it does in a strategic merge patch.
    fn list_type(&self, field: &FieldDescriptor) -> i32 {
        match self.option(field, "list_type") {
            Value::EnumNumber(said) if said != 0 => said,
            _ if self.merge_key(field).is_some() => MAP,
            _ if self.flag(field, "patch_merge") => SET,
            _ => ATOMIC,
        }
    }

    fn keys(&self, field: &FieldDescriptor) -> Vec<Key> {
        let Kind::Message(item) = field.kind() else {
            return Vec::new();
        };
        let names: Vec<String> = match self.option(field, "list_map_key") {
            Value::List(names) if !names.is_empty() => names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => self.merge_key(field).into_iter().collect(),
        };
        let keys = names.into_iter().map(|name| {
            let of_item = item.fields().find(|field| field.json_name() == name);
            let default = of_item.and_then(|field| match self.option(&field, "key_default") {
                Value::String(text) if !text.is_empty() => Some(Scalar::Text(text.into())),
                _ => None,
            });
            Key {
                name: name.into(),
                default,
            }
        });
        keys.collect()
    }

    fn merge_key(&self, field: &FieldDescriptor) -> Option<String> {
        match self.option(field, "patch_merge_key") {
            Value::String(key) if !key.is_empty() => Some(key),
            _ => None,
        }
    }

    fn flag(&self, field: &FieldDescriptor, option: &str) -> bool {
        matches!(self.option(field, option), Value::Bool(true))
    }

    fn option(&self, field: &FieldDescriptor, option: &str) -> Value {
        let options: DynamicMessage = field.options();
        options.get_extension(&self.options[option]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind as _;
    use proto::api::core::v1::{Pod, Service};

    fn at<'s>(cursor: Cursor<'s>, path: &[&str]) -> Cursor<'s> {
        path.iter().fold(cursor, |at, name| match *name {
            "*" => at.item(),
            name => at.field(name).0,
        })
    }

    #[test]
    fn every_kind_has_a_type_and_its_fields_have_theirs() {
        for info in crate::kinds::all() {
            let root = of_kind(info.number).unwrap();
            assert!(at(root, &["metadata"]).field("labels").1, "{}", info.kind);
            assert!(matches!(at(root, &["kind"]).of(), Type::Atomic), "{}", info.kind);
        }
        assert!(of_kind(9999).is_none());
    }

    #[test]
    fn options_say_what_is_one_value_and_what_has_parts() {
        let pod = of_kind(Pod::NUMBER).unwrap();
        let is = |path: &[&str], shape: &str| {
            let of = at(pod, path).of();
            let found = match of {
                Type::Atomic => "atomic".to_owned(),
                Type::Struct { .. } => "struct".to_owned(),
                Type::Map(_) => "map".to_owned(),
                Type::Set => "set".to_owned(),
                Type::ListMap { keys, .. } => keys.iter().map(|key| &*key.name).collect::<Vec<_>>().join(","),
                Type::Deduced => "deduced".to_owned(),
                Type::Of(_) => "of".to_owned(),
            };
            assert_eq!(found, shape, "{path:?}");
        };
        is(&["metadata", "labels"], "map");
        is(&["metadata", "finalizers"], "set");
        is(&["metadata", "ownerReferences"], "uid");
        is(&["metadata", "ownerReferences", "*"], "atomic");
        is(&["spec"], "struct");
        is(&["spec", "containers"], "name");
        is(&["spec", "containers", "*", "image"], "atomic");
        is(&["spec", "containers", "*", "command"], "atomic");
        is(&["spec", "containers", "*", "ports"], "containerPort,protocol");
        is(&["spec", "containers", "*", "resources", "requests"], "map");
        is(&["spec", "tolerations"], "atomic");
        is(&["spec", "nodeSelector"], "atomic");
        is(&["spec", "volumes", "*", "configMap"], "struct");
        is(&["spec", "imagePullSecrets"], "name");
        is(
            &["spec", "containers", "*", "env", "*", "valueFrom", "secretKeyRef"],
            "atomic",
        );
        is(&["status", "conditions"], "type");
    }

    #[test]
    fn of_any_object_the_metadata_is_known() {
        assert!(matches!(
            at(of_any(), &["metadata", "finalizers"]).of(),
            Type::Set
        ));
        assert!(matches!(at(of_any(), &["spec", "list"]).of(), Type::Deduced));
        let mut builder = super::super::Builder::default();
        let root = builder.add(Type::Deduced);
        let meta = builder.add(Type::Of(object_meta()));
        let fields = HashMap::from([("metadata".into(), meta)]);
        builder.set(root, Type::Struct { fields, rest: None });
        let schema = builder.build();
        assert!(matches!(
            at(schema.root(), &["metadata", "labels"]).of(),
            Type::Map(_)
        ));
    }

    #[test]
    fn a_key_that_is_left_out_has_its_default() {
        let service = of_kind(Service::NUMBER).unwrap();
        let ports = at(service, &["spec", "ports"]);
        let element = ports.element(&serde_json::json!({"port": 80})).unwrap();
        assert_eq!(element.to_string(), r#"[port=80,protocol="TCP"]"#);
    }
}
