//! The notation of cron, as CronJobs have it: whether a schedule can be read, and if not, why.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>

use crate::json::parse_duration;

/// What each of the five fields may hold, and the names that stand for numbers.
const FIELDS: [Field; 5] = [
    Field::new(0, 59, &[]),
    Field::new(0, 23, &[]),
    Field::new(1, 31, &[]),
    Field::new(
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    Field::new(0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// Words that stand for whole schedules.
const DESCRIPTORS: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

struct Field {
    least: u32,
    most: u32,
    /// In the order of their numbers, from `least`.
    names: &'static [&'static str],
}

/// Why a schedule cannot be read; `None` when it can.
pub(super) fn problem(schedule: &str) -> Option<String> {
    read(schedule).err()
}

fn read(schedule: &str) -> Result<(), String> {
    if let Some(every) = schedule.strip_prefix("@every ") {
        return match parse_duration(every) {
            Some(_) => Ok(()),
            None => Err(format!("failed to parse duration {schedule}")),
        };
    }
    if schedule.starts_with('@') {
        return match DESCRIPTORS.contains(&schedule) {
            true => Ok(()),
            false => Err(format!("unrecognized descriptor: {schedule}")),
        };
    }
    let words: Vec<&str> = schedule.split_whitespace().collect();
    if words.len() != FIELDS.len() {
        let found = words.len();
        return Err(format!(
            "expected exactly 5 fields, found {found}: [{}]",
            words.join(" ")
        ));
    }
    for (word, field) in words.iter().zip(&FIELDS) {
        for range in word.split(',') {
            field.range(range)?;
        }
    }
    Ok(())
}

impl Field {
    const fn new(least: u32, most: u32, names: &'static [&'static str]) -> Self {
        Self { least, most, names }
    }

    /// `*`, `5`, `1-5`, `*/15`, `1-30/2`.
    fn range(&self, text: &str) -> Result<(), String> {
        let mut parts = text.split('/');
        let (span, step) = (parts.next().unwrap_or_default(), parts.next());
        if parts.next().is_some() {
            return Err(format!("too many slashes: {text}"));
        }
        if step.map(number).transpose()? == Some(0) {
            return Err(format!("step of range should be a positive number: {text}"));
        }
        if matches!(span, "*" | "?") {
            return Ok(());
        }
        let mut ends = span.split('-');
        let from = self.value(ends.next().unwrap_or_default())?;
        let to = match (ends.next(), step) {
            (Some(to), _) => self.value(to)?,
            (None, Some(_)) => self.most,
            (None, None) => from,
        };
        if ends.next().is_some() {
            return Err(format!("too many hyphens: {text}"));
        }
        let Self { least, most, .. } = self;
        match () {
            () if from < *least => Err(format!(
                "beginning of range ({from}) below minimum ({least}): {text}"
            )),
            () if to > *most => Err(format!("end of range ({to}) above maximum ({most}): {text}")),
            () if from > to => Err(format!(
                "beginning of range ({from}) beyond end of range ({to}): {text}"
            )),
            () => Ok(()),
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        match named {
            Some(at) => Ok(self.least + at as u32),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    if text.starts_with('-') {
        return Err(format!("negative number ({text}) not allowed: {text}"));
    }
    text.parse()
        .map_err(|_| format!("failed to parse int from {text}: it is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cron_reads_is_a_schedule() {
        for schedule in [
            "* * * * *",
            "*/15 0-6,20-23 1 JAN-mar ?",
            "5/10 4 * * sun",
            "0 0 31 12 6",
            "@hourly",
            "@every 1h30m",
        ] {
            assert_eq!(problem(schedule), None, "{schedule}");
        }
    }

    #[test]
    fn what_cron_does_not_read_is_told() {
        for (schedule, expected) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            (
                "5-1 * * * *",
                "beginning of range (5) beyond end of range (1): 5-1",
            ),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: it is no number"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every day", "failed to parse duration @every day"),
        ] {
            assert_eq!(problem(schedule).as_deref(), Some(expected), "{schedule}");
        }
    }
}
