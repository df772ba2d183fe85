//! What is known of a value before there is one: its type, and how large it can be.
//!
//! In: a node of a schema. Out: a [`Shape`], from which the compiler checks a rule and estimates its cost. Sizes follow
//! upstream's: where a schema names no limit, it is what fits into the largest request.

use crate::node::{Additional, Node, Type};
use std::sync::{Arc, LazyLock};

/// The largest request: what a schema without limits is estimated by.
pub(crate) const MAX_REQUEST: u64 = 3 * 1024 * 1024;

/// How many bytes a character of a text with a limit may take.
const BYTES_PER_CHARACTER: u64 = 4;

/// How long the name of an object can be.
const MAX_NAME: u64 = 253;

/// A type of CEL.
#[derive(Clone, Debug)]
pub(crate) enum Ty<'n> {
    /// Known only when the rule runs.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Arc<Shape<'n>>),
    Map(Arc<Shape<'n>>, Arc<Shape<'n>>),
    Object(&'n Node),
    Optional(Arc<Shape<'n>>),
    Type,
    Quantity,
    Url,
    Ip,
    Cidr,
    Format,
}

/// A type with the largest size of its values: characters, items, entries; 1 for what has no size.
#[derive(Clone, Debug)]
pub(crate) struct Shape<'n> {
    pub(crate) ty: Ty<'n>,
    pub(crate) max: u64,
}

impl<'n> Shape<'n> {
    /// A value without a size.
    pub(crate) fn one(ty: Ty<'n>) -> Self {
        Self { ty, max: 1 }
    }

    /// A text.
    pub(crate) fn text(max: u64) -> Self {
        Self { ty: Ty::String, max }
    }

    /// A list of these.
    pub(crate) fn list(item: Self, max: u64) -> Self {
        Self {
            ty: Ty::List(Arc::new(item)),
            max,
        }
    }

    /// An optional of this.
    pub(crate) fn optional(self) -> Self {
        let max = self.max;
        Self {
            ty: Ty::Optional(Arc::new(self)),
            max,
        }
    }

    /// Whatever there can be.
    pub(crate) fn any() -> Self {
        Self {
            ty: Ty::Dyn,
            max: MAX_REQUEST,
        }
    }

    /// The most that there is to read in such a value, all levels together.
    pub(crate) fn weight(&self) -> u64 {
        let weight = match &self.ty {
            Ty::List(item) => self.max.saturating_mul(item.weight()),
            Ty::Map(key, value) => self
                .max
                .saturating_mul(key.weight().saturating_add(value.weight())),
            Ty::Object(node) => node.weight,
            _ => self.max,
        };
        weight.clamp(1, MAX_REQUEST)
    }
}

/// What a value of the document under this node is; `None` where the schema does not say enough for a rule to see it.
pub(crate) fn of(node: &Node) -> Option<Shape<'_>> {
    let checks = &node.checks;
    if node.int_or_string {
        let max = checks
            .max_length
            .map_or(MAX_REQUEST, |max| max.saturating_mul(BYTES_PER_CHARACTER));
        return Some(Shape { ty: Ty::Dyn, max });
    }
    Some(match node.ty? {
        Type::Boolean => Shape::one(Ty::Bool),
        Type::Integer => Shape::one(Ty::Int),
        Type::Number => Shape::one(Ty::Double),
        Type::String => string(node),
        Type::Array => {
            let items = node.items.as_deref()?;
            let max = checks
                .max_items
                .unwrap_or_else(|| (MAX_REQUEST - 2) / (items.min_bytes + 1));
            Shape::list(of(items)?, max)
        }
        Type::Object => match &node.additional {
            Additional::Of(values) if node.properties.is_empty() => {
                let max = checks
                    .max_properties
                    .unwrap_or_else(|| (MAX_REQUEST - 2) / (values.min_bytes + 6));
                Shape {
                    ty: Ty::Map(Arc::new(Shape::text(MAX_REQUEST)), Arc::new(of(values)?)),
                    max,
                }
            }
            _ => Shape::one(Ty::Object(node)),
        },
    })
}

fn string(node: &Node) -> Shape<'_> {
    let checks = &node.checks;
    match checks.format.as_deref() {
        Some("date-time" | "date") => return Shape::one(Ty::Timestamp),
        Some("duration") => return Shape::one(Ty::Duration),
        Some("byte") => {
            return Shape {
                ty: Ty::Bytes,
                max: checks.max_length.unwrap_or(MAX_REQUEST),
            };
        }
        _ => {}
    }
    let of_enum = checks.enumeration.as_ref().map(|all| {
        let lengths = all.iter().filter_map(|one| one.as_str().map(str::len));
        lengths.max().unwrap_or(1) as u64
    });
    let of_length = checks
        .max_length
        .map(|max| max.saturating_mul(BYTES_PER_CHARACTER));
    Shape::text(of_enum.or(of_length).unwrap_or(MAX_REQUEST - 2).min(MAX_REQUEST))
}

/// Notes on every node how small and how large its values can be, from the leaves up.
pub(crate) fn measure(node: &mut Node) {
    node.properties.values_mut().for_each(measure);
    if let Additional::Of(child) = &mut node.additional {
        measure(child);
    }
    if let Some(child) = node.items.as_deref_mut() {
        measure(child);
    }
    node.min_bytes = min_bytes(node);
    // An object weighs what its fields weigh; everything else follows from its limits.
    node.weight = node
        .properties
        .values()
        .fold(1, |sum: u64, field| sum.saturating_add(field.weight));
    if let Some(shape) = of(node) {
        node.weight = shape.weight();
    }
}

/// The fewest bytes that a value under this node takes in a request: by it, many can be there.
fn min_bytes(node: &Node) -> u64 {
    match node.ty {
        Some(Type::Boolean) => 4,
        Some(Type::Integer | Type::Number) | None => 1,
        Some(Type::String | Type::Array) => 2,
        Some(Type::Object) => {
            let required = node.checks.required.iter();
            required
                .filter_map(|name| Some((name, node.properties.get(name)?)))
                .filter(|(_, child)| child.default.is_none())
                .map(|(name, child)| name.len() as u64 + child.min_bytes + 4)
                .sum::<u64>()
                + 2
        }
    }
}

/// What rules may see of the metadata that every resource has.
pub(crate) fn metadata() -> &'static Node {
    static METADATA: LazyLock<Node> = LazyLock::new(|| {
        let name = || Node {
            ty: Some(Type::String),
            checks: crate::node::Checks {
                max_length: Some(MAX_NAME),
                ..Default::default()
            },
            ..Node::default()
        };
        Node {
            ty: Some(Type::Object),
            weight: 2 * MAX_NAME,
            properties: [("name".into(), name()), ("generateName".into(), name())].into(),
            ..Node::default()
        }
    });
    &METADATA
}

/// What `apiVersion` and `kind` of a resource are.
pub(crate) fn resource_field(name: &str) -> Option<Shape<'static>> {
    match name {
        "metadata" => Some(Shape::one(Ty::Object(metadata()))),
        "apiVersion" | "kind" => Some(Shape::text(MAX_REQUEST)),
        _ => None,
    }
}

impl Ty<'_> {
    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Dyn => "dyn".into(),
            Self::Null => "null".into(),
            Self::Bool => "bool".into(),
            Self::Int => "int".into(),
            Self::Uint => "uint".into(),
            Self::Double => "double".into(),
            Self::String => "string".into(),
            Self::Bytes => "bytes".into(),
            Self::Timestamp => "timestamp".into(),
            Self::Duration => "duration".into(),
            Self::List(item) => format!("list({})", item.ty.name()),
            Self::Map(key, value) => format!("map({}, {})", key.ty.name(), value.ty.name()),
            Self::Object(_) => "object".into(),
            Self::Optional(of) => format!("optional_type({})", of.ty.name()),
            Self::Type => "type".into(),
            Self::Quantity => "kubernetes.Quantity".into(),
            Self::Url => "kubernetes.URL".into(),
            Self::Ip => "net.IP".into(),
            Self::Cidr => "net.CIDR".into(),
            Self::Format => "kubernetes.NamedFormat".into(),
        }
    }

    /// Whether a value may be of both types: what `==` asks for.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let is_number = |ty: &Self| matches!(ty, Ty::Int | Ty::Uint | Ty::Double);
        match (self, other) {
            (Self::Dyn | Self::Null, _) | (_, Self::Dyn | Self::Null) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.ty.meets(&b.ty),
            (Self::Map(k, v), Self::Map(l, w)) => k.ty.meets(&l.ty) && v.ty.meets(&w.ty),
            (Self::Object(_) | Self::Map(..), Self::Object(_) | Self::Map(..)) => true,
            (a, b) if is_number(a) && is_number(b) => true,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}
