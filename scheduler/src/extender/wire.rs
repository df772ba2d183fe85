//! What is sent to extenders and what they answer, as `k8s.io/kube-scheduler/extender/v1` has it in JSON.
//!
//! Go writes the fields' names with a capital and reads them in any case; extenders in other languages write either.

use crate::framework::{Room, Victim};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A field, whatever the case of its name.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    field(value, name).and_then(Value::as_str).unwrap_or_default()
}

/// `ExtenderArgs`, with the nodes in whole or by name.
pub(super) fn arguments(pod: &Value, names: &[Arc<str>], nodes: Option<&BTreeMap<String, Value>>) -> Value {
    match nodes {
        None => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            json!({ "Pod": pod, "Nodes": null, "NodeNames": names })
        }
        Some(nodes) => {
            let items: Vec<&Value> = names.iter().filter_map(|name| nodes.get(&**name)).collect();
            json!({
                "Pod": pod,
                "Nodes": { "apiVersion": "v1", "kind": "NodeList", "metadata": {}, "items": items },
                "NodeNames": null,
            })
        }
    }
}

/// `ExtenderFilterResult`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filtered {
    pub(super) names: Vec<Arc<str>>,
    /// Why nodes are refused where evicting Pods may help.
    pub(super) failed: BTreeMap<String, String>,
    /// Why nodes are refused where nothing helps.
    pub(super) unresolvable: BTreeMap<String, String>,
}

/// Reads what became of `asked`.
pub(super) fn filtered(answer: &Value, asked: &[Arc<str>], by_name: bool) -> Result<Filtered, String> {
    let error = text(answer, "Error");
    if !error.is_empty() {
        return Err(error.into());
    }
    let names = field(answer, "NodeNames").and_then(Value::as_array);
    let nodes = field(answer, "Nodes").and_then(|nodes| field(nodes, "items"));
    let names: Vec<&str> = match (names.filter(|_| by_name), nodes.and_then(Value::as_array)) {
        (Some(names), _) => names.iter().filter_map(Value::as_str).collect(),
        (None, Some(nodes)) => {
            let meta = nodes.iter().filter_map(|node| field(node, "metadata"));
            meta.map(|meta| text(meta, "name")).collect()
        }
        (None, None) => Vec::new(),
    };
    if let Some(unknown) = names
        .iter()
        .find(|name| !asked.iter().any(|known| **known == ***name))
    {
        return Err(format!(
            "claims a filtered node {unknown:?} which is not found in the input node list"
        ));
    }
    let is_left = |name: &&Arc<str>| names.contains(&&***name);
    Ok(Filtered {
        names: asked.iter().filter(is_left).cloned().collect(),
        failed: reasons(answer, "FailedNodes"),
        unresolvable: reasons(answer, "FailedAndUnresolvableNodes"),
    })
}

fn reasons(answer: &Value, name: &str) -> BTreeMap<String, String> {
    let fields = field(answer, name).and_then(Value::as_object);
    let fields = fields.into_iter().flatten();
    fields
        .map(|(node, why)| (node.clone(), why.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// `HostPriorityList`.
pub(super) fn priorities(answer: &Value) -> Result<Vec<(&str, i64)>, String> {
    let list = answer
        .as_array()
        .ok_or("the answer is no list of hosts and scores")?;
    let scores = list
        .iter()
        .map(|entry| (text(entry, "Host"), field(entry, "Score").and_then(Value::as_i64)));
    Ok(scores.map(|(host, score)| (host, score.unwrap_or(0))).collect())
}

/// `ExtenderBindingArgs`.
pub(super) fn binding(namespace: &str, name: &str, uid: &str, node: &str) -> Value {
    json!({ "PodName": name, "PodNamespace": namespace, "PodUID": uid, "Node": node })
}

/// `ExtenderBindingResult`.
pub(super) fn bound(answer: &Value) -> Result<(), String> {
    match text(answer, "Error") {
        "" => Ok(()),
        error => Err(error.into()),
    }
}

/// `ExtenderPreemptionArgs`, with the victims by UID or, for extenders that do not know the Pods themselves, with what is known of them.
pub(super) fn preemption(pod: &Value, rooms: &[Room], by_name: bool) -> Value {
    let pods = |room: &Room| -> Vec<Value> {
        let of = |victim: &Victim| {
            if by_name {
                json!({ "UID": &*victim.uid })
            } else {
                let (namespace, name) = (&*victim.key.namespace, &*victim.key.name);
                json!({
                    "metadata": { "namespace": namespace, "name": name, "uid": &*victim.uid },
                    "spec": { "nodeName": &*room.node, "priority": victim.priority },
                })
            }
        };
        room.victims.iter().map(of).collect()
    };
    let by_node: Map<String, Value> = { rooms.iter() }
        .map(|room| {
            let violations = room.victims.iter().filter(|victim| victim.violates_budget);
            let victims = json!({ "Pods": pods(room), "NumPDBViolations": violations.count() });
            (room.node.to_string(), victims)
        })
        .collect();
    let field = if by_name {
        "NodeNameToMetaVictims"
    } else {
        "NodeNameToVictims"
    };
    json!({ "Pod": pod, field: by_node })
}

/// `ExtenderPreemptionResult`: the rooms that are left, in their order, with the victims that are left.
pub(super) fn preempted(answer: &Value, rooms: &[Room]) -> Result<Vec<Room>, String> {
    let Some(left) = field(answer, "NodeNameToMetaVictims").and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    if let Some(unknown) = left
        .keys()
        .find(|node| !rooms.iter().any(|room| *room.node == ***node))
    {
        return Err(format!("claims a node {unknown:?} that room cannot be made on"));
    }
    let kept = rooms.iter().filter_map(|room| {
        let victims = left.get(&*room.node)?;
        let pods = field(victims, "Pods").and_then(Value::as_array);
        let uids: Vec<&str> = pods.into_iter().flatten().map(|pod| text(pod, "UID")).collect();
        let victims: Vec<Victim> = { room.victims.iter() }
            .filter(|victim| uids.contains(&&*victim.uid))
            .cloned()
            .collect();
        // Room that nobody must leave is no room that was asked for.
        (!victims.is_empty()).then(|| Room {
            victims,
            ..room.clone()
        })
    });
    Ok(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::ObjectKey;
    use proto::api::core::v1::Pod;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn answers_are_read_in_either_case_and_by_name_or_in_whole() {
        let asked = names(&["a", "b", "c"]);
        for (what, answer, by_name, left) in [
            ("names", json!({"NodeNames": ["c", "a"]}), true, &["a", "c"][..]),
            (
                "names in small letters",
                json!({"nodenames": ["b"]}),
                true,
                &["b"][..],
            ),
            (
                "whole nodes",
                json!({"nodes": {"items": [{"metadata": {"name": "b"}}]}}),
                false,
                &["b"][..],
            ),
            (
                "names that were not asked for",
                json!({"NodeNames": ["b"]}),
                false,
                &[][..],
            ),
            ("nothing", json!({}), true, &[][..]),
        ] {
            let filtered = filtered(&answer, &asked, by_name).unwrap();
            assert_eq!(filtered.names, names(left), "{what}");
        }
        let answer = json!({"FailedNodes": {"a": "full"}, "failedAndUnresolvableNodes": {"b": "broken"}});
        let filtered = filtered(&answer, &asked, true).unwrap();
        assert_eq!(filtered.failed["a"], "full");
        assert_eq!(filtered.unresolvable["b"], "broken");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let asked = names(&["a"]);
        let error = |answer: Value| filtered(&answer, &asked, true).unwrap_err();
        assert_eq!(error(json!({"Error": "no power"})), "no power");
        assert!(error(json!({"NodeNames": ["z"]})).contains("\"z\""));
        assert!(priorities(&json!({"Host": "a"})).is_err());
        assert_eq!(
            priorities(&json!([{"Host": "a", "Score": 7}])).unwrap(),
            [("a", 7)]
        );
        assert!(bound(&json!({"error": "taken"})).is_err());
        assert!(bound(&json!({})).is_ok());
    }

    #[test]
    fn rooms_keep_their_order_and_the_victims_that_are_left() {
        let room = |node: &str, victims: &[&str]| Room {
            node: node.into(),
            victims: victims
                .iter()
                .map(|name| Victim {
                    key: ObjectKey::new::<Pod>("default", name),
                    uid: (*name).into(),
                    priority: 0,
                    violates_budget: false,
                    graceful: false,
                })
                .collect(),
            why: String::new(),
        };
        let rooms = [
            room("a", &["one"]),
            room("b", &["two", "three"]),
            room("c", &["four"]),
        ];
        let sent = preemption(&json!({}), &rooms, true);
        assert_eq!(sent["NodeNameToMetaVictims"]["b"]["Pods"][1]["UID"], "three");
        let whole = preemption(&json!({}), &rooms, false);
        assert_eq!(
            whole["NodeNameToVictims"]["a"]["Pods"][0]["metadata"]["name"],
            "one"
        );
        let answer = json!({"NodeNameToMetaVictims": {
            "c": {"Pods": [{"UID": "four"}]}, "b": {"Pods": [{"uid": "three"}]}, "a": {"Pods": []},
        }});
        let left = preempted(&answer, &rooms).unwrap();
        let left: Vec<(&str, &str)> = left
            .iter()
            .map(|room| (&*room.node, &*room.victims[0].uid))
            .collect();
        assert_eq!(left, [("b", "three"), ("c", "four")]);
        assert!(preempted(&json!({"NodeNameToMetaVictims": {"z": {}}}), &rooms).is_err());
    }
}
