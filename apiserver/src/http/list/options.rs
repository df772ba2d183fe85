//! What a list's parameters ask for, and which of them contradict each other. Pure.

use crate::http::query::{Query, invalid};
use crate::registry::errors::{self, Result};
use apimachinery::status::FieldError;

/// How a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListOptions {
    /// The most items on a page; 0 for all.
    pub(crate) limit: i64,
    /// Read at exactly this revision; 0 for the newest.
    pub(crate) exact: i64,
    /// Read at no earlier revision; 0 for any.
    pub(crate) not_older: i64,
}

impl ListOptions {
    /// Reads a list's parameters.
    pub(crate) fn of(query: &Query) -> Result<Self> {
        let matching = query.text("resourceVersionMatch");
        let version = query.text("resourceVersion");
        let continued = !query.text("continue").is_empty();
        let limit = query.number("limit")?.unwrap_or(0);
        if limit < 0 {
            return Err(errors::bad_request("limit must not be negative"));
        }
        check(
            matching,
            version,
            continued,
            query.switch("sendInitialEvents").is_some(),
        )?;
        let revision = query.revision()?;
        if continued {
            if revision != 0 {
                return Err(errors::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            return Ok(Self {
                limit,
                ..Self::default()
            });
        }
        // Without a word about it, a page is read at the very revision, and a whole list at one no older.
        let exact = matching == "Exact" || (matching.is_empty() && limit > 0);
        Ok(Self {
            limit,
            exact: if exact { revision } else { 0 },
            not_older: if exact { 0 } else { revision },
        })
    }
}

fn check(matching: &str, version: &str, continued: bool, initial_events: bool) -> Result<()> {
    let forbidden = |field: &str, why: &str| FieldError {
        reason: "FieldValueForbidden",
        field: field.into(),
        message: format!("Forbidden: {why}"),
    };
    let matches = |why: &str| forbidden("resourceVersionMatch", why);
    let mut faults = Vec::new();
    if !matching.is_empty() {
        if version.is_empty() {
            faults.push(matches(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if continued {
            faults.push(matches(
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        match matching {
            "Exact" if version == "0" => faults.push(matches(
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            "Exact" | "NotOlderThan" => {}
            other => faults.push(FieldError {
                reason: "FieldValueNotSupported",
                field: "resourceVersionMatch".into(),
                message: format!(
                    "Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
                ),
            }),
        }
    }
    if initial_events {
        faults.push(forbidden(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        ));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(invalid(&faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<(i64, i64, i64)> {
        let options = ListOptions::of(&Query::parse(Some(text)).unwrap())?;
        Ok((options.limit, options.exact, options.not_older))
    }

    #[test]
    fn a_list_reads_at_the_newest_revision_at_one_no_older_or_at_one_exactly() {
        for (text, expected) in [
            ("", (0, 0, 0)),
            ("limit=5", (5, 0, 0)),
            ("resourceVersion=0", (0, 0, 0)),
            ("resourceVersion=7", (0, 0, 7)),
            ("resourceVersion=7&limit=5", (5, 7, 0)),
            ("resourceVersion=7&resourceVersionMatch=Exact", (0, 7, 0)),
            (
                "resourceVersion=7&resourceVersionMatch=NotOlderThan&limit=5",
                (5, 0, 7),
            ),
            ("continue=abc&limit=5", (5, 0, 0)),
            ("continue=abc&resourceVersion=0", (0, 0, 0)),
        ] {
            assert_eq!(options(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn contradictions_are_invalid_and_what_cannot_be_read_is_a_bad_request() {
        for (text, code, word) in [
            (
                "resourceVersionMatch=Exact",
                422,
                "unless resourceVersion is provided",
            ),
            (
                "resourceVersion=1&resourceVersionMatch=Exact&continue=a",
                422,
                "when continue is provided",
            ),
            (
                "resourceVersion=0&resourceVersionMatch=Exact",
                422,
                "is forbidden for resourceVersion \"0\"",
            ),
            (
                "resourceVersion=1&resourceVersionMatch=Near",
                422,
                "Unsupported value: \"Near\"",
            ),
            (
                "sendInitialEvents=true",
                422,
                "sendInitialEvents is forbidden for list",
            ),
            ("resourceVersion=abc", 400, "resourceVersion"),
            ("resourceVersion=-1", 400, "resourceVersion"),
            ("limit=-1", 400, "limit"),
            ("limit=x", 400, "limit"),
            (
                "resourceVersion=7&continue=a",
                400,
                "not allowed when using continue",
            ),
        ] {
            let status = options(text).unwrap_err();
            assert_eq!(status.code, code, "{text}");
            assert!(status.message.contains(word), "{text}: {}", status.message);
        }
    }
}
