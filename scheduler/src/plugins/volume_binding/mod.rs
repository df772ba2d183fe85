//! VolumeBinding: a Pod goes where its volumes can be reached, or can be made.
//!
//! Filter, Reserve, PreBind. A claim that has its volume is met on the nodes that reach the volume. One whose class waits for its first
//! consumer gets a volume that is there already ([`Need`]), or one that its provisioner makes on the Pod's node, where the class allows
//! that and its driver has room. What is chosen is kept for the Pod (Reserve), written, and waited for ([`Binder`]) before the Pod is
//! bound. A claim whose class does not wait is bound by the controller; until then its Pods wait.
//! <https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode>

mod bind;
mod need;

pub use bind::Binder;
pub use need::Need;

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PodPreFilter, PreFiltered, Rejection, Requeue,
    Reserve, Status,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{ClaimKey, Node, Snapshot, claims_of};
use apimachinery::volumes::{
    claim_name, class_of_claim, is_bound, is_reachable, volume_of, waits_for_consumer,
};
use client::ObjectKey;
use need::{Unmet, needs};
use proto::Kind;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use std::borrow::Cow;
use std::sync::Arc;

const UNBOUND: &str = "pod has unbound immediate PersistentVolumeClaims";

const OUT_OF_REACH: &str = "node(s) didn't match PersistentVolume's node affinity";

const NO_VOLUME: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeBinding;

/// What nodes are judged by.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The volumes that its claims have, where they differ between nodes; `None` for one that is not there.
    bound: Vec<Option<&'a PersistentVolume>>,
    /// Its other claims, the smallest first.
    needs: Vec<Need<'a>>,
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }
}

impl Requeue for VolumeBinding {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeLabels,
            ClusterEvent::NodeTaints,
            ClusterEvent::PersistentVolumeClaim,
            ClusterEvent::PersistentVolume,
            ClusterEvent::StorageClass,
            ClusterEvent::CsiStorage,
        ])
    }

    /// One of the Pod's own claims; a volume, where a claim of the Pod may get it or has it.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, snapshot: &Snapshot) -> bool {
        let Changed::Object(object) = change.what else {
            return true;
        };
        if object.is::<PersistentVolumeClaim>() {
            return names_claim(pod, object);
        }
        if !object.is::<PersistentVolume>() {
            return true;
        }
        // A claim of a Pod's own has a name that only that Pod knows.
        let is_own = |volume| claim_name("", volume).is_some_and(|(_, is_own)| is_own);
        pod.spec.volumes.iter().any(is_own)
            || claims_of(pod, "").any(|(claim, _)| {
                let claim = snapshot.objects().claims.get(&claim);
                claim.is_some_and(|claim| {
                    let has = volume_of(claim);
                    *object.name == *has || has.is_empty() && waits(claim, snapshot) == Some(true)
                })
            })
    }
}

/// Whether a claim may be one that Pods of a template name.
pub(super) fn names_claim(pod: &PodTemplate, claim: &ObjectKey) -> bool {
    claim.namespace == pod.namespace
        && pod.spec.volumes.iter().any(|volume| {
            claim_name("", volume)
                .is_some_and(|(name, is_own)| *claim.name == *name || is_own && claim.name.ends_with(&*name))
        })
}

/// Whether a claim's volume is chosen once its Pod has a node; `None` when its class is not there.
fn waits(claim: &PersistentVolumeClaim, snapshot: &Snapshot) -> Option<bool> {
    let objects = snapshot.objects();
    let class = objects.global(&objects.storage_classes, class_of_claim(claim))?;
    Some(waits_for_consumer(class))
}

/// What a Pod's claims come to; `None` when all nodes are the same to them.
fn wanted<'a>(pod: &PodInfo, snapshot: &'a Snapshot) -> Result<Option<Wanted<'a>>, Rejection> {
    let objects = snapshot.objects();
    let (mut bound, mut open, mut unbound) = (Vec::new(), Vec::<(ClaimKey, _)>::new(), false);
    for (key, is_own) in claims_of(&pod.template, &pod.key.name) {
        // Two of a Pod's volumes may be one claim.
        if open.iter().any(|(known, _)| *known == key) {
            continue;
        }
        let claim = check(objects.claims.get(&key), &key.1, is_own, pod)?;
        if is_bound(claim) {
            let volume = objects
                .global(&objects.volumes, volume_of(claim))
                .map(|volume| &**volume);
            let everywhere = |volume: &PersistentVolume| {
                let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
                affinity.is_none_or(|affinity| affinity.required.is_none())
            };
            if !volume.is_some_and(everywhere) {
                bound.push(volume);
            }
        } else if volume_of(claim).is_empty() && waits(claim, snapshot) == Some(true) {
            open.push((key, &**claim));
        } else {
            unbound = true;
        }
    }
    if unbound {
        return Err(Rejection::unresolvable(UNBOUND));
    }
    if bound.is_empty() && open.is_empty() {
        return Ok(None);
    }
    let needs = needs(open, snapshot);
    Ok(Some(Wanted { bound, needs }))
}

/// A claim that the Pod can use.
fn check<'a>(
    claim: Option<&'a Arc<PersistentVolumeClaim>>,
    name: &str,
    is_own: bool,
    pod: &PodInfo,
) -> Result<&'a Arc<PersistentVolumeClaim>, Rejection> {
    let Some(claim) = claim else {
        return Err(Rejection::unresolvable(if is_own {
            format!("waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}")
        } else {
            format!("persistentvolumeclaim {name:?} not found")
        }));
    };
    let phase = claim.status.as_ref().map_or("", |status| &status.phase);
    if phase == "Lost" {
        return Err(Rejection::unresolvable(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {:?}",
            volume_of(claim)
        )));
    }
    if claim.meta().deletion_timestamp.is_some() {
        return Err(Rejection::unresolvable(format!(
            "persistentvolumeclaim {name:?} is being deleted"
        )));
    }
    if is_own && !apimachinery::owner::is_controlled_by(claim.meta(), &pod.uid) {
        let (space, of) = (claim.namespace(), &pod.key.name);
        return Err(Rejection::unresolvable(format!(
            "PVC {space}/{name} was not created for pod {space}/{of} (pod is not owner)"
        )));
    }
    Ok(claim)
}

impl PodPreFilter for VolumeBinding {
    type State<'a> = Wanted<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Wanted<'a>> {
        if pod.template.spec.volumes.is_empty() {
            return PreFiltered::Skip;
        }
        match wanted(pod, snapshot) {
            Ok(None) => PreFiltered::Skip,
            Ok(Some(wanted)) => PreFiltered::Filter(wanted),
            Err(rejection) => PreFiltered::Reject(rejection),
        }
    }
}

impl Filter for Wanted<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        let mut reasons: Vec<Cow<'static, str>> = Vec::new();
        let there = self.bound.iter().flatten();
        if !{ there }.all(|volume| is_reachable(volume, &node.name, &node.labels)) {
            reasons.push(OUT_OF_REACH.into());
        }
        match need::meet(&self.needs, node, |_, _| ()) {
            Ok(()) => {}
            Err(Unmet::Volume) => reasons.push(need::NONE_FITS.into()),
            Err(Unmet::Room) => reasons.push(need::NO_ROOM.into()),
        }
        if self.bound.iter().any(Option::is_none) {
            reasons.push(NO_VOLUME.into());
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Rejection {
            status: Status::UnschedulableAndUnresolvable,
            reasons,
        })
    }
}

impl Reserve for VolumeBinding {
    fn reserve(&mut self, pod: &PodInfo, node: &str, snapshot: &mut Snapshot) -> Result<(), Rejection> {
        if pod.template.spec.volumes.is_empty() {
            return Ok(());
        }
        let chosen = {
            let Some(wanted) = wanted(pod, snapshot)?.filter(|wanted| !wanted.needs.is_empty()) else {
                return Ok(());
            };
            let Some(node) = snapshot.node_named(node) else {
                return Err(Rejection::error(format!("node {node:?} is gone")));
            };
            need::choose(&wanted.needs, node).map_err(|_| Rejection::error(need::NONE_FITS))?
        };
        snapshot.choose_volumes(&pod.key, chosen);
        Ok(())
    }

    fn unreserve(&mut self, pod: &ObjectKey, _: &str, snapshot: &mut Snapshot) {
        snapshot.give_volumes_back(pod);
    }
}

#[cfg(test)]
mod tests;
