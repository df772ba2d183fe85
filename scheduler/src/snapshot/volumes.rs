//! [`Volumes`]: what of volumes the API's objects do not say by themselves: who uses a claim, what is attached to a node, and which volume
//! or node was chosen for a claim though the API does not show it yet.
//!
//! Invariant: a claim counts on the nodes of the placed Pods that name it, as the volume that it is now known to be. A Pod without claims
//! costs nothing here.

use super::{Objects, Slot};
use crate::pod::PodTemplate;
use apimachinery::volumes::{claim_name, class_of_claim, class_of_volume, volume_of};
use client::ObjectKey;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use proto::api::storage::v1::{CsiNode, StorageClass};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A claim's namespace and name.
pub type ClaimKey = (Arc<str>, Arc<str>);

/// A driver, and what it calls a volume.
pub type Handle = (Arc<str>, Arc<str>);

/// The claims that a Pod names, and whether each is made for it alone.
pub fn claims_of<'a>(template: &'a PodTemplate, pod: &'a str) -> impl Iterator<Item = (ClaimKey, bool)> + 'a {
    let volumes = template.spec.volumes.iter();
    let names = volumes.filter_map(move |volume| claim_name(pod, volume));
    names.map(|(name, is_own)| ((template.namespace.clone(), name.into()), is_own))
}

/// What was chosen for a Pod's claims that have no volume yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The Pod's node.
    pub node: Arc<str>,
    /// Volumes that there are, by name, each with its claim.
    pub volumes: Vec<(Arc<str>, ClaimKey)>,
    /// The claims whose volumes are to be made there.
    pub to_make: Vec<ClaimKey>,
}

/// What a volume is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Home {
    /// It is kept for a claim of that name.
    Claim(ClaimKey),
    /// It is kept for none, and of that class.
    Class(Arc<str>),
}

/// A claim that placed Pods use.
#[derive(Clone, Debug, Default)]
struct Used {
    /// How many Pods, by node.
    by: BTreeMap<Slot, u32>,
    /// The volume that it names, which may not be there; empty for none.
    volume: Arc<str>,
    handle: Option<Handle>,
}

/// The room of a node that has no limit.
pub const UNLIMITED: i64 = i64::MAX;

/// How many claims are this volume on a node, by driver and handle.
type Attached = HashMap<Arc<str>, HashMap<Arc<str>, u32>>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    used: HashMap<ClaimKey, Used>,
    /// The used claims that name a volume.
    by_volume: HashMap<Arc<str>, BTreeSet<ClaimKey>>,
    attached: HashMap<Slot, Attached>,
    /// How many volumes of a driver a node holds, by the node's name.
    limits: HashMap<Arc<str>, BTreeMap<Arc<str>, i64>>,
    /// How many more volumes of a driver each slot's node holds: for one look at every node and Pod, which is too often for names.
    room: HashMap<Arc<str>, Vec<i64>>,
    chosen: HashMap<ObjectKey, Chosen>,
    /// For which claim a volume was chosen, and for how many Pods.
    kept: HashMap<Arc<str>, (ClaimKey, u32)>,
    kept_by_claim: HashMap<ClaimKey, Arc<str>>,
    /// Every volume by what it is found by, so that a claim need not look at all of them; and where each is.
    homes: HashMap<Home, BTreeSet<Arc<str>>>,
    home_of: HashMap<Arc<str>, Home>,
    /// On which node a claim's volume is to be made, and for how many Pods.
    to_make: HashMap<ClaimKey, (Arc<str>, u32)>,
}

impl Volumes {
    /// How many placed Pods use a claim.
    pub fn users(&self, claim: &ClaimKey) -> u32 {
        self.used.get(claim).map_or(0, |used| used.by.values().sum())
    }

    /// Whether a volume is on a node.
    pub fn is_attached(&self, slot: Slot, (driver, handle): &Handle) -> bool {
        let volumes = self.attached.get(&slot).and_then(|node| node.get(driver));
        volumes.is_some_and(|volumes| volumes.contains_key(handle))
    }

    /// How many more volumes of a driver each slot's node holds; `None` when no node has a limit. A slot beyond the end has none.
    pub fn room(&self, driver: &str) -> Option<&[i64]> {
        self.room.get(driver).map(Vec::as_slice)
    }

    /// A slot is a node's now, or nobody's (an empty name).
    pub(super) fn seat(&mut self, slot: Slot, node: &str) {
        let place = slot as usize;
        for room in self.room.values_mut() {
            if let Some(room) = room.get_mut(place) {
                *room = UNLIMITED;
            }
        }
        for (driver, most) in self.limits.get(node).into_iter().flatten() {
            let room = self.room.entry(driver.clone()).or_default();
            if room.len() <= place {
                room.resize(place + 1, UNLIMITED);
            }
            let held = self.attached.get(&slot).and_then(|node| node.get(driver));
            room[place] = most - held.map_or(0, |volumes| volumes.len() as i64);
        }
    }

    /// The claim that a volume was chosen for.
    pub fn kept_for(&self, volume: &str) -> Option<&ClaimKey> {
        self.kept.get(volume).map(|(claim, _)| claim)
    }

    /// The volume that was chosen for a claim.
    pub fn chosen_for(&self, claim: &ClaimKey) -> Option<&Arc<str>> {
        self.kept_by_claim.get(claim)
    }

    /// The volumes that the API keeps for a claim of that name.
    pub fn of_claim(&self, claim: &ClaimKey) -> impl Iterator<Item = &Arc<str>> {
        let volumes = self.homes.get(&Home::Claim(claim.clone()));
        volumes.into_iter().flatten()
    }

    /// The volumes of a class that the API keeps for no claim.
    pub fn of_class(&self, class: &str) -> impl Iterator<Item = &Arc<str>> {
        let volumes = self.homes.get(&Home::Class(class.into()));
        volumes.into_iter().flatten()
    }

    /// The node that a claim's volume is to be made on.
    pub fn made_on(&self, claim: &ClaimKey) -> Option<&Arc<str>> {
        self.to_make.get(claim).map(|(node, _)| node)
    }

    /// What was chosen for a Pod's claims.
    pub fn chosen(&self, pod: &ObjectKey) -> Option<&Chosen> {
        self.chosen.get(pod)
    }

    /// Volumes are chosen for a Pod.
    pub(super) fn choose(&mut self, pod: &ObjectKey, chosen: Chosen) {
        self.give_back(pod);
        for (volume, claim) in &chosen.volumes {
            let kept = self
                .kept
                .entry(volume.clone())
                .or_insert_with(|| (claim.clone(), 0));
            kept.1 += 1;
            self.kept_by_claim.insert(claim.clone(), volume.clone());
        }
        for claim in &chosen.to_make {
            let made = self
                .to_make
                .entry(claim.clone())
                .or_insert_with(|| (chosen.node.clone(), 0));
            made.1 += 1;
        }
        self.chosen.insert(pod.clone(), chosen);
    }

    /// What was chosen for a Pod is shown by the API now, or is not to be.
    pub(super) fn give_back(&mut self, pod: &ObjectKey) {
        let Some(chosen) = self.chosen.remove(pod) else {
            return;
        };
        for (volume, claim) in &chosen.volumes {
            count_down(&mut self.kept, volume, |(_, pods)| pods);
            if !self.kept.contains_key(volume) {
                self.kept_by_claim.remove(claim);
            }
        }
        for claim in &chosen.to_make {
            count_down(&mut self.to_make, claim, |(_, pods)| pods);
        }
    }

    /// A Pod is placed.
    pub(super) fn add(&mut self, template: &PodTemplate, pod: &str, slot: Slot, objects: &Objects) {
        for (claim, _) in claims_of(template, pod) {
            if !self.used.contains_key(&claim) {
                self.used.insert(claim.clone(), Used::default());
                self.resolve(&claim, objects);
            }
            let Some(used) = self.used.get_mut(&claim) else {
                continue;
            };
            let pods = used.by.entry(slot).or_default();
            *pods += 1;
            if *pods == 1
                && let Some(handle) = used.handle.clone()
            {
                self.attach(slot, &handle);
            }
        }
    }

    /// A placed Pod is gone.
    pub(super) fn remove(&mut self, template: &PodTemplate, pod: &str, slot: Slot) {
        for (claim, _) in claims_of(template, pod) {
            let Some(used) = self.used.get_mut(&claim) else {
                continue;
            };
            count_down(&mut used.by, &slot, |pods| pods);
            let left = !used.by.contains_key(&slot);
            let handle = used.handle.clone().filter(|_| left);
            if used.by.is_empty() {
                unlink(&mut self.by_volume, &used.volume, &claim);
                self.used.remove(&claim);
            }
            if let Some(handle) = handle {
                self.detach(slot, &handle);
            }
        }
    }

    /// An object has changed or is gone: what is known of the claims that it concerns is worked out anew.
    pub(super) fn changed(&mut self, key: &ObjectKey, objects: &Objects) {
        if key.is::<PersistentVolumeClaim>() {
            self.resolve(&(key.namespace.clone(), key.name.clone()), objects);
        } else if key.is::<PersistentVolume>() {
            self.house(&key.name, objects);
            let claims = self.by_volume.get(&key.name).cloned();
            for claim in claims.into_iter().flatten() {
                self.resolve(&claim, objects);
            }
        } else if key.is::<StorageClass>() {
            // Classes hardly ever come or go, and none becomes another.
            let claims: Vec<ClaimKey> = self.used.keys().cloned().collect();
            for claim in claims {
                self.resolve(&claim, objects);
            }
        } else if key.is::<CsiNode>() {
            let node = objects.global(&objects.csi_nodes, &key.name);
            let limits = node.map(|node| limits(node)).unwrap_or_default();
            if limits.is_empty() {
                self.limits.remove(&key.name);
            } else {
                self.limits.insert(key.name.clone(), limits);
            }
        }
    }

    /// Puts a volume where it is found.
    fn house(&mut self, name: &Arc<str>, objects: &Objects) {
        if let Some(home) = self.home_of.remove(name)
            && let Some(volumes) = self.homes.get_mut(&home)
        {
            volumes.remove(name);
            if volumes.is_empty() {
                self.homes.remove(&home);
            }
        }
        let Some(volume) = objects.global(&objects.volumes, name) else {
            return;
        };
        let kept_for = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let home = match kept_for {
            Some(claim) => Home::Claim((claim.namespace.as_str().into(), claim.name.as_str().into())),
            None => Home::Class(class_of_volume(volume).into()),
        };
        { self.homes.entry(home.clone()).or_default() }.insert(name.clone());
        self.home_of.insert(name.clone(), home);
    }

    fn resolve(&mut self, claim: &ClaimKey, objects: &Objects) {
        let Some(used) = self.used.get_mut(claim) else {
            return;
        };
        let object = objects.claims.get(claim);
        let volume = object.map_or("", |object| volume_of(object));
        if *used.volume != *volume {
            unlink(&mut self.by_volume, &used.volume, claim);
            used.volume = volume.into();
            let claims = self.by_volume.entry(used.volume.clone()).or_default();
            claims.insert(claim.clone());
        }
        let now = handle(objects, claim);
        let before = std::mem::replace(&mut used.handle, now.clone());
        if before == now {
            return;
        }
        let slots: Vec<Slot> = used.by.keys().copied().collect();
        for slot in slots {
            if let Some(handle) = &before {
                self.detach(slot, handle);
            }
            if let Some(handle) = &now {
                self.attach(slot, handle);
            }
        }
    }

    fn attach(&mut self, slot: Slot, (driver, handle): &Handle) {
        let node = self.attached.entry(slot).or_default();
        let volumes = node.entry(driver.clone()).or_default();
        let claims = volumes.entry(handle.clone()).or_default();
        *claims += 1;
        if *claims == 1 {
            self.take_room(slot, driver, 1);
        }
    }

    fn detach(&mut self, slot: Slot, (driver, handle): &Handle) {
        let Some(node) = self.attached.get_mut(&slot) else {
            return;
        };
        let Some(volumes) = node.get_mut(driver) else {
            return;
        };
        count_down(volumes, handle, |claims| claims);
        let left = !volumes.contains_key(handle);
        if volumes.is_empty() {
            node.remove(driver);
        }
        if node.is_empty() {
            self.attached.remove(&slot);
        }
        if left {
            self.take_room(slot, driver, -1);
        }
    }

    fn take_room(&mut self, slot: Slot, driver: &str, volumes: i64) {
        let room = self.room.get_mut(driver);
        if let Some(room) = room.and_then(|room| room.get_mut(slot as usize))
            && *room != UNLIMITED
        {
            *room -= volumes;
        }
    }
}

/// A claim no longer names a volume.
fn unlink(by_volume: &mut HashMap<Arc<str>, BTreeSet<ClaimKey>>, volume: &Arc<str>, claim: &ClaimKey) {
    if let Some(claims) = by_volume.get_mut(volume) {
        claims.remove(claim);
        if claims.is_empty() {
            by_volume.remove(volume);
        }
    }
}

/// Takes one from a count that goes at zero.
fn count_down<K, V>(counts: &mut impl Counts<K, V>, key: &K, count: fn(&mut V) -> &mut u32) {
    if let Some(value) = counts.value(key) {
        let count = count(value);
        *count -= 1;
        if *count == 0 {
            counts.drop_key(key);
        }
    }
}

/// A map of counts.
trait Counts<K, V> {
    fn value(&mut self, key: &K) -> Option<&mut V>;
    fn drop_key(&mut self, key: &K);
}

impl<K: std::hash::Hash + Eq, V> Counts<K, V> for HashMap<K, V> {
    fn value(&mut self, key: &K) -> Option<&mut V> {
        self.get_mut(key)
    }

    fn drop_key(&mut self, key: &K) {
        self.remove(key);
    }
}

impl<K: Ord, V> Counts<K, V> for BTreeMap<K, V> {
    fn value(&mut self, key: &K) -> Option<&mut V> {
        self.get_mut(key)
    }

    fn drop_key(&mut self, key: &K) {
        self.remove(key);
    }
}

/// The CSI volume that a claim is, or will be: one without a volume counts as one of its class's driver.
pub fn handle(objects: &Objects, claim: &ClaimKey) -> Option<Handle> {
    let object = objects.claims.get(claim)?;
    let volume = objects.global(&objects.volumes, volume_of(object));
    if let Some(volume) = volume {
        let source = volume
            .spec
            .as_ref()
            .and_then(|spec| spec.persistent_volume_source.as_ref());
        let csi = source.and_then(|source| source.csi.as_ref())?;
        return Some((csi.driver.as_str().into(), csi.volume_handle.as_str().into()));
    }
    let class = objects.global(&objects.storage_classes, class_of_claim(object))?;
    Some((
        class.provisioner.as_str().into(),
        format!("{}/{}", claim.0, claim.1).into(),
    ))
}

/// How many volumes a node holds, by driver. A driver without a number has no limit.
fn limits(node: &CsiNode) -> BTreeMap<Arc<str>, i64> {
    let drivers = node.spec.iter().flat_map(|spec| &spec.drivers);
    let limits = drivers.filter_map(|driver| {
        let count = driver.allocatable.as_ref()?.count?;
        Some((driver.name.as_str().into(), i64::from(count)))
    });
    limits.collect()
}
