//! What is described, line by line: fields in columns, sections indented.

use crate::tabs;
use component_base::time::timestamp;
use proto::Quantity;
use std::collections::BTreeMap;

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// `Name:  value`.
    pub(super) fn field(&mut self, level: usize, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        self.cells(level, &[&format!("{name}:"), value]);
    }

    /// A field that is left out where it says nothing.
    pub(super) fn some(&mut self, level: usize, name: &str, value: impl AsRef<str>) {
        if !value.as_ref().is_empty() {
            self.field(level, name, value);
        }
    }

    /// A title over fields.
    pub(super) fn head(&mut self, level: usize, name: &str) {
        self.cells(level, &[&format!("{name}:")]);
    }

    /// A line of columns.
    pub(super) fn cells(&mut self, level: usize, cells: &[&str]) {
        self.text += &"  ".repeat(level);
        // A cell of several lines would look like another line.
        self.text += &cells
            .iter()
            .map(|cell| cell.replace(['\t', '\n'], " "))
            .collect::<Vec<_>>()
            .join("\t");
        self.text.push('\n');
    }

    /// One value a line, the first beside the name; `<none>` for none.
    pub(super) fn list(&mut self, level: usize, name: &str, values: impl IntoIterator<Item = String>) {
        let mut label = format!("{name}:");
        for value in values {
            self.cells(level, &[&label, &value]);
            label.clear();
        }
        if !label.is_empty() {
            self.cells(level, &[&label, "<none>"]);
        }
    }

    /// `key=value`, one a line.
    pub(super) fn labels(&mut self, level: usize, name: &str, labels: &BTreeMap<String, String>) {
        self.list(
            level,
            name,
            labels.iter().map(|(key, value)| format!("{key}={value}")),
        );
    }

    /// `key: value`, one a line; without what only tools read.
    pub(super) fn annotations(&mut self, level: usize, annotations: &BTreeMap<String, String>) {
        let shown = annotations
            .iter()
            .filter(|(key, _)| *key != apimachinery::apply::LAST_APPLIED);
        self.list(
            level,
            "Annotations",
            shown.map(|(key, value)| format!("{key}: {value}")),
        );
    }

    /// Amounts of resources, one a line below the name.
    pub(super) fn amounts(&mut self, level: usize, name: &str, amounts: &BTreeMap<String, Quantity>) {
        if amounts.is_empty() {
            return;
        }
        self.head(level, name);
        for (resource, amount) in amounts {
            self.field(level + 1, resource, &amount.string);
        }
    }

    /// The text, its columns in line.
    pub(super) fn finish(&self) -> String {
        tabs::align(&self.text)
    }
}

/// `Mon, 02 Jan 2006 15:04:05 +0000`.
pub(super) fn moment(time: Option<&proto::Timestamp>) -> String {
    time.map(|time| {
        timestamp(time)
            .strftime("%a, %d %b %Y %H:%M:%S +0000")
            .to_string()
    })
    .unwrap_or_default()
}
