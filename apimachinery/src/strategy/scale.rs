//! The `scale` subresource: the number of replicas of any kind that has one, without its other fields.

use super::{Rejection, Subresource, decode};
use crate::kinds;
use crate::selector::LabelSelector;
use bytes::Bytes;
use prost::Message;
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use proto::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use proto::api::core::v1::ReplicationController;
use proto::meta::v1::ObjectMeta;

/// A kind with replicas.
trait Scaled: Kind {
    /// How many are wanted, how many there are, and the selector of their Pods.
    fn replicas(&self) -> (i32, i32, LabelSelector);

    /// Wants another number.
    fn set_replicas(&mut self, replicas: i32);
}

macro_rules! scaled {
    ($($kind:ty),*) => {$(
        impl Scaled for $kind {
            fn replicas(&self) -> (i32, i32, LabelSelector) {
                let spec = self.spec.as_ref();
                // A selector that does not read was refused when the object was written.
                let selector = LabelSelector::from_proto(spec.and_then(|s| s.selector.as_ref())).unwrap_or_default();
                let wanted = spec.and_then(|s| s.replicas).unwrap_or(1);
                (wanted, self.status.as_ref().map_or(0, |s| s.replicas), selector)
            }

            fn set_replicas(&mut self, replicas: i32) {
                self.spec.get_or_insert_default().replicas = Some(replicas);
            }
        }
    )*};
}

scaled!(Deployment, ReplicaSet, StatefulSet);

impl Scaled for ReplicationController {
    fn replicas(&self) -> (i32, i32, LabelSelector) {
        let spec = self.spec.as_ref();
        let selector = spec
            .and_then(|s| LabelSelector::from_set(&s.selector).ok())
            .unwrap_or_default();
        let wanted = spec.and_then(|s| s.replicas).unwrap_or(1);
        (wanted, self.status.as_ref().map_or(0, |s| s.replicas), selector)
    }

    fn set_replicas(&mut self, replicas: i32) {
        self.spec.get_or_insert_default().replicas = Some(replicas);
    }
}

macro_rules! dispatch {
    ($number:expr, $kind:ident => $call:expr) => {
        match $number {
            Deployment::NUMBER => {
                type $kind = Deployment;
                $call
            }
            ReplicaSet::NUMBER => {
                type $kind = ReplicaSet;
                $call
            }
            StatefulSet::NUMBER => {
                type $kind = StatefulSet;
                $call
            }
            ReplicationController::NUMBER => {
                type $kind = ReplicationController;
                $call
            }
            number => Err(
                kinds::by_number(number).map_or(Rejection::UnknownKind(number), |info| {
                    Rejection::NoSubresource {
                        kind: info.kind,
                        subresource: Subresource::Scale,
                    }
                }),
            ),
        }
    };
}

/// The object's scale.
pub fn scale_of(number: u32, bytes: &Bytes) -> Result<Scale, Rejection> {
    dispatch!(number, K => Ok(read::<K>(&decode(bytes)?)))
}

/// The object with the number of replicas that `scale` wants. To be admitted as an update like any other.
pub fn with_scale(number: u32, bytes: &Bytes, scale: &Scale) -> Result<Bytes, Rejection> {
    dispatch!(number, K => {
        let mut object: K = decode(bytes)?;
        object.set_replicas(scale.spec.as_ref().map_or(0, |spec| spec.replicas));
        Ok(object.encode_to_vec().into())
    })
}

fn read<K: Scaled>(object: &K) -> Scale {
    let meta = object.meta();
    let (wanted, present, selector) = object.replicas();
    Scale {
        metadata: Some(ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp,
            ..ObjectMeta::default()
        }),
        spec: Some(ScaleSpec { replicas: wanted }),
        status: Some(ScaleStatus {
            replicas: present,
            selector: selector.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Pod;

    #[test]
    fn a_scale_shows_and_sets_the_replicas_and_nothing_else() {
        let mut deployment = Deployment::default();
        deployment.metadata_mut().name = "web".into();
        let spec = deployment.spec.get_or_insert_default();
        spec.replicas = Some(3);
        spec.selector
            .get_or_insert_default()
            .match_labels
            .insert("app".into(), "web".into());
        deployment.status.get_or_insert_default().replicas = 2;
        let bytes = Bytes::from(deployment.encode_to_vec());
        let mut scale = scale_of(Deployment::NUMBER, &bytes).unwrap();
        assert_eq!(scale.spec, Some(ScaleSpec { replicas: 3 }));
        let status = ScaleStatus {
            replicas: 2,
            selector: "app=web".into(),
        };
        assert_eq!(scale.status, Some(status));
        scale.spec = Some(ScaleSpec { replicas: 5 });
        let scaled = with_scale(Deployment::NUMBER, &bytes, &scale).unwrap();
        deployment.set_replicas(5);
        assert_eq!(Deployment::decode(scaled).unwrap(), deployment);
    }

    #[test]
    fn a_kind_without_replicas_has_no_scale() {
        let refused = scale_of(Pod::NUMBER, &Bytes::new()).unwrap_err();
        assert!(matches!(refused, Rejection::NoSubresource { kind: "Pod", .. }));
        assert!(matches!(
            scale_of(99, &Bytes::new()),
            Err(Rejection::UnknownKind(99))
        ));
    }
}
