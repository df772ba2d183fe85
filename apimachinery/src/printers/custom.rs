//! The tables of custom kinds: columns that a CustomResourceDefinition names, each a path into the object.

use super::cell::{AGE, Cell, Column, NAME};
use super::text::age_of;
use crate::jsonpath::{self, Path};
use jiff::Timestamp;
use proto::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::Value;

/// A column that a path fills.
#[derive(Clone, Debug)]
pub struct PathColumn {
    /// The column.
    pub column: Column,
    /// Where its value stands in the object; nothing where the definition says it in a way that is not known here.
    pub path: Option<Path>,
}

/// How an object fills the columns that were asked for, after its name.
#[derive(Clone, Debug)]
pub(super) struct Paths(Vec<PathColumn>);

impl Paths {
    /// What the definition asks for; the age where it asks for nothing.
    pub(super) fn new(asked: Vec<PathColumn>) -> Self {
        if !asked.is_empty() {
            return Self(asked);
        }
        let path =
            Path::parse(".metadata.creationTimestamp").expect("the path is a constant that a test parses");
        let column = Column {
            r#type: "date".into(),
            ..AGE
        };
        Self(vec![PathColumn {
            column,
            path: Some(path),
        }])
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        let asked = self.0.iter().map(|asked| asked.column.clone());
        std::iter::once(NAME).chain(asked).collect()
    }

    pub(super) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Cell> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let asked = self.0.iter().map(|PathColumn { column, path }| {
            let found = path
                .as_ref()
                .and_then(|path| path.find(object).into_iter().next());
            found.map_or(Cell::Empty, |value| cell(&column.r#type, value, now))
        });
        std::iter::once(Cell::from(name.unwrap_or_default()))
            .chain(asked)
            .collect()
    }
}

impl From<&CustomResourceColumnDefinition> for PathColumn {
    fn from(asked: &CustomResourceColumnDefinition) -> Self {
        let path = asked.json_path.as_str();
        let description = match asked.description.as_str() {
            "" => format!("Value at {path}."),
            description => description.to_owned(),
        };
        Self {
            column: Column {
                name: asked.name.clone().into(),
                r#type: asked.r#type.clone().into(),
                format: asked.format.clone().into(),
                description: description.into(),
                priority: asked.priority,
            },
            path: Path::parse(path).ok(),
        }
    }
}

/// A value under a column of this type; empty where it is of another.
fn cell(r#type: &str, value: &Value, now: Timestamp) -> Cell {
    let found = match r#type {
        "integer" => {
            let whole = |number: f64| number as i64;
            let number = value.as_i64().or_else(|| value.as_f64().map(whole));
            number.map(Cell::Integer)
        }
        "number" => match value.as_i64() {
            Some(whole) => Some(Cell::Integer(whole)),
            None => value.as_f64().map(Cell::Number),
        },
        "boolean" => value.as_bool().map(Cell::Boolean),
        "string" => Some(Cell::Text(jsonpath::text(value))),
        "date" => value.as_str().map(|text| match text.parse::<Timestamp>() {
            Ok(time) => age_of(time.as_second(), now).into(),
            Err(_) => "<invalid>".into(),
        }),
        _ => None,
    };
    found.unwrap_or(Cell::Empty)
}

#[cfg(test)]
mod tests {
    use super::super::cell::row;
    use super::*;
    use serde_json::json;

    fn column(r#type: &str, path: &str) -> PathColumn {
        PathColumn::from(&CustomResourceColumnDefinition {
            name: "C".into(),
            r#type: r#type.into(),
            json_path: path.into(),
            ..CustomResourceColumnDefinition::default()
        })
    }

    #[test]
    fn a_kind_that_asks_for_nothing_shows_name_and_age() {
        let paths = Paths::new(Vec::new());
        let names: Vec<_> = paths.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["Name", "Age"]);
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        assert_eq!(paths.cells(&object, now), row!["a", "10m"]);
    }

    #[test]
    fn a_value_of_another_type_than_its_column_leaves_the_cell_empty() {
        let object = json!({
            "metadata": {"name": "a"},
            "spec": {"n": 3, "f": 2.5, "s": "x", "b": true, "t": "2026-01-01T00:00:00Z", "l": [1, 2]},
        });
        let now = "2026-01-01T00:00:30Z".parse().unwrap();
        for (r#type, path, expected) in [
            ("integer", ".spec.n", Cell::Integer(3)),
            ("integer", ".spec.f", Cell::Integer(2)),
            ("integer", ".spec.s", Cell::Empty),
            ("number", ".spec.f", Cell::Number(2.5)),
            ("number", ".spec.n", Cell::Integer(3)),
            ("boolean", ".spec.b", Cell::Boolean(true)),
            ("boolean", ".spec.n", Cell::Empty),
            ("string", ".spec.s", Cell::from("x")),
            ("string", ".spec.n", Cell::from("3")),
            ("string", ".spec.l", Cell::from("[1,2]")),
            ("string", ".spec.none", Cell::Empty),
            ("date", ".spec.t", Cell::from("30s")),
            ("date", ".spec.s", Cell::from("<invalid>")),
            ("string", ".spec[", Cell::Empty),
        ] {
            let paths = Paths::new(vec![column(r#type, path)]);
            assert_eq!(paths.cells(&object, now)[1], expected, "{type} {path}");
        }
    }
}
