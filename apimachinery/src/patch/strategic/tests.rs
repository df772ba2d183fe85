//! Directives, merge keys, order, and what is refused.

use super::super::{PatchError, merge_patch, strategic_merge_patch};
use proptest::prelude::*;
use proto::Kind as _;
use proto::api::apps::v1::Deployment;
use proto::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

fn pod(patch: &Value, spec: &Value) -> Result<Value, PatchError> {
    let patch = json!({ "spec": patch }).to_string();
    strategic_merge_patch(Pod::NUMBER, &json!({ "spec": spec }), &patch)
        .map(|patched| patched["spec"].clone())
}

#[test]
fn lists_with_a_merge_key_merge_item_by_item_and_directives_say_more() {
    let two = json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]});
    let cases = [
        (
            "an item is merged, and a new one comes before those that the patch does not name",
            json!({"containers": [{"name": "c", "image": "c:1"}, {"name": "b", "image": "b:2"}]}),
            json!({"containers": [{"name": "c", "image": "c:1"}, {"name": "a", "image": "a:1"},
                                  {"name": "b", "image": "b:2"}]}),
        ),
        (
            "$patch: delete takes an item out",
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            json!({"containers": [{"name": "b", "image": "b:1"}]}),
        ),
        (
            "$patch: replace in a list replaces it",
            json!({"containers": [{"name": "z", "image": "z:1"}, {"$patch": "replace"}]}),
            json!({"containers": [{"name": "z", "image": "z:1"}]}),
        ),
        (
            "$patch: replace in an item replaces the list too, as it stands in the list",
            json!({"containers": [{"$patch": "replace"}]}),
            json!({"containers": []}),
        ),
        (
            "$setElementOrder orders without changing",
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
            json!({"containers": [{"name": "b", "image": "b:1"}, {"name": "a", "image": "a:1"}]}),
        ),
        (
            "null removes, in items too",
            json!({"containers": [{"name": "a", "image": null}], "missing": null}),
            json!({"containers": [{"name": "a"}, {"name": "b", "image": "b:1"}]}),
        ),
        (
            "an object that is new comes without nulls and directives",
            json!({"securityContext": {"runAsUser": 1, "runAsGroup": null, "$retainKeys": ["runAsUser"]}}),
            json!({"containers": two["containers"], "securityContext": {"runAsUser": 1}}),
        ),
        (
            "a list without a merge key is replaced",
            json!({"containers": [{"name": "a", "command": ["x"]}]}),
            json!({"containers": [{"name": "a", "image": "a:1", "command": ["x"]},
                                  {"name": "b", "image": "b:1"}]}),
        ),
    ];
    for (name, patch, expected) in cases {
        assert_eq!(pod(&patch, &two), Ok(expected), "{name}");
    }
}

#[test]
fn what_only_the_server_has_keeps_its_place_between_what_the_patch_orders() {
    let live = json!({"containers": [{"name": "a"}, {"name": "mesh"}, {"name": "b"}]});
    let patch = json!({
        "$setElementOrder/containers": [{"name": "a"}, {"name": "c"}, {"name": "b"}],
        "containers": [{"name": "c"}],
    });
    let patched = pod(&patch, &live).unwrap();
    let names: Vec<&str> = patched["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| container["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "c", "mesh", "b"]);
}

#[test]
fn scalars_merge_as_sets_and_are_deleted_by_name() {
    let live = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    for (patch, expected) in [
        (json!({"finalizers": ["d", "b"]}), json!(["d", "a", "b", "c"])),
        (
            json!({"$deleteFromPrimitiveList/finalizers": ["b", "x"]}),
            json!(["a", "c"]),
        ),
        (
            json!({"$deleteFromPrimitiveList/finalizers": ["a"],
                   "$setElementOrder/finalizers": ["d", "c", "b"], "finalizers": ["d"]}),
            json!(["d", "c", "b"]),
        ),
    ] {
        let patch = json!({ "metadata": patch }).to_string();
        let patched = strategic_merge_patch(Node::NUMBER, &live, &patch).unwrap();
        assert_eq!(patched["metadata"]["finalizers"], expected, "{patch}");
    }
}

#[test]
fn retain_keys_drops_what_it_does_not_name() {
    let live = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = r#"{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#;
    let patched = strategic_merge_patch(Deployment::NUMBER, &live, patch).unwrap();
    assert_eq!(patched["spec"]["strategy"], json!({"type": "Recreate"}));
    let volumes = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch =
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]});
    let expected = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]});
    assert_eq!(pod(&patch, &volumes), Ok(expected));
}

#[test]
fn an_object_is_replaced_or_emptied_by_its_directive() {
    let live = json!({"nodeSelector": {"a": "1", "b": "2"}});
    let replaced = pod(&json!({"nodeSelector": {"$patch": "replace", "c": "3"}}), &live);
    assert_eq!(replaced, Ok(json!({"nodeSelector": {"c": "3"}})));
    let emptied = pod(&json!({"nodeSelector": {"$patch": "delete"}}), &live);
    assert_eq!(emptied, Ok(json!({"nodeSelector": {}})));
}

#[test]
fn a_patch_that_is_none_says_why() {
    let live = json!({"containers": [{"name": "a"}]});
    for (patch, reason) in [
        (json!({"containers": [{"image": "x"}]}), "Invalid"),
        (json!({"containers": ["x"]}), "Invalid"),
        (json!({"containers": [{"$patch": "delete"}]}), "Invalid"),
        (
            json!({"containers": [{"name": "a", "$patch": "fly"}]}),
            "BadRequest",
        ),
        (json!({"$patch": 5}), "BadRequest"),
        (json!({"$retainKeys": "x"}), "BadRequest"),
        (json!({"$retainKeys": ["a"], "b": 1}), "BadRequest"),
        (json!({"$deleteFromPrimitiveList/x": 1}), "BadRequest"),
        (json!({"$setElementOrder/containers": 1}), "BadRequest"),
        (
            json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}),
            "BadRequest",
        ),
    ] {
        let status = pod(&patch, &live).unwrap_err().to_status();
        assert_eq!(status.reason, reason, "{patch}: {}", status.message);
    }
    for patch in ["", "[]", "5", "{"] {
        assert!(
            strategic_merge_patch(Pod::NUMBER, &json!({}), patch).is_err(),
            "{patch}"
        );
    }
}

fn containers() -> impl Strategy<Value = Value> {
    let container = ("[a-d]", prop::option::of("[xy]")).prop_map(|(name, image)| match image {
        Some(image) => json!({"name": name, "image": image}),
        None => json!({ "name": name }),
    });
    prop::collection::vec(container, 0..4).prop_map(|mut list| {
        let mut seen = std::collections::HashSet::new();
        list.retain(|item| seen.insert(item["name"].to_string()));
        json!({"spec": {"containers": list}})
    })
}

proptest! {
    #[test]
    fn patching_twice_is_patching_once(live in containers(), patch in containers()) {
        let patch = patch.to_string();
        let once = strategic_merge_patch(Pod::NUMBER, &live, &patch).unwrap();
        prop_assert_eq!(strategic_merge_patch(Pod::NUMBER, &once, &patch).unwrap(), once);
    }

    #[test]
    fn without_lists_it_is_a_merge_patch(labels in prop::collection::btree_map("[abc]", prop::option::of("[xy]"), 0..4)) {
        let live = json!({"metadata": {"labels": {"a": "1", "z": "2"}}});
        let patch = json!({"metadata": {"labels": labels}}).to_string();
        prop_assert_eq!(
            strategic_merge_patch(Pod::NUMBER, &live, &patch).unwrap(),
            merge_patch(&live, &patch).unwrap()
        );
    }
}
