//! The parameters of a request, read as Kubernetes reads them: an unknown one is ignored, one that cannot be read is an
//! error. Pure.

use crate::registry::errors::{self, Result};
use apimachinery::status::{self, FieldError};
use form_urlencoded::parse;

/// The most parameters that are looked at. Clients send a dozen; each further one costs memory.
const MAX_PARAMETERS: usize = 128;

/// A URL's query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the text after `?`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self> {
        let pairs = parse(text.unwrap_or_default().as_bytes()).into_owned();
        let pairs: Vec<_> = pairs.take(MAX_PARAMETERS + 1).collect();
        if pairs.len() > MAX_PARAMETERS {
            return Err(errors::bad_request(format!(
                "the query has more than {MAX_PARAMETERS} parameters"
            )));
        }
        Ok(Self(pairs))
    }

    /// The first value of a parameter; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        let named = self.0.iter().find(|(key, _)| key == name);
        named.map_or("", |(_, value)| value)
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// A switch: on when it is there, unless it says `false` or `0`.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        let value = &self.0.iter().find(|(key, _)| key == name)?.1;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>> {
        let value = self.text(name);
        if value.is_empty() {
            return Ok(None);
        }
        value.parse().map(Some).map_err(|_| {
            let shown: String = value.chars().take(32).collect();
            errors::bad_request(format!("{name}: {shown:?} is not a whole number of 64 bits"))
        })
    }

    /// `resourceVersion`: 0 when it is not there, which asks for whatever there is.
    pub(crate) fn revision(&self) -> Result<i64> {
        let value = self.text("resourceVersion");
        if value.is_empty() {
            return Ok(0);
        }
        let revision = value.parse().ok().filter(|revision| *revision >= 0);
        revision.ok_or_else(|| {
            let shown: String = value.chars().take(32).collect();
            errors::bad_request(format!(
                "Invalid value: {shown:?}: resourceVersion must be a whole number, 0 or more"
            ))
        })
    }

    /// Whether the request is a rehearsal.
    pub(crate) fn dry_run(&self) -> Result<bool> {
        match self
            .all("dryRun")
            .find(|value| *value != "All" && !value.is_empty())
        {
            None => Ok(self.all("dryRun").any(|value| value == "All")),
            Some(value) => Err(unsupported("dryRun", value, &["All"])),
        }
    }
}

/// A parameter that is none of the values it may have.
pub(crate) fn unsupported(name: &str, value: &str, supported: &[&str]) -> Box<proto::meta::v1::Status> {
    let supported: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
    let fault = FieldError {
        reason: "FieldValueNotSupported",
        field: name.into(),
        message: format!(
            "Unsupported value: {value:?}: supported values: {}",
            supported.join(", ")
        ),
    };
    invalid(&[fault])
}

/// Parameters that contradict each other.
pub(crate) fn invalid(faults: &[FieldError]) -> Box<proto::meta::v1::Status> {
    Box::new(status::invalid("meta.k8s.io", "ListOptions", "", faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(Some(text)).unwrap()
    }

    #[test]
    fn switches_are_on_unless_they_say_no() {
        for (text, expected) in [
            ("", None),
            ("watch", Some(true)),
            ("watch=1", Some(true)),
            ("watch=true", Some(true)),
            ("watch=0", Some(false)),
            ("watch=False", Some(false)),
        ] {
            assert_eq!(query(text).switch("watch"), expected, "{text}");
        }
    }

    #[test]
    fn values_are_decoded_and_the_first_counts() {
        let query = query("labelSelector=a%20in%20(b,c)&labelSelector=x&limit=5&bad=1e9");
        assert_eq!(query.text("labelSelector"), "a in (b,c)");
        assert_eq!(query.number("limit"), Ok(Some(5)));
        assert_eq!(query.number("none"), Ok(None));
        assert_eq!(query.number("bad").unwrap_err().code, 400);
        assert!(Query::parse(Some(&"a&".repeat(1000))).is_err());
    }

    #[test]
    fn a_dry_run_is_of_everything_or_not_at_all() {
        assert_eq!(query("dryRun=All").dry_run(), Ok(true));
        assert_eq!(query("").dry_run(), Ok(false));
        assert_eq!(query("dryRun=Some").dry_run().unwrap_err().code, 422);
    }
}
