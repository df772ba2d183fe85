//! What may change through a Pod's own subresources: `ephemeralcontainers` adds, `resize` changes CPU and memory.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>,
//! <https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/>

use crate::path::Path;
use crate::resources::{is_sidecar, qos_class};
use crate::validation::Faults;
use proto::Quantity;
use proto::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use std::collections::BTreeMap;

/// The resources that may change while a Pod runs.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Ephemeral containers may be added; those there are stay as they are.
pub(super) fn ephemeral_containers(old: &Pod, new: &Pod, faults: &mut Faults) {
    let spec = Path::ROOT.field("spec");
    let at = spec.field("ephemeralContainers");
    let containers = |pod: &Pod| pod.spec.clone().unwrap_or_default().ephemeral_containers;
    let name = |container: &proto::api::core::v1::EphemeralContainer| {
        let common = container.ephemeral_container_common.as_ref();
        common.map_or_else(String::new, |common| common.name.clone())
    };
    let new = containers(new);
    for old in containers(old) {
        let name_of_old = name(&old);
        match new.iter().position(|new| name(new) == name_of_old) {
            None => {
                let detail = format!("existing ephemeral containers {name_of_old:?} may not be removed\n");
                faults.forbidden(&at, &detail);
            }
            Some(i) if new[i] != old => {
                let detail = format!("existing ephemeral containers {name_of_old:?} may not be changed\n");
                faults.forbidden(&at.index(i), &detail);
            }
            Some(_) => {}
        }
    }
}

/// CPU and memory of containers and sidecars may change, as long as the Pod keeps its class.
pub(super) fn resize(old: &Pod, new: &Pod, faults: &mut Faults) {
    let empty = PodSpec::default();
    let (old, new) = (
        old.spec.as_ref().unwrap_or(&empty),
        new.spec.as_ref().unwrap_or(&empty),
    );
    let at = Path::ROOT.field("spec");
    if qos_class(old) != qos_class(new) {
        faults.invalid(
            &at,
            qos_class(new),
            "Pod QOS Class may not change as a result of resizing",
        );
    }
    let containers = at.field("containers");
    for (i, (old, new)) in old.containers.iter().zip(&new.containers).enumerate() {
        only_amounts(old, new, &containers.index(i), faults);
    }
    let containers = at.field("initContainers");
    for (i, (old, new)) in old.init_containers.iter().zip(&new.init_containers).enumerate() {
        let at = containers.index(i);
        if is_sidecar(old) {
            only_amounts(old, new, &at, faults);
        } else if old != new {
            faults.forbidden(
                &at.field("resources"),
                "resources for non-sidecar init containers are immutable",
            );
        }
    }
}

fn only_amounts(old: &Container, new: &Container, at: &Path<'_>, faults: &mut Faults) {
    let empty = ResourceRequirements::default();
    let (old, new) = (
        old.resources.as_ref().unwrap_or(&empty),
        new.resources.as_ref().unwrap_or(&empty),
    );
    let at = at.field("resources");
    for (field, old, new) in [
        ("limits", &old.limits, &new.limits),
        ("requests", &old.requests, &new.requests),
    ] {
        let at = at.field(field);
        if RESIZABLE
            .iter()
            .any(|name| old.contains_key(*name) && !new.contains_key(*name))
        {
            faults.forbidden(&at, &format!("resource {field} cannot be removed"));
        }
        if fixed(old).ne(fixed(new)) {
            faults.forbidden(&at, "only cpu and memory resources are mutable");
        }
    }
    if old.claims != new.claims {
        faults.forbidden(&at.field("claims"), "only cpu and memory resources are mutable");
    }
}

fn fixed(amounts: &BTreeMap<String, Quantity>) -> impl Iterator<Item = (&String, &Quantity)> {
    amounts
        .iter()
        .filter(|(name, _)| !RESIZABLE.contains(&name.as_str()))
}
