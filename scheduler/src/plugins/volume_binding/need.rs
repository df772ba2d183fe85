//! [`Need`]: a claim whose volume is chosen with its Pod's node, and what would meet it on each node.

use crate::snapshot::{Chosen, ClaimKey, Node, Objects, Snapshot};
use apimachinery::selector::LabelSelector;
use apimachinery::volumes::{
    NO_PROVISIONER, Suits, Wish, allows, bytes, capacity, class_of_claim, is_reachable, requested,
};
use apimachinery::well_known::SELECTED_NODE;
use proto::Kind;
use proto::api::core::v1::{NodeSelectorRequirement, PersistentVolume, PersistentVolumeClaim};
use proto::api::storage::v1::StorageClass;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const NONE_FITS: &str = "node(s) didn't find available persistent volumes to bind";

pub(super) const NO_ROOM: &str = "node(s) did not have enough free storage";

/// See the module.
#[derive(Debug)]
pub struct Need<'a> {
    key: ClaimKey,
    /// The node that was chosen for it already.
    selected: Option<&'a str>,
    there: Volumes<'a>,
    made: Option<Made<'a>>,
}

/// The volumes that suit a claim.
#[derive(Debug)]
enum Volumes<'a> {
    /// One is kept for it, and no other will do.
    Kept(&'a PersistentVolume),
    /// Any of these, the smallest first.
    Any(Free<'a>),
}

/// Free volumes. Local ones name their host by a label, and a cluster may have thousands of those: so they are found by that label.
#[derive(Debug, Default)]
struct Free<'a> {
    /// Volumes that no single label confines, each with its place in the order.
    anywhere: Vec<(usize, &'a PersistentVolume)>,
    /// By a label that a node must have.
    by_label: HashMap<&'a str, HashMap<&'a str, Vec<(usize, &'a PersistentVolume)>>>,
}

/// Where a claim's volume can be made.
#[derive(Debug)]
struct Made<'a> {
    class: &'a StorageClass,
    /// The places with room, where the driver tells of it.
    room: Option<Vec<LabelSelector>>,
}

/// Why a claim finds nothing on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    /// No volume fits, and none can be made.
    Volume,
    /// One could be made, but there is no room.
    Room,
}

/// Works out what would meet each of a Pod's claims. The smallest comes first, so that it does not take what a larger one needs.
pub(super) fn needs<'a>(
    mut claims: Vec<(ClaimKey, &'a PersistentVolumeClaim)>,
    snapshot: &'a Snapshot,
) -> Vec<Need<'a>> {
    claims.sort_by_key(|(_, claim)| requested(claim));
    let claims = claims.into_iter();
    claims
        .map(|(key, claim)| Need::of(key, claim, snapshot))
        .collect()
}

impl<'a> Need<'a> {
    fn of(key: ClaimKey, claim: &'a PersistentVolumeClaim, snapshot: &'a Snapshot) -> Self {
        let chosen = snapshot.volumes().made_on(&key).map(|node| &**node);
        let written = claim.meta().annotations.get(SELECTED_NODE).map(String::as_str);
        let selected = written.or(chosen);
        Self {
            there: match selected {
                // Its volume is being made: no other will do.
                Some(_) => Volumes::Any(Free::default()),
                None => volumes(&key, claim, snapshot),
            },
            made: Made::of(claim, snapshot.objects()),
            selected,
            key,
        }
    }
}

fn volumes<'a>(key: &ClaimKey, claim: &PersistentVolumeClaim, snapshot: &'a Snapshot) -> Volumes<'a> {
    let (known, objects) = (snapshot.volumes(), snapshot.objects());
    let find = |name: &Arc<str>| objects.global(&objects.volumes, name).map(|volume| &**volume);
    if let Some(chosen) = known.chosen_for(key).and_then(find) {
        return Volumes::Kept(chosen);
    }
    let wish = Wish::of(claim);
    let is_open = |name: &&Arc<str>| known.kept_for(name).is_none();
    let mut own = known.of_claim(key).filter(is_open).filter_map(find);
    if let Some(kept) = own.find(|volume| wish.suits(volume) == Suits::Kept) {
        return Volumes::Kept(kept);
    }
    let of_class = known
        .of_class(class_of_claim(claim))
        .filter(is_open)
        .filter_map(find);
    let mut free: Vec<&PersistentVolume> = of_class
        .filter(|volume| wish.suits(volume) == Suits::Yes)
        .collect();
    free.sort_by_cached_key(|volume| capacity(volume));
    Volumes::Any(Free::of(free))
}

impl<'a> Free<'a> {
    fn of(volumes: Vec<&'a PersistentVolume>) -> Self {
        let mut free = Self::default();
        for (place, volume) in volumes.into_iter().enumerate() {
            let Some(required) = label(volume) else {
                free.anywhere.push((place, volume));
                continue;
            };
            let by_value = free.by_label.entry(&required.key).or_default();
            for value in &required.values {
                by_value.entry(value).or_default().push((place, volume));
            }
        }
        free
    }

    /// The smallest that can be reached from a node and is not taken.
    fn on(&self, node: &Node, taken: &[&str]) -> Option<&'a PersistentVolume> {
        let by_label = self.by_label.iter().filter_map(|(key, by_value)| {
            let value = node.labels.get(*key)?;
            by_value.get(value.as_str())
        });
        let fits = |volume: &PersistentVolume| {
            !taken.contains(&volume.name()) && is_reachable(volume, &node.name, &node.labels)
        };
        let lists = by_label.chain([&self.anywhere]);
        let first = lists.filter_map(|list| list.iter().find(|(_, volume)| fits(volume)));
        { first }
            .min_by_key(|(place, _)| *place)
            .map(|(_, volume)| *volume)
    }
}

/// A label that a node must have for a volume to be reached from it, with one of some values.
fn label(volume: &PersistentVolume) -> Option<&NodeSelectorRequirement> {
    let affinity = volume.spec.as_ref()?.node_affinity.as_ref()?;
    let [term] = &affinity.required.as_ref()?.node_selector_terms[..] else {
        return None;
    };
    term.match_expressions
        .iter()
        .find(|requirement| requirement.operator == "In")
}

impl<'a> Made<'a> {
    /// `None` when nobody makes volumes of the claim's class.
    fn of(claim: &PersistentVolumeClaim, objects: &'a Objects) -> Option<Self> {
        let name = class_of_claim(claim);
        let class = objects.global(&objects.storage_classes, name)?;
        if class.provisioner.is_empty() || class.provisioner == NO_PROVISIONER {
            return None;
        }
        let driver = objects.global(&objects.csi_drivers, &class.provisioner);
        let tells = driver.and_then(|driver| driver.spec.as_ref()?.storage_capacity);
        let size = requested(claim);
        let room = (tells == Some(true)).then(|| {
            let told = objects.csi_capacities.values();
            told.filter(|told| told.storage_class_name == name)
                .filter(|told| {
                    let most = told.maximum_volume_size.as_ref().or(told.capacity.as_ref());
                    most.is_some() && bytes(most) >= size
                })
                .filter_map(|told| LabelSelector::from_proto(Some(told.node_topology.as_ref()?)).ok())
                .collect()
        });
        Some(Self { class, room })
    }

    fn on(&self, node: &Node) -> Result<(), Unmet> {
        if !allows(self.class, &node.labels) {
            return Err(Unmet::Volume);
        }
        let is_there = |room: &Vec<LabelSelector>| {
            let mut places = room.iter();
            places.any(|place| place.matches_labels(&node.labels))
        };
        if self.room.as_ref().is_none_or(is_there) {
            Ok(())
        } else {
            Err(Unmet::Room)
        }
    }
}

/// What meets all needs on a node.
pub(super) fn choose(needs: &[Need<'_>], node: &Node) -> Result<Chosen, Unmet> {
    let mut chosen = Chosen {
        node: node.name.clone(),
        ..Chosen::default()
    };
    meet(needs, node, |need, volume| match volume {
        Some(volume) => { &mut chosen.volumes }.push((volume.name().into(), need.key.clone())),
        None => chosen.to_make.push(need.key.clone()),
    })?;
    Ok(chosen)
}

/// Whether all needs can be met on a node; `found` is told the volume of each, or that it is to be made.
pub(super) fn meet<'a>(
    needs: &[Need<'a>],
    node: &Node,
    mut found: impl FnMut(&Need<'a>, Option<&'a PersistentVolume>),
) -> Result<(), Unmet> {
    let mut taken: Vec<&str> = Vec::new();
    let mut short = None;
    for need in needs {
        if need.selected.is_some_and(|selected| *selected != *node.name) {
            return Err(Unmet::Volume);
        }
        let volume = match &need.there {
            Volumes::Kept(volume) if is_reachable(volume, &node.name, &node.labels) => Some(*volume),
            Volumes::Kept(_) => return Err(Unmet::Volume),
            Volumes::Any(free) => free.on(node, &taken),
        };
        if let Some(volume) = volume {
            taken.push(volume.name());
            found(need, Some(volume));
            continue;
        }
        match need
            .made
            .as_ref()
            .map_or(Err(Unmet::Volume), |made| made.on(node))
        {
            Ok(()) => found(need, None),
            Err(Unmet::Volume) => return Err(Unmet::Volume),
            Err(Unmet::Room) => short = Some(Unmet::Room),
        }
    }
    short.map_or(Ok(()), Err)
}
