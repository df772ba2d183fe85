//! Field managers at work: updates, applies, conflicts, and a model of three of them.

use super::*;
use crate::apply::LAST_APPLIED;
use proptest::prelude::*;
use proto::Kind as _;
use proto::Timestamp;
use proto::api::apps::v1::Deployment;
use proto::api::core::v1::{ConfigMap, Pod, Service};
use serde_json::{Value, json};

/// A kind's objects, and who owns what of one of them.
struct Case {
    of: Cursor<'static>,
    object: Value,
    managers: Managers,
    time: i64,
}

impl Case {
    fn new(number: u32, object: Value) -> Self {
        Self {
            of: of_kind(number).unwrap(),
            object,
            managers: Managers::default(),
            time: 0,
        }
    }

    fn writer(&mut self, name: &str) -> Writer {
        self.time += 1;
        Writer {
            name: name.into(),
            api_version: "v1".into(),
            subresource: String::new(),
            time: Timestamp {
                seconds: self.time,
                nanos: 0,
            },
        }
    }

    fn apply(&mut self, name: &str, config: &Value, force: bool) -> Result<&Value, Conflicts> {
        let writer = self.writer(name);
        let states = (&json!({}), &self.object.clone());
        self.object =
            self.managers
                .apply_as_kubectl(self.of, states, config, Part::WithoutStatus, &writer, force)?;
        Ok(&self.object)
    }

    fn update(&mut self, name: &str, object: Value) {
        let writer = self.writer(name);
        self.managers
            .update(self.of, &self.object, &object, Part::WithoutStatus, &writer);
        self.object = object;
    }

    /// What a manager owns, as `FieldsV1`; empty for nothing.
    fn owned(&self, operation: Operation, name: &str) -> String {
        let mine = |(manager, _): &(&Manager, &Owned)| manager.operation == operation && manager.name == name;
        let owned = self.managers.iter().find(mine);
        owned.map_or(String::new(), |(_, owned)| {
            String::from_utf8(owned.fields.to_json()).unwrap()
        })
    }

    fn applied(&self, name: &str) -> String {
        self.owned(Operation::Apply, name)
    }

    fn updated(&self, name: &str) -> String {
        self.owned(Operation::Update, name)
    }
}

#[test]
fn the_fields_of_an_object_are_those_that_its_schema_tells_apart() {
    for (number, object, expected) in [
        (
            ConfigMap::NUMBER,
            json!({"apiVersion": "v1", "data": {"a": "1", "b": "2"}, "metadata": {"labels": {}}}),
            r#"{"f:apiVersion":{},"f:data":{"f:a":{},"f:b":{}},"f:metadata":{"f:labels":{}}}"#,
        ),
        (
            Pod::NUMBER,
            json!({"metadata": {"finalizers": ["x/y"]},
                   "spec": {"containers": [{"name": "a", "command": ["x"], "ports": [{"containerPort": 80}]}],
                            "tolerations": [{"key": "k"}], "nodeSelector": {"a": "b"}, "securityContext": {}}}),
            r#"{"f:metadata":{"f:finalizers":{"v:\"x/y\"":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:command":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:nodeSelector":{},"f:securityContext":{},"f:tolerations":{}}}"#,
        ),
    ] {
        let set = field_set(of_kind(number).unwrap(), &object);
        assert_eq!(String::from_utf8(set.to_json()).unwrap(), expected);
    }
    let deduced = field_set(
        Schema::deduced().root(),
        &json!({"a": {"b": [1], "c": {}}, "d": 1}),
    );
    assert_eq!(
        String::from_utf8(deduced.to_json()).unwrap(),
        r#"{"f:a":{".":{},"f:b":{},"f:c":{}},"f:d":{}}"#
    );
}

#[test]
fn what_changed_is_told_by_field() {
    let of = of_kind(Pod::NUMBER).unwrap();
    let spec = |containers: Value| json!({"spec": {"containers": containers}});
    let change = compare(
        of,
        &spec(json!([{"name": "a", "image": "1", "tty": true}, {"name": "b"}])),
        &spec(json!([{"name": "a", "image": "2"}, {"name": "c"}])),
    );
    assert_eq!(change.modified.paths(), [r#".spec.containers[name="a"].image"#]);
    assert_eq!(
        change.added.paths(),
        [
            r#".spec.containers[name="c"].name"#,
            r#".spec.containers[name="c"]"#
        ]
    );
    assert_eq!(
        change.removed.paths(),
        [
            r#".spec.containers[name="a"].tty"#,
            r#".spec.containers[name="b"].name"#,
            r#".spec.containers[name="b"]"#
        ]
    );
    let labels = compare(
        of,
        &json!({"metadata": {}}),
        &json!({"metadata": {"labels": {"a": "1"}}}),
    );
    assert_eq!(labels.added.paths(), [".metadata.labels.a", ".metadata.labels"]);
    let same = spec(json!([{"name": "a"}, {"name": "a"}]));
    assert_eq!(compare(of, &same, &same), Comparison::default());
}

#[test]
fn a_configuration_is_merged_by_item_and_its_order_wins() {
    let of = of_kind(Pod::NUMBER).unwrap();
    let list = |names: &str| {
        let items: Vec<Value> = names
            .chars()
            .map(|name| json!({"name": name.to_string()}))
            .collect();
        json!({"spec": {"containers": items}})
    };
    for (live, config, merged) in [
        ("ab", "ab", "ab"),
        ("ab", "ba", "ba"),
        ("axb", "ba", "xba"),
        ("axb", "ab", "axb"),
        ("xa", "ba", "xba"),
        ("ab", "c", "abc"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("axby", "bca", "xbyca"),
    ] {
        assert_eq!(
            merge(of, list(live), &list(config)),
            list(merged),
            "{live} {config}"
        );
    }
    let merged = merge(
        of,
        json!({"spec": {"tolerations": [{"key": "a"}], "hostNetwork": true}}),
        &json!({"spec": {"tolerations": [{"key": "b"}]}}),
    );
    assert_eq!(
        merged,
        json!({"spec": {"tolerations": [{"key": "b"}], "hostNetwork": true}})
    );
}

#[test]
fn items_that_cannot_be_told_apart_cannot_be_applied() {
    let service = of_kind(Service::NUMBER).unwrap();
    let ports = |ports: Value| check(service, &json!({"spec": {"ports": ports}}));
    assert_eq!(
        ports(json!([{"port": 80}, {"port": 80, "protocol": "UDP"}])),
        Ok(())
    );
    assert_eq!(
        ports(json!([{"port": 80}, {"port": 80, "protocol": "TCP"}]))
            .unwrap_err()
            .to_string(),
        r#".spec.ports: duplicate entries for key [port=80,protocol="TCP"]"#
    );
    let pod = of_kind(Pod::NUMBER).unwrap();
    let nameless = check(pod, &json!({"spec": {"containers": [{"image": "x"}]}}));
    assert!(nameless.unwrap_err().to_string().contains("omits all key fields"));
}

#[test]
fn applying_owns_the_configuration_and_taking_a_field_out_removes_it() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({}));
    case.apply(
        "a",
        &json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "1", "y": "2"}}),
        false,
    )
    .unwrap();
    assert_eq!(case.applied("a"), r#"{"f:data":{"f:x":{},"f:y":{}}}"#);
    let after = case.apply(
        "a",
        &json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "1"}}),
        false,
    );
    assert_eq!(after.unwrap()["data"], json!({"x": "1"}));
    assert_eq!(case.applied("a"), r#"{"f:data":{"f:x":{}}}"#);
}

#[test]
fn what_two_apply_is_shared_and_stays_until_both_let_go() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({}));
    let both = json!({"data": {"x": "1"}});
    case.apply("a", &both, false).unwrap();
    case.apply("b", &both, false).unwrap();
    assert_eq!(case.applied("a"), case.applied("b"));
    case.apply("a", &json!({}), false).unwrap();
    assert_eq!(case.object["data"], json!({"x": "1"}), "b owns it still");
    assert_eq!(case.applied("a"), "");
    case.apply("b", &json!({}), false).unwrap();
    assert_eq!(case.object.get("data").filter(|data| !data.is_null()), None);
}

#[test]
fn another_value_is_a_conflict_unless_forced() {
    let mut case = Case::new(Deployment::NUMBER, json!({}));
    case.update("kubectl-create", json!({"spec": {"replicas": 3, "paused": true}}));
    let before = case.managers.clone();
    let conflicts = case
        .apply("a", &json!({"spec": {"replicas": 5}}), false)
        .unwrap_err();
    assert_eq!(case.managers, before, "a conflict changes nothing");
    let status = conflicts.to_status();
    assert_eq!((status.reason.as_str(), status.code), ("Conflict", 409));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-create\" using v1: .spec.replicas"
    );
    let causes = status.details.unwrap().causes;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"kubectl-create\" using v1");
    assert_eq!(causes[0].field, ".spec.replicas");

    case.apply("a", &json!({"spec": {"replicas": 5}}), true).unwrap();
    assert_eq!(case.object["spec"], json!({"replicas": 5, "paused": true}));
    assert_eq!(case.applied("a"), r#"{"f:spec":{"f:replicas":{}}}"#);
    assert_eq!(
        case.updated("kubectl-create"),
        r#"{"f:spec":{".":{},"f:paused":{}}}"#
    );

    let two = case
        .apply("b", &json!({"spec": {"replicas": 1, "paused": false}}), false)
        .unwrap_err();
    assert_eq!(
        two.to_status().message,
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.replicas\nconflicts with \"kubectl-create\" using \
         v1:\n- .spec.paused"
    );
}

#[test]
fn an_update_takes_what_it_changes_and_the_time_moves_only_then() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({}));
    case.apply("a", &json!({"data": {"x": "1", "y": "1"}}), false)
        .unwrap();
    case.update("u", json!({"data": {"x": "2", "y": "1"}}));
    assert_eq!(case.applied("a"), r#"{"f:data":{"f:y":{}}}"#);
    assert_eq!(case.updated("u"), r#"{"f:data":{"f:x":{}}}"#);
    let before = case.managers.clone();
    case.update("u", case.object.clone());
    assert_eq!(case.managers, before);
    case.update("w", json!({"data": {"y": "1"}}));
    assert_eq!(case.updated("u"), "", "what is gone is nobody's");
}

#[test]
fn an_object_that_nobody_owned_belongs_to_its_past_at_the_first_apply() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({"data": {"x": "1", "y": "1"}}));
    let conflict = case.apply("a", &json!({"data": {"x": "2"}}), false).unwrap_err();
    assert!(
        conflict
            .to_status()
            .message
            .contains("\"before-first-apply\" using v1: .data.x")
    );
    case.apply("a", &json!({"data": {"x": "2"}}), true).unwrap();
    assert_eq!(
        case.updated(BEFORE_FIRST_APPLY),
        r#"{"f:data":{".":{},"f:y":{}}}"#
    );
    assert_eq!(case.object["data"], json!({"x": "2", "y": "1"}));
}

#[test]
fn kubectl_takes_over_what_it_applied_client_side_and_nobody_changed_since() {
    let last = json!({"data": {"x": "1", "y": "1"}}).to_string();
    let object = json!({"metadata": {"annotations": {LAST_APPLIED: last}}, "data": {"x": "1", "y": "9"}});
    let mut case = Case::new(ConfigMap::NUMBER, json!({}));
    case.update("kubectl-client-side-apply", object.clone());
    let conflicts = case
        .apply("kubectl", &json!({"data": {"x": "2", "y": "2"}}), false)
        .unwrap_err();
    assert_eq!(
        conflicts.fields().paths(),
        [".data.y"],
        "somebody changed y since"
    );
    case.apply("kubectl", &json!({"data": {"x": "2", "y": "9"}}), false)
        .unwrap();
    assert_eq!(case.object["data"], json!({"x": "2", "y": "9"}));
    let annotation = case.object["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap();
    assert_eq!(annotation, "{\"data\":{\"x\":\"2\",\"y\":\"9\"}}\n");

    let mut other = Case::new(ConfigMap::NUMBER, json!({}));
    other.update("kubectl-client-side-apply", object);
    assert!(
        other.apply("ci", &json!({"data": {"x": "2"}}), false).is_err(),
        "only kubectl does"
    );
}

#[test]
fn many_updaters_become_ancient_changes() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({"data": {}}));
    for i in 0..MAX_UPDATE_MANAGERS + 3 {
        let mut object = case.object.clone();
        object["data"][format!("key-{i:02}")] = json!("x");
        case.update(&format!("manager-{i:02}"), object);
    }
    assert_eq!(case.managers.iter().count(), MAX_UPDATE_MANAGERS);
    assert_eq!(
        case.updated(ANCIENT_CHANGES),
        r#"{"f:data":{"f:key-00":{},"f:key-01":{},"f:key-02":{},"f:key-03":{}}}"#
    );
    assert_eq!(case.updated("manager-04"), r#"{"f:data":{"f:key-04":{}}}"#);
}

#[test]
fn managed_fields_are_read_back_and_what_is_none_is_refused() {
    let mut case = Case::new(ConfigMap::NUMBER, json!({}));
    case.update("u", json!({"data": {"x": "2"}}));
    case.apply("a", &json!({"data": {"y": "1"}}), false).unwrap();
    let entries = case.managers.encode();
    let order: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.operation.as_str(), entry.manager.as_str()))
        .collect();
    assert_eq!(order, [("Apply", "a"), ("Update", "u")]);
    assert_eq!(Managers::decode(&entries), Ok(case.managers));
    type Break = fn(&mut proto::meta::v1::ManagedFieldsEntry);
    let breaks: [Break; 4] = [
        |entry| entry.operation = "Steal".into(),
        |entry| entry.api_version.clear(),
        |entry| entry.fields_type = "FieldsV2".into(),
        |entry| entry.fields_v1.get_or_insert_default().raw = "[]".into(),
    ];
    for spoil in breaks {
        let mut entry = entries[0].clone();
        spoil(&mut entry);
        assert!(Managers::decode(&[entry]).is_err());
    }
}

#[test]
fn status_is_owned_by_who_writes_the_status() {
    let of = of_kind(Deployment::NUMBER).unwrap();
    let writer = |subresource: &str| Writer {
        name: "m".into(),
        api_version: "apps/v1".into(),
        subresource: subresource.into(),
        time: Timestamp { seconds: 1, nanos: 0 },
    };
    let config = json!({"spec": {"replicas": 1}, "status": {"replicas": 1}});
    let mut managers = Managers::default();
    let none = json!({});
    managers
        .apply(
            of,
            (&none, &none),
            &config,
            Part::WithoutStatus,
            &writer(""),
            false,
        )
        .unwrap();
    managers.update(of, &none, &config, Part::Status, &writer("status"));
    let owned: Vec<(String, String)> = managers
        .iter()
        .map(|(manager, owned)| {
            let fields = String::from_utf8(owned.fields.to_json()).unwrap();
            (manager.subresource.clone(), fields)
        })
        .collect();
    assert_eq!(
        owned,
        [
            (String::new(), r#"{"f:spec":{"f:replicas":{}}}"#.to_owned()),
            (
                "status".to_owned(),
                r#"{"f:status":{".":{},"f:replicas":{}}}"#.to_owned()
            )
        ]
    );
}

/// Some keys with values: what a manager wants of a ConfigMap.
fn data() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    prop::collection::btree_map("[a-d]", "[12]", 0..4)
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(first in data(), second in data()) {
        let mut case = Case::new(ConfigMap::NUMBER, json!({}));
        case.apply("a", &json!({ "data": first }), false).unwrap();
        case.apply("b", &json!({ "data": second }), true).unwrap();
        let (object, managers) = (case.object.clone(), case.managers.clone());
        case.apply("b", &json!({ "data": second }), false).unwrap();
        prop_assert_eq!(case.object, object);
        prop_assert_eq!(case.managers, managers);
    }

    #[test]
    fn what_one_applies_and_lets_go_of_leaves_no_trace(before in data(), mine in data()) {
        let mut case = Case::new(ConfigMap::NUMBER, json!({}));
        case.apply("a", &json!({ "data": before.clone() }), false).unwrap();
        let object = case.object.clone();
        // What does not contradict, so that nothing is taken from the other.
        let mine: std::collections::BTreeMap<_, _> =
            mine.into_iter().filter(|(key, _)| !before.contains_key(key)).collect();
        case.apply("b", &json!({ "data": mine }), false).unwrap();
        case.apply("b", &json!({}), false).unwrap();
        let left = |object: &Value| object["data"].as_object().cloned().unwrap_or_default();
        prop_assert_eq!(left(&case.object), left(&object));
    }

    /// Three managers apply and update one ConfigMap; the model is a map from keys to a value and its owners.
    #[test]
    fn three_managers_end_where_the_model_does(
        steps in prop::collection::vec((0..3usize, any::<bool>(), data()), 1..12)
    ) {
        use std::collections::{BTreeMap, BTreeSet};
        let names = ["a", "b", "c"];
        let mut case = Case::new(ConfigMap::NUMBER, json!({"data": {}}));
        // Who owns a key: a name, and whether by applying.
        let mut model: BTreeMap<String, (String, BTreeSet<(usize, bool)>)> = BTreeMap::new();
        for (who, applies, wants) in steps {
            if applies {
                case.apply(names[who], &json!({ "data": wants }), true).unwrap();
                for (key, value) in &wants {
                    let there = model.entry(key.clone()).or_default();
                    if there.0 != *value {
                        *there = (value.clone(), BTreeSet::new());
                    }
                    there.1.insert((who, true));
                }
                model.retain(|key, (_, owners)| {
                    wants.contains_key(key) || !owners.remove(&(who, true)) || !owners.is_empty()
                });
            } else {
                let mut object = case.object.clone();
                object["data"] = json!(wants);
                case.update(names[who], object);
                let mut next = BTreeMap::new();
                for (key, value) in wants {
                    let there = model.remove(&key).filter(|(old, _)| *old == value);
                    let owned = there.unwrap_or_else(|| (value, BTreeSet::from([(who, false)])));
                    next.insert(key, owned);
                }
                model = next;
            }
            let data = case.object["data"].as_object().cloned().unwrap_or_default();
            let expected: BTreeMap<_, _> = model.iter().map(|(key, (value, _))| (key.clone(), json!(value))).collect();
            prop_assert_eq!(data.into_iter().collect::<BTreeMap<_, _>>(), expected);
            for (i, name) in names.iter().enumerate() {
                for (operation, applied) in [(Operation::Apply, true), (Operation::Update, false)] {
                    let owned = case.owned(operation, name);
                    for (key, (_, owners)) in &model {
                        let mine = owned.contains(&format!("f:{key}\""));
                        prop_assert_eq!(mine, owners.contains(&(i, applied)), "{} {} {}", name, key, owned);
                    }
                }
            }
        }
    }
}
