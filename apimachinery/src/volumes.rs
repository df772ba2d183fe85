//! What PersistentVolumes, claims and classes say of one another: which volume belongs to which claim, and which would suit it.
//!
//! The scheduler and the controller that binds volumes both go by these rules.
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding>

use crate::quantity::Quantity;
use crate::selector::{LabelSelector, node_matches};
use crate::well_known::{BIND_COMPLETED, STORAGE_CLASS};
use proto::Kind;
use proto::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec, Volume,
};
use proto::api::storage::v1::StorageClass;
use std::collections::BTreeMap;

/// The provisioner of classes whose volumes people make.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// A resource that volumes have: bytes.
const STORAGE: &str = "storage";

/// How a volume suits a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suits {
    /// Not at all.
    No,
    /// It is free, and as the claim asks.
    Yes,
    /// It is kept for this claim, which must not get another.
    Kept,
}

/// The claim that a Pod's volume is made of, and whether it is made for the Pod alone; `None` for another kind of volume.
pub fn claim_name(pod: &str, volume: &Volume) -> Option<(String, bool)> {
    let source = volume.volume_source.as_ref()?;
    if let Some(claim) = &source.persistent_volume_claim {
        return Some((claim.claim_name.clone(), false));
    }
    source.ephemeral.as_ref()?;
    Some((format!("{pod}-{}", volume.name), true))
}

/// A claim's class; empty for none.
pub fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let asked = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref());
    let annotated = claim.meta().annotations.get(STORAGE_CLASS);
    annotated.map(String::as_str).or(asked).unwrap_or_default()
}

/// A volume's class; empty for none.
pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let own = volume.spec.as_ref().map(|spec| spec.storage_class_name.as_str());
    let annotated = volume.meta().annotations.get(STORAGE_CLASS);
    annotated.map(String::as_str).or(own).unwrap_or_default()
}

/// Whether a class's volumes are chosen only once a Pod that needs them has a node.
pub fn waits_for_consumer(class: &StorageClass) -> bool {
    class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
}

/// The volume that a claim names; empty for none.
pub fn volume_of(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().map_or("", |spec| spec.volume_name.as_str())
}

/// Whether a claim has its volume, for good.
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    !volume_of(claim).is_empty() && claim.meta().annotations.contains_key(BIND_COMPLETED)
}

/// Whether a volume is kept for a claim.
pub fn belongs(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let kept_for = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    kept_for.is_some_and(|reference| {
        reference.name == claim.name()
            && reference.namespace == claim.namespace()
            && (reference.uid.is_empty() || reference.uid == claim.uid())
    })
}

/// The bytes that a claim asks for.
pub fn requested(claim: &PersistentVolumeClaim) -> i64 {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    bytes(resources.and_then(|resources| resources.requests.get(STORAGE)))
}

/// The bytes that a volume has.
pub fn capacity(volume: &PersistentVolume) -> i64 {
    bytes(volume.spec.as_ref().and_then(|spec| spec.capacity.get(STORAGE)))
}

/// A quantity of bytes; 0 where there is none, or it does not read, which the API refuses.
pub fn bytes(quantity: Option<&proto::Quantity>) -> i64 {
    let quantity = quantity.and_then(|quantity| Quantity::try_from(quantity).ok());
    quantity.map_or(0, |quantity| quantity.value())
}

/// What a claim asks of a volume, read once for many volumes.
#[derive(Debug)]
pub struct Wish<'a> {
    claim: &'a PersistentVolumeClaim,
    class: &'a str,
    bytes: i64,
    selector: Option<LabelSelector>,
}

impl<'a> Wish<'a> {
    /// Reads a claim.
    pub fn of(claim: &'a PersistentVolumeClaim) -> Self {
        let selector = claim.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let read = |selector| LabelSelector::from_proto(Some(selector)).unwrap_or(LabelSelector::Nothing);
        Self {
            claim,
            class: class_of_claim(claim),
            bytes: requested(claim),
            selector: selector.map(read),
        }
    }

    /// How a volume suits the claim, wherever both are.
    pub fn suits(&self, volume: &PersistentVolume) -> Suits {
        let (Some(has), Some(asks)) = (&volume.spec, &self.claim.spec) else {
            return Suits::No;
        };
        let is_kept = has.claim_ref.is_some();
        // What tells most volumes apart, and costs least, comes first.
        let is_open = if is_kept {
            belongs(volume, self.claim)
        } else {
            self.is_free(volume, asks, has)
        };
        let mode = |mode: &'_ Option<String>| mode.as_deref() == Some("Block");
        let attributes = |name: &'_ Option<String>| name.clone().unwrap_or_default();
        if is_open
            && volume.meta().deletion_timestamp.is_none()
            && mode(&has.volume_mode) == mode(&asks.volume_mode)
            && attributes(&has.volume_attributes_class_name) == attributes(&asks.volume_attributes_class_name)
            && capacity(volume) >= self.bytes
        {
            if is_kept { Suits::Kept } else { Suits::Yes }
        } else {
            Suits::No
        }
    }

    fn is_free(
        &self,
        volume: &PersistentVolume,
        asks: &PersistentVolumeClaimSpec,
        has: &PersistentVolumeSpec,
    ) -> bool {
        let status = volume.status.as_ref();
        status.is_some_and(|status| status.phase == "Available")
            && class_of_volume(volume) == self.class
            && asks
                .access_modes
                .iter()
                .all(|mode| has.access_modes.contains(mode))
            && { &self.selector }
                .as_ref()
                .is_none_or(|selector| selector.matches_labels(&volume.meta().labels))
    }
}

/// Whether a volume can be reached from a node.
pub fn is_reachable(volume: &PersistentVolume, node: &str, labels: &BTreeMap<String, String>) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|required| node_matches(required, node, labels))
}

/// Whether a class allows volumes where a node is.
pub fn allows(class: &StorageClass, labels: &BTreeMap<String, String>) -> bool {
    let terms = &class.allowed_topologies;
    terms.is_empty()
        || terms.iter().any(|term| {
            // As a node selector's term, an empty one allows nothing.
            !term.match_label_expressions.is_empty()
                && term.match_label_expressions.iter().all(|expression| {
                    let value = labels.get(&expression.key);
                    value.is_some_and(|value| expression.values.contains(value))
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{ObjectReference, TopologySelectorLabelRequirement, TopologySelectorTerm};

    fn quantity(text: &str) -> proto::Quantity {
        proto::Quantity { string: text.into() }
    }

    fn claim() -> PersistentVolumeClaim {
        let mut claim = PersistentVolumeClaim::default();
        let meta = claim.metadata_mut();
        (meta.name, meta.namespace, meta.uid) = ("data".into(), "default".into(), "u1".into());
        let spec = claim.spec.get_or_insert_default();
        spec.access_modes = vec!["ReadWriteOnce".into()];
        spec.storage_class_name = Some("fast".into());
        let requests = &mut spec.resources.get_or_insert_default().requests;
        requests.insert(STORAGE.into(), quantity("1Gi"));
        claim
    }

    fn volume() -> PersistentVolume {
        let mut volume = PersistentVolume::default();
        volume.metadata_mut().labels.insert("disk".into(), "ssd".into());
        let spec = volume.spec.get_or_insert_default();
        spec.access_modes = vec!["ReadWriteOnce".into(), "ReadOnlyMany".into()];
        spec.storage_class_name = "fast".into();
        spec.capacity.insert(STORAGE.into(), quantity("2Gi"));
        volume.status.get_or_insert_default().phase = "Available".into();
        volume
    }

    fn kept_for(name: &str, uid: &str) -> Option<ObjectReference> {
        Some(ObjectReference {
            name: name.into(),
            namespace: "default".into(),
            uid: uid.into(),
            ..ObjectReference::default()
        })
    }

    type Change = fn(&mut PersistentVolume, &mut PersistentVolumeClaim);

    #[test]
    fn a_volume_suits_the_claims_that_ask_for_what_it_is() {
        let cases: [(&str, Change, Suits); 12] = [
            ("large enough and of the class", |_, _| {}, Suits::Yes),
            (
                "too small",
                |v, _| {
                    let capacity = &mut v.spec.as_mut().unwrap().capacity;
                    capacity.insert(STORAGE.into(), quantity("500Mi"));
                },
                Suits::No,
            ),
            (
                "another class",
                |v, _| v.spec.as_mut().unwrap().storage_class_name = "slow".into(),
                Suits::No,
            ),
            (
                "the class by annotation",
                |v, c| {
                    v.spec.as_mut().unwrap().storage_class_name = "old".into();
                    c.metadata_mut()
                        .annotations
                        .insert(STORAGE_CLASS.into(), "old".into());
                },
                Suits::Yes,
            ),
            (
                "a way to mount that it lacks",
                |_, c| c.spec.as_mut().unwrap().access_modes = vec!["ReadWriteMany".into()],
                Suits::No,
            ),
            (
                "a block device for a file system",
                |v, _| v.spec.as_mut().unwrap().volume_mode = Some("Block".into()),
                Suits::No,
            ),
            (
                "labels that it has not",
                |_, c| {
                    let selector = c.spec.as_mut().unwrap().selector.get_or_insert_default();
                    selector.match_labels.insert("disk".into(), "hdd".into());
                },
                Suits::No,
            ),
            (
                "not free yet",
                |v, _| v.status.as_mut().unwrap().phase = "Pending".into(),
                Suits::No,
            ),
            (
                "on its way out",
                |v, _| v.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default()),
                Suits::No,
            ),
            (
                "kept for the name",
                |v, _| v.spec.as_mut().unwrap().claim_ref = kept_for("data", ""),
                Suits::Kept,
            ),
            (
                "kept for an earlier claim of the name",
                |v, _| v.spec.as_mut().unwrap().claim_ref = kept_for("data", "u0"),
                Suits::No,
            ),
            (
                "kept for another",
                |v, _| v.spec.as_mut().unwrap().claim_ref = kept_for("logs", ""),
                Suits::No,
            ),
        ];
        for (what, change, expected) in cases {
            let (mut volume, mut claim) = (volume(), claim());
            change(&mut volume, &mut claim);
            assert_eq!(Wish::of(&claim).suits(&volume), expected, "{what}");
        }
    }

    #[test]
    fn a_class_allows_the_places_that_one_of_its_terms_names() {
        let labels: BTreeMap<String, String> = [("zone".to_owned(), "a".to_owned())].into();
        let term = |values: &[&str]| TopologySelectorTerm {
            match_label_expressions: vec![TopologySelectorLabelRequirement {
                key: "zone".into(),
                values: values.iter().map(ToString::to_string).collect(),
            }],
        };
        for (terms, expected) in [
            (vec![], true),
            (vec![term(&["a", "b"])], true),
            (vec![term(&["b"])], false),
            (vec![term(&["b"]), term(&["a"])], true),
            (vec![TopologySelectorTerm::default()], false),
        ] {
            let class = StorageClass {
                allowed_topologies: terms,
                ..StorageClass::default()
            };
            assert_eq!(allows(&class, &labels), expected, "{class:?}");
        }
    }
}
