//! Paths into an object, as `-o jsonpath=…`, `wait --for=jsonpath=…` and the printer columns of custom kinds have them:
//! fields, indexes, `[*]`, quoted keys and filters (`[?(@.type=="Ready")]`).
//! <https://kubernetes.io/docs/reference/kubectl/jsonpath/>, without ranges, unions and functions.
//!
//! In: the path's text, and a JSON value. Out: the values that the path leads to, in their order.

use serde_json::Value;
use std::cmp::Ordering;

/// A path into an object: `{.status.containerStatuses[0].name}`. Braces and the first dot may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?}: {wrong}")]
pub struct PathError {
    path: String,
    wrong: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Negative ones count from the end.
    Index(i64),
    All,
    /// The items for which it holds.
    Filter(Filter),
}

/// `@.path`, or a comparison of what it leads to with a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    path: Path,
    comparison: Option<(Operator, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// Longer spellings first: `<=` is not `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Below),
    (">", Operator::Above),
];

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// The text is no path, or one of a form that is not known here.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let inner = text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
            .unwrap_or(text);
        Self::steps(inner.strip_prefix('$').unwrap_or(inner)).map_err(|wrong| PathError {
            path: text.to_owned(),
            wrong,
        })
    }

    fn steps(mut rest: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(inside) = rest.strip_prefix('[') {
                let (inside, after) = split_unquoted(inside, "]").ok_or("a bracket is not closed")?;
                (bracket(inside)?, after)
            } else {
                field(rest.strip_prefix('.').unwrap_or(rest))?
            };
            steps.push(step);
        }
        Ok(Self(steps))
    }

    /// All that the path leads to.
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.from(value)).collect();
        }
        found
    }

    /// What is found, as kubectl prints it: texts bare, all separated by spaces.
    pub fn print(&self, root: &Value) -> String {
        let words = self.find(root).into_iter().map(text);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A value as text: strings without quotes.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Step {
    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                let from_end = || usize::try_from(items.len() as i64 + index);
                let index = usize::try_from(*index).or_else(|_| from_end());
                index
                    .ok()
                    .and_then(|index| items.get(index))
                    .into_iter()
                    .collect()
            }
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Self::Filter(filter) => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                items.iter().filter(|item| filter.holds(item)).collect()
            }
        }
    }
}

impl Filter {
    /// Reads what stands between `?(` and `)`.
    fn parse(text: &str) -> Result<Self, String> {
        let split = OPERATORS.iter().find_map(|&(spelling, operator)| {
            let (left, right) = split_unquoted(text, spelling)?;
            Some((left, Some((operator, right))))
        });
        let (left, right) = split.unwrap_or((text, None));
        let path = left
            .trim()
            .strip_prefix('@')
            .ok_or_else(|| format!("the filter {text} does not begin with @"))?;
        let comparison = match right {
            Some((operator, right)) => Some((operator, literal(right.trim())?)),
            None => None,
        };
        Ok(Self {
            path: Path::steps(path)?,
            comparison,
        })
    }

    fn holds(&self, item: &Value) -> bool {
        let found = self.path.find(item);
        let Some((operator, wanted)) = &self.comparison else {
            return !found.is_empty();
        };
        found.into_iter().any(|value| {
            let order = compare(value, wanted);
            match operator {
                Operator::Equal => order == Some(Ordering::Equal),
                Operator::NotEqual => order != Some(Ordering::Equal),
                Operator::AtMost => order.is_some_and(Ordering::is_le),
                Operator::AtLeast => order.is_some_and(Ordering::is_ge),
                Operator::Below => order.is_some_and(Ordering::is_lt),
                Operator::Above => order.is_some_and(Ordering::is_gt),
            }
        })
    }
}

/// The order of two values of one type; values of two types have none.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        _ => None,
    }
}

/// A quoted text, a number, `true` or `false`.
fn literal(text: &str) -> Result<Value, String> {
    if let Some(inside) = quoted(text) {
        return Ok(Value::String(inside.to_owned()));
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value),
        _ => Err(format!(
            "{text:?} is neither a quoted text, nor a number, nor true or false"
        )),
    }
}

/// What stands between two quotes of one kind.
fn quoted(text: &str) -> Option<&str> {
    let between = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    between('\'').or_else(|| between('"'))
}

/// Splits at the first `mark` that is in no quotes and in no brackets.
fn split_unquoted<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let mut quote = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if depth == 0 && text[at..].starts_with(mark) => {
                return Some((&text[..at], &text[at + mark.len()..]));
            }
            None => match c {
                '\'' | '"' => quote = Some(c),
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
    }
    None
}

/// A field's name, up to the next dot or bracket; a backslash takes the next character as it is.
fn field(from: &str) -> Result<(Step, &str), String> {
    let mut name = String::new();
    let mut chars = from.char_indices();
    let mut end = from.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    match name.as_str() {
        "" => Err("a field has no name".into()),
        "*" => Ok((Step::All, &from[end..])),
        _ => Ok((Step::Field(name), &from[end..])),
    }
}

fn bracket(inside: &str) -> Result<Step, String> {
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(inside) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Some(filter) = inside
        .strip_prefix("?(")
        .and_then(|filter| filter.strip_suffix(')'))
    {
        return Filter::parse(filter).map(Step::Filter);
    }
    inside
        .parse()
        .map(Step::Index)
        .map_err(|_| format!("[{inside}] is neither an index, nor [*], nor a quoted key, nor a filter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_fields_items_and_keys_with_dots() {
        let object = json!({
            "metadata": {"labels": {"app.io/name": "web"}},
            "items": [{"name": "a", "n": 1}, {"name": "b"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "x]y", "status": "?", "n": 5}],
        });
        for (path, expected) in [
            ("{.items[0].name}", "a"),
            ("items[-1].name", "b"),
            ("{.items[*].name}", "a b"),
            (".items[0].n", "1"),
            ("{.metadata.labels['app.io/name']}", "web"),
            ("{.metadata.labels.app\\.io/name}", "web"),
            ("{$.items[7].name}", ""),
            ("{.nothing}", ""),
            ("{.items[1]}", "{\"name\":\"b\"}"),
            (".conditions[?(@.type==\"Ready\")].status", "True"),
            ("{.conditions[?(@.type == 'x]y')].status}", "?"),
            (".conditions[?(@.type!='Ready')].n", "5"),
            (".conditions[?(@.n>=5)].type", "x]y"),
            (".conditions[?(@.n<5)].type", ""),
            (".conditions[?(@.n)].type", "x]y"),
            (".conditions[?(@.status=='False')].type", ""),
        ] {
            assert_eq!(Path::parse(path).unwrap().print(&object), expected, "{path}");
        }
        for path in [
            "{.items[}",
            "{..}",
            "{.items[x]}",
            ".a[?(@.b==)]",
            ".a[?(@.b==c)]",
            ".a[?(b)]",
            ".a[?(@.b=='c)]",
        ] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
