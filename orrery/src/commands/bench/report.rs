//! How the figures come out: a table for people, rows as JSON for machines, and a bar while they are being measured.

use crate::table::Table;
use anyhow::Result;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Shown while nothing else moves.
const TICK: Duration = Duration::from_millis(100);

/// What a benchmark found.
pub(super) struct Report {
    name: &'static str,
    rows: Value,
    /// For people.
    pub(super) text: String,
}

impl Report {
    /// `rows` under `title` as `table` shows them, and what follows from them in `words`.
    pub(super) fn new<R: Serialize>(
        name: &'static str,
        title: &str,
        rows: &[R],
        table: &Table,
        words: &str,
    ) -> Result<Self> {
        Ok(Self {
            name,
            rows: serde_json::to_value(rows)?,
            text: format!("{title}\n\n{table}{words}"),
        })
    }
}

/// All reports as one object: the benchmark's name → its rows.
pub(super) fn json(reports: &[Report]) -> Result<String> {
    let all: Map<String, Value> = reports
        .iter()
        .map(|report| (report.name.to_owned(), report.rows.clone()))
        .collect();
    Ok(serde_json::to_string_pretty(&all)?)
}

/// The bar, on standard error. Not shown where that is no terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {pos}/{len} {msg}");
        let bar = ProgressBar::new(0).with_style(style.expect("the template is a constant"));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// A benchmark of so many steps begins.
    pub(super) fn begin(&self, name: &'static str, steps: usize) {
        self.0.set_prefix(name);
        self.0.set_length(steps as u64);
        self.0.set_position(0);
    }

    /// What is being measured now.
    pub(super) fn now(&self, what: String) {
        self.0.set_message(what);
    }

    /// It has been measured.
    pub(super) fn step(&self) {
        self.0.inc(1);
    }

    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// Durations in microseconds: three digits, up to the longest that a benchmark can see.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(600_000_000, 3).expect("the bounds are constants that it takes")
}

/// Microseconds, as a histogram counts them.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// "1.25 ms"
pub(super) fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1e3)
}

/// "12,345"
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let written = [0.4, 999.0, 1000.0, 1_234_567.0].map(thousands);
        assert_eq!(written, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(millis(1_254), "1.25 ms");
    }
}
