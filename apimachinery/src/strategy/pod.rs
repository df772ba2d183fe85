//! The parts of a Pod that are written through subresources of their own: everything else that a request says is left out.

use super::Subresource;
use proto::api::core::v1::{Container, Pod};

/// Takes a part of `from`; says whether Pods have that part.
pub(super) fn take_part(pod: &mut Pod, from: &Pod, part: Subresource) -> bool {
    let spec = pod.spec.get_or_insert_default();
    let from = from.spec.clone().unwrap_or_default();
    match part {
        Subresource::EphemeralContainers => spec.ephemeral_containers = from.ephemeral_containers,
        Subresource::Resize => {
            take_resources(&mut spec.containers, from.containers);
            take_resources(&mut spec.init_containers, from.init_containers);
        }
        Subresource::None | Subresource::Status | Subresource::Scale => return false,
    }
    true
}

/// Containers are told apart by their names: none comes, none goes, and their order stays.
fn take_resources(containers: &mut [Container], from: Vec<Container>) {
    for from in from {
        if let Some(container) = containers
            .iter_mut()
            .find(|container| container.name == from.name)
        {
            container.resources = from.resources;
            container.resize_policy = from.resize_policy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rejection, admit_create, admit_update};
    use super::*;
    use bytes::Bytes;
    use prost::Message;
    use proto::Kind;
    use proto::Quantity;
    use proto::api::core::v1::{
        ConfigMap, EphemeralContainer, EphemeralContainerCommon, PodSpec, ResourceRequirements,
    };

    fn quantity(text: &str) -> Quantity {
        Quantity { string: text.into() }
    }

    fn stored(edit: impl FnOnce(&mut PodSpec)) -> Bytes {
        let mut pod = Pod::default();
        pod.metadata_mut().name = "web".into();
        pod.metadata_mut().namespace = "default".into();
        let spec = pod.spec.get_or_insert_default();
        let requests = [("cpu", "1"), ("example.com/gpu", "1")];
        let amounts = requests.map(|(name, amount)| (name.to_owned(), quantity(amount)));
        spec.containers.push(Container {
            name: "web".into(),
            image: "nginx".into(),
            resources: Some(ResourceRequirements {
                requests: amounts.clone().into(),
                limits: [amounts[1].clone()].into(),
                ..ResourceRequirements::default()
            }),
            ..Container::default()
        });
        edit(spec);
        let stored = admit_create(Pod::NUMBER, &pod.encode_to_vec().into(), &mut |meta| {
            meta.uid = "u".into();
        });
        stored.unwrap()
    }

    fn write(part: Subresource, old: &Bytes, edit: impl FnOnce(&mut PodSpec)) -> Result<PodSpec, String> {
        let mut new = Pod::decode(old.clone()).unwrap();
        edit(new.spec.get_or_insert_default());
        let admitted = admit_update(Pod::NUMBER, old, &new.encode_to_vec().into(), part);
        match admitted {
            Ok(admitted) => Ok(Pod::decode(admitted.bytes).unwrap().spec.unwrap()),
            Err(rejection) => Err(rejection.to_status().message),
        }
    }

    fn debugger(image: &str) -> EphemeralContainer {
        EphemeralContainer {
            ephemeral_container_common: Some(EphemeralContainerCommon {
                name: "debug".into(),
                image: image.into(),
                ..EphemeralContainerCommon::default()
            }),
            ..EphemeralContainer::default()
        }
    }

    #[test]
    fn ephemeral_containers_are_added_and_never_changed_or_removed() {
        let part = Subresource::EphemeralContainers;
        let old = stored(|_| ());
        let after = write(part, &old, |spec| {
            spec.ephemeral_containers.push(debugger("busybox"));
            spec.node_name = "dropped".into();
        });
        let after = after.unwrap();
        assert_eq!(
            (after.ephemeral_containers.len(), after.node_name.as_str()),
            (1, "")
        );
        let with_one = Pod {
            spec: Some(after),
            ..Pod::decode(old).unwrap()
        };
        let with_one = with_one.encode_to_vec().into();
        let changed = write(part, &with_one, |spec| {
            spec.ephemeral_containers = vec![debugger("other")];
        });
        assert!(changed.unwrap_err().contains("may not be changed"));
        let removed = write(part, &with_one, |spec| spec.ephemeral_containers.clear());
        assert!(removed.unwrap_err().contains("may not be removed"));
    }

    #[test]
    fn a_resize_changes_cpu_and_memory_and_nothing_else() {
        let old = stored(|_| ());
        let resize = |name: &'static str, amount: Option<&'static str>| {
            write(Subresource::Resize, &old, move |spec| {
                spec.containers[0].image = "dropped".into();
                let requests = &mut spec.containers[0].resources.get_or_insert_default().requests;
                match amount {
                    Some(amount) => requests.insert(name.into(), quantity(amount)),
                    None => requests.remove(name),
                };
            })
        };
        let after = resize("cpu", Some("2")).unwrap();
        let container = &after.containers[0];
        assert_eq!(container.image, "nginx");
        assert_eq!(
            container.resources.as_ref().unwrap().requests["cpu"],
            quantity("2")
        );
        assert!(resize("cpu", None).unwrap_err().contains("cannot be removed"));
        assert!(resize("example.com/gpu", Some("2")).is_err());
    }

    #[test]
    fn a_resize_keeps_the_class_of_the_pod() {
        let old = stored(|spec| spec.containers[0].resources = None);
        let after = write(Subresource::Resize, &old, |spec| {
            let resources = spec.containers[0].resources.get_or_insert_default();
            resources.requests.insert("cpu".into(), quantity("1"));
        });
        assert!(after.unwrap_err().contains("Pod QOS Class may not change"));
    }

    #[test]
    fn other_kinds_have_no_such_parts() {
        let object = ConfigMap::default().encode_to_vec().into();
        let rejection = admit_update(ConfigMap::NUMBER, &object, &object, Subresource::Resize).unwrap_err();
        assert!(matches!(rejection, Rejection::NoSubresource { .. }));
    }
}
