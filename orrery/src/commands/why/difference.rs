//! What a write did, in a few words: `created`, `updated: replicas 0→3`.
//!
//! In: the object before and after, as JSON. Out: a verb and a reason. What every write changes (resourceVersion, …) is
//! not a reason, and what a spec says comes before what a status says. Pure.

use apimachinery::apply::LAST_APPLIED;
use serde_json::Value;

/// How many changed fields a reason names.
const NAMED: usize = 3;

/// Longer values are not shown, only that they changed.
const MAX_SHOWN: usize = 60;

/// Fields that follow from others.
const BOOKKEEPING: &[&str] = &[
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.deletionGracePeriodSeconds",
    "status.observedGeneration",
    "status.startTime",
    "status.hostIP",
    "status.podIPs",
    "status.qosClass",
];

/// Fields of list items that follow from others: times, texts, and names that a runtime makes up.
const BESIDE: &[&str] = &[
    "lastTransitionTime",
    "lastUpdateTime",
    "lastHeartbeatTime",
    "lastProbeTime",
    "message",
    "reason",
    "containerID",
    "imageID",
    "startedAt",
];

/// A field that is not the same before and after.
struct Changed<'a> {
    path: String,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
}

/// The verb of a write, and its reason; empty when the verb says it all.
pub(super) fn describe(before: Option<&Value>, after: Option<&Value>) -> (&'static str, String) {
    match (before, after) {
        (None, Some(after)) => ("created", born(after)),
        (Some(_), None) => ("removed", String::new()),
        (None, None) => ("touched", String::new()),
        (Some(before), Some(after)) => {
            let changed = changes(before, after);
            let marked = changed
                .iter()
                .any(|change| change.path == "metadata.deletionTimestamp");
            let bound = changed
                .iter()
                .find(|change| change.path == "spec.nodeName" && change.before.is_none());
            match bound {
                _ if marked => ("deleted", String::new()),
                Some(bound) => ("bound", format!("to node {}", shown(bound.after))),
                None => ("updated", reasons(&changed)),
            }
        }
    }
}

/// What a new object is about.
fn born(object: &Value) -> String {
    let mut words = Vec::new();
    if let Some(replicas) = object["spec"]["replicas"].as_i64() {
        words.push(format!("replicas {replicas}"));
    }
    let containers = object
        .pointer("/spec/template/spec/containers")
        .or_else(|| object.pointer("/spec/containers"));
    let images = containers.and_then(Value::as_array).into_iter().flatten();
    let images: Vec<&str> = images
        .filter_map(|container| container["image"].as_str())
        .collect();
    if !images.is_empty() {
        words.push(format!("image {}", images.join(", ")));
    }
    if let (Some(reason), Some(message)) = (object["reason"].as_str(), object["message"].as_str()) {
        words.push(format!("{reason}: {message}"));
    }
    words.join(", ")
}

fn changes<'a>(before: &'a Value, after: &'a Value) -> Vec<Changed<'a>> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found.retain(|change| {
        !BOOKKEEPING.iter().any(|path| change.path.starts_with(path)) && !change.path.ends_with(LAST_APPLIED)
    });
    // What was asked for says more than what came of it.
    found.sort_by_key(|change| (change.path.starts_with("status"), change.path != "status.phase"));
    found
}

fn compare<'a>(
    path: &str,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
    found: &mut Vec<Changed<'a>>,
) {
    if before == after {
        return;
    }
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let gone = old.keys().filter(|name| !new.contains_key(*name));
            for name in new.keys().chain(gone) {
                compare(&below(name), old.get(name), new.get(name), found);
            }
        }
        // A new condition is known by its status, what is new as a whole by its fields.
        (None, Some(Value::Object(new))) if path.contains("conditions[") && new.contains_key("status") => {
            compare(&below("status"), None, new.get("status"), found);
        }
        (None, Some(Value::Object(new))) if path == "status" || path == "metadata.annotations" => {
            for (name, value) in new {
                compare(&below(name), None, Some(value), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => list(path, old, new, found),
        (None, Some(Value::Array(new))) => list(path, &[], new, found),
        _ => found.push(Changed {
            path: path.to_owned(),
            before,
            after,
        }),
    }
}

/// Items of lists are known by their type or name.
fn list<'a>(path: &str, old: &'a [Value], new: &'a [Value], found: &mut Vec<Changed<'a>>) {
    let key = |item: &'a Value| {
        item.get("type")
            .or_else(|| item.get("name"))
            .and_then(Value::as_str)
    };
    let named = |items: &'a [Value], name: &str| items.iter().find(|item| key(item) == Some(name));
    if old.iter().chain(new).any(|item| key(item).is_none()) {
        // One stands for all of them.
        let (before, after) = (
            old.first().filter(|_| old.len() == 1),
            new.first().filter(|_| new.len() == 1),
        );
        found.push(Changed {
            path: path.to_owned(),
            before,
            after,
        });
        return;
    }
    let gone = old
        .iter()
        .filter_map(key)
        .filter(|name| named(new, name).is_none());
    for name in new.iter().filter_map(key).chain(gone) {
        compare(
            &format!("{path}[{name}]"),
            named(old, name),
            named(new, name),
            found,
        );
    }
}

fn reasons(changed: &[Changed<'_>]) -> String {
    let beside = |path: &str| {
        let last = path.rsplit('.').next().unwrap_or_default();
        path.contains('[') && BESIDE.contains(&last)
    };
    let telling: Vec<&Changed<'_>> = changed.iter().filter(|change| !beside(&change.path)).collect();
    let telling = if telling.is_empty() {
        changed.iter().collect()
    } else {
        telling
    };
    let mut words: Vec<String> = telling.iter().take(NAMED).map(|change| word(change)).collect();
    if telling.len() > NAMED {
        words.push(format!("and {} more", telling.len() - NAMED));
    }
    words.join(", ")
}

/// `replicas 0→3`.
fn word(change: &Changed<'_>) -> String {
    let path = change
        .path
        .strip_suffix(".status")
        .filter(|path| path.ends_with(']'))
        .unwrap_or(&change.path);
    let path = path
        .strip_prefix("spec.")
        .or_else(|| path.strip_prefix("status."))
        .unwrap_or(path);
    let scalar = |value: Option<&Value>| !value.is_some_and(|value| value.is_object() || value.is_array());
    let (before, after) = (shown(change.before), shown(change.after));
    if scalar(change.before)
        && scalar(change.after)
        && before.chars().count().max(after.chars().count()) <= MAX_SHOWN
    {
        format!("{path} {before}→{after}")
    } else {
        format!("{path} changed")
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".into(), apimachinery::jsonpath::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writes_are_told_in_a_few_words() {
        let deployment = |replicas: i64, image: &str| {
            json!({
                "metadata": {"resourceVersion": "1", "generation": replicas},
                "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
            })
        };
        let pod = |phase: &str, ready: &str| json!({"status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": phase}]}});
        for (before, after, verb, reason) in [
            (
                None,
                Some(deployment(3, "web:1")),
                "created",
                "replicas 3, image web:1",
            ),
            (
                Some(deployment(0, "web:1")),
                Some(deployment(3, "web:1")),
                "updated",
                "replicas 0→3",
            ),
            (
                Some(deployment(3, "web:1")),
                Some(deployment(3, "web:2")),
                "updated",
                "template.spec.containers[web].image web:1→web:2",
            ),
            (
                Some(pod("Pending", "False")),
                Some(pod("Running", "True")),
                "updated",
                "phase Pending→Running, conditions[Ready] False→True",
            ),
            (
                Some(json!({"spec": {}})),
                Some(json!({"spec": {"nodeName": "n1"}})),
                "bound",
                "to node n1",
            ),
            (
                Some(json!({"metadata": {}})),
                Some(json!({"metadata": {"deletionTimestamp": "now"}})),
                "deleted",
                "",
            ),
            (
                Some(json!({})),
                Some(
                    json!({"status": {"podIPs": ["a"], "conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}}),
                ),
                "updated",
                "phase none→Running, conditions[Ready] none→True",
            ),
            (Some(json!({})), None, "removed", ""),
            (
                Some(json!({"data": {}})),
                Some(json!({"data": {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}})),
                "updated",
                "data.a none→1, data.b none→2, data.c none→3, and 2 more",
            ),
        ] {
            assert_eq!(
                describe(before.as_ref(), after.as_ref()),
                (verb, reason.to_owned())
            );
        }
    }
}
