//! A workload: what is created, in which order, and what of it is measured. Read from YAML; see `bench/scheduling/`.
//!
//! In a template, `$n` stands for the number of the object, and `$n%3` for that number modulo 3. A Pod's name is given by the
//! benchmark, so that a watch can tell which step it is of.

use anyhow::{Context, Result, anyhow};
use apimachinery::json::{self, Unknown};
use proto::{Kind, Object};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The workloads that come with the program: file name and text.
const EMBEDDED: [(&str, &str); 6] = [
    (
        "basic.yaml",
        include_str!("../../../../../bench/scheduling/basic.yaml"),
    ),
    (
        "affinity.yaml",
        include_str!("../../../../../bench/scheduling/affinity.yaml"),
    ),
    (
        "spreading.yaml",
        include_str!("../../../../../bench/scheduling/spreading.yaml"),
    ),
    (
        "queue.yaml",
        include_str!("../../../../../bench/scheduling/queue.yaml"),
    ),
    (
        "preemption.yaml",
        include_str!("../../../../../bench/scheduling/preemption.yaml"),
    ),
    (
        "volumes.yaml",
        include_str!("../../../../../bench/scheduling/volumes.yaml"),
    ),
];

/// A file of workloads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    templates: BTreeMap<String, Value>,
    workloads: Vec<Shape>,
}

/// A workload as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    name: String,
    goal: Option<f64>,
    upstream: Option<f64>,
    #[serde(default)]
    controllers: bool,
    steps: Vec<Step>,
}

/// A workload.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// What it is called: its shape, and how many nodes, Pods before and Pods measured.
    pub(super) name: String,
    /// Pods a second that this project wants.
    pub(super) goal: Option<f64>,
    /// Pods a second below which upstream's own CI fails.
    pub(super) upstream: Option<f64>,
    /// Whether the controller-manager takes part.
    pub(super) controllers: bool,
    /// What is done, in order.
    pub(super) steps: Vec<Step>,
    /// What is created, by name.
    pub(super) templates: BTreeMap<String, Value>,
}

/// One step.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Step {
    /// Creates objects.
    Create(Create),
    /// Creates and deletes these templates by turns while the steps after it run.
    Churn(Churn),
    /// Creates Pods one at a time, each when the one before has its node.
    Alone(Alone),
    /// Does nothing, and looks how much CPU the processes take.
    Idle(Idle),
}

/// Creates objects of a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Create {
    /// Which.
    pub(super) template: String,
    /// How many.
    pub(super) count: usize,
    /// Whether these are the Pods that the figures are about.
    #[serde(default)]
    pub(super) measure: bool,
    /// Whether to go on without waiting until the Pods have their nodes.
    #[serde(default)]
    pub(super) dont_wait: bool,
}

/// See [`Step::Churn`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Churn {
    /// Which.
    pub(super) templates: Vec<String>,
    /// How long between two turns.
    pub(super) every_milliseconds: u64,
}

/// See [`Step::Alone`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Alone {
    /// Which.
    pub(super) template: String,
    /// How many.
    pub(super) count: usize,
}

/// See [`Step::Idle`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Idle {
    /// How long.
    pub(super) seconds: u64,
}

/// The workloads that come with the program.
pub(super) fn embedded() -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for (name, text) in EMBEDDED {
        all.extend(parse(name, text)?);
    }
    Ok(all)
}

/// Reads a file's workloads.
///
/// # Errors
/// Says which file, where in it, and what is wrong; also of a template that is no object of the API.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Workload>> {
    let read: File = serde_saphyr::from_str(text).map_err(|error| anyhow!("{file}: {error}"))?;
    let mut workloads = Vec::new();
    for shape in read.workloads {
        let name = &shape.name;
        for (number, step) in shape.steps.iter().enumerate() {
            let used: Vec<&String> = match step {
                Step::Create(create) => vec![&create.template],
                Step::Alone(alone) => vec![&alone.template],
                Step::Churn(churn) => churn.templates.iter().collect(),
                Step::Idle(_) => vec![],
            };
            for template in used {
                let place = || format!("{file}: workload {name}, steps[{number}]: template {template}");
                let value = read.templates.get(template).with_context(|| {
                    let known: Vec<&str> = read.templates.keys().map(String::as_str).collect();
                    format!("{} does not exist; there are {}", place(), known.join(", "))
                })?;
                Template::new(value, number, template)
                    .and_then(|template| template.object(0))
                    .with_context(place)?;
            }
        }
        workloads.push(Workload {
            name: shape.name,
            goal: shape.goal,
            upstream: shape.upstream,
            controllers: shape.controllers,
            steps: shape.steps,
            templates: read.templates.clone(),
        });
    }
    Ok(workloads)
}

/// What objects of one step are made from.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    numbered: bool,
    /// Whether these are Pods.
    pub(super) is_pod: bool,
}

impl Template {
    /// A step's template; `name` is part of what its objects are called.
    pub(super) fn new(value: &Value, step: usize, name: &str) -> Result<Self> {
        let mut value = value.clone();
        let is_pod = value["kind"] == proto::api::core::v1::Pod::NAME;
        let meta = &mut value["metadata"];
        if !meta.is_object() {
            *meta = serde_json::json!({});
        }
        if is_pod || meta["name"].is_null() {
            meta["name"] = format!("{name}-{step}-$n").into();
        }
        let text = serde_json::to_string(&value)?;
        Ok(Self {
            numbered: text.contains("$n"),
            text,
            is_pod,
        })
    }

    /// The object of a number.
    pub(super) fn object(&self, number: usize) -> Result<Object> {
        let text = if self.numbered {
            numbered(&self.text, number)
        } else {
            self.text.clone()
        };
        let decoded =
            json::from_json(text.as_bytes(), Unknown::Strict).map_err(|faults| anyhow!("{faults}"))?;
        Ok(Object {
            number: decoded.number,
            bytes: decoded.bytes,
        })
    }
}

/// Replaces `$n` and `$n%K`.
fn numbered(text: &str, number: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut parts = text.split("$n");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.strip_prefix('%').unwrap_or_default();
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let shown = match digits[..length].parse::<usize>() {
            Ok(modulus @ 1..) => {
                out.push_str(&(number % modulus).to_string());
                &digits[length..]
            }
            _ => {
                out.push_str(&number.to_string());
                part
            }
        };
        out.push_str(shown);
    }
    out
}

/// A Pod's step and number, as its name says them.
pub(super) fn place_of(name: &str) -> Option<(usize, usize)> {
    let (rest, number) = name.rsplit_once('-')?;
    let (_, step) = rest.rsplit_once('-')?;
    Some((step.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_that_comes_with_the_program_can_be_read() {
        let all = embedded().unwrap();
        let mut names: Vec<&str> = all.iter().map(|workload| workload.name.as_str()).collect();
        assert!(names.len() > 30, "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two workloads of one name");
        for workload in &all {
            let measures = |step: &Step| match step {
                Step::Create(create) => create.measure,
                Step::Alone(_) => true,
                Step::Churn(_) | Step::Idle(_) => false,
            };
            assert!(
                workload.steps.iter().any(measures),
                "{} measures nothing",
                workload.name
            );
        }
    }

    #[test]
    fn numbers_are_put_into_templates() {
        for (text, expected) in [
            ("web-$n", "web-7"),
            ("zone-$n%3.", "zone-1."),
            ("$n%0", "7%0"),
            ("$n$n%10x", "77x"),
            ("none", "none"),
        ] {
            assert_eq!(numbered(text, 7), expected);
        }
        assert_eq!(place_of("web-pod-2-31"), Some((2, 31)));
        assert_eq!(place_of("web"), None);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_place() {
        let pod =
            "templates:\n  pod: {apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: b}]}}\n";
        for (text, said) in [
            ("workloads: []", "missing field"),
            (
                &format!("{pod}workloads:\n- {{name: a, steps: [], color: red}}"),
                "color",
            ),
            (
                &format!("{pod}workloads:\n- {{name: a, steps: [{{create: {{template: pot, count: 1}}}}]}}"),
                "template pot does not exist; there are pod",
            ),
            (
                "templates:\n  pod: {apiVersion: v1, kind: Pod, spek: {}}\nworkloads:\n- {name: a, steps: [{create: {template: pod, count: 1}}]}",
                "spek",
            ),
        ] {
            let error = format!("{:#}", parse("mine.yaml", text).unwrap_err());
            assert!(error.contains("mine.yaml") && error.contains(said), "{error}");
        }
    }
}
