//! What form a client wants its answer in: `Accept`, as Kubernetes reads it. Pure.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>

use crate::registry::errors::{self, Result};
use axum::http::{HeaderMap, HeaderValue, header};

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Format {
    /// The `Content-Type` of an answer.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        })
    }
}

/// What an answer shows of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of them.
    Whole,
    /// The columns that `kubectl get` prints: `meta.k8s.io`'s Table, in this version.
    Table(&'static str),
    /// Their metadata: PartialObjectMetadata, in this version.
    Partial(&'static str),
    /// The metadata of each of a list: PartialObjectMetadataList, in this version.
    PartialList(&'static str),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// How it is encoded.
    pub(crate) format: Format,
    /// What it shows.
    pub(crate) shape: Shape,
    /// Whether JSON is indented for people.
    pub(crate) pretty: bool,
}

/// More clauses than any client sends.
const MAX_CLAUSES: usize = 64;

/// What the client wants most of what we have. `pretty` is the query's parameter, which decides when it is there.
pub(crate) fn negotiate(headers: &HeaderMap, pretty: Option<bool>) -> Result<Form> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let accept = text(header::ACCEPT).unwrap_or_default();
    let (format, shape) = prefer(accept).ok_or_else(not_acceptable)?;
    let person = || text(header::USER_AGENT).is_some_and(is_person);
    Ok(Form {
        format,
        shape,
        pretty: pretty.unwrap_or_else(person),
    })
}

/// Whether somebody looks at the answer with his own eyes, and would like it indented.
fn is_person(user_agent: &str) -> bool {
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|name| user_agent.starts_with(name))
}

fn prefer(accept: &str) -> Option<(Format, Shape)> {
    if accept.trim().is_empty() {
        return Some((Format::Json, Shape::Whole));
    }
    let mut clauses: Vec<_> = accept
        .split(',')
        .take(MAX_CLAUSES)
        .map(Clause::parse)
        .filter(|clause| clause.quality > 0.0)
        .collect();
    // A stable sort: of equals, the first counts.
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses.iter().find_map(Clause::form)
}

/// One media type of `Accept`, and how much it is wanted.
struct Clause<'a> {
    media_type: &'a str,
    shape: &'a str,
    group: &'a str,
    version: &'a str,
    quality: f64,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut clause = Self {
            media_type: parts.next().unwrap_or_default(),
            shape: "",
            group: "",
            version: "",
            quality: 1.0,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "as" => clause.shape = value,
                "g" => clause.group = value,
                "v" => clause.version = value,
                "q" => clause.quality = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        clause
    }

    /// What we would answer; `None` when we cannot.
    fn form(&self) -> Option<(Format, Shape)> {
        let format = match self.media_type {
            "application/json" | "application/*" | "*/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            "application/vnd.kubernetes.protobuf" => Format::Protobuf,
            _ => return None,
        };
        if self.shape.is_empty() {
            return Some((format, Shape::Whole));
        }
        let version = ["v1", "v1beta1"]
            .into_iter()
            .find(|version| *version == self.version)?;
        let shape = match (self.group, self.shape) {
            // A Table has no protobuf form.
            ("meta.k8s.io", "Table") if format != Format::Protobuf => Shape::Table(version),
            ("meta.k8s.io", "PartialObjectMetadata") => Shape::Partial(version),
            ("meta.k8s.io", "PartialObjectMetadataList") => Shape::PartialList(version),
            _ => return None,
        };
        Some((format, shape))
    }
}

/// The client wants nothing that we have.
pub(crate) fn not_acceptable() -> Box<proto::meta::v1::Status> {
    errors::not_acceptable(
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
    )
}

/// A header's media type without its parameters, in lower case.
pub(crate) fn essence(value: &str) -> String {
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_clause_that_we_have_decides() {
        const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (accept, expected) in [
            ("", Some((Format::Json, Shape::Whole))),
            ("*/*", Some((Format::Json, Shape::Whole))),
            ("application/yaml", Some((Format::Yaml, Shape::Whole))),
            (
                "application/json;q=0.1, application/yaml;q=0.9",
                Some((Format::Yaml, Shape::Whole)),
            ),
            (
                "application/json;q=0, application/yaml",
                Some((Format::Yaml, Shape::Whole)),
            ),
            (
                "text/html,application/xhtml+xml,*/*;q=0.8",
                Some((Format::Json, Shape::Whole)),
            ),
            (
                "application/cbor,application/json",
                Some((Format::Json, Shape::Whole)),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some((Format::Protobuf, Shape::Whole)),
            ),
            (
                "application/json;stream=watch",
                Some((Format::Json, Shape::Whole)),
            ),
            (KUBECTL, Some((Format::Json, Shape::Table("v1")))),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json",
                Some((Format::Json, Shape::Whole)),
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some((Format::Json, Shape::PartialList("v1"))),
            ),
            ("application/json;as=Poem;g=meta.k8s.io;v=v1", None),
            ("text/csv", None),
            ("application/json;q=x", None),
        ] {
            assert_eq!(prefer(accept), expected, "{accept}");
        }
    }

    #[test]
    fn people_get_indented_json_unless_they_ask_otherwise() {
        let mut headers = HeaderMap::new();
        assert!(!negotiate(&headers, None).unwrap().pretty);
        headers.insert(header::USER_AGENT, "curl/8".parse().unwrap());
        assert!(negotiate(&headers, None).unwrap().pretty);
        assert!(!negotiate(&headers, Some(false)).unwrap().pretty);
    }
}
