//! Defaults and validation by a kind's number: the one place that turns the number into the kind's rules.
//!
//! Input: encoded objects. Output: the object with its defaults, or the list of its faults. What else happens to an
//! object on its way into the store (names, UIDs, status kept apart from spec) is the apiserver's; the rules themselves
//! stand in [`crate::defaults`] and [`crate::validation`], next to their kinds.
//!
//! Encoding is deterministic (prost writes fields in order, and maps are sorted): defaulting an object that has its
//! defaults gives the same bytes again.

use crate::defaults::Defaults;
use crate::kinds;
use crate::status::FieldError;
use crate::validation::{Faults, Validate, validate_meta, validate_meta_update};
use bytes::Bytes;
use proto::Kind;
use proto::api::{apps, autoscaling, batch, coordination, core, discovery, policy, scheduling, storage};

/// Why an object cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No kind is stored under this number.
    #[error("there is no kind with number {0}")]
    UnknownKind(u32),
    /// The bytes are no message of the kind.
    #[error("the object cannot be decoded as {kind}: {problem}")]
    Undecodable {
        /// The kind.
        kind: &'static str,
        /// What the decoder says.
        problem: String,
    },
}

/// The object with everything that it leaves open filled in.
pub fn default_object(number: u32, object: &Bytes) -> Result<Bytes, StrategyError> {
    (row(number)?.default)(object)
}

/// The faults of a new object that has its defaults, metadata included. None when it is good.
pub fn validate_create(number: u32, object: &Bytes) -> Result<Vec<FieldError>, StrategyError> {
    (row(number)?.create)(object)
}

/// The faults of `new` as what replaces `old`: those of any object, and fields that cannot change.
pub fn validate_update(number: u32, new: &Bytes, old: &Bytes) -> Result<Vec<FieldError>, StrategyError> {
    (row(number)?.update)(new, old)
}

/// The faults of `new`, which differs from `old` in its status alone.
pub fn validate_status_update(
    number: u32,
    new: &Bytes,
    old: &Bytes,
) -> Result<Vec<FieldError>, StrategyError> {
    (row(number)?.status)(new, old)
}

type Found = Result<Vec<FieldError>, StrategyError>;

/// A kind's rules.
struct Row {
    number: u32,
    default: fn(&Bytes) -> Result<Bytes, StrategyError>,
    create: fn(&Bytes) -> Found,
    update: fn(&Bytes, &Bytes) -> Found,
    status: fn(&Bytes, &Bytes) -> Found,
}

const fn of<K: Defaults + Validate>() -> Row {
    Row {
        number: K::NUMBER,
        default: |object| {
            let mut object: K = decode(object)?;
            object.set_defaults();
            Ok(object.encode_to_vec().into())
        },
        create: |object| {
            let object: K = decode(object)?;
            let mut faults = Faults::default();
            validate_meta(kinds::of::<K>(), object.meta(), &mut faults);
            object.validate_create(&mut faults);
            Ok(faults.into_vec())
        },
        update: |new, old| {
            let (new, old): (K, K) = (decode(new)?, decode(old)?);
            let mut faults = Faults::default();
            validate_meta(kinds::of::<K>(), new.meta(), &mut faults);
            validate_meta_update(old.meta(), new.meta(), &mut faults);
            new.validate_update(&old, &mut faults);
            Ok(faults.into_vec())
        },
        status: |new, old| {
            let (new, old): (K, K) = (decode(new)?, decode(old)?);
            let mut faults = Faults::default();
            new.validate_status_update(&old, &mut faults);
            Ok(faults.into_vec())
        },
    }
}

/// Every kind that is stored, in the order of their numbers.
static ROWS: [Row; 27] = [
    of::<core::v1::Pod>(),
    of::<core::v1::Node>(),
    of::<core::v1::Namespace>(),
    of::<core::v1::Event>(),
    of::<core::v1::ConfigMap>(),
    of::<core::v1::Secret>(),
    of::<core::v1::Service>(),
    of::<core::v1::ServiceAccount>(),
    of::<core::v1::PersistentVolume>(),
    of::<core::v1::PersistentVolumeClaim>(),
    of::<core::v1::ResourceQuota>(),
    of::<core::v1::LimitRange>(),
    of::<core::v1::ReplicationController>(),
    of::<core::v1::PodTemplate>(),
    of::<apps::v1::Deployment>(),
    of::<apps::v1::ReplicaSet>(),
    of::<apps::v1::StatefulSet>(),
    of::<apps::v1::DaemonSet>(),
    of::<apps::v1::ControllerRevision>(),
    of::<batch::v1::Job>(),
    of::<batch::v1::CronJob>(),
    of::<coordination::v1::Lease>(),
    of::<policy::v1::PodDisruptionBudget>(),
    of::<scheduling::v1::PriorityClass>(),
    of::<autoscaling::v2::HorizontalPodAutoscaler>(),
    of::<discovery::v1::EndpointSlice>(),
    of::<storage::v1::StorageClass>(),
];

fn row(number: u32) -> Result<&'static Row, StrategyError> {
    let index = (number as usize).wrapping_sub(1);
    let row = ROWS.get(index).filter(|row| row.number == number);
    row.ok_or(StrategyError::UnknownKind(number))
}

fn decode<K: Kind>(object: &Bytes) -> Result<K, StrategyError> {
    K::decode(object.clone()).map_err(|error| StrategyError::Undecodable {
        kind: K::NAME,
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_registry_has_its_row() {
        for info in kinds::all() {
            assert!(row(info.number).is_ok(), "{}", info.kind);
        }
        assert_eq!(ROWS.len(), kinds::all().len());
        for number in [0, 28, 1000, u32::MAX] {
            let refused = default_object(number, &Bytes::new());
            assert_eq!(refused, Err(StrategyError::UnknownKind(number)));
        }
    }

    #[test]
    fn bytes_that_are_no_object_are_an_error() {
        let broken = Bytes::from_static(b"\x0a\xff");
        assert!(matches!(
            validate_create(1, &broken),
            Err(StrategyError::Undecodable { kind: "Pod", .. })
        ));
    }
}
