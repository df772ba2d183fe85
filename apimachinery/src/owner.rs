//! Owner references: who made an object, and whose deletion takes it along.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/>. At most one owner is the
//! *controller*: the one that manages the object.

use crate::kinds;
use proto::Kind;
use proto::meta::v1::{ObjectMeta, OwnerReference};

/// The reference to the object's controller.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .find(|owner| owner.controller == Some(true))
}

/// Whether the object with this UID is the controller. UIDs, not names: a name may have been given anew.
pub fn is_controlled_by(meta: &ObjectMeta, owner_uid: &str) -> bool {
    controller_of(meta).is_some_and(|owner| owner.uid == owner_uid)
}

/// A reference that makes `owner` the controller, and holds its foreground deletion up until the dependent is gone.
pub fn controller_ref<K: Kind>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: kinds::of::<K>().api_version(),
        kind: K::NAME.to_owned(),
        name: owner.name().to_owned(),
        uid: owner.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Whether `meta` has an owner with this UID, controller or not.
pub fn is_owned_by(meta: &ObjectMeta, owner_uid: &str) -> bool {
    meta.owner_references.iter().any(|owner| owner.uid == owner_uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::apps::v1::ReplicaSet;

    #[test]
    fn the_controller_is_the_owner_that_says_so() {
        let mut owner = ReplicaSet::default();
        owner.metadata_mut().name = "web".into();
        owner.metadata_mut().uid = "u1".into();
        let reference = controller_ref(&owner);
        assert_eq!(reference.api_version, "apps/v1");
        let plain = OwnerReference {
            uid: "u2".into(),
            ..OwnerReference::default()
        };
        let meta = ObjectMeta {
            owner_references: vec![plain, reference],
            ..ObjectMeta::default()
        };
        assert_eq!(controller_of(&meta).map(|o| o.name.as_str()), Some("web"));
        assert!(is_controlled_by(&meta, "u1") && !is_controlled_by(&meta, "u2"));
        assert!(is_owned_by(&meta, "u2") && !is_owned_by(&meta, "u3"));
    }
}
