//! CSIDrivers, CSINodes, CSIStorageCapacities, VolumeAttachments.

use super::{Defaults, optional, resource_list};
use crate::quantity::Quantity;
use proto::api::storage::v1::{CsiDriver, CsiNode, CsiStorageCapacity, VolumeAttachment};

impl Defaults for CsiDriver {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        spec.attach_required.get_or_insert(true);
        for flag in [
            &mut spec.pod_info_on_mount,
            &mut spec.storage_capacity,
            &mut spec.requires_republish,
            &mut spec.se_linux_mount,
        ] {
            flag.get_or_insert(false);
        }
        optional(&mut spec.fs_group_policy, "ReadWriteOnceWithFSType");
        if spec.volume_lifecycle_modes.is_empty() {
            spec.volume_lifecycle_modes = vec!["Persistent".to_owned()];
        }
        // A driver that gets no tokens has nothing to say about how they travel.
        if !spec.token_requests.is_empty() {
            spec.service_account_token_in_secrets.get_or_insert(false);
        }
    }
}

impl Defaults for CsiNode {
    fn set_defaults(&mut self) {}
}

impl Defaults for CsiStorageCapacity {
    fn set_defaults(&mut self) {
        for amount in [&mut self.capacity, &mut self.maximum_volume_size]
            .into_iter()
            .flatten()
        {
            if let Ok(quantity) = Quantity::try_from(&*amount) {
                *amount = quantity.round_up_to_milli().into();
            }
        }
    }
}

impl Defaults for VolumeAttachment {
    fn set_defaults(&mut self) {
        let source = self.spec.as_mut().and_then(|spec| spec.source.as_mut());
        if let Some(volume) = source.and_then(|source| source.inline_volume_spec.as_mut()) {
            resource_list(&mut volume.capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::storage::v1::{CsiDriverSpec, TokenRequest};

    #[test]
    fn a_driver_that_says_nothing_attaches_persistent_volumes() {
        let mut driver = CsiDriver::default();
        driver.set_defaults();
        let expected = CsiDriverSpec {
            attach_required: Some(true),
            pod_info_on_mount: Some(false),
            storage_capacity: Some(false),
            requires_republish: Some(false),
            se_linux_mount: Some(false),
            fs_group_policy: Some("ReadWriteOnceWithFSType".into()),
            volume_lifecycle_modes: vec!["Persistent".into()],
            ..CsiDriverSpec::default()
        };
        assert_eq!(driver.spec.as_ref(), Some(&expected));
        let spec = driver.spec.get_or_insert_default();
        spec.token_requests = vec![TokenRequest::default()];
        driver.set_defaults();
        assert_eq!(driver.spec.unwrap().service_account_token_in_secrets, Some(false));
    }

    #[test]
    fn room_is_told_in_canonical_form() {
        let mut room = CsiStorageCapacity {
            capacity: Some(proto::Quantity {
                string: "1024Mi".into(),
            }),
            ..CsiStorageCapacity::default()
        };
        room.set_defaults();
        assert_eq!(room.capacity.unwrap().string, "1Gi");
    }
}
