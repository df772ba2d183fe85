//! The subresource `scale`: how many replicas a workload wants and has, the same shape for every kind. Pure.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/scale-v1/>.

use super::errors::{self, Result};
use apimachinery::kinds::KindInfo;
use apimachinery::selector::LabelSelector;
use apimachinery::status::{self, FieldError};
use bytes::Bytes;
use prost::DecodeError;
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use proto::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use proto::api::core::v1::ReplicationController;
use proto::meta::v1::{self as meta, ObjectMeta};

/// A kind that can be scaled.
trait Scalable: Kind {
    /// `spec.replicas`; 1 where it is not set.
    fn wanted(&self) -> i32;
    /// `status.replicas`.
    fn present(&self) -> i32;
    /// `spec.selector` as text.
    fn selector(&self) -> String;
    /// Sets `spec.replicas`.
    fn want(&mut self, replicas: i32);
}

macro_rules! scalable {
    ($($kind:ty => $selector:expr),* $(,)?) => {
        $(impl Scalable for $kind {
            fn wanted(&self) -> i32 {
                self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
            }
            fn present(&self) -> i32 {
                self.status.as_ref().map_or(0, |status| status.replicas)
            }
            fn selector(&self) -> String {
                self.spec.as_ref().map_or_else(String::new, |spec| $selector(&spec.selector))
            }
            fn want(&mut self, replicas: i32) {
                self.spec.get_or_insert_default().replicas = Some(replicas);
            }
        })*
        const SCALABLE: &[u32] = &[$(<$kind as Kind>::NUMBER),*];
    };
}

scalable!(
    Deployment => selector_text,
    ReplicaSet => selector_text,
    StatefulSet => selector_text,
    ReplicationController => |labels| LabelSelector::from_set(labels).map_or_else(|_| String::new(), |s| s.to_string()),
);

fn selector_text(selector: &Option<meta::LabelSelector>) -> String {
    LabelSelector::from_proto(selector.as_ref())
        .map_or_else(|_| String::new(), |selector| selector.to_string())
}

macro_rules! dispatch {
    ($number:expr, $function:ident($($argument:expr),*)) => {
        match $number {
            Deployment::NUMBER => $function::<Deployment>($($argument),*),
            ReplicaSet::NUMBER => $function::<ReplicaSet>($($argument),*),
            StatefulSet::NUMBER => $function::<StatefulSet>($($argument),*),
            ReplicationController::NUMBER => $function::<ReplicationController>($($argument),*),
            number => unreachable!("{number} is not in SCALABLE, which `check` asks"),
        }
    };
}

/// Refuses a kind that has no scale.
pub(crate) fn check(info: &KindInfo) -> Result<()> {
    if info.has_scale && SCALABLE.contains(&info.number) {
        return Ok(());
    }
    Err(errors::no_subresource(info, "scale"))
}

/// The scale of a stored object. `revision` becomes its resourceVersion where there is one.
pub(crate) fn read(info: &KindInfo, value: &Bytes, revision: i64) -> Result<Scale> {
    check(info)?;
    let scale: std::result::Result<Scale, DecodeError> = dispatch!(info.number, scale_of(value, revision));
    scale.map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))
}

/// The stored object, wanting as many replicas as `scale` says.
pub(crate) fn write(info: &KindInfo, value: &Bytes, scale: &Scale) -> Result<Bytes> {
    check(info)?;
    let replicas = scale.spec.as_ref().map_or(0, |spec| spec.replicas);
    if replicas < 0 {
        let fault = FieldError {
            reason: "FieldValueInvalid",
            field: "spec.replicas".into(),
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
        };
        return Err(Box::new(status::invalid(
            "autoscaling",
            "Scale",
            scale.name(),
            &[fault],
        )));
    }
    let scaled: std::result::Result<Bytes, DecodeError> = dispatch!(info.number, scaled(value, replicas));
    scaled.map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))
}

fn scale_of<K: Scalable>(value: &Bytes, revision: i64) -> std::result::Result<Scale, DecodeError> {
    let object = K::decode(value.clone())?;
    let meta = object.meta();
    Ok(Scale {
        metadata: Some(ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: if revision > 0 {
                revision.to_string()
            } else {
                String::new()
            },
            creation_timestamp: meta.creation_timestamp,
            ..ObjectMeta::default()
        }),
        spec: Some(ScaleSpec {
            replicas: object.wanted(),
        }),
        status: Some(ScaleStatus {
            replicas: object.present(),
            selector: object.selector(),
        }),
    })
}

fn scaled<K: Scalable>(value: &Bytes, replicas: i32) -> std::result::Result<Bytes, DecodeError> {
    let mut object = K::decode(value.clone())?;
    object.want(replicas);
    Ok(object.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::kinds;
    use prost::Message;
    use proto::api::apps::v1::DeploymentSpec;

    fn deployment() -> Bytes {
        let mut deployment = Deployment {
            spec: Some(DeploymentSpec {
                replicas: Some(3),
                selector: Some(meta::LabelSelector {
                    match_labels: [("app".to_owned(), "web".to_owned())].into(),
                    ..meta::LabelSelector::default()
                }),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        };
        deployment.metadata_mut().name = "web".into();
        deployment.encode_to_vec().into()
    }

    #[test]
    fn every_kind_whose_row_says_scale_can_be_scaled() {
        for info in kinds::all() {
            assert_eq!(check(info).is_ok(), info.has_scale, "{}", info.kind);
        }
    }

    #[test]
    fn a_scale_is_read_and_written_through_its_object() {
        let info = kinds::of::<Deployment>();
        let scale = read(info, &deployment(), 7).unwrap();
        assert_eq!(scale.spec.unwrap().replicas, 3);
        assert_eq!(scale.status.as_ref().unwrap().selector, "app=web");
        assert_eq!(scale.meta().resource_version, "7");
        let wanted = Scale {
            spec: Some(ScaleSpec { replicas: 5 }),
            ..scale.clone()
        };
        let after = write(info, &deployment(), &wanted).unwrap();
        assert_eq!(read(info, &after, 8).unwrap().spec.unwrap().replicas, 5);
    }

    #[test]
    fn a_negative_scale_is_invalid() {
        let scale = Scale {
            spec: Some(ScaleSpec { replicas: -1 }),
            ..Scale::default()
        };
        let status = write(kinds::of::<Deployment>(), &deployment(), &scale).unwrap_err();
        assert_eq!(status.reason, "Invalid");
        assert_eq!(status.details.unwrap().causes[0].field, "spec.replicas");
    }
}
