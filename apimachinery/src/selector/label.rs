//! Label selectors: a list of requirements that all must hold, or nothing at all.

use super::lexer::{Token, next, peek};
use super::{MAX_TEXT, SelectorError};
use crate::names;
use proto::meta;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// The label is there and is one of the values.
    In,
    /// The label is missing, or is none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
    /// The label is there and, read as a whole number, above the one value.
    Gt,
    /// The label is there and, read as a whole number, below the one value.
    Lt,
}

impl Operator {
    /// As `matchExpressions` of node selectors spell it; label selectors know only the first four.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            "Gt" => Self::Gt,
            "Lt" => Self::Lt,
            _ => return None,
        })
    }
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, without duplicates.
    values: Vec<String>,
}

impl Requirement {
    /// A requirement whose key, number of values and values follow the rules.
    pub fn new(
        key: impl Into<String>,
        operator: Operator,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, SelectorError> {
        let key = key.into();
        let mut values: Vec<String> = values.into_iter().map(Into::into).collect();
        values.sort();
        values.dedup();
        let invalid = |part, text: &str, problem: String| SelectorError::Invalid {
            part,
            text: text.to_owned(),
            problem,
        };
        let problems = names::qualified_name(&key);
        if !problems.is_empty() {
            return Err(invalid("key", &key, problems.join("; ")));
        }
        let count = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                "for 'in', 'notin' operators, values can't be empty"
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                "values must be empty for exists and does not exist"
            }
            Operator::Gt | Operator::Lt if values.len() != 1 || values[0].parse::<i64>().is_err() => {
                "for 'Gt', 'Lt' operators, exactly one integer is required"
            }
            _ => "",
        };
        if !count.is_empty() {
            return Err(invalid("values", &values.join(","), count.to_owned()));
        }
        for value in &values {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                return Err(invalid("values", value, problems.join("; ")));
            }
        }
        Ok(Self {
            key,
            operator,
            values,
        })
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it is compared.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it is compared with, sorted.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a label with this value, or a missing one, meets the requirement.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|v| v == value);
        let number = |text: &str| text.parse::<i64>().ok();
        let compare = || Some(number(value?)?.cmp(&number(self.values.first()?)?));
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => compare().is_some_and(std::cmp::Ordering::is_gt),
            Operator::Lt => compare().is_some_and(std::cmp::Ordering::is_lt),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            operator,
            values,
        } = self;
        let only = values.first().map_or("", String::as_str);
        match operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Gt => write!(f, "{key}>{only}"),
            Operator::Lt => write!(f, "{key}<{only}"),
            Operator::In if values.len() == 1 => write!(f, "{key}={only}"),
            Operator::NotIn if values.len() == 1 => write!(f, "{key}!={only}"),
            Operator::In => write!(f, "{key} in ({})", values.join(",")),
            Operator::NotIn => write!(f, "{key} notin ({})", values.join(",")),
        }
    }
}

/// Which labels are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LabelSelector {
    /// No object, whatever its labels.
    Nothing,
    /// The objects that meet all requirements; every object when there are none.
    All(Vec<Requirement>),
}

impl Default for LabelSelector {
    fn default() -> Self {
        Self::everything()
    }
}

impl LabelSelector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Matches the objects that have all these labels.
    pub fn from_set(labels: &BTreeMap<String, String>) -> Result<Self, SelectorError> {
        let requirements = labels
            .iter()
            .map(|(key, value)| Requirement::new(key, Operator::In, [value]));
        Ok(Self::All(requirements.collect::<Result<_, _>>()?))
    }

    /// Reads the object form. None matches nothing; an empty one matches everything.
    pub fn from_proto(selector: Option<&meta::v1::LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else {
            return Ok(Self::Nothing);
        };
        let Self::All(mut requirements) = Self::from_set(&selector.match_labels)? else {
            unreachable!("from_set gives requirements")
        };
        for expression in &selector.match_expressions {
            let operator = match Operator::parse(&expression.operator) {
                None | Some(Operator::Gt | Operator::Lt) => {
                    return Err(SelectorError::Invalid {
                        part: "operator",
                        text: expression.operator.clone(),
                        problem: "is not a valid label selector operator".into(),
                    });
                }
                Some(operator) => operator,
            };
            requirements.push(Requirement::new(&expression.key, operator, &expression.values)?);
        }
        requirements.sort();
        Ok(Self::All(requirements))
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(requirements) if requirements.is_empty())
    }

    /// Whether no object matches.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The requirements; none for [`Self::Nothing`].
    pub fn requirements(&self) -> &[Requirement] {
        match self {
            Self::Nothing => &[],
            Self::All(requirements) => requirements,
        }
    }

    /// The one value that the label must have, if there is only one: what an index can be asked for.
    pub fn exact(&self, key: &str) -> Option<&str> {
        self.requirements()
            .iter()
            .find(|r| r.key == key && r.operator == Operator::In && r.values.len() == 1)
            .map(|r| r.values[0].as_str())
    }

    /// Whether an object matches whose labels `lookup` gives.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(requirements) => requirements.iter().all(|r| r.matches(lookup(&r.key))),
        }
    }

    /// Whether an object with these labels matches.
    pub fn matches_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches(|key| labels.get(key).map(String::as_str))
    }
}

impl fmt::Display for LabelSelector {
    /// The text form, which reads back as the same selector; [`LabelSelector::Nothing`], which no text means, is `<none>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("<none>");
        }
        for (i, requirement) in self.requirements().iter().enumerate() {
            write!(f, "{}{requirement}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    /// Reads the text form: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`, joined by
    /// commas. The empty text matches everything.
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_TEXT {
            return Err(SelectorError::TooLong);
        }
        let mut parser = Parser { text, rest: text };
        let mut requirements = Vec::new();
        if parser.peek() == Token::End {
            return Ok(Self::everything());
        }
        loop {
            requirements.push(parser.requirement()?);
            match parser.next() {
                Token::End => break,
                Token::Comma => {}
                found => return Err(parser.unexpected(found, "',' or the end")),
            }
        }
        requirements.sort();
        Ok(Self::All(requirements))
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token<'a> {
        next(&mut self.rest)
    }

    fn peek(&self) -> Token<'a> {
        peek(&self.rest)
    }

    fn unexpected(&self, found: Token<'_>, expected: &'static str) -> SelectorError {
        SelectorError::Syntax {
            selector: self.text.to_owned(),
            found: found.describe(),
            expected,
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        const NONE: [&str; 0] = [];
        let negated = self.peek() == Token::Not;
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            found => return Err(self.unexpected(found, "a label's key")),
        };
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, NONE);
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, NONE);
        }
        match self.next() {
            Token::Equals | Token::DoubleEquals => Requirement::new(key, Operator::In, [self.value()?]),
            Token::NotEquals => Requirement::new(key, Operator::NotIn, [self.value()?]),
            Token::Greater => Requirement::new(key, Operator::Gt, [self.value()?]),
            Token::Less => Requirement::new(key, Operator::Lt, [self.value()?]),
            Token::Word("in") => Requirement::new(key, Operator::In, self.set()?),
            Token::Word("notin") => Requirement::new(key, Operator::NotIn, self.set()?),
            found => Err(self.unexpected(found, "one of '=', '==', '!=', 'in', 'notin', '>', '<'")),
        }
    }

    /// A value after an operator; it may be empty: `a=,b`.
    fn value(&mut self) -> Result<&'a str, SelectorError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(""),
            Token::Word(word) => {
                self.next();
                Ok(word)
            }
            found => Err(self.unexpected(found, "a value")),
        }
    }

    /// `(a,b,c)`, where a value may be empty: `(a,)`.
    fn set(&mut self) -> Result<Vec<&'a str>, SelectorError> {
        match self.next() {
            Token::Open => {}
            found => return Err(self.unexpected(found, "'('")),
        }
        let mut values = Vec::new();
        if self.peek() == Token::Close {
            self.next();
            return Ok(values);
        }
        loop {
            values.push(match self.peek() {
                Token::Word(word) => {
                    self.next();
                    word
                }
                _ => "",
            });
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                found => return Err(self.unexpected(found, "',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::v1::LabelSelectorRequirement;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn the_text_form_matches_as_kubectl_users_expect() {
        let web = labels(&[("app", "web"), ("tier", "front"), ("rank", "7"), ("none", "")]);
        for (selector, expected) in [
            ("", true),
            ("   ", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier = front", true),
            ("app=db", false),
            ("app!=db", true),
            ("app!=web", false),
            ("other!=web", true),
            ("app in (db,web)", true),
            ("app in (db, cache)", false),
            ("app notin (db,cache)", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("app", true),
            ("other", false),
            ("!other", true),
            ("! app", false),
            ("none=", true),
            ("app=", false),
            ("none in (,x)", true),
            ("rank>6", true),
            ("rank>7", false),
            ("rank<8", true),
            ("app>1", false),
            ("other<1", false),
            ("app=web,!other,tier in (front)", true),
            ("in=x", false),
            ("!in", true),
            ("in in (in)", false),
        ] {
            let parsed: LabelSelector = selector.parse().unwrap_or_else(|e| panic!("{selector}: {e}"));
            assert_eq!(parsed.matches_labels(&web), expected, "{selector}");
        }
    }

    #[test]
    fn text_that_breaks_the_grammar_is_refused() {
        for selector in [
            ",",
            "a,",
            "a,,b",
            "=b",
            "a=b=c",
            "a in",
            "a in b",
            "a in (b",
            "a in (b c)",
            "a in ()",
            "a>x",
            "a>",
            "(",
            "a b",
            "!",
            "!a=b",
            "a!b",
            "a=b c",
            "-a=b",
            "a=-b",
            "a/b/c=d",
            "a=b)",
            "a=%",
            "\u{e9}=a",
        ] {
            assert!(selector.parse::<LabelSelector>().is_err(), "{selector}");
        }
        assert_eq!(
            "a,".repeat(MAX_TEXT).parse::<LabelSelector>(),
            Err(SelectorError::TooLong)
        );
        assert_eq!(
            "a in b".parse::<LabelSelector>().unwrap_err().to_string(),
            r#"unable to parse "a in b": found 'b', expected '('"#
        );
    }

    #[test]
    fn the_object_form_tells_nothing_from_everything() {
        assert!(LabelSelector::from_proto(None).unwrap().is_nothing());
        assert!(!LabelSelector::Nothing.matches_labels(&labels(&[])));
        let mut selector = meta::v1::LabelSelector::default();
        assert!(
            LabelSelector::from_proto(Some(&selector))
                .unwrap()
                .is_everything()
        );
        selector.match_labels = labels(&[("app", "web")]);
        let expression = |operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: "tier".into(),
            operator: operator.into(),
            values: values.iter().map(|v| (*v).into()).collect(),
        };
        for (operator, values, text) in [
            ("In", &["b", "a"][..], "app=web,tier in (a,b)"),
            ("NotIn", &["a"], "app=web,tier!=a"),
            ("Exists", &[], "app=web,tier"),
            ("DoesNotExist", &[], "app=web,!tier"),
        ] {
            selector.match_expressions = vec![expression(operator, values)];
            assert_eq!(
                LabelSelector::from_proto(Some(&selector)).unwrap().to_string(),
                text
            );
        }
        for (operator, values) in [
            ("In", &[][..]),
            ("Exists", &["a"]),
            ("Gt", &["1"]),
            ("in", &["a"]),
            ("In", &["-"]),
        ] {
            selector.match_expressions = vec![expression(operator, values)];
            assert!(
                LabelSelector::from_proto(Some(&selector)).is_err(),
                "{operator} {values:?}"
            );
        }
    }

    #[test]
    fn an_index_learns_the_one_value_that_can_match() {
        let selector: LabelSelector = "a=b,c in (d,e),f".parse().unwrap();
        assert_eq!(selector.exact("a"), Some("b"));
        assert_eq!(selector.exact("c"), None);
        assert_eq!(selector.exact("f"), None);
    }

    fn requirement() -> impl Strategy<Value = Requirement> {
        let key = "[a-c]{1,2}(/[A-Z][A-Z_.]{0,2}x)?";
        let value = "([a-c]([a-c._-]{0,2}[a-c])?)?";
        (key, 0..6, prop::collection::vec(value, 1..4), any::<i64>()).prop_map(
            |(key, operator, values, number)| {
                const NONE: [&str; 0] = [];
                match operator {
                    0 => Requirement::new(key, Operator::In, values),
                    1 => Requirement::new(key, Operator::NotIn, values),
                    2 => Requirement::new(key, Operator::Exists, NONE),
                    3 => Requirement::new(key, Operator::DoesNotExist, NONE),
                    4 => Requirement::new(
                        key,
                        Operator::Gt,
                        [number.unsigned_abs().min(1 << 62).to_string()],
                    ),
                    _ => Requirement::new(
                        key,
                        Operator::Lt,
                        [number.unsigned_abs().min(1 << 62).to_string()],
                    ),
                }
                .unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(mut requirements in prop::collection::vec(requirement(), 0..5)) {
            requirements.sort();
            let selector = LabelSelector::All(requirements);
            let text = selector.to_string();
            prop_assert_eq!(text.parse::<LabelSelector>().unwrap(), selector, "{}", text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<LabelSelector>();
        }
    }
}
