//! What a watch's parameters ask for, and which of them contradict each other. Pure.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch>

use crate::http::query::{Query, invalid};
use crate::registry::errors::{self, Result};
use apimachinery::status::FieldError;
use std::time::Duration;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the objects there are, as ADDED, at this revision or a later one.
    Objects(i64),
    /// With the changes after this revision.
    After(i64),
    /// With the next change.
    Now,
}

/// How a watch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchOptions {
    /// Where it begins.
    pub(crate) start: Start,
    /// Whether a bookmark tells where the objects there are end and the changes begin.
    pub(crate) marks_initial: bool,
    /// Whether bookmarks tell how far it has come.
    pub(crate) bookmarks: bool,
    /// When the server ends it; `None` leaves it to the server.
    pub(crate) timeout: Option<Duration>,
}

/// The longest a watch lasts, whatever its client asks for: a day.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

impl WatchOptions {
    /// Reads a watch's parameters.
    pub(crate) fn of(query: &Query) -> Result<Self> {
        let initial = query.switch("sendInitialEvents");
        check(
            query.text("resourceVersionMatch"),
            initial,
            !query.text("continue").is_empty(),
        )?;
        let revision = query.revision()?;
        let bookmarks = query.switch("allowWatchBookmarks") == Some(true);
        let start = match (initial, revision) {
            (Some(true), revision) => Start::Objects(revision),
            (Some(false), 0) => Start::Now,
            (None, 0) => Start::Objects(0),
            (_, revision) => Start::After(revision),
        };
        let timeout = query.number("timeoutSeconds")?.map(|seconds| {
            u64::try_from(seconds).map_err(|_| errors::bad_request("timeoutSeconds must not be negative"))
        });
        Ok(Self {
            start,
            marks_initial: initial == Some(true) && bookmarks,
            bookmarks,
            timeout: timeout
                .transpose()?
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds).min(MAX_TIMEOUT)),
        })
    }
}

fn check(matching: &str, initial: Option<bool>, continued: bool) -> Result<()> {
    let forbidden = |field: &str, why: &str| FieldError {
        reason: "FieldValueForbidden",
        field: field.into(),
        message: format!("Forbidden: {why}"),
    };
    let mut faults = Vec::new();
    if initial.is_none() && !matching.is_empty() {
        faults.push(forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    if initial.is_some() && matching != "NotOlderThan" {
        faults.push(forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if continued {
        faults.push(forbidden("continue", "continue is forbidden for watch"));
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

    fn options(text: &str) -> Result<WatchOptions> {
        WatchOptions::of(&Query::parse(Some(text)).unwrap())
    }

    #[test]
    fn a_watch_begins_with_the_objects_there_are_after_a_revision_or_now() {
        const MATCH: &str = "resourceVersionMatch=NotOlderThan";
        for (text, start, marks) in [
            ("", Start::Objects(0), false),
            ("resourceVersion=0", Start::Objects(0), false),
            ("resourceVersion=7", Start::After(7), false),
            (
                &format!("sendInitialEvents=true&{MATCH}"),
                Start::Objects(0),
                false,
            ),
            (
                &format!("sendInitialEvents=true&{MATCH}&allowWatchBookmarks=true"),
                Start::Objects(0),
                true,
            ),
            (
                &format!("sendInitialEvents=true&{MATCH}&resourceVersion=7"),
                Start::Objects(7),
                false,
            ),
            (&format!("sendInitialEvents=false&{MATCH}"), Start::Now, false),
            (
                &format!("sendInitialEvents=false&{MATCH}&resourceVersion=7"),
                Start::After(7),
                false,
            ),
        ] {
            let options = options(text).unwrap();
            assert_eq!((options.start, options.marks_initial), (start, marks), "{text}");
        }
    }

    #[test]
    fn a_watch_lasts_as_long_as_it_is_asked_to_within_bounds() {
        for (text, seconds) in [
            ("", None),
            ("timeoutSeconds=0", None),
            ("timeoutSeconds=5", Some(5)),
            ("timeoutSeconds=9999999999", Some(24 * 3600)),
        ] {
            assert_eq!(
                options(text).unwrap().timeout,
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, code) in [
            ("resourceVersionMatch=NotOlderThan", 422),
            ("sendInitialEvents=true", 422),
            ("sendInitialEvents=true&resourceVersionMatch=Exact", 422),
            ("continue=a", 422),
            ("resourceVersion=x", 400),
            ("timeoutSeconds=-1", 400),
            ("timeoutSeconds=1e99", 400),
        ] {
            assert_eq!(options(text).unwrap_err().code, code, "{text}");
        }
    }
}
