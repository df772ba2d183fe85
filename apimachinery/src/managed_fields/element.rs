//! One step of a path to a field: `f:spec`, `k:{"name":"web"}`, `v:"a"`, `i:0`.
//!
//! In and out: the keys of `FieldsV1`, and the notation of messages (`.spec.containers[name="web"]`).
//!
//! Invariant: elements are ordered as `FieldsV1` writes them: fields, then keys, then values, then indexes.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of an object, or a key of a map.
    Field(Box<str>),
    /// The item of a list that has these values in its key fields, which are sorted by name.
    Key(Vec<(Box<str>, Scalar)>),
    /// The item of a set.
    Value(Scalar),
    /// The item at this place of a list.
    Index(usize),
}

/// A scalar that tells a list's items apart.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(Box<str>),
    /// A bool.
    Bool(bool),
    /// Null.
    Null,
}

impl Scalar {
    /// The scalar of a JSON value; `None` for a list or an object.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(bool) => Some(Self::Bool(*bool)),
            Value::String(text) => Some(Self::Text(text.as_str().into())),
            Value::Number(number) => Some(Self::number(number)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The number 1.0 is the number 1.
    fn number(number: &Number) -> Self {
        // 2^53: up to here every whole number is a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Self::Int(int),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() <= EXACT => Self::Int(float as i64),
            (None, float) => Self::Float(float.unwrap_or(f64::MAX)),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Int(int) => (*int).into(),
            Self::Float(float) => (*float).into(),
            Self::Text(text) => Value::String(text.to_string()),
            Self::Bool(bool) => (*bool).into(),
            Self::Null => Value::Null,
        }
    }

    /// Numbers come before strings, and these before bools.
    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) | Self::Float(_) => 0,
            Self::Text(_) => 1,
            Self::Bool(_) => 2,
            Self::Null => 3,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            // A float is never equal to an int: see `number`.
            (Self::Int(a), Self::Float(b)) => (*a as f64).total_cmp(b).then(Ordering::Less),
            (Self::Float(a), Self::Int(b)) => a.total_cmp(&(*b as f64)).then(Ordering::Greater),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl Element {
    /// A field of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads a key of `FieldsV1`. `Ok(None)` for one of a form that is not known, which a later version may have.
    pub(super) fn parse(key: &str) -> Result<Option<Self>, String> {
        let Some((form, rest)) = key.split_once(':') else {
            return Err(format!("{key:?} is no path element: it has no colon"));
        };
        let json = || serde_json::from_str::<Value>(rest).map_err(|error| format!("{key:?}: {error}"));
        let element = match form {
            "f" => Self::field(rest),
            "v" => Self::Value(Scalar::of(&json()?).ok_or_else(|| format!("{key:?} is no scalar"))?),
            "i" => Self::Index(rest.parse().map_err(|error| format!("{key:?}: {error}"))?),
            "k" => {
                let Value::Object(fields) = json()? else {
                    return Err(format!("{key:?} is no object"));
                };
                let fields = fields
                    .iter()
                    .map(|(name, value)| Some((name.as_str().into(), Scalar::of(value)?)));
                let fields: Option<Vec<_>> = fields.collect();
                Self::key(fields.ok_or_else(|| format!("{key:?} has a value that is no scalar"))?)
            }
            _ => return Ok(None),
        };
        Ok(Some(element))
    }

    /// The item of a list with these key fields.
    pub fn key(mut fields: Vec<(Box<str>, Scalar)>) -> Self {
        fields.sort();
        Self::Key(fields)
    }

    /// The key that `FieldsV1` has for it.
    pub(super) fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", value.to_value()),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(fields) => {
                let fields: Map<String, Value> = fields
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_value()))
                    .collect();
                format!("k:{}", Value::Object(fields))
            }
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={}]", value.to_value()),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value.to_value())?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_are_read_and_written_as_fields_v1_has_them() {
        for (key, shown) in [
            ("f:spec", ".spec"),
            ("f:a.b/c", ".a.b/c"),
            (r#"k:{"name":"web"}"#, r#"[name="web"]"#),
            (
                r#"k:{"containerPort":80,"protocol":"TCP"}"#,
                r#"[containerPort=80,protocol="TCP"]"#,
            ),
            (r#"v:"a""#, r#"[="a"]"#),
            ("v:5", "[=5]"),
            ("v:true", "[=true]"),
            ("i:3", "[3]"),
        ] {
            let element = Element::parse(key).unwrap().unwrap();
            assert_eq!(
                (element.to_key().as_str(), element.to_string().as_str()),
                (key, shown)
            );
        }
        assert_eq!(Element::parse("x:later"), Ok(None));
        for bad in ["", "f", "i:x", "k:5", "k:{", "k:{\"a\":[]}", "v:", "v:[]"] {
            assert!(Element::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_order_is_fields_keys_values_indexes_and_numbers_before_strings() {
        let sorted = [
            "f:a",
            "f:b",
            r#"k:{"a":1}"#,
            r#"k:{"a":"1"}"#,
            "v:1",
            "v:1.5",
            "v:2",
            r#"v:"a""#,
            "v:true",
            "i:0",
        ];
        let elements: Vec<Element> = sorted
            .iter()
            .map(|key| Element::parse(key).unwrap().unwrap())
            .collect();
        assert!(elements.is_sorted());
        assert_eq!(Scalar::of(&json!(1.0)), Scalar::of(&json!(1)));
        assert_ne!(Scalar::of(&json!(u64::MAX)), Scalar::of(&json!(i64::MAX)));
    }
}
