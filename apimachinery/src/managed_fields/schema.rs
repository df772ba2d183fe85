//! What field managers know of an object's type: which values are one, and which have parts with owners of their own.
//!
//! In: descriptors (`descriptors`), or a custom kind's structural schema through [`Builder`]. Out: for a value on its way
//! down, its [`Type`]. <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>

use super::element::{Element, Scalar};
use serde_json::Value;
use std::collections::HashMap;

/// The types of one kind, or of many that share some.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
}

/// A type's place in its [`Schema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeId(u32);

/// How the parts of a value are owned.
#[derive(Debug)]
pub enum Type {
    /// It has no parts: a scalar, or a list or an object that one manager owns as a whole.
    Atomic,
    /// An object with these fields, and others of type `rest`.
    Struct {
        /// Its own fields.
        fields: HashMap<Box<str>, TypeId>,
        /// What other fields are, where it may have some.
        rest: Option<TypeId>,
    },
    /// An object whose keys are data.
    Map(TypeId),
    /// A list of scalars without duplicates.
    Set,
    /// A list of objects that are told apart by some of their fields.
    ListMap {
        /// Those fields.
        keys: Vec<Key>,
        /// The objects.
        items: TypeId,
    },
    /// Nothing is known: objects are taken for maps, all else is atomic.
    Deduced,
    /// A type of another schema.
    Of(Cursor<'static>),
}

/// A field that tells items of a list apart.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: Box<str>,
    /// What an item means that leaves it out.
    pub default: Option<Scalar>,
}

/// A type on the way down an object.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'s> {
    schema: &'s Schema,
    id: TypeId,
}

/// Why an item of a list cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// An item of a list of objects is none.
    #[error("an item of a list of objects must be an object")]
    NotAnObject,
    /// An item of a set is no scalar.
    #[error("an item of a set must be a scalar")]
    NotAScalar,
    /// It has none of the key fields.
    #[error(
        "associative list with keys has an element that omits all key fields {0:?} (and doesn't have default values for \
         any key fields)"
    )]
    NoKey(Vec<String>),
}

impl Schema {
    /// A schema in which everything is deduced from the values.
    pub fn deduced() -> &'static Self {
        static DEDUCED: std::sync::LazyLock<Schema> = std::sync::LazyLock::new(|| Schema {
            types: vec![Type::Deduced],
        });
        &DEDUCED
    }

    /// One of its types.
    pub fn cursor(&self, id: TypeId) -> Cursor<'_> {
        Cursor { schema: self, id }.resolved()
    }

    /// The type that was made first.
    pub fn root(&self) -> Cursor<'_> {
        self.cursor(TypeId(0))
    }
}

/// Makes a [`Schema`].
#[derive(Debug, Default)]
pub struct Builder {
    types: Vec<Type>,
}

impl Builder {
    /// Adds a type. Types may refer to each other before they are complete: see [`Builder::set`].
    pub fn add(&mut self, of: Type) -> TypeId {
        self.types.push(of);
        TypeId(u32::try_from(self.types.len() - 1).expect("no schema has so many types"))
    }

    /// Replaces a type that was added before.
    pub fn set(&mut self, id: TypeId, of: Type) {
        self.types[id.0 as usize] = of;
    }

    /// The schema. Its root is the type that was added first.
    pub fn build(mut self) -> Schema {
        if self.types.is_empty() {
            self.add(Type::Deduced);
        }
        Schema { types: self.types }
    }
}

impl<'s> Cursor<'s> {
    /// The type.
    pub fn of(&self) -> &'s Type {
        &self.schema.types[self.id.0 as usize]
    }

    fn to(self, id: TypeId) -> Self {
        Cursor { id, ..self }.resolved()
    }

    /// The type itself, where another schema has it.
    fn resolved(self) -> Self {
        match self.of() {
            Type::Of(other) => *other,
            _ => self,
        }
    }

    /// The type of an object's field, and whether the schema names it.
    pub(super) fn field(&self, name: &str) -> (Self, bool) {
        let deduced = Schema::deduced().root();
        match self.of() {
            Type::Struct { fields, rest } => match (fields.get(name), rest) {
                (Some(&id), _) => (self.to(id), true),
                (None, Some(rest)) => (self.to(*rest), false),
                (None, None) => (deduced, false),
            },
            Type::Map(id) => (self.to(*id), false),
            _ => (deduced, false),
        }
    }

    /// The type of a list's items.
    pub(super) fn item(&self) -> Self {
        match self.of() {
            Type::ListMap { items, .. } => self.to(*items),
            _ => Schema::deduced().root(),
        }
    }

    /// Whether the fields of `value` have owners of their own.
    pub(super) fn splits_object(&self, value: &Value) -> bool {
        value.is_object() && matches!(self.of(), Type::Struct { .. } | Type::Map(_) | Type::Deduced)
    }

    /// Whether a list's items have owners of their own.
    pub(super) fn splits_list(&self) -> bool {
        matches!(self.of(), Type::Set | Type::ListMap { .. })
    }

    /// What tells an item of this list apart.
    pub(super) fn element(&self, item: &Value) -> Result<Element, ItemError> {
        let Type::ListMap { keys, .. } = self.of() else {
            return Scalar::of(item).map(Element::Value).ok_or(ItemError::NotAScalar);
        };
        let Value::Object(fields) = item else {
            return Err(ItemError::NotAnObject);
        };
        let found = keys.iter().filter_map(|key| {
            let value = fields
                .get(&*key.name)
                .and_then(Scalar::of)
                .or_else(|| key.default.clone())?;
            Some((key.name.clone(), value))
        });
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            let names = keys.iter().map(|key| key.name.to_string());
            return Err(ItemError::NoKey(names.collect()));
        }
        Ok(Element::key(found))
    }
}
