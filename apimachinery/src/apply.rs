//! What `apply` does to an object: a three-way merge of what was applied last, what is applied now, and what is there.
//!
//! What the user changed is changed, what the user took away goes, and what others wrote stays. Lists whose items the
//! schema tells apart by a key are merged item by item; other lists are taken as a whole.
//! <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#merge-patch-calculation>
//!
//! In: three objects as JSON trees. Out: the object that shall be. Pure, and no error: what does not fit the schema is
//! taken as a whole, and the server judges it.

use crate::patch::lists::{Field, Items, Message};
use serde_json::{Map, Value};

/// The annotation in which `apply` keeps what was applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Merges. `number` is the kind's arm of `orrery.v1.Object`.
pub fn three_way(number: u32, last: &Value, now: &Value, live: &Value) -> Value {
    merge(Message::by_number(number), last, now, live)
}

fn merge(message: Option<&Message>, last: &Value, now: &Value, live: &Value) -> Value {
    let (Value::Object(now), Value::Object(live)) = (now, live) else {
        return now.clone();
    };
    let none = Map::new();
    let last = last.as_object().unwrap_or(&none);
    let mut merged = live.clone();
    for name in last.keys().filter(|name| !now.contains_key(*name)) {
        merged.shift_remove(name);
    }
    for (name, value) in now {
        if value.is_null() {
            merged.shift_remove(name);
            continue;
        }
        let field = message.and_then(|message| message.field(name));
        let below = field.and_then(Field::message);
        let (before, there) = (last.get(name).unwrap_or(&Value::Null), live.get(name));
        let value = match (value, there) {
            (Value::Array(now), Some(Value::Array(live))) => {
                let last = before.as_array().map_or(&[][..], Vec::as_slice);
                let items = field.map_or(&Items::Whole, |field| &field.items);
                Value::Array(merge_list(items, below, last, now, live))
            }
            (_, Some(there)) => merge(below, before, value, there),
            (_, None) => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

fn merge_list(
    items: &Items,
    message: Option<&Message>,
    last: &[Value],
    now: &[Value],
    live: &[Value],
) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match items {
        Items::Whole => false,
        Items::Keyed(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        Items::Set => a == b,
    };
    if *items == Items::Whole {
        return now.to_vec();
    }
    let find = |list: &[Value], item: &Value| list.iter().find(|other| same(item, other)).cloned();
    // The user's order first; then what others added, in theirs.
    let mut merged: Vec<Value> = now
        .iter()
        .map(|item| match find(live, item) {
            Some(there) => merge(message, &find(last, item).unwrap_or(Value::Null), item, &there),
            None => item.clone(),
        })
        .collect();
    let others = live
        .iter()
        .filter(|item| find(now, item).is_none() && find(last, item).is_none());
    merged.extend(others.cloned());
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind as _;
    use proto::api::apps::v1::Deployment;
    use proto::api::core::v1::{ConfigMap, Pod};
    use serde_json::json;

    #[test]
    fn what_the_user_took_away_goes_and_what_others_wrote_stays() {
        let merged = three_way(
            ConfigMap::NUMBER,
            &json!({"data": {"a": "1", "b": "2"}}),
            &json!({"data": {"a": "9"}}),
            &json!({"data": {"a": "1", "b": "2", "c": "3"}, "metadata": {"uid": "u"}}),
        );
        assert_eq!(
            merged,
            json!({"data": {"a": "9", "c": "3"}, "metadata": {"uid": "u"}})
        );
    }

    #[test]
    fn containers_and_their_ports_merge_by_their_keys_and_keep_what_was_defaulted() {
        let spec = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let merged = three_way(
            Deployment::NUMBER,
            &spec(json!([{"name": "web", "image": "web:1"}, {"name": "old", "image": "old:1"}])),
            &spec(
                json!([{"name": "web", "image": "web:2", "ports": [{"containerPort": 80, "name": "http"}]}]),
            ),
            &spec(json!([
                {"name": "old", "image": "old:1"},
                {"name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent",
                 "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                {"name": "injected", "image": "mesh:1"},
            ])),
        );
        let expected = spec(json!([
            {"name": "web", "image": "web:2", "imagePullPolicy": "IfNotPresent",
             "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}]},
            {"name": "injected", "image": "mesh:1"},
        ]));
        assert_eq!(merged, expected);
    }

    #[test]
    fn inlined_volume_sources_sets_and_whole_lists_follow_the_schema() {
        let merged = three_way(
            Pod::NUMBER,
            &json!({"metadata": {"finalizers": ["mine/a"]}}),
            &json!({
                "metadata": {"finalizers": ["mine/b"]},
                "spec": {"volumes": [{"name": "v", "configMap": {"items": [{"key": "k"}]}}]},
            }),
            &json!({
                "metadata": {"finalizers": ["mine/a", "theirs/x"]},
                "spec": {"volumes": [{"name": "v", "configMap": {"defaultMode": 420, "items": [{"key": "j"}]}}]},
            }),
        );
        assert_eq!(merged["metadata"]["finalizers"], json!(["mine/b", "theirs/x"]));
        let source = &merged["spec"]["volumes"][0]["configMap"];
        assert_eq!(source, &json!({"defaultMode": 420, "items": [{"key": "k"}]}));
    }

    #[test]
    fn null_removes_a_field() {
        let merged = three_way(
            Deployment::NUMBER,
            &json!({}),
            &json!({"spec": {"paused": null}}),
            &json!({"spec": {"paused": true, "replicas": 3}}),
        );
        assert_eq!(merged, json!({"spec": {"replicas": 3}}));
    }
}
