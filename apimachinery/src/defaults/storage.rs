//! PersistentVolumes, PersistentVolumeClaims, StorageClasses.

use super::{Defaults, optional, resource_list, string};
use proto::api::core::v1::{
    AzureDiskVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeSource,
};
use proto::api::storage::v1::StorageClass;

impl Defaults for PersistentVolume {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        resource_list(&mut spec.capacity);
        string(&mut spec.persistent_volume_reclaim_policy, "Retain");
        optional(&mut spec.volume_mode, "Filesystem");
        if let Some(source) = &mut spec.persistent_volume_source {
            volume_source(source);
        }
        string(&mut self.status.get_or_insert_default().phase, "Pending");
    }
}

fn volume_source(source: &mut PersistentVolumeSource) {
    if let Some(host_path) = &mut source.host_path {
        optional(&mut host_path.r#type, "");
    }
    if let Some(iscsi) = &mut source.iscsi {
        string(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut source.rbd {
        string(&mut rbd.pool, "rbd");
        string(&mut rbd.user, "admin");
        string(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut source.azure_disk {
        azure_disk(disk);
    }
    if let Some(scale_io) = &mut source.scale_io {
        string(&mut scale_io.storage_mode, "ThinProvisioned");
        string(&mut scale_io.fs_type, "xfs");
    }
}

pub(super) fn azure_disk(disk: &mut AzureDiskVolumeSource) {
    optional(&mut disk.caching_mode, "ReadWrite");
    optional(&mut disk.kind, "Shared");
    optional(&mut disk.fs_type, "ext4");
    disk.read_only.get_or_insert(false);
}

impl Defaults for PersistentVolumeClaim {
    fn set_defaults(&mut self) {
        claim_spec(self.spec.get_or_insert_default());
        let status = self.status.get_or_insert_default();
        string(&mut status.phase, "Pending");
        resource_list(&mut status.capacity);
        resource_list(&mut status.allocated_resources);
    }
}

pub(super) fn claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    optional(&mut spec.volume_mode, "Filesystem");
    if let Some(resources) = &mut spec.resources {
        resource_list(&mut resources.limits);
        resource_list(&mut resources.requests);
    }
}

impl Defaults for StorageClass {
    fn set_defaults(&mut self) {
        optional(&mut self.reclaim_policy, "Delete");
        optional(&mut self.volume_binding_mode, "Immediate");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_volumes_are_file_systems_that_wait() {
        let mut claim = PersistentVolumeClaim::default();
        claim.set_defaults();
        assert_eq!(claim.spec.unwrap().volume_mode.as_deref(), Some("Filesystem"));
        assert_eq!(claim.status.unwrap().phase, "Pending");
        let mut volume = PersistentVolume::default();
        volume.set_defaults();
        assert_eq!(volume.spec.unwrap().persistent_volume_reclaim_policy, "Retain");
    }
}
