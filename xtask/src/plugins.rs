//! Checks that every plugin of the scheduler has tests, and an entry in docs/scheduler.md that says where it stands, what makes its Pods be
//! tried again, and how it is used.
//!
//! In: the sources, as text. Out: nothing, or all that is missing. The table `KNOWN` in `scheduler/src/config/points.rs` is the list of
//! plugins; a file under `scheduler/src/plugins` that names itself as a plugin must stand in it.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What an entry must have.
const PARTS: [(&str, &str); 3] = [
    ("Extension points:", "which extension points it has"),
    ("Events:", "which events make its Pods be tried again"),
    ("```yaml", "an example"),
];

/// Runs the check.
pub(crate) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the workspace")?;
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let known = known(&read("scheduler/src/config/points.rs")?);
    let mut files = BTreeMap::new();
    let folder = root.join("scheduler/src/plugins");
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let stem = stem.to_owned();
        let text = gather(&path)?;
        files.entry(stem).or_insert_with(String::new).push_str(&text);
    }
    let faults = faults(&known, &files, &read("docs/scheduler.md")?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} plugins have tests and entries", known.len());
    Ok(())
}

/// A file's text, or that of all files in a folder.
fn gather(path: &Path) -> Result<String> {
    if path.is_file() {
        return Ok(fs::read_to_string(path)?);
    }
    let mut text = String::new();
    for entry in fs::read_dir(path)? {
        text.push_str(&gather(&entry?.path())?);
    }
    Ok(text)
}

/// The names in the table of plugins.
fn known(points: &str) -> BTreeSet<String> {
    let rows = points
        .lines()
        .filter_map(|line| line.trim().strip_prefix("known(\""));
    rows.filter_map(|row| Some(row.split_once('"')?.0.to_owned()))
        .collect()
}

/// The names that a plugin's sources give it.
fn named(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (place, _) in source.match_indices("fn name(&self) -> &'static str {") {
        let name = source[place..].split('"').nth(1);
        names.extend(name.map(str::to_owned));
    }
    names
}

/// The text under each third-level heading.
fn entries(docs: &str) -> BTreeMap<&str, &str> {
    let sections = docs.split("\n### ").skip(1);
    let entries = sections.filter_map(|section| section.split_once('\n'));
    entries.map(|(name, text)| (name.trim(), text)).collect()
}

fn faults(known: &BTreeSet<String>, files: &BTreeMap<String, String>, docs: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let entries = entries(docs);
    for (file, source) in files {
        for name in named(source) {
            if !known.contains(&name) {
                faults.push(format!(
                    "scheduler/src/plugins/{file}: {name} does not stand in KNOWN"
                ));
            }
            if !source.contains("#[test]") {
                faults.push(format!("scheduler/src/plugins/{file}: {name} has no tests"));
            }
        }
    }
    for name in known {
        let Some(entry) = entries.get(name.as_str()) else {
            faults.push(format!("docs/scheduler.md: {name} has no entry"));
            continue;
        };
        for (part, what) in PARTS {
            if !entry.lines().any(|line| line.starts_with(part)) {
                faults.push(format!(
                    "docs/scheduler.md: the entry of {name} does not say {what} ({part})"
                ));
            }
        }
    }
    for name in entries.keys() {
        if !known.contains(*name) {
            faults.push(format!("docs/scheduler.md: there is no plugin {name}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "# Title\n\n### Good\n\nWords.\n\nExtension points: filter\nEvents: none\n\n```yaml\nspec: {}\n```\n";
    const SOURCE: &str = "fn name(&self) -> &'static str {\n        \"Good\"\n    }\n#[test]\nfn shows() {}";

    fn told(known: &[&str], source: &str, docs: &str) -> String {
        let known = known.iter().map(ToString::to_string).collect();
        let files = BTreeMap::from([("good".to_owned(), source.to_owned())]);
        faults(&known, &files, docs).join("; ")
    }

    #[test]
    fn a_plugin_without_tests_or_entry_is_refused() {
        for (shows, known, source, docs, said) in [
            ("all there", vec!["Good"], SOURCE.to_owned(), ENTRY.to_owned(), ""),
            (
                "no tests",
                vec!["Good"],
                SOURCE.replace("#[test]", ""),
                ENTRY.to_owned(),
                "Good has no tests",
            ),
            (
                "not in the table",
                vec![],
                SOURCE.to_owned(),
                "".to_owned(),
                "does not stand in KNOWN",
            ),
            (
                "no entry",
                vec!["Good"],
                SOURCE.to_owned(),
                "# Title".to_owned(),
                "Good has no entry",
            ),
            (
                "no events",
                vec!["Good"],
                SOURCE.to_owned(),
                ENTRY.replace("Events:", ""),
                "which events",
            ),
            (
                "no example",
                vec!["Good"],
                SOURCE.to_owned(),
                ENTRY.replace("```yaml", "```"),
                "an example",
            ),
            (
                "an entry too many",
                vec![],
                "".to_owned(),
                ENTRY.to_owned(),
                "there is no plugin Good",
            ),
        ] {
            let told = told(&known, &source, &docs);
            assert!(
                if said.is_empty() {
                    told.is_empty()
                } else {
                    told.contains(said)
                },
                "{shows}: {told}"
            );
        }
    }

    #[test]
    fn the_table_is_read() {
        let table = "const KNOWN: &[Known] = &[\n    known(\"A\", &[Point::Filter], 0),\n    known(\"B\", &[], 3),\n];";
        assert_eq!(known(table).into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }
}
