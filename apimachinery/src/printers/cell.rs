//! What a table is made of: columns, and the values that stand under them.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// A column, as `meta.k8s.io` describes it in a Table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its header, as the server spells it; people see it in capitals.
    pub name: Cow<'static, str>,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub r#type: Cow<'static, str>,
    /// More about the type: `name` marks the column that names the object.
    pub format: Cow<'static, str>,
    /// What it shows.
    pub description: Cow<'static, str>,
    /// 0 is always shown, anything above only with `-o wide`.
    pub priority: i32,
}

impl Column {
    const fn new(
        name: &'static str,
        r#type: &'static str,
        format: &'static str,
        description: &'static str,
        priority: i32,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            r#type: Cow::Borrowed(r#type),
            format: Cow::Borrowed(format),
            description: Cow::Borrowed(description),
            priority,
        }
    }

    /// A column of texts.
    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, "string", "", description, 0)
    }

    /// A column of numbers.
    pub(super) const fn integer(name: &'static str, description: &'static str) -> Self {
        Self::new(name, "integer", "", description, 0)
    }

    /// A column of `true` and `false`.
    pub(super) const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self::new(name, "boolean", "", description, 0)
    }

    /// A column of texts that is shown only with `-o wide`.
    pub(super) const fn wide(name: &'static str, description: &'static str) -> Self {
        Self::new(name, "string", "", description, 1)
    }

    /// Whether it is shown without `-o wide`.
    pub fn is_always_shown(&self) -> bool {
        self.priority == 0
    }
}

/// The object's name.
pub(super) const NAME: Column = Column::new(
    "Name",
    "string",
    "name",
    "Name of the object, unique in its namespace.",
    0,
);
/// The object's name, where it matters little.
pub(super) const WIDE_NAME: Column = Column::new("Name", "string", "name", "Name of the object.", 1);
/// How old the object is.
pub(super) const AGE: Column = Column::text("Age", "Time since the object was created.");
/// The names of a template's containers.
pub(super) const CONTAINERS: Column = Column::wide("Containers", "Names of the containers of each pod.");
/// The images of a template's containers.
pub(super) const IMAGES: Column = Column::wide("Images", "Images of the containers of each pod.");
/// Which pods belong to the object.
pub(super) const SELECTOR: Column = Column::wide("Selector", "Labels that pick the pods.");

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing is known.
    Empty,
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// The cells of a row, from whatever makes a cell.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::printers::Cell::from($cell)),*] };
}
pub(super) use row;
