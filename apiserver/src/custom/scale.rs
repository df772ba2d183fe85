//! The `scale` subresource of a custom kind: its definition says where the numbers stand.

use super::definition::Version;
use apimachinery::json;
use apimachinery::strategy::{Rejection, Subresource};
use bytes::Bytes;
use prost::Message as _;
use proto::Kind;
use proto::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use proto::apiextensions::v1::CustomResourceSubresourceScale;
use proto::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

/// Where an object keeps what a Scale shows, each as the steps of a path.
#[derive(Debug)]
pub(crate) struct ScalePaths {
    wanted: Vec<String>,
    present: Vec<String>,
    selector: Option<Vec<String>>,
}

impl ScalePaths {
    /// Reads the paths of a definition, which were checked when it was written: names joined by dots.
    pub(super) fn new(paths: &CustomResourceSubresourceScale) -> Self {
        let steps = |path: &str| -> Vec<String> {
            let names = path.trim_start_matches('.').split('.');
            names.map(ToOwned::to_owned).collect()
        };
        Self {
            wanted: steps(&paths.spec_replicas_path),
            present: steps(&paths.status_replicas_path),
            selector: paths.label_selector_path.as_deref().map(steps),
        }
    }
}

impl Version {
    /// The object's scale.
    pub(crate) fn scale_of(&self, stored: &Bytes) -> Result<Scale, Rejection> {
        let paths = self.scale_paths()?;
        let object = self.decode(stored)?;
        let fields = self.fields(&object)?;
        let number = |path: &[String]| {
            let value = at(&fields, path).and_then(Value::as_i64);
            value.and_then(|number| i32::try_from(number).ok())
        };
        let meta = object.meta();
        let selector = paths.selector.as_deref().and_then(|path| at(&fields, path));
        Ok(Scale {
            metadata: Some(ObjectMeta {
                name: meta.name.clone(),
                namespace: meta.namespace.clone(),
                uid: meta.uid.clone(),
                resource_version: meta.resource_version.clone(),
                creation_timestamp: meta.creation_timestamp,
                ..ObjectMeta::default()
            }),
            spec: Some(ScaleSpec {
                replicas: number(&paths.wanted).unwrap_or_default(),
            }),
            status: Some(ScaleStatus {
                replicas: number(&paths.present).unwrap_or_default(),
                selector: selector.and_then(Value::as_str).unwrap_or_default().to_owned(),
            }),
        })
    }

    /// The object with the number of replicas that `scale` wants. To be admitted as an update like any other.
    pub(crate) fn with_scale(&self, stored: &Bytes, scale: &Scale) -> Result<Bytes, Rejection> {
        let paths = self.scale_paths()?;
        let mut object = self.decode(stored)?;
        let mut fields = self.fields(&object)?;
        let wanted = scale.spec.as_ref().map_or(0, |spec| spec.replicas);
        set(&mut fields, &paths.wanted, wanted.into());
        object.api_version = self.info.api_version();
        object.fields = json::custom::text_of(&fields).map_err(|fault| Rejection::Undecodable {
            kind: self.info.kind,
            problem: fault.to_string(),
        })?;
        Ok(object.encode_to_vec().into())
    }

    fn scale_paths(&self) -> Result<&ScalePaths, Rejection> {
        self.scale.as_ref().ok_or(Rejection::NoSubresource {
            kind: self.info.kind,
            subresource: Subresource::Scale,
        })
    }
}

fn at<'f>(fields: &'f Map<String, Value>, path: &[String]) -> Option<&'f Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(fields.get(first)?, |value, step| value.get(step))
}

/// Sets a value, and makes the objects on the way where there are none.
fn set(fields: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            fields.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let below = fields.entry(first.clone()).or_insert_with(|| Map::new().into());
            if let Value::Object(below) = below {
                set(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_set_where_its_path_leads() {
        let path = |text: &str| text.split('.').map(ToOwned::to_owned).collect::<Vec<_>>();
        let mut fields = Map::new();
        set(&mut fields, &path("spec.size.replicas"), 3.into());
        set(&mut fields, &path("spec.name"), "x".into());
        // What is no object is not replaced: the schema says what is wrong with it.
        set(&mut fields, &path("spec.name.first"), "y".into());
        assert_eq!(
            Value::from(fields.clone()),
            json!({"spec": {"name": "x", "size": {"replicas": 3}}})
        );
        assert_eq!(at(&fields, &path("spec.size.replicas")), Some(&json!(3)));
        assert_eq!(at(&fields, &path("spec.name.first")), None);
    }
}
