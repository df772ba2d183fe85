//! Parts of typed objects as the JSON of patches.
//!
//! A merge patch replaces lists as a whole, so the patches made here carry the object's resourceVersion: they hold only
//! for the object as it was seen.

use apimachinery::json::Message;
use proto::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// The JSON of each message of the type `k8s.io.api.core.v1.{name}`.
pub(crate) fn list<M: prost::Message>(name: &str, messages: &[M]) -> Value {
    let schema = Message::by_name(&format!("k8s.io.api.core.v1.{name}")).expect("a message of the schema");
    let value = |message: &M| {
        let written = schema.to_value(&message.encode_to_vec());
        written.expect("what prost encodes is well-formed")
    };
    messages.iter().map(value).collect()
}

/// A patch of a status.
pub(crate) fn of_status(meta: &ObjectMeta, status: Value) -> Value {
    json!({"metadata": {"resourceVersion": meta.resource_version}, "status": status})
}

/// A patch of a spec.
pub(crate) fn of_spec(meta: &ObjectMeta, spec: Value) -> Value {
    json!({"metadata": {"resourceVersion": meta.resource_version}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Taint;

    #[test]
    fn a_list_is_written_as_the_schema_says() {
        let taint = Taint {
            key: "a".into(),
            effect: "NoExecute".into(),
            time_added: Some(proto::Timestamp {
                seconds: 60,
                nanos: 0,
            }),
            ..Taint::default()
        };
        let expected = json!([{"key": "a", "effect": "NoExecute", "timeAdded": "1970-01-01T00:01:00Z"}]);
        assert_eq!(list("Taint", &[taint]), expected);
    }
}
