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
    /// The columns that `kubectl get` prints: `meta.k8s.io`'s Table.
    Table(TableForm),
    /// Their metadata: PartialObjectMetadata, in this version.
    Partial(&'static str),
    /// The metadata of each of a list: PartialObjectMetadataList, in this version.
    PartialList(&'static str),
}

/// How a Table is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableForm {
    /// Its version in `meta.k8s.io`.
    pub(crate) version: &'static str,
    /// What of the object is in a row beside its cells.
    pub(crate) include: Include,
}

/// What of an object is in a row of a Table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the parameter `includeObject`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(errors::bad_request(format!(
                "unrecognized includeObject value: {:?}",
                other.chars().take(32).collect::<String>()
            ))),
        }
    }
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
    let (format, shape) = prefer(accept(headers)).ok_or_else(not_acceptable)?;
    Ok(Form {
        format,
        shape,
        pretty: is_pretty(headers, pretty),
    })
}

/// Whether JSON is indented: as the query says, or else for whoever looks at it.
pub(crate) fn is_pretty(headers: &HeaderMap, asked: Option<bool>) -> bool {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    asked.unwrap_or_else(|| agent.is_some_and(is_person))
}

fn accept(headers: &HeaderMap) -> &str {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    accept.unwrap_or_default()
}

/// Whether somebody looks at the answer with his own eyes, and would like it indented.
fn is_person(user_agent: &str) -> bool {
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|name| user_agent.starts_with(name))
}

fn prefer(accept: &str) -> Option<(Format, Shape)> {
    parse(accept).iter().find_map(Clause::form)
}

/// What the client takes, what it wants most first. Who says nothing takes anything.
pub(crate) fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    parse(accept(headers))
}

fn parse(accept: &str) -> Vec<Clause<'_>> {
    let accept = if accept.trim().is_empty() { "*/*" } else { accept };
    let mut clauses: Vec<_> = accept
        .split(',')
        .take(MAX_CLAUSES)
        .map(Clause::parse)
        .filter(|clause| clause.quality > 0.0)
        .collect();
    // A stable sort: of equals, the first counts.
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

/// One media type of `Accept`, and how much it is wanted.
pub(crate) struct Clause<'a> {
    /// Without its parameters.
    pub(crate) media_type: &'a str,
    /// The parameter `as`.
    pub(crate) shape: &'a str,
    /// The parameter `g`.
    pub(crate) group: &'a str,
    /// The parameter `v`.
    pub(crate) version: &'a str,
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

    /// How we would encode it; `None` when we cannot.
    pub(crate) fn format(&self) -> Option<Format> {
        match self.media_type {
            "application/json" | "application/*" | "*/*" => Some(Format::Json),
            "application/yaml" => Some(Format::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Format::Protobuf),
            _ => None,
        }
    }

    /// Whether JSON of no particular shape would do.
    pub(crate) fn is_json(&self) -> bool {
        self.shape.is_empty() && self.format() == Some(Format::Json)
    }

    /// What we would answer; `None` when we cannot.
    fn form(&self) -> Option<(Format, Shape)> {
        let format = self.format()?;
        if self.shape.is_empty() {
            return Some((format, Shape::Whole));
        }
        let version = ["v1", "v1beta1"]
            .into_iter()
            .find(|version| *version == self.version)?;
        let shape = match (self.group, self.shape) {
            // A Table has no protobuf form.
            ("meta.k8s.io", "Table") if format != Format::Protobuf => Shape::Table(TableForm {
                version,
                include: Include::default(),
            }),
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
        const TABLE: TableForm = TableForm {
            version: "v1",
            include: Include::Metadata,
        };
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
            (KUBECTL, Some((Format::Json, Shape::Table(TABLE)))),
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
