//! What happens to an object on its way into the store: the one place that turns a kind's number into its rules.
//!
//! Input: encoded objects as clients sent them. Output: encoded objects as they are stored, or every fault by its path.
//! - create: decode → what the server sets → defaults → validation → encode;
//! - update: decode both → keep what this subresource may not change → defaults → validation → encode.
//!
//! Encoding is deterministic (prost writes fields in order and maps are sorted), so an update that changes nothing gives
//! the stored bytes again. `ROWS` lists the kinds; their rules stand in `defaults` and `validation`.

mod pod;
mod scale;

pub use scale::{scale_of, with_scale};

use crate::defaults::{Defaults, add_default_tolerations};
use crate::kinds::{self, KindInfo};
use crate::meta;
use crate::resources;
use crate::status::{self, FieldError, Reason};
use crate::validation::{Faults, Validate, validate_meta, validate_meta_update};
use crate::well_known::NAMESPACE_FINALIZER;
use bytes::Bytes;
use proto::Kind;
use proto::api::core::v1::{Namespace, Node, Pod};
use proto::api::{apps, autoscaling, batch, coordination, core, discovery, policy, scheduling, storage};
use proto::meta::v1::{ObjectMeta, Status};
use proto::{apiextensions, gangs};

/// Which part of an object a write is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subresource {
    /// Everything but the status.
    #[default]
    None,
    /// The status alone.
    Status,
    /// `spec.replicas` alone.
    Scale,
    /// A Pod's `spec.ephemeralContainers` alone.
    EphemeralContainers,
    /// The resources of a Pod's containers alone.
    Resize,
}

/// Why an object is not let in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejection {
    /// No kind has this number.
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
    /// The kind has no such subresource.
    #[error("{kind} has no subresource {subresource:?}")]
    NoSubresource {
        /// The kind.
        kind: &'static str,
        /// What was asked for.
        subresource: Subresource,
    },
    /// The object breaks rules.
    #[error("{} is invalid: {} faults", info.kind, faults.len())]
    Invalid {
        /// The kind.
        info: &'static KindInfo,
        /// The object's name, or its `generateName`.
        name: String,
        /// Every fault.
        faults: Vec<FieldError>,
    },
}

impl Rejection {
    /// As the API answers it.
    pub fn to_status(&self) -> Status {
        match self {
            Self::UnknownKind(_) | Self::NoSubresource { .. } => {
                status::failure(Reason::NotFound, self.to_string())
            }
            Self::Undecodable { .. } => status::failure(Reason::BadRequest, self.to_string()),
            Self::Invalid { info, name, faults } => status::invalid(info.group, info.kind, name, faults),
        }
    }
}

/// An update that is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The object to store.
    pub bytes: Bytes,
    /// Whether the spec changed, and with it `metadata.generation`.
    pub spec_changed: bool,
}

/// Admits a new object. `stamp` sets what only the server knows ([`meta::stamp_new`]); it runs before the defaults,
/// because some of them depend on the name.
pub fn admit_create(number: u32, bytes: &Bytes, stamp: Stamp<'_>) -> Result<Bytes, Rejection> {
    (row(number)?.create)(bytes, stamp)
}

/// Admits an object's new state. `old` is what is stored.
pub fn admit_update(number: u32, old: &Bytes, new: &Bytes, part: Subresource) -> Result<Admitted, Rejection> {
    (row(number)?.update)(old, new, part)
}

/// The object with everything that it leaves open filled in, and nothing else done to it.
pub fn default_object(number: u32, bytes: &Bytes) -> Result<Bytes, Rejection> {
    (row(number)?.default)(bytes)
}

/// Sets what only the server knows on a new object's metadata.
pub type Stamp<'a> = &'a mut dyn FnMut(&mut ObjectMeta);

/// How many seconds an object has to end once its deletion is asked for: what the client says, or else the Pod. Only
/// Pods that run somewhere need any.
pub fn grace_seconds(number: u32, bytes: &Bytes, asked: Option<i64>) -> Result<i64, Rejection> {
    if number != Pod::NUMBER {
        return Ok(0);
    }
    let pod: Pod = decode(bytes)?;
    let ended = matches!(
        pod.status.as_ref().map_or("", |s| &s.phase),
        "Succeeded" | "Failed"
    );
    let spec = pod.spec.unwrap_or_default();
    if ended || spec.node_name.is_empty() {
        return Ok(0);
    }
    let grace = asked
        .or(spec.termination_grace_period_seconds)
        .unwrap_or(DEFAULT_GRACE_SECONDS);
    // Upstream takes a negative grace for one second.
    Ok(if grace < 0 { 1 } else { grace })
}

/// For a Pod that was stored without its defaults, which no Pod of ours is.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// How a kind's objects are admitted.
struct Row {
    number: u32,
    default: fn(&Bytes) -> Result<Bytes, Rejection>,
    create: fn(&Bytes, Stamp<'_>) -> Result<Bytes, Rejection>,
    update: fn(&Bytes, &Bytes, Subresource) -> Result<Admitted, Rejection>,
}

const fn of<K: Object>() -> Row {
    Row {
        number: K::NUMBER,
        default: default::<K>,
        create: create::<K>,
        update: update::<K>,
    }
}

/// Every kind that is stored, in the order of their numbers.
static ROWS: [Row; 33] = [
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
    of::<apiextensions::v1::CustomResourceDefinition>(),
    of::<storage::v1::CsiDriver>(),
    of::<storage::v1::CsiNode>(),
    of::<storage::v1::CsiStorageCapacity>(),
    of::<storage::v1::VolumeAttachment>(),
    of::<gangs::v1alpha1::PodGroup>(),
];

fn row(number: u32) -> Result<&'static Row, Rejection> {
    let row = kinds::index(number).and_then(|index| ROWS.get(index));
    let row = row.filter(|row| row.number == number);
    row.ok_or(Rejection::UnknownKind(number))
}

/// What the steps below need of a kind.
trait Object: Kind + Defaults + Validate {
    /// Drops what a client may not say of a new object, and adds what the server says.
    fn prepare_create(&mut self) {
        self.take_status(None);
    }

    /// Replaces the status by another object's, or by nothing.
    fn take_status(&mut self, _from: Option<&Self>) {}

    /// Takes a part that has a subresource of its own from another object; says whether the kind has that part.
    fn take_part(&mut self, _from: &Self, _part: Subresource) -> bool {
        false
    }

    /// Whether both want the same. A kind without a status counts no generations.
    fn same_spec(&self, _other: &Self) -> bool {
        true
    }
}

macro_rules! status_and_spec {
    () => {
        fn take_status(&mut self, from: Option<&Self>) {
            self.status = from.and_then(|object| object.status.clone());
        }

        fn same_spec(&self, other: &Self) -> bool {
            self.spec == other.spec
        }
    };
}

macro_rules! objects {
    (with status: $($kind:ty),* $(,)?) => {
        $(impl Object for $kind { status_and_spec!(); })*
    };
    (without status: $($kind:ty),* $(,)?) => {
        $(impl Object for $kind {})*
    };
}

objects!(with status:
    core::v1::Service,
    core::v1::PersistentVolume,
    core::v1::PersistentVolumeClaim,
    core::v1::ResourceQuota,
    core::v1::ReplicationController,
    apps::v1::Deployment,
    apps::v1::ReplicaSet,
    apps::v1::StatefulSet,
    apps::v1::DaemonSet,
    batch::v1::Job,
    batch::v1::CronJob,
    policy::v1::PodDisruptionBudget,
    autoscaling::v2::HorizontalPodAutoscaler,
    apiextensions::v1::CustomResourceDefinition,
    storage::v1::VolumeAttachment,
    gangs::v1alpha1::PodGroup,
);

objects!(without status:
    core::v1::Event,
    core::v1::ConfigMap,
    core::v1::Secret,
    core::v1::ServiceAccount,
    core::v1::LimitRange,
    core::v1::PodTemplate,
    apps::v1::ControllerRevision,
    coordination::v1::Lease,
    scheduling::v1::PriorityClass,
    discovery::v1::EndpointSlice,
    storage::v1::StorageClass,
    storage::v1::CsiNode,
    storage::v1::CsiStorageCapacity,
);

impl Object for Pod {
    status_and_spec!();

    fn take_part(&mut self, from: &Self, part: Subresource) -> bool {
        pod::take_part(self, from, part)
    }

    fn prepare_create(&mut self) {
        let spec = self.spec.get_or_insert_default();
        add_default_tolerations(spec);
        if spec.service_account_name.is_empty() && spec.service_account.is_empty() {
            "default".clone_into(&mut spec.service_account_name);
        }
        let class = resources::qos_class(spec);
        self.status = Some(core::v1::PodStatus {
            phase: "Pending".to_owned(),
            qos_class: class.to_owned(),
            ..core::v1::PodStatus::default()
        });
    }
}

impl Object for Node {
    status_and_spec!();

    /// A node agent registers its Node with capacity and conditions in one write.
    fn prepare_create(&mut self) {}
}

impl Object for storage::v1::CsiDriver {
    /// Upstream counts generations of the one kind that has a spec but no status.
    fn same_spec(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Object for Namespace {
    status_and_spec!();

    fn prepare_create(&mut self) {
        self.status = None;
        let finalizers = &mut self.spec.get_or_insert_default().finalizers;
        if !finalizers.iter().any(|f| f == NAMESPACE_FINALIZER) {
            finalizers.push(NAMESPACE_FINALIZER.to_owned());
        }
    }
}

fn default<K: Object>(bytes: &Bytes) -> Result<Bytes, Rejection> {
    let mut object: K = decode(bytes)?;
    object.set_defaults();
    Ok(object.encode_to_vec().into())
}

fn create<K: Object>(bytes: &Bytes, stamp: Stamp<'_>) -> Result<Bytes, Rejection> {
    let mut object: K = decode(bytes)?;
    stamp(object.metadata_mut());
    object.prepare_create();
    object.set_defaults();
    let mut faults = Faults::default();
    validate_meta(kinds::of::<K>(), object.meta(), &mut faults);
    object.validate_create(&mut faults);
    refuse(&object, faults)?;
    Ok(object.encode_to_vec().into())
}

fn update<K: Object>(old: &Bytes, new: &Bytes, part: Subresource) -> Result<Admitted, Rejection> {
    let (old, mut new): (K, K) = (decode(old)?, decode(new)?);
    let mut faults = Faults::default();
    match part {
        Subresource::None => {
            new.take_status(Some(&old));
            meta::keep_system_fields(old.meta(), new.metadata_mut());
            new.set_defaults();
            validate_meta(kinds::of::<K>(), new.meta(), &mut faults);
            validate_meta_update(old.meta(), new.meta(), &mut faults);
            new.validate_update(&old, &mut faults);
        }
        Subresource::Status if kinds::of::<K>().has_status => {
            let mut merged = old.clone();
            merged.take_status(Some(&new));
            merged.set_defaults();
            merged.validate_status_update(&old, &mut faults);
            new = merged;
        }
        Subresource::Status | Subresource::Scale => return Err(no_subresource::<K>(part)),
        Subresource::EphemeralContainers | Subresource::Resize => {
            let mut merged = old.clone();
            if !merged.take_part(&new, part) {
                return Err(no_subresource::<K>(part));
            }
            merged.set_defaults();
            merged.validate_part_update(part, &old, &mut faults);
            new = merged;
        }
    }
    refuse(&new, faults)?;
    let spec_changed = !new.same_spec(&old);
    if spec_changed {
        new.metadata_mut().generation += 1;
    }
    Ok(Admitted {
        bytes: new.encode_to_vec().into(),
        spec_changed,
    })
}

fn no_subresource<K: Kind>(subresource: Subresource) -> Rejection {
    Rejection::NoSubresource {
        kind: K::NAME,
        subresource,
    }
}

fn decode<K: Kind>(bytes: &Bytes) -> Result<K, Rejection> {
    K::decode(bytes.clone()).map_err(|e| Rejection::Undecodable {
        kind: K::NAME,
        problem: e.to_string(),
    })
}

fn refuse<K: Kind>(object: &K, faults: Faults) -> Result<(), Rejection> {
    if faults.is_empty() {
        return Ok(());
    }
    let meta = object.meta();
    let name = if meta.name.is_empty() {
        &meta.generate_name
    } else {
        &meta.name
    };
    Err(Rejection::Invalid {
        info: kinds::of::<K>(),
        name: name.clone(),
        faults: faults.into_vec(),
    })
}

#[cfg(test)]
mod tests;
