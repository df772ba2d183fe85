//! `PodLogOptions`, as a query's parameters. Pure.

use super::super::query::Query;
use crate::registry::errors::Result;
use apimachinery::status::{self, FieldError};
use jiff::Timestamp;
use proto::orrery::v1::ContainerLogsRequest;

/// How much of a log, and of which container.
#[derive(Debug)]
pub(super) struct LogOptions {
    /// Empty for the Pod's only one.
    pub(super) container: String,
    /// Whether only standard error is wanted.
    pub(super) stderr_only: bool,
    /// What the kubelet is asked, but for whose log.
    pub(super) request: ContainerLogsRequest,
}

impl LogOptions {
    /// Reads them; what contradicts itself is refused.
    pub(super) fn of(query: &Query) -> Result<Self> {
        let on = |name| query.switch(name) == Some(true);
        let mut faults = Vec::new();
        let request = ContainerLogsRequest {
            follow: on("follow"),
            previous: on("previous"),
            timestamps: on("timestamps"),
            since_seconds: query.number("sinceSeconds")?,
            tail_lines: query.number("tailLines")?,
            limit_bytes: query.number("limitBytes")?,
            since_time: since(query, &mut faults),
            ..ContainerLogsRequest::default()
        };
        for (field, value, least, rule) in [
            (
                "tailLines",
                request.tail_lines,
                0,
                "must be greater than or equal to 0",
            ),
            ("limitBytes", request.limit_bytes, 1, "must be greater than 0"),
            ("sinceSeconds", request.since_seconds, 1, "must be greater than 0"),
        ] {
            if let Some(value) = value.filter(|value| *value < least) {
                faults.push(fault(
                    "FieldValueInvalid",
                    field,
                    format!("Invalid value: {value}: {rule}"),
                ));
            }
        }
        if request.since_seconds.is_some() && request.since_time.is_some() {
            let both = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
            faults.push(fault("FieldValueForbidden", "", both.into()));
        }
        let stream = query.text("stream");
        if !["", "All", "Stdout", "Stderr"].contains(&stream) {
            let shown: String = stream.chars().take(32).collect();
            let supported = r#"supported values: "All", "Stderr", "Stdout""#;
            let message = format!("Unsupported value: {shown:?}: {supported}");
            faults.push(fault("FieldValueNotSupported", "stream", message));
        }
        if !faults.is_empty() {
            return Err(Box::new(status::invalid("", "PodLogOptions", "", &faults)));
        }
        Ok(Self {
            container: query.text("container").to_owned(),
            stderr_only: stream == "Stderr",
            request,
        })
    }
}

fn since(query: &Query, faults: &mut Vec<FieldError>) -> Option<proto::Timestamp> {
    let text = query.text("sinceTime");
    if text.is_empty() {
        return None;
    }
    let time = text.parse::<Timestamp>().ok();
    if time.is_none() {
        let shown: String = text.chars().take(64).collect();
        let message = format!("Invalid value: {shown:?}: must be a time, as in 2026-01-02T03:04:05Z");
        faults.push(fault("FieldValueInvalid", "sinceTime", message));
    }
    time.map(component_base::time::micro_time)
}

fn fault(reason: &'static str, field: &str, message: String) -> FieldError {
    FieldError {
        reason,
        field: field.into(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_makes_no_sense_is_refused() {
        for (query, expected) in [
            ("", Ok(ContainerLogsRequest::default())),
            (
                "follow=true&previous=1&timestamps&tailLines=0&limitBytes=1&sinceSeconds=5&stream=All",
                Ok(ContainerLogsRequest {
                    follow: true,
                    previous: true,
                    timestamps: true,
                    tail_lines: Some(0),
                    limit_bytes: Some(1),
                    since_seconds: Some(5),
                    ..ContainerLogsRequest::default()
                }),
            ),
            (
                "sinceTime=1970-01-01T00:00:07Z",
                Ok(ContainerLogsRequest {
                    since_time: Some(proto::Timestamp { seconds: 7, nanos: 0 }),
                    ..ContainerLogsRequest::default()
                }),
            ),
            ("tailLines=-1", Err(422)),
            ("limitBytes=0", Err(422)),
            ("sinceSeconds=0", Err(422)),
            ("sinceTime=yesterday", Err(422)),
            ("sinceSeconds=1&sinceTime=1970-01-01T00:00:07Z", Err(422)),
            ("stream=Stdin", Err(422)),
            ("tailLines=many", Err(400)),
            ("tailLines=99999999999999999999", Err(400)),
        ] {
            let options = LogOptions::of(&Query::parse(Some(query)).unwrap());
            let read = options
                .map(|options| options.request)
                .map_err(|status| status.code);
            assert_eq!(read, expected, "{query}");
        }
    }
}
