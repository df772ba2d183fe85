//! What `apply` does to an object: a three-way merge of what was applied last, what is applied now, and what is there.
//!
//! What the user changed is changed, what the user took away goes, and what others wrote stays. Lists whose items the
//! schema tells apart by a key are merged item by item; other lists are taken as a whole.
//! <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#merge-patch-calculation>
//!
//! In: three objects as JSON trees. Out: the object that shall be. Pure, and no error: what does not fit the schema is
//! taken as a whole, and the server judges it.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, Value as OptionValue};
use serde_json::{Map, Value};

/// The annotation in which `apply` keeps what was applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Merges. `number` is the kind's arm of `orrery.v1.Object`.
pub fn three_way(number: u32, last: &Value, now: &Value, live: &Value) -> Value {
    let message = crate::kinds::by_number(number)
        .and_then(|info| proto::descriptors().get_message_by_name(info.message));
    merge(message.as_ref(), last, now, live)
}

/// How the items of a list are told apart.
enum Items {
    /// They are not: the list is one value.
    Whole,
    /// By a field of theirs.
    Keyed(String, Option<MessageDescriptor>),
    /// By their value.
    Set,
}

fn merge(message: Option<&MessageDescriptor>, last: &Value, now: &Value, live: &Value) -> Value {
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
        let field = message.and_then(|message| field(message, name));
        let (before, there) = (last.get(name).unwrap_or(&Value::Null), live.get(name));
        let value = match (value, there) {
            (Value::Array(now), Some(Value::Array(live))) => {
                let last = before.as_array().map_or(&[][..], Vec::as_slice);
                Value::Array(merge_list(&items(field.as_ref()), last, now, live))
            }
            (_, Some(there)) => merge(field.as_ref().and_then(message_of).as_ref(), before, value, there),
            (_, None) => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

fn merge_list(items: &Items, last: &[Value], now: &[Value], live: &[Value]) -> Vec<Value> {
    let same = |a: &Value, b: &Value| match items {
        Items::Whole => false,
        Items::Keyed(key, _) => a.get(key).is_some() && a.get(key) == b.get(key),
        Items::Set => a == b,
    };
    let message = match items {
        Items::Whole => return now.to_vec(),
        Items::Keyed(_, message) => message.as_ref(),
        Items::Set => None,
    };
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

/// The field that JSON calls `name`, also where it is inlined.
fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let own = message
        .fields()
        .find(|field| field.json_name() == name && !flag(field, "orrery.inline"));
    own.or_else(|| {
        let mut inlined = message.fields().filter(|field| flag(field, "orrery.inline"));
        inlined.find_map(|inlined| {
            message_of(&inlined)?
                .fields()
                .find(|field| field.json_name() == name)
        })
    })
}

/// The message of a field's values. A map's values merge by key, and theirs are scalars throughout the schema.
fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !message.is_map_entry() => Some(message),
        _ => None,
    }
}

fn items(field: Option<&FieldDescriptor>) -> Items {
    let Some(field) = field else { return Items::Whole };
    match option(field, "orrery.patch_merge_key") {
        Some(OptionValue::String(key)) if !key.is_empty() => Items::Keyed(key, message_of(field)),
        _ if flag(field, "orrery.patch_merge") => Items::Set,
        _ => Items::Whole,
    }
}

fn option(field: &FieldDescriptor, name: &str) -> Option<OptionValue> {
    let extension = proto::descriptors().get_extension_by_name(name)?;
    Some(field.options().get_extension(&extension).into_owned())
}

fn flag(field: &FieldDescriptor, name: &str) -> bool {
    matches!(option(field, name), Some(OptionValue::Bool(true)))
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
