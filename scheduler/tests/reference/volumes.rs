//! The plugins of volumes once more: every question is answered by a look at every claim of every Pod.

use super::naive::World;
use apimachinery::quantity::Quantity;
use apimachinery::selector::{LabelSelector, node_matches};
use proto::Kind;
use proto::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, VolumeSource};
use proto::api::storage::v1::{CsiDriver, CsiNode, CsiStorageCapacity, StorageClass};
use std::collections::{BTreeMap, BTreeSet};

/// The storage of a cluster, by name; claims by `namespace/name`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    pub(crate) classes: BTreeMap<String, StorageClass>,
    pub(crate) volumes: BTreeMap<String, PersistentVolume>,
    pub(crate) claims: BTreeMap<String, PersistentVolumeClaim>,
    pub(crate) nodes: BTreeMap<String, CsiNode>,
    pub(crate) drivers: BTreeMap<String, CsiDriver>,
    pub(crate) capacities: BTreeMap<String, CsiStorageCapacity>,
}

fn sources(pod: &Pod) -> Vec<&VolumeSource> {
    let volumes = &pod.spec.as_ref().expect("every pod here has a spec").volumes;
    volumes
        .iter()
        .filter_map(|volume| volume.volume_source.as_ref())
        .collect()
}

/// The claims that a Pod names, as `namespace/name`, each once.
fn names(pod: &Pod) -> Vec<String> {
    let mut names = Vec::new();
    for source in sources(pod) {
        if let Some(claim) = &source.persistent_volume_claim {
            let name = format!("{}/{}", pod.namespace(), claim.claim_name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn gibibytes(quantities: &BTreeMap<String, proto::Quantity>) -> i64 {
    Quantity::try_from(&quantities["storage"]).expect("valid").value()
}

fn size(claim: &PersistentVolumeClaim) -> i64 {
    let spec = claim.spec.as_ref().expect("every claim here has a spec");
    gibibytes(&spec.resources.as_ref().expect("and a size").requests)
}

fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    &claim
        .spec
        .as_ref()
        .expect("every claim here has a spec")
        .volume_name
}

fn class_name(claim: &PersistentVolumeClaim) -> &str {
    let spec = claim.spec.as_ref().expect("every claim here has a spec");
    spec.storage_class_name.as_deref().unwrap_or("")
}

fn has_volume(claim: &PersistentVolumeClaim) -> bool {
    let done = claim
        .meta()
        .annotations
        .contains_key("pv.kubernetes.io/bind-completed");
    !volume_name(claim).is_empty() && done
}

fn reaches(node: &Node, volume: &PersistentVolume) -> bool {
    let spec = volume.spec.as_ref().expect("every volume here has a spec");
    let affinity = spec
        .node_affinity
        .as_ref()
        .and_then(|affinity| affinity.required.as_ref());
    affinity.is_none_or(|selector| node_matches(selector, node.name(), &node.meta().labels))
}

impl World {
    /// The plugin that refuses all nodes at once.
    pub(crate) fn refuses_all(&self, pod: &Pod) -> Option<&'static str> {
        let mut unbound = false;
        for name in names(pod) {
            let Some(claim) = self.storage.claims.get(&name) else {
                return Some("VolumeRestrictions");
            };
            let class = self.storage.classes.get(class_name(claim));
            let waits = class
                .is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
            unbound |= !(has_volume(claim) || volume_name(claim).is_empty() && waits);
        }
        if unbound {
            return Some("VolumeBinding");
        }
        let mut named = names(pod)
            .into_iter()
            .map(|name| volume_name(&self.storage.claims[&name]));
        let is_missing = |name: &str| !name.is_empty() && !self.storage.volumes.contains_key(name);
        named.any(is_missing).then_some("VolumeZone")
    }

    /// Whether a Pod names disks, or claims that are for one Pod and have one.
    pub(crate) fn is_restricted(&self, pod: &Pod) -> bool {
        let is_disk = |source: &VolumeSource| {
            source.gce_persistent_disk.is_some() || source.aws_elastic_block_store.is_some()
        };
        sources(pod).into_iter().any(is_disk) || !self.has_claims_alone(pod)
    }

    /// Whether the claims of a Pod that are for one Pod have no other.
    fn has_claims_alone(&self, pod: &Pod) -> bool {
        names(pod).into_iter().all(|name| {
            let spec = self.storage.claims[&name].spec.as_ref();
            let modes = &spec.expect("every claim here has a spec").access_modes;
            !modes.contains(&"ReadWriteOncePod".to_owned())
                || !self.pods.values().any(|other| names(other).contains(&name))
        })
    }

    pub(crate) fn is_unrestricted(&self, pod: &Pod, node: &Node) -> bool {
        let clash = |a: &VolumeSource, b: &VolumeSource| {
            let gce = a.gce_persistent_disk.as_ref().zip(b.gce_persistent_disk.as_ref());
            let aws = a
                .aws_elastic_block_store
                .as_ref()
                .zip(b.aws_elastic_block_store.as_ref());
            gce.is_some_and(|(a, b)| a.pd_name == b.pd_name && !(a.read_only && b.read_only))
                || aws.is_some_and(|(a, b)| a.volume_id == b.volume_id)
        };
        let free = sources(pod)
            .into_iter()
            .all(|wanted| self.on(node).flat_map(sources).all(|held| !clash(wanted, held)));
        self.has_claims_alone(pod) && free
    }

    fn handle(&self, name: &str) -> Option<(String, String)> {
        let claim = self.storage.claims.get(name)?;
        if let Some(volume) = self.storage.volumes.get(volume_name(claim)) {
            let source = volume.spec.as_ref()?.persistent_volume_source.as_ref()?;
            let csi = source.csi.as_ref()?;
            return Some((csi.driver.clone(), csi.volume_handle.clone()));
        }
        let class = self.storage.classes.get(class_name(claim))?;
        Some((class.provisioner.clone(), name.to_owned()))
    }

    pub(crate) fn holds_volumes(&self, pod: &Pod, node: &Node) -> bool {
        let Some(drivers) = self.storage.nodes.get(node.name()) else {
            return true;
        };
        let of = |pod: &Pod| -> BTreeSet<(String, String)> {
            let names = names(pod).into_iter();
            names.filter_map(|name| self.handle(&name)).collect()
        };
        let held: BTreeSet<(String, String)> = self.on(node).flat_map(of).collect();
        let new: BTreeSet<(String, String)> = of(pod).difference(&held).cloned().collect();
        drivers.spec.as_ref().is_none_or(|spec| {
            spec.drivers.iter().all(|driver| {
                let count = |set: &BTreeSet<(String, String)>| {
                    set.iter().filter(|(name, _)| *name == driver.name).count()
                };
                let most = driver.allocatable.as_ref().and_then(|most| most.count);
                most.is_none_or(|most| count(&new) == 0 || count(&held) + count(&new) <= most as usize)
            })
        })
    }

    pub(crate) fn has_volumes(&self, pod: &Pod, node: &Node) -> bool {
        let mut open: Vec<&PersistentVolumeClaim> = Vec::new();
        for name in names(pod) {
            let claim = &self.storage.claims[&name];
            if !has_volume(claim) {
                open.push(claim);
            } else if !self
                .storage
                .volumes
                .get(volume_name(claim))
                .is_some_and(|volume| reaches(node, volume))
            {
                return false;
            }
        }
        open.sort_by_key(|claim| size(claim));
        let mut taken = BTreeSet::new();
        for claim in open {
            let selected = claim.meta().annotations.get("volume.kubernetes.io/selected-node");
            if selected.is_some_and(|selected| selected != node.name()) {
                return false;
            }
            if selected.is_none() {
                match self.find(claim, node, &taken) {
                    Some(Some(volume)) => {
                        taken.insert(volume);
                        continue;
                    }
                    Some(None) => return false,
                    None => {}
                }
            }
            if !self.can_be_made(claim, node) {
                return false;
            }
        }
        true
    }

    /// The volume that a claim takes on a node; `Some(None)` when one is kept for it that cannot be reached.
    fn find(
        &self,
        claim: &PersistentVolumeClaim,
        node: &Node,
        taken: &BTreeSet<String>,
    ) -> Option<Option<String>> {
        let mut free: Vec<(i64, &str)> = Vec::new();
        for volume in self.storage.volumes.values() {
            let spec = volume.spec.as_ref().expect("every volume here has a spec");
            let mine = spec.claim_ref.as_ref().map(|kept| {
                kept.namespace == claim.namespace()
                    && kept.name == claim.name()
                    && (kept.uid.is_empty() || kept.uid == claim.uid())
            });
            if mine == Some(false) || gibibytes(&spec.capacity) < size(claim) {
                continue;
            }
            if mine == Some(true) {
                return Some(reaches(node, volume).then(|| volume.name().to_owned()));
            }
            let phase = volume.status.as_ref().map_or("", |status| &status.phase);
            let modes = &claim
                .spec
                .as_ref()
                .expect("every claim here has a spec")
                .access_modes;
            if phase == "Available"
                && spec.storage_class_name == class_name(claim)
                && modes.iter().all(|mode| spec.access_modes.contains(mode))
                && reaches(node, volume)
                && !taken.contains(volume.name())
            {
                free.push((gibibytes(&spec.capacity), volume.name()));
            }
        }
        free.sort_unstable();
        free.first().map(|(_, name)| Some((*name).to_owned()))
    }

    fn can_be_made(&self, claim: &PersistentVolumeClaim, node: &Node) -> bool {
        let class = &self.storage.classes[class_name(claim)];
        if class.provisioner == "kubernetes.io/no-provisioner" {
            return false;
        }
        let labels = &node.meta().labels;
        let terms = &class.allowed_topologies;
        let allowed = terms.iter().any(|term| {
            let mut expressions = term.match_label_expressions.iter();
            expressions.all(|one| {
                labels
                    .get(&one.key)
                    .is_some_and(|value| one.values.contains(value))
            })
        });
        let driver = self.storage.drivers.get(&class.provisioner);
        let tells = driver.and_then(|driver| driver.spec.as_ref()?.storage_capacity) == Some(true);
        let room = self.storage.capacities.values().any(|told| {
            let most = told.capacity.as_ref().expect("every capacity here tells");
            let most = Quantity::try_from(most).expect("valid").value();
            let place = LabelSelector::from_proto(told.node_topology.as_ref()).expect("valid");
            told.storage_class_name == class.name() && most >= size(claim) && place.matches_labels(labels)
        });
        (terms.is_empty() || allowed) && (!tells || room)
    }

    pub(crate) fn is_in_zone(&self, pod: &Pod, node: &Node) -> bool {
        let zone = "topology.kubernetes.io/zone";
        let Some(here) = node.meta().labels.get(zone) else {
            return true;
        };
        names(pod).into_iter().all(|name| {
            let volume = self.storage.volumes.get(volume_name(&self.storage.claims[&name]));
            let zones = volume.and_then(|volume| volume.meta().labels.get(zone));
            zones.is_none_or(|zones| zones.split("__").any(|zone| zone == here))
        })
    }
}
