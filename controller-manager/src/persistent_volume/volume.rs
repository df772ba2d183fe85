//! What is to be done about a volume: its phase follows its claim, and it goes where it was made for a claim that is gone.

use apimachinery::volumes::volume_of;
use apimachinery::well_known::{BOUND_BY_CONTROLLER, PROVISIONED_BY};
use client::controller::{Action, Plan};
use client::time::time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeStatus};

/// `claim` is the one of the name that the volume is kept for.
pub(super) fn reconcile(
    volume: &PersistentVolume,
    claim: Option<&PersistentVolumeClaim>,
    now: Timestamp,
) -> Plan {
    if volume.meta().deletion_timestamp.is_some() {
        return Plan::none();
    }
    let spec = volume.spec.as_ref();
    let kept_for = spec.and_then(|spec| spec.claim_ref.as_ref());
    let Some(kept_for) = kept_for.filter(|kept| !kept.uid.is_empty()) else {
        // It is free, or a person keeps it for a claim of that name.
        return phase(volume, "Available", now);
    };
    let claim = claim.filter(|claim| claim.uid() == kept_for.uid);
    let is_made = volume.meta().annotations.contains_key(PROVISIONED_BY);
    let goes = is_made && spec.is_some_and(|spec| spec.persistent_volume_reclaim_policy == "Delete");
    match claim.map(volume_of) {
        // The claim's own reconciliation comes to it.
        Some("") => Plan::none(),
        Some(name) if name == volume.name() => phase(volume, "Bound", now),
        // The claim has another.
        Some(_) if !goes => {
            let mut volume = volume.clone();
            let by_us = volume.metadata_mut().annotations.remove(BOUND_BY_CONTROLLER);
            let spec = volume.spec.get_or_insert_default();
            if by_us.is_some() {
                spec.claim_ref = None;
            } else if let Some(kept_for) = &mut spec.claim_ref {
                kept_for.uid.clear();
            }
            vec![Action::update(&volume)].into()
        }
        // Nobody needs it any more.
        _ => {
            let released = phase(volume, "Released", now);
            if released.is_empty() && goes {
                return vec![Action::delete(volume)].into();
            }
            released
        }
    }
}

fn phase(volume: &PersistentVolume, phase: &str, now: Timestamp) -> Plan {
    let before = volume.status.clone().unwrap_or_default();
    if before.phase == phase {
        return Plan::none();
    }
    let volume = PersistentVolume {
        status: Some(PersistentVolumeStatus {
            phase: phase.into(),
            last_phase_transition_time: Some(time(now)),
            ..PersistentVolumeStatus::default()
        }),
        ..volume.clone()
    };
    vec![Action::update_status(&volume)].into()
}
