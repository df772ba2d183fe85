//! Field selectors: `status.phase=Running,spec.nodeName!=node-1`.

use super::fields;
use super::{MAX_TEXT, SelectorError};
use crate::kinds::KindInfo;
use std::fmt;
use std::str::FromStr;

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRequirement {
    /// `status.phase`.
    pub path: String,
    /// Whether the field must *not* have the value.
    pub negated: bool,
    /// What it is compared with; empty means that the field is empty.
    pub value: String,
}

/// Which objects are meant, by the values of some of their fields. Every object when there are no requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Reads the text form, and refuses fields that the kind cannot be selected by.
    pub fn parse_for(number: u32, text: &str) -> Result<Self, SelectorError> {
        let selector: Self = text.parse()?;
        for requirement in &selector.requirements {
            fields::check(number, &requirement.path)?;
        }
        Ok(selector)
    }

    /// As [`FieldSelector::parse_for`], for one version of a custom kind: each has its own selectable fields.
    pub fn parse_for_kind(info: &KindInfo, text: &str) -> Result<Self, SelectorError> {
        if !info.is_custom() {
            return Self::parse_for(info.number, text);
        }
        let selector: Self = text.parse()?;
        for requirement in &selector.requirements {
            fields::check_custom(info, &requirement.path)?;
        }
        Ok(selector)
    }

    /// The objects whose field is `value`.
    pub fn equals(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            requirements: vec![FieldRequirement {
                path: path.into(),
                negated: false,
                value: value.into(),
            }],
        }
    }

    /// The same conditions on fields of other names.
    ///
    /// # Errors
    /// A field of the selector is not known to `rename`.
    pub fn rename(
        mut self,
        rename: impl Fn(&str) -> Result<String, SelectorError>,
    ) -> Result<Self, SelectorError> {
        for requirement in &mut self.requirements {
            requirement.path = rename(&requirement.path)?;
        }
        Ok(self)
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// What must hold, in the order of the text.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// The one value that the field must have, if there is only one: what an index can be asked for.
    pub fn exact(&self, path: &str) -> Option<&str> {
        self.requirements
            .iter()
            .find(|r| r.path == path && !r.negated)
            .map(|r| r.value.as_str())
    }

    /// Whether an object matches whose fields `lookup` gives. A field that it does not give counts as empty.
    pub fn matches<T: AsRef<str>>(&self, lookup: impl Fn(&str) -> Option<T>) -> bool {
        self.requirements.iter().all(|r| {
            let value = lookup(&r.path);
            (value.as_ref().map_or("", AsRef::as_ref) == r.value) != r.negated
        })
    }

    /// Whether an encoded object of this kind matches.
    pub fn matches_object(&self, number: u32, bytes: &[u8]) -> bool {
        self.matches(|path| fields::read(number, bytes, path))
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let operator = if r.negated { "!=" } else { "=" };
            write!(f, "{comma}{}{operator}", r.path)?;
            for c in r.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    /// Reads `path=value`, `path==value` and `path!=value`, joined by commas. In values a backslash escapes `\`, `,`
    /// and `=`.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_TEXT {
            return Err(SelectorError::TooLong);
        }
        let mut requirements = Vec::new();
        for term in terms(text).filter(|term| !term.is_empty()) {
            let syntax = |found: &str, expected| SelectorError::Syntax {
                selector: text.to_owned(),
                found: format!("'{found}'"),
                expected,
            };
            let at = term
                .find('=')
                .ok_or_else(|| syntax(term, "'=', '==' or '!=' after a field's path"))?;
            let (path, value) = (&term[..at], &term[at + 1..]);
            let (path, negated, value) = match path.strip_suffix('!') {
                Some(path) => (path, true, value),
                None => (path, false, value.strip_prefix('=').unwrap_or(value)),
            };
            if path.is_empty() {
                return Err(syntax(term, "a field's path"));
            }
            let value = unescape(value)
                .ok_or_else(|| syntax(value, r"a value in which '\', ',' and '=' are escaped by '\'"))?;
            requirements.push(FieldRequirement {
                path: path.to_owned(),
                negated,
                value,
            });
        }
        Ok(Self { requirements })
    }
}

/// Splits at commas that no backslash escapes.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c: char| {
        let split = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        split
    })
}

fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            '=' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::Kind;
    use proto::api::core::v1::{Pod, PodSpec};

    #[test]
    fn a_field_selector_is_read_with_its_escapes() {
        for (text, expected) in [
            ("", &[][..]),
            ("a=b", &[("a", false, "b")]),
            ("a==b", &[("a", false, "b")]),
            ("a!=b", &[("a", true, "b")]),
            ("a=b,,c!=d,", &[("a", false, "b"), ("c", true, "d")]),
            ("a=", &[("a", false, "")]),
            (r"a=b\,c\=d\\", &[("a", false, r"b,c=d\")]),
        ] {
            let parsed: FieldSelector = text.parse().unwrap();
            let parts: Vec<_> = parsed
                .requirements()
                .iter()
                .map(|r| (r.path.as_str(), r.negated, r.value.as_str()))
                .collect();
            assert_eq!(parts, expected, "{text}");
        }
        for text in ["a", "=b", "!=b", "a=b=c", r"a=b\", r"a=\x", "a,b=c"] {
            assert!(text.parse::<FieldSelector>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_encoded_pod_is_selected_by_its_node() {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: "node-1".into(),
                ..PodSpec::default()
            }),
            ..Pod::default()
        };
        pod.metadata_mut().name = "web".into();
        let bytes = prost::Message::encode_to_vec(&pod);
        for (text, expected) in [
            ("spec.nodeName=node-1", true),
            ("spec.nodeName=node-2", false),
            ("spec.nodeName!=node-2,metadata.name=web", true),
            ("spec.nodeName=", false),
            ("status.phase=", true),
            ("spec.hostNetwork=false", true),
        ] {
            let selector = FieldSelector::parse_for(Pod::NUMBER, text).unwrap();
            assert_eq!(selector.matches_object(Pod::NUMBER, &bytes), expected, "{text}");
        }
        assert_eq!(FieldSelector::equals("a", "b").exact("a"), Some("b"));
    }

    #[test]
    fn a_field_that_a_kind_cannot_be_selected_by_is_named() {
        let error =
            FieldSelector::parse_for(proto::api::core::v1::Node::NUMBER, "spec.podCIDR=x").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""spec.podCIDR" is not a known field selector for nodes: only "metadata.name", "spec.unschedulable""#
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(parts in prop::collection::vec(("[a-z.]{1,5}", any::<bool>(), r"[a-z,=\\]{0,6}"), 0..4)) {
            let requirements = parts.into_iter().map(|(path, negated, value)| FieldRequirement { path, negated, value }).collect();
            let selector = FieldSelector { requirements };
            prop_assert_eq!(selector.to_string().parse::<FieldSelector>().unwrap(), selector);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in r"[a\\=,!]{0,12}") {
            let _ = text.parse::<FieldSelector>();
        }
    }
}
