//! What field managers know of a custom object: which values are one, and which have parts with owners of their own.
//!
//! In: a schema's tree. Out: the types that `managed_fields` merges by. A list is atomic unless its schema says more; an
//! object is a struct of its properties, or a map.

use crate::node::{Additional, ListType, Node, RESOURCE_FIELDS, Type};
use apimachinery::managed_fields::{self as schema, Builder, Key, Scalar, TypeId};

/// The types of a whole object.
pub(crate) fn schema(root: &Node) -> schema::Schema {
    let mut builder = Builder::default();
    // The root is the type that is added first; it refers to the others.
    let first = builder.add(schema::Type::Deduced);
    let atomic = builder.add(schema::Type::Atomic);
    let deduced = builder.add(schema::Type::Deduced);
    let mut compiler = Compiler {
        builder,
        atomic,
        deduced,
    };
    let metadata = compiler.builder.add(schema::Type::Of(schema::object_meta()));
    let mut of = compiler.object(root);
    if let schema::Type::Struct { fields, .. } = &mut of {
        let [api_version, kind, meta] = RESOURCE_FIELDS;
        fields.insert(api_version.into(), atomic);
        fields.insert(kind.into(), atomic);
        fields.insert(meta.into(), metadata);
    }
    compiler.builder.set(first, of);
    compiler.builder.build()
}

struct Compiler {
    builder: Builder,
    atomic: TypeId,
    deduced: TypeId,
}

impl Compiler {
    fn node(&mut self, node: &Node) -> TypeId {
        match node.ty {
            Some(Type::Object) => {
                let of = self.object(node);
                self.builder.add(of)
            }
            Some(Type::Array) => self.list(node),
            Some(_) => self.atomic,
            None if node.int_or_string => self.atomic,
            None => self.deduced,
        }
    }

    fn object(&mut self, node: &Node) -> schema::Type {
        if node.map_atomic {
            return schema::Type::Atomic;
        }
        match &node.additional {
            Additional::Of(values) if node.properties.is_empty() => {
                return schema::Type::Map(self.node(values));
            }
            Additional::Any if node.properties.is_empty() => return schema::Type::Map(self.deduced),
            _ => {}
        }
        let fields = node
            .properties
            .iter()
            .map(|(name, child)| (name.as_str().into(), self.node(child)))
            .collect();
        let open = node.preserve || node.embedded || !matches!(node.additional, Additional::None);
        schema::Type::Struct {
            fields,
            rest: open.then_some(self.deduced),
        }
    }

    fn list(&mut self, node: &Node) -> TypeId {
        let Some(items) = node.items.as_deref() else {
            return self.atomic;
        };
        match node.list_type {
            ListType::Set if items.ty.is_some_and(Type::is_scalar) || items.int_or_string => {
                self.builder.add(schema::Type::Set)
            }
            ListType::Map => {
                let key = |name: &String| Key {
                    name: name.as_str().into(),
                    default: items
                        .properties
                        .get(name)
                        .and_then(|key| Scalar::of(key.default.as_ref()?)),
                };
                let keys = node.list_keys.iter().map(key).collect();
                let items = self.node(items);
                self.builder.add(schema::Type::ListMap { keys, items })
            }
            // A set of lists or objects has no scalars to own: one manager owns it.
            ListType::Set | ListType::Atomic => self.atomic,
        }
    }
}
