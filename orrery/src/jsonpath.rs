//! The paths of `-o jsonpath=…` and `wait --for=jsonpath=…`: fields, indexes, `[*]` and quoted keys.
//! <https://kubernetes.io/docs/reference/kubectl/jsonpath/>, without filters, ranges and functions.

use anyhow::{Result, bail};
use serde_json::Value;

/// A path into an object: `{.status.containerStatuses[0].name}`. Braces and the first dot may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Negative ones count from the end.
    Index(i64),
    All,
}

impl Path {
    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let inner = text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
            .unwrap_or(text);
        let mut rest = inner.strip_prefix('$').unwrap_or(inner);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(inside) = rest.strip_prefix('[') {
                let Some((inside, after)) = inside.split_once(']') else {
                    bail!("{text:?}: a bracket is not closed");
                };
                (bracket(inside, text)?, after)
            } else {
                field(rest.strip_prefix('.').unwrap_or(rest), text)?
            };
            steps.push(step);
        }
        Ok(Self(steps))
    }

    /// All that the path leads to.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.from(value)).collect();
        }
        found
    }

    /// What is found, as kubectl prints it: texts bare, all separated by spaces.
    pub(crate) fn print(&self, root: &Value) -> String {
        let words = self.find(root).into_iter().map(text);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A value as text: strings without quotes.
pub(crate) fn text(value: &Value) -> String {
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
        }
    }
}

/// A field's name, up to the next dot or bracket; a backslash takes the next character as it is.
fn field<'a>(from: &'a str, path: &str) -> Result<(Step, &'a str)> {
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
        "" => bail!("{path:?}: a field has no name"),
        "*" => Ok((Step::All, &from[end..])),
        _ => Ok((Step::Field(name), &from[end..])),
    }
}

fn bracket(inside: &str, path: &str) -> Result<Step> {
    let quoted = |mark: char| {
        inside
            .strip_prefix(mark)
            .and_then(|inside| inside.strip_suffix(mark))
    };
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted('\'').or_else(|| quoted('"')) {
        return Ok(Step::Field(name.to_owned()));
    }
    match inside.parse() {
        Ok(index) => Ok(Step::Index(index)),
        Err(_) => bail!("{path:?}: [{inside}] is neither an index, nor [*], nor a quoted key"),
    }
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
        ] {
            assert_eq!(Path::parse(path).unwrap().print(&object), expected, "{path}");
        }
        for path in ["{.items[}", "{..}", "{.items[x]}"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
