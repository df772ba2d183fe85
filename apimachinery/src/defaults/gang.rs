//! PodGroups.

use super::{Defaults, number, resource_list};
use proto::gangs::v1alpha1::PodGroup;

impl Defaults for PodGroup {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        number(&mut spec.min_member, 1);
        resource_list(&mut spec.min_resources);
    }
}
