//! JSON patch (RFC 6902), JSON merge patch (RFC 7386) and strategic merge patch over an object's JSON.
//!
//! Input: the stored object as JSON and the patch. Output: the patched JSON, not yet checked: the caller turns it into an
//! object again and admits it as an update.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>

pub(crate) mod lists;
mod strategic;

use crate::status::{Reason, failure};
use proto::meta::v1::Status;
use serde_json::Value;

/// The most operations in one JSON patch, as upstream has it. Each can copy the whole object.
pub const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that the `copy` operations of one patch may add, as upstream has it: without a bound, a few
/// operations that copy the root into itself would fill the memory.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;
/// The deepest nesting that a patch may have or make.
pub const MAX_DEPTH: usize = 128;

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is not what its type says it is.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// More than [`MAX_OPERATIONS`].
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// Its copies add more than [`MAX_COPIED_BYTES`].
    #[error("the copy operations of the JSON patch would add more than {MAX_COPIED_BYTES} bytes")]
    TooMuchCopied,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the patched object would nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An operation does not fit the object: its path is missing, or its test failed.
    #[error("the server rejected our request due to an error in our request: {0}")]
    DoesNotFit(String),
}

impl PatchError {
    /// As the API answers it.
    pub fn to_status(&self) -> Status {
        let reason = match self {
            Self::Malformed(_) => Reason::BadRequest,
            Self::TooManyOperations(_) | Self::TooMuchCopied | Self::TooDeep => Reason::RequestEntityTooLarge,
            Self::DoesNotFit(_) => Reason::Invalid,
        };
        failure(reason, self.to_string())
    }
}

/// Applies a JSON patch. All operations, or none.
pub fn json_patch(object: &Value, patch: &str) -> Result<Value, PatchError> {
    let operations: Vec<json_patch::PatchOperation> =
        serde_json::from_str(patch).map_err(|e| PatchError::Malformed(e.to_string()))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut patched = object.clone();
    let mut copied = 0;
    for (i, operation) in operations.iter().enumerate() {
        if let json_patch::PatchOperation::Copy(copy) = operation
            && let Some(source) = patched.pointer(copy.from.as_str())
        {
            copied += size(source);
            if copied > MAX_COPIED_BYTES {
                return Err(PatchError::TooMuchCopied);
            }
        }
        if tests_absence(&patched, operation) {
            continue;
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation))
            .map_err(|e| PatchError::DoesNotFit(format!("operation {i}: {}", e.kind)))?;
        if matches!(operation, json_patch::PatchOperation::Copy(_)) && depth_exceeds(&patched, MAX_DEPTH) {
            return Err(PatchError::TooDeep);
        }
    }
    if depth_exceeds(&patched, MAX_DEPTH) {
        return Err(PatchError::TooDeep);
    }
    Ok(patched)
}

/// Whether the operation asks that a field be null which is not there. RFC 6902 has no word for absence; upstream takes
/// null for it, and clients rely on that when they set the first finalizer.
fn tests_absence(object: &Value, operation: &json_patch::PatchOperation) -> bool {
    let json_patch::PatchOperation::Test(test) = operation else {
        return false;
    };
    let path = test.path.as_str();
    let parent = path
        .rsplit_once('/')
        .and_then(|(parent, _)| object.pointer(parent));
    test.value.is_null() && parent.is_some_and(Value::is_object) && object.pointer(path).is_none()
}

/// Applies a merge patch: null removes, objects merge, all else replaces.
pub fn merge_patch(object: &Value, patch: &str) -> Result<Value, PatchError> {
    let patch: Value = serde_json::from_str(patch).map_err(|e| PatchError::Malformed(e.to_string()))?;
    if !patch.is_object() {
        return Err(PatchError::Malformed(
            "a merge patch must be a JSON object".into(),
        ));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, &patch);
    if depth_exceeds(&patched, MAX_DEPTH) {
        return Err(PatchError::TooDeep);
    }
    Ok(patched)
}

/// Applies a strategic merge patch to an object of the arm `number` of `orrery.v1.Object`: as a merge patch, but lists
/// whose items the schema tells apart are merged item by item, and `$` directives say more.
pub fn strategic_merge_patch(number: u32, object: &Value, patch: &str) -> Result<Value, PatchError> {
    let patch: Value = serde_json::from_str(patch).map_err(|e| PatchError::Malformed(e.to_string()))?;
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(PatchError::Malformed(
            "a strategic merge patch must be a JSON object".into(),
        ));
    };
    let message = lists::Message::by_number(number);
    let patched = Value::Object(strategic::merge(message, object.clone(), patch)?);
    if depth_exceeds(&patched, MAX_DEPTH) {
        return Err(PatchError::TooDeep);
    }
    Ok(patched)
}

/// About how many bytes a value takes as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|v| size(v) + 1).sum::<usize>(),
        Value::Object(fields) => 2 + fields.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>(),
    }
}

fn depth_exceeds(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|v| depth_exceeds(v, limit - 1)),
        Value::Object(fields) => limit == 0 || fields.values().any(|v| depth_exceeds(v, limit - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn json_patches_do_what_rfc_6902_says() {
        let object = json!({"metadata": {"labels": {"a": "1"}}, "list": [1, 2]});
        for (patch, expected) in [
            (
                r#"[{"op":"add","path":"/metadata/labels/b","value":"2"}]"#,
                json!({"metadata":{"labels":{"a":"1","b":"2"}},"list":[1,2]}),
            ),
            (
                r#"[{"op":"remove","path":"/metadata/labels/a"}]"#,
                json!({"metadata":{"labels":{}},"list":[1,2]}),
            ),
            (
                r#"[{"op":"replace","path":"/list/0","value":9}]"#,
                json!({"metadata":{"labels":{"a":"1"}},"list":[9,2]}),
            ),
            (
                r#"[{"op":"add","path":"/list/-","value":3}]"#,
                json!({"metadata":{"labels":{"a":"1"}},"list":[1,2,3]}),
            ),
            (
                r#"[{"op":"move","from":"/list","path":"/l"}]"#,
                json!({"metadata":{"labels":{"a":"1"}},"l":[1,2]}),
            ),
            (r#"[{"op":"test","path":"/list/1","value":2}]"#, object.clone()),
            (
                r#"[{"op":"test","path":"/metadata/finalizers","value":null}]"#,
                object.clone(),
            ),
            ("[]", object.clone()),
        ] {
            assert_eq!(json_patch(&object, patch).as_ref(), Ok(&expected), "{patch}");
        }
    }

    #[test]
    fn a_json_patch_that_cannot_be_applied_says_why() {
        let object = json!({"a": {"b": 1}});
        for (patch, reason) in [
            ("{", "BadRequest"),
            ("{}", "BadRequest"),
            (r#"[{"op":"fly","path":"/a"}]"#, "BadRequest"),
            (r#"[{"op":"remove","path":"/x"}]"#, "Invalid"),
            (r#"[{"op":"replace","path":"/x/y","value":1}]"#, "Invalid"),
            (r#"[{"op":"test","path":"/a/b","value":2}]"#, "Invalid"),
            (r#"[{"op":"test","path":"/a/b","value":null}]"#, "Invalid"),
            (r#"[{"op":"test","path":"/x/y","value":null}]"#, "Invalid"),
        ] {
            assert_eq!(
                json_patch(&object, patch).unwrap_err().to_status().reason,
                reason,
                "{patch}"
            );
        }
        let many = format!(
            "[{}]",
            vec![r#"{"op":"test","path":"/a/b","value":1}"#; MAX_OPERATIONS + 1].join(",")
        );
        assert_eq!(
            json_patch(&object, &many),
            Err(PatchError::TooManyOperations(MAX_OPERATIONS + 1))
        );
        // The first doubles the list with every copy, the second nests the object once more.
        for copy in [
            r#"{"op":"copy","from":"/l","path":"/l/-"}"#,
            r#"{"op":"copy","from":"/a","path":"/a/x"}"#,
        ] {
            let hostile = format!("[{}]", vec![copy; 200].join(","));
            let object = json!({"a": {"text": "x".repeat(1000)}, "l": ["x".repeat(1000)]});
            let refused = json_patch(&object, &hostile).err();
            assert!(matches!(
                refused,
                Some(PatchError::TooMuchCopied | PatchError::TooDeep)
            ));
        }
    }

    #[test]
    fn merge_patches_do_what_rfc_7386_says() {
        let object = json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"});
        for (patch, expected) in [
            (r#"{"a":{"b":null,"c":[3]}}"#, json!({"a":{"c":[3]},"d":"x"})),
            (
                r#"{"e":{"f":null,"g":1}}"#,
                json!({"a":{"b":1,"c":[1,2]},"d":"x","e":{"g":1}}),
            ),
            (r#"{"a":5,"d":null}"#, json!({"a":5})),
            ("{}", object.clone()),
        ] {
            assert_eq!(merge_patch(&object, patch).as_ref(), Ok(&expected), "{patch}");
        }
        for patch in ["", "[]", "5", "null", "{"] {
            assert!(
                matches!(merge_patch(&object, patch), Err(PatchError::Malformed(_))),
                "{patch}"
            );
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(127), "}".repeat(127));
        assert!(merge_patch(&object, &deep).is_ok());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(1)),
            Just(json!("x")),
            Just(json!(true)),
            Just(json!([1]))
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn merging_an_object_without_nulls_twice_is_merging_it_once(object in json(), patch in json()) {
            prop_assume!(patch.is_object());
            let once = merge_patch(&object, &patch.to_string()).unwrap();
            prop_assert_eq!(merge_patch(&once, &patch.to_string()).unwrap(), once);
        }
    }
}
