//! From client-side to server-side apply: `kubectl apply` keeps what it applied in an annotation, and `kubectl apply
//! --server-side` takes those fields over without a conflict.

use super::compare::compare;
use super::conflict::Conflicts;
use super::fields::field_set;
use super::managers::Managers;
use super::schema::Cursor;
use super::set::FieldSet;
use super::update::{Part, Writer};
use crate::apply::LAST_APPLIED;
use serde_json::{Value, json};

/// The manager that kubectl applies as, unless its user names another. Only this one takes over.
const KUBECTL: &str = "kubectl";

impl Managers {
    /// As [`Managers::apply`], but kubectl may change what it applied client-side and nobody has changed since, and keeps
    /// the annotation current where it stands.
    pub fn apply_as_kubectl(
        &mut self,
        of: Cursor<'_>,
        (empty, live): (&Value, &Value),
        config: &Value,
        part: Part,
        writer: &Writer,
        force: bool,
    ) -> Result<Value, Conflicts> {
        let result = self.apply(of, (empty, live), config, part, writer, force);
        if writer.name != KUBECTL {
            return result;
        }
        let mut object = match result {
            Err(conflicts) => match conflicts.without(&still_applied(of, live)) {
                Some(conflicts) => return Err(conflicts),
                None => self.apply(of, (empty, live), config, part, writer, true)?,
            },
            Ok(object) => object,
        };
        if last_applied(&object).is_some_and(|text| !text.is_empty()) {
            object["metadata"]["annotations"][LAST_APPLIED] = json!(remembered(config));
        }
        Ok(object)
    }
}

fn last_applied(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/annotations")?
        .get(LAST_APPLIED)?
        .as_str()
}

/// The fields of the annotation that the object still has as they stand there.
fn still_applied(of: Cursor<'_>, live: &Value) -> FieldSet {
    let Some(last) = last_applied(live).and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return FieldSet::default();
    };
    let changed = compare(of, &last, live);
    field_set(of, &last)
        .difference(&changed.changed())
        .difference(&changed.removed)
}

/// What the annotation says of a configuration: all of it but itself.
fn remembered(config: &Value) -> String {
    let mut config = config.clone();
    let annotations = config
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.shift_remove(LAST_APPLIED);
    }
    config.sort_all_objects();
    format!("{config}\n")
}
