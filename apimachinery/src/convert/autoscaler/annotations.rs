//! The annotations of a v1 autoscaler: what v1 has no fields for, as JSON.

use super::ConvertError;
use crate::json::{Message, Unknown};
use prost::Message as Wire;
use proto::api::autoscaling::v2::HorizontalPodAutoscalerBehavior as Behavior;
use proto::meta::v1::ObjectMeta;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What holds the metrics that are not the use of CPU.
pub(super) const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// What holds the values that were last measured.
pub(super) const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// What holds the conditions.
pub(super) const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// What holds how fast to scale.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The message that [`BEHAVIOR`] holds.
const BEHAVIOR_MESSAGE: &str = "k8s.io.api.autoscaling.v2.HorizontalPodAutoscalerBehavior";

/// The message of the items of a list.
fn item_message(annotation: &str) -> &'static Message {
    let name = match annotation {
        METRICS => "MetricSpec",
        CURRENT_METRICS => "MetricStatus",
        _ => "HorizontalPodAutoscalerCondition",
    };
    message(&format!("k8s.io.api.autoscaling.v1.{name}"))
}

fn message(full_name: &str) -> &'static Message {
    Message::by_name(full_name).expect("the schema declares what the annotations hold")
}

/// The annotations of an object, to write and to read.
pub(super) struct Annotations<'a>(Option<&'a mut BTreeMap<String, String>>);

impl<'a> Annotations<'a> {
    /// Those of an object that has metadata; nothing is kept with one that has none.
    pub(super) fn of(metadata: &'a mut Option<ObjectMeta>) -> Self {
        Self(metadata.as_mut().map(|metadata| &mut metadata.annotations))
    }

    /// Removes what an older object left.
    pub(super) fn clear(&mut self) {
        for name in [METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR] {
            self.take(name);
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.as_mut()?.remove(name)
    }

    fn put(&mut self, name: &str, value: &Value) {
        if let Some(annotations) = &mut self.0 {
            annotations.insert(name.to_owned(), value.to_string());
        }
    }

    /// Keeps a list, unless it is empty.
    pub(super) fn put_list<M: Wire>(
        &mut self,
        name: &'static str,
        items: Vec<M>,
    ) -> Result<(), ConvertError> {
        if items.is_empty() {
            return Ok(());
        }
        let values = items
            .into_iter()
            .map(|item| print(name, item_message(name), &item));
        let values = values.collect::<Result<_, _>>()?;
        self.put(name, &Value::Array(values));
        Ok(())
    }

    /// Takes a list out; empty when there is none.
    pub(super) fn take_list<M: Wire + Default>(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<M>, ConvertError> {
        let Some(text) = self.take(name) else {
            return Ok(Vec::new());
        };
        let items: Vec<Value> = serde_json::from_str(&text).map_err(|error| wrong(name, &error))?;
        let items = items.iter().map(|item| read(name, item_message(name), item));
        items.collect()
    }

    /// Keeps the behavior, if there is one.
    pub(super) fn put_behavior(&mut self, behavior: Option<&Behavior>) -> Result<(), ConvertError> {
        let Some(behavior) = behavior else {
            return Ok(());
        };
        let value = print(BEHAVIOR, message(BEHAVIOR_MESSAGE), behavior)?;
        // Upstream prints Go's own names here.
        self.put(BEHAVIOR, &with_keys(value, &|first| first.to_ascii_uppercase()));
        Ok(())
    }

    /// Takes the behavior out.
    pub(super) fn take_behavior(&mut self) -> Result<Option<Behavior>, ConvertError> {
        let Some(text) = self.take(BEHAVIOR) else {
            return Ok(None);
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| wrong(BEHAVIOR, &error))?;
        let value = with_keys(value, &|first| first.to_ascii_lowercase());
        read(BEHAVIOR, message(BEHAVIOR_MESSAGE), &value).map(Some)
    }
}

fn wrong(name: &'static str, error: &dyn std::fmt::Display) -> ConvertError {
    ConvertError::Annotation {
        name,
        wrong: error.to_string(),
    }
}

fn print(name: &'static str, as_message: &'static Message, part: &impl Wire) -> Result<Value, ConvertError> {
    as_message
        .to_value(&part.encode_to_vec())
        .map_err(|fault| wrong(name, &fault))
}

fn read<M: Wire + Default>(
    name: &'static str,
    as_message: &'static Message,
    value: &Value,
) -> Result<M, ConvertError> {
    let (bytes, _) = as_message
        .from_value(value, Unknown::Ignore)
        .map_err(|faults| wrong(name, &faults))?;
    Ok(M::decode(bytes)?)
}

/// The value with the first letter of every key changed. The transcoder gives it no deeper than itself reads.
fn with_keys(value: Value, first: &impl Fn(char) -> char) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let mut letters = key.chars();
                let key = letters.next().map(first).into_iter().chain(letters).collect();
                (key, with_keys(value, first))
            })
            .collect::<Map<String, Value>>()
            .into(),
        Value::Array(items) => items.into_iter().map(|item| with_keys(item, first)).collect(),
        other => other,
    }
}
