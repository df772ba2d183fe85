//! The hash of a Pod template, which names a Deployment's ReplicaSets.
//!
//! Input: the template as the Deployment has it, and the Deployment's `status.collisionCount`. Output: ten characters
//! that may stand in a name and a label. The protobuf encoding is deterministic (its maps are sorted), so equal
//! templates always give equal hashes. Upstream prints Go structs into FNV; hashes need not agree across clusters.

use crate::names;
use prost::Message;
use proto::api::core::v1::PodTemplateSpec;
use xxhash_rust::xxh3::Xxh3;

/// The length of a hash: 27¹⁰ values, so that one Deployment's templates practically never meet.
pub const HASH_LENGTH: usize = 10;

/// The template's hash. A collision, which the Deployment controller counts, gives another one.
pub fn pod_template_hash(template: &PodTemplateSpec, collision_count: Option<i32>) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(&template.encode_to_vec());
    if let Some(count) = collision_count {
        hasher.update(&count.to_le_bytes());
    }
    names::encode_safe(hasher.digest(), HASH_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{Container, PodSpec};

    fn template(image: &str) -> PodTemplateSpec {
        let container = Container {
            image: image.into(),
            ..Container::default()
        };
        PodTemplateSpec {
            spec: Some(PodSpec {
                containers: vec![container],
                ..PodSpec::default()
            }),
            ..PodTemplateSpec::default()
        }
    }

    #[test]
    fn equal_templates_have_equal_hashes_and_others_have_others() {
        let hash = pod_template_hash(&template("nginx:1"), None);
        assert_eq!(hash, pod_template_hash(&template("nginx:1"), None));
        assert_ne!(hash, pod_template_hash(&template("nginx:2"), None));
        assert_ne!(hash, pod_template_hash(&template("nginx:1"), Some(1)));
        assert_eq!(hash.len(), HASH_LENGTH);
        assert!(names::dns1123_label(&hash).is_empty());
    }

    #[test]
    fn the_hash_does_not_change_between_versions_of_this_program() {
        // ReplicaSets of a running cluster bear this hash: another value would roll every Deployment out anew.
        assert_eq!(pod_template_hash(&template("nginx:1"), None), "5bpdk2bdmp");
    }
}
