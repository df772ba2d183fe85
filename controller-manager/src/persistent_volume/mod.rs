//! PersistentVolume controller: claims get volumes, and volumes whose claims are gone are let go.
//!
//! Watches: PersistentVolume; PersistentVolumeClaim; StorageClass; Node and CSINode, for where a volume is made. Writes: both, and their
//! statuses; creates and deletes the volumes of provisioners, which it simulates.
//!
//! A binding is made in steps, each one write that the next is worked out from: the volume's `spec.claimRef` keeps it for the claim, which
//! is the lock; then the claim names the volume; then both statuses say so. So nothing is kept between two steps, and whoever else takes
//! the first one (the scheduler, a person) is carried on from there. Invariant: a volume is bound to one claim, and a claim to one volume.
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#lifecycle-of-a-volume-and-claim>

mod claim;
mod provision;
mod volume;

use crate::settings::Settings;
use apimachinery::volumes::{class_of_claim, class_of_volume, is_bound, volume_of};
use apimachinery::well_known::DEFAULT_STORAGE_CLASS;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Controller, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Node, ObjectReference, PersistentVolume, PersistentVolumeClaim};
use proto::api::storage::v1::{CsiNode, StorageClass};
use std::sync::Arc;

/// The index over volumes by the claim that they are kept for: `namespace/name`.
const BY_CLAIM: &str = "volumes-by-claim";
/// The index over volumes that are kept for no claim, by class.
const FREE: &str = "free-volumes-by-class";
/// The index over claims without a volume, by class.
const OPEN: &str = "open-claims-by-class";
/// The index over claims by the volume that they name.
const BY_VOLUME: &str = "claims-by-volume";

/// See the module. It keeps nothing.
pub(crate) struct PersistentVolumeController {
    /// Whether volumes are made for claims whose class has a provisioner.
    provisions: bool,
}

impl PersistentVolumeController {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            provisions: settings.enable_dynamic_provisioning,
        }
    }
}

impl Controller for PersistentVolumeController {
    fn name(&self) -> &'static str {
        "persistentvolume-binder"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![
            Watch::indexed::<PersistentVolume>(BY_CLAIM, |volume| kept_for(volume).map(claim_text)),
            Watch::indexed::<PersistentVolume>(FREE, |volume| {
                let is_free = kept_for(volume).is_none();
                is_free.then(|| class_of_volume(volume).to_owned())
            }),
            Watch::indexed::<PersistentVolumeClaim>(OPEN, |claim| {
                let is_open = volume_of(claim).is_empty() && !is_bound(claim);
                is_open.then(|| class_of_claim(claim).to_owned())
            }),
            Watch::indexed::<PersistentVolumeClaim>(BY_VOLUME, |claim| {
                let volume = volume_of(claim);
                (!volume.is_empty()).then(|| volume.to_owned())
            }),
            Watch::of::<StorageClass>(),
            Watch::of::<Node>(),
            Watch::of::<CsiNode>(),
        ]
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        let mut keys = Vec::new();
        if event.key.is::<PersistentVolumeClaim>() {
            keys.push(event.key.clone());
            let text = format!("{}/{}", event.key.namespace, event.key.name);
            keys.extend(keys_of(cache.by_index::<PersistentVolume>(BY_CLAIM, &text)));
        } else if event.key.is::<PersistentVolume>() {
            keys.push(event.key.clone());
            keys.extend(keys_of(
                cache.by_index::<PersistentVolumeClaim>(BY_VOLUME, &event.key.name),
            ));
            for volume in [event.before::<PersistentVolume>(), event.after()]
                .into_iter()
                .flatten()
            {
                match kept_for(volume) {
                    Some(claim) => keys.push(ObjectKey::new::<PersistentVolumeClaim>(
                        &claim.namespace,
                        &claim.name,
                    )),
                    None => {
                        let open = cache.by_index::<PersistentVolumeClaim>(OPEN, class_of_volume(volume));
                        keys.extend(keys_of(open));
                    }
                }
            }
        } else if event.key.is::<StorageClass>() {
            // Claims that name no class get the default one.
            for class in [&*event.key.name, ""] {
                keys.extend(keys_of(cache.by_index::<PersistentVolumeClaim>(OPEN, class)));
            }
        }
        keys
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        if key.is::<PersistentVolume>() {
            let Some(volume) = cache.get_key::<PersistentVolume>(key) else {
                return Plan::none();
            };
            let claim = kept_for(volume)
                .and_then(|kept| cache.get::<PersistentVolumeClaim>(&kept.namespace, &kept.name));
            return volume::reconcile(volume, claim.map(|claim| &**claim), now);
        }
        let Some(claim) = cache.get_key::<PersistentVolumeClaim>(key) else {
            return Plan::none();
        };
        let class = class_of_claim(claim);
        let text = claim_text(&client::controller::reference(&**claim));
        let kept = cache.by_index::<PersistentVolume>(BY_CLAIM, &text);
        let free = cache.by_index::<PersistentVolume>(FREE, class);
        claim::reconcile(&claim::Observed {
            claim,
            class: cache.get::<StorageClass>("", class).map(|class| &**class),
            default_class: default_class(cache),
            named: cache.get::<PersistentVolume>("", volume_of(claim)),
            candidates: if volume_of(claim).is_empty() {
                kept.chain(free).cloned().collect()
            } else {
                Vec::new()
            },
            place: provision::Place::of(cache, claim),
            provisions: self.provisions,
        })
    }
}

fn kept_for(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

fn claim_text(claim: &ObjectReference) -> String {
    format!("{}/{}", claim.namespace, claim.name)
}

fn keys_of<'a, K: Kind>(objects: impl Iterator<Item = &'a Arc<K>>) -> impl Iterator<Item = ObjectKey> {
    objects.map(|object| ObjectKey::of(&**object))
}

/// The class of claims that name none: of several, the newest.
fn default_class(cache: &Cache) -> Option<String> {
    let classes = cache.list::<StorageClass>(None);
    let is_default = |class: &&Arc<StorageClass>| {
        let said = class.meta().annotations.get(DEFAULT_STORAGE_CLASS);
        said.is_some_and(|said| said == "true")
    };
    let age = |class: &&Arc<StorageClass>| {
        let created = class.meta().creation_timestamp;
        created.map(|created| (created.seconds, created.nanos))
    };
    let newest = classes.filter(is_default).max_by_key(age)?;
    Some(newest.name().to_owned())
}

#[cfg(test)]
mod tests;
