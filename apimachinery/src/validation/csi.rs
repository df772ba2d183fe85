//! CSIDrivers, CSINodes, CSIStorageCapacities, VolumeAttachments.

use super::{Faults, Validate, labels, resources};
use crate::names;
use crate::path::Path;
use proto::api::storage::v1::{CsiDriver, CsiNode, CsiStorageCapacity, VolumeAttachment};
use std::collections::HashSet;

/// The longest name of a driver, as the Container Storage Interface has it.
const MAX_DRIVER_NAME: usize = 63;
/// The longest name that a driver may give a node.
const MAX_NODE_ID: usize = 192;
/// How long a token lasts at least: what the API server itself grants at least.
const MIN_TOKEN_SECONDS: i64 = 600;
/// How long a token lasts at most.
const MAX_TOKEN_SECONDS: i64 = 1 << 32;
/// How often a driver may be asked for the number of volumes at most, in seconds between.
const MIN_UPDATE_PERIOD: i64 = 10;

fn driver_name(name: &str, at: &Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        return faults.required(at, "");
    }
    if name.len() > MAX_DRIVER_NAME {
        faults.too_long(at, MAX_DRIVER_NAME);
    }
    faults.problems(at, name, names::dns1123_subdomain(&name.to_lowercase()));
}

impl Validate for CsiDriver {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        driver_name(
            proto::Kind::name(self),
            &Path::ROOT.field("metadata.name"),
            faults,
        );
        let modes = at.field("volumeLifecycleModes");
        for (i, mode) in spec.volume_lifecycle_modes.iter().enumerate() {
            faults.one_of(&modes.index(i), mode, &["Ephemeral", "Persistent"]);
        }
        let policy = spec.fs_group_policy.as_deref().unwrap_or("");
        let policies = ["File", "None", "ReadWriteOnceWithFSType"];
        faults.one_of(&at.field("fsGroupPolicy"), policy, &policies);
        let tokens = at.field("tokenRequests");
        let mut audiences = HashSet::new();
        for (i, token) in spec.token_requests.iter().enumerate() {
            let at = tokens.index(i);
            if !audiences.insert(&token.audience) {
                faults.duplicate(&at.field("audience"), &token.audience);
            }
            let at = at.field("expirationSeconds");
            match token.expiration_seconds {
                Some(seconds) if seconds < MIN_TOKEN_SECONDS => {
                    faults.invalid(&at, seconds, "may not specify a duration less than 10 minutes");
                }
                Some(seconds) if seconds > MAX_TOKEN_SECONDS => {
                    faults.invalid(
                        &at,
                        seconds,
                        "may not specify a duration larger than 2^32 seconds",
                    );
                }
                _ => {}
            }
        }
        if let Some(seconds) = spec.node_allocatable_update_period_seconds
            && seconds < MIN_UPDATE_PERIOD
        {
            let at = at.field("nodeAllocatableUpdatePeriodSeconds");
            faults.invalid(&at, seconds, "must be greater than or equal to 10 seconds");
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let empty = Default::default();
        let (old, new) = (
            old.spec.as_ref().unwrap_or(&empty),
            self.spec.as_ref().unwrap_or(&empty),
        );
        let at = Path::ROOT.field("spec");
        faults.immutable(
            &at.field("attachRequired"),
            &old.attach_required,
            &new.attach_required,
            new.attach_required,
        );
        faults.immutable(
            &at.field("volumeLifecycleModes"),
            &old.volume_lifecycle_modes,
            &new.volume_lifecycle_modes,
            &new.volume_lifecycle_modes,
        );
    }
}

impl Validate for CsiNode {
    fn validate(&self, faults: &mut Faults) {
        let drivers = Path::ROOT.field("spec.drivers");
        let mut taken = HashSet::new();
        for (i, driver) in self.spec.iter().flat_map(|spec| &spec.drivers).enumerate() {
            let at = drivers.index(i);
            driver_name(&driver.name, &at.field("name"), faults);
            if !taken.insert(&driver.name) {
                faults.duplicate(&at.field("name"), &driver.name);
            }
            if driver.node_id.is_empty() {
                faults.required(&at.field("nodeID"), "");
            } else if driver.node_id.len() > MAX_NODE_ID {
                faults.too_long(&at.field("nodeID"), MAX_NODE_ID);
            }
            let keys = at.field("topologyKeys");
            let mut seen = HashSet::new();
            for (i, key) in driver.topology_keys.iter().enumerate() {
                if key.is_empty() {
                    faults.required(&keys.index(i), "");
                    continue;
                }
                if !seen.insert(key) {
                    faults.duplicate(&keys.index(i), key);
                }
                faults.problems(&keys.index(i), key, names::qualified_name(key));
            }
            if let Some(count) = driver.allocatable.and_then(|a| a.count) {
                faults.non_negative(&at.field("allocatable.count"), count);
            }
        }
    }
}

impl Validate for CsiStorageCapacity {
    fn validate(&self, faults: &mut Faults) {
        if let Some(topology) = &self.node_topology {
            labels::selector(topology, &Path::ROOT.field("nodeTopology"), faults);
        }
        let at = Path::ROOT.field("storageClassName");
        let problems = names::dns1123_subdomain(&self.storage_class_name);
        faults.problems(&at, &self.storage_class_name, problems);
        for (name, amount) in [
            ("capacity", &self.capacity),
            ("maximumVolumeSize", &self.maximum_volume_size),
        ] {
            if let Some(amount) = amount {
                resources::quantity("storage", amount, &Path::ROOT.field(name), faults);
            }
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        if self.node_topology != old.node_topology {
            faults.invalid(&Path::ROOT.field("nodeTopology"), "", "field is immutable");
        }
        faults.immutable(
            &Path::ROOT.field("storageClassName"),
            &old.storage_class_name,
            &self.storage_class_name,
            &self.storage_class_name,
        );
    }
}

impl Validate for VolumeAttachment {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        driver_name(&spec.attacher, &at.field("attacher"), faults);
        if spec.node_name.is_empty() {
            faults.required(&at.field("nodeName"), "");
        }
        let none = Default::default();
        let source = spec.source.as_ref().unwrap_or(&none);
        let at = at.field("source");
        match (&source.persistent_volume_name, &source.inline_volume_spec) {
            (None, None) => {
                faults.required(
                    &at,
                    "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
                );
            }
            (Some(_), Some(_)) => {
                let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
                faults.invalid(&at, "", detail);
            }
            (Some(name), None) if name.is_empty() => {
                faults.required(
                    &at.field("persistentVolumeName"),
                    "must specify non empty persistentVolumeName",
                );
            }
            _ => {}
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        if self.spec != old.spec {
            faults.invalid(&Path::ROOT.field("spec"), "", "field is immutable");
        }
    }
}

#[cfg(test)]
mod tests;
