//! What is to be done about a claim: the next step to its volume.

use super::provision::{self, Place};
use apimachinery::volumes::{Suits, Wish, belongs, capacity, is_bound, volume_of, waits_for_consumer};
use apimachinery::well_known::{BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE, STORAGE_CLASS};
use client::controller::{Action, EventKind, Plan, reference};
use proto::Kind;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus};
use proto::api::storage::v1::StorageClass;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What a claim is reconciled from.
pub(super) struct Observed<'a> {
    pub(super) claim: &'a PersistentVolumeClaim,
    /// Its class, where that is there.
    pub(super) class: Option<&'a StorageClass>,
    /// The class of claims that name none.
    pub(super) default_class: Option<String>,
    /// The volume that it names.
    pub(super) named: Option<&'a Arc<PersistentVolume>>,
    /// The volumes that are kept for it, then the free ones of its class; only where it names none.
    pub(super) candidates: Vec<Arc<PersistentVolume>>,
    /// Where its volume is to be made.
    pub(super) place: Place<'a>,
    pub(super) provisions: bool,
}

pub(super) fn reconcile(observed: &Observed<'_>) -> Plan {
    let claim = observed.claim;
    if is_bound(claim) {
        return keep(claim, observed.named);
    }
    if volume_of(claim).is_empty() {
        return find(observed);
    }
    // Somebody has named a volume.
    match observed.named {
        Some(volume)
            if belongs(volume, claim) || is_free(volume) && Wish::of(claim).suits(volume) != Suits::No =>
        {
            bind(volume, claim)
        }
        _ => pending(claim),
    }
}

fn is_free(volume: &PersistentVolume) -> bool {
    volume.spec.as_ref().is_some_and(|spec| spec.claim_ref.is_none())
}

/// A claim that had its volume: it has it still, or has lost it for good.
fn keep(claim: &PersistentVolumeClaim, volume: Option<&Arc<PersistentVolume>>) -> Plan {
    match volume {
        None => lost(
            claim,
            "ClaimLost",
            "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        ),
        Some(volume) if is_free(volume) || belongs(volume, claim) => bind(volume, claim),
        Some(_) => lost(
            claim,
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        ),
    }
}

/// A claim that needs a volume.
fn find(observed: &Observed<'_>) -> Plan {
    let claim = observed.claim;
    let names_none = claim
        .spec
        .as_ref()
        .is_some_and(|spec| spec.storage_class_name.is_none())
        && !claim.meta().annotations.contains_key(STORAGE_CLASS);
    if names_none && let Some(class) = &observed.default_class {
        let mut claim = claim.clone();
        claim.spec.get_or_insert_default().storage_class_name = Some(class.clone());
        return vec![Action::update(&claim)].into();
    }
    let waits = observed.class.is_some_and(waits_for_consumer);
    if let Some(volume) = best(&observed.candidates, claim, waits) {
        return bind(volume, claim);
    }
    let selected = claim.meta().annotations.get(SELECTED_NODE);
    if observed.provisions
        && let Some(class) = observed.class.filter(|_| !waits || selected.is_some())
        && let Some(plan) = provision::plan(claim, class, &observed.place)
    {
        return plan;
    }
    pending(claim)
}

/// The volume that suits a claim best: one that is kept for it, else a smallest. While the scheduler is to choose, only the former.
fn best<'a>(
    candidates: &'a [Arc<PersistentVolume>],
    claim: &PersistentVolumeClaim,
    waits: bool,
) -> Option<&'a Arc<PersistentVolume>> {
    let mut smallest: Vec<&Arc<PersistentVolume>> = Vec::new();
    let wish = Wish::of(claim);
    for volume in candidates {
        match wish.suits(volume) {
            Suits::Kept => return Some(volume),
            Suits::Yes if !waits => {
                let order = smallest.first().map(|held| capacity(volume).cmp(&capacity(held)));
                match order {
                    Some(std::cmp::Ordering::Greater) => {}
                    Some(std::cmp::Ordering::Equal) => smallest.push(volume),
                    _ => smallest = vec![volume],
                }
            }
            Suits::Yes | Suits::No => {}
        }
    }
    // Many claims may look at once, and of those that take one volume all but one must look again: so equals are shared out.
    let mut hasher = DefaultHasher::new();
    claim.uid().hash(&mut hasher);
    let place = hasher.finish().checked_rem(smallest.len() as u64)?;
    smallest.get(place as usize).copied()
}

/// The next step of a binding, up to the claim's status. The volume's status is its own affair.
fn bind(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Plan {
    let kept_for = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    if kept_for.is_none_or(|kept| kept.uid != claim.uid()) {
        let mut volume = volume.clone();
        if kept_for.is_none() {
            let annotations = &mut volume.metadata_mut().annotations;
            annotations.insert(BOUND_BY_CONTROLLER.into(), "yes".into());
        }
        volume.spec.get_or_insert_default().claim_ref = Some(reference(claim));
        return vec![Action::update(&volume)].into();
    }
    if !is_bound(claim) {
        let mut claim = claim.clone();
        let chosen = volume_of(&claim).is_empty();
        let annotations = &mut claim.metadata_mut().annotations;
        annotations.insert(BIND_COMPLETED.into(), "yes".into());
        if chosen {
            annotations.insert(BOUND_BY_CONTROLLER.into(), "yes".into());
        }
        claim.spec.get_or_insert_default().volume_name = volume.name().into();
        return vec![Action::update(&claim)].into();
    }
    let spec = volume.spec.as_ref();
    let before = claim.status.clone().unwrap_or_default();
    status(
        claim,
        PersistentVolumeClaimStatus {
            phase: "Bound".into(),
            access_modes: spec.map(|spec| spec.access_modes.clone()).unwrap_or_default(),
            capacity: spec.map(|spec| spec.capacity.clone()).unwrap_or_default(),
            ..before
        },
    )
}

fn pending(claim: &PersistentVolumeClaim) -> Plan {
    let before = claim.status.clone().unwrap_or_default();
    status(
        claim,
        PersistentVolumeClaimStatus {
            phase: "Pending".into(),
            ..before
        },
    )
}

fn lost(claim: &PersistentVolumeClaim, reason: &str, message: &str) -> Plan {
    let before = claim.status.clone().unwrap_or_default();
    let mut plan = status(
        claim,
        PersistentVolumeClaimStatus {
            phase: "Lost".into(),
            access_modes: Vec::new(),
            capacity: Default::default(),
            ..before
        },
    );
    if !plan.is_empty() {
        plan.push(Action::event(claim, EventKind::Warning, reason, message));
    }
    plan
}

fn status(claim: &PersistentVolumeClaim, status: PersistentVolumeClaimStatus) -> Plan {
    if claim.status.as_ref() == Some(&status) {
        return Plan::none();
    }
    let claim = PersistentVolumeClaim {
        status: Some(status),
        ..claim.clone()
    };
    vec![Action::update_status(&claim)].into()
}
