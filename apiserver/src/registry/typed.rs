//! The one place that turns a kind's number into its Rust type.

use bytes::Bytes;
use prost::DecodeError;
use proto::Kind;

macro_rules! for_kind {
    ($number:expr, $value:expr, [$($kind:ty),* $(,)?]) => {
        match $number {
            $(<$kind as Kind>::NUMBER => Some(recode::<$kind>($value)),)*
            _ => None,
        }
    };
}

fn recode<K: Kind>(value: &Bytes) -> Result<Bytes, DecodeError> {
    Ok(K::decode(value.clone())?.encode_to_vec().into())
}

/// The canonical encoding of an object: fields in order, maps sorted, unknown fields gone. Two objects that mean the
/// same then have the same bytes. `None` for a number that names no kind.
pub(crate) fn canonical(number: u32, value: &Bytes) -> Option<Result<Bytes, DecodeError>> {
    use proto::api::{
        apps::v1::*, autoscaling::v1::Scale, autoscaling::v2::HorizontalPodAutoscaler, batch::v1::*,
        coordination::v1::Lease, core::v1::*, discovery::v1::EndpointSlice, policy::v1::PodDisruptionBudget,
        scheduling::v1::PriorityClass, storage::v1::StorageClass,
    };
    for_kind!(
        number,
        value,
        [
            Pod,
            Node,
            Namespace,
            Event,
            ConfigMap,
            Secret,
            Service,
            ServiceAccount,
            PersistentVolume,
            PersistentVolumeClaim,
            ResourceQuota,
            LimitRange,
            ReplicationController,
            PodTemplate,
            Deployment,
            ReplicaSet,
            StatefulSet,
            DaemonSet,
            ControllerRevision,
            Job,
            CronJob,
            Lease,
            PodDisruptionBudget,
            PriorityClass,
            HorizontalPodAutoscaler,
            EndpointSlice,
            StorageClass,
            Scale,
        ]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_kind_has_a_type() {
        for info in apimachinery::kinds::all() {
            assert_eq!(
                canonical(info.number, &Bytes::new()),
                Some(Ok(Bytes::new())),
                "{}",
                info.kind
            );
        }
        assert!(canonical(0, &Bytes::new()).is_none());
    }

    #[test]
    fn the_order_of_a_map_on_the_wire_does_not_matter() {
        // ObjectMeta.labels is field 11; each entry is {1: key, 2: value}.
        let entry = |k: &str, v: &str| {
            let mut e = vec![0x5a, 6, 0x0a, 1, k.as_bytes()[0], 0x12, 1, v.as_bytes()[0]];
            e.truncate(8);
            e
        };
        let object = |first: Vec<u8>, second: Vec<u8>| -> Bytes {
            let mut bytes = vec![0x0a, 16];
            bytes.extend(first);
            bytes.extend(second);
            bytes.into()
        };
        let one = object(entry("a", "1"), entry("b", "2"));
        let other = object(entry("b", "2"), entry("a", "1"));
        assert_ne!(one, other);
        assert_eq!(canonical(1, &one), canonical(1, &other));
    }
}
