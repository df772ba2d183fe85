//! What pods take of a node, and what quality of service that gives them.
//!
//! Inputs: a pod's spec, a node's allocatable. Output: amounts by resource name, CPU in thousandths, all else in units.
//! Rules: <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>,
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>.

use crate::pod::QosClass;
use apimachinery::quantity::Quantity;
use proto::api::core::v1::{Container, PodSpec};
use std::collections::BTreeMap;

/// Amounts by resource name: CPU in thousandths of a core, all else in units.
pub type Resources = BTreeMap<String, i64>;

/// Kubernetes' own resource list, on the wire.
pub type ResourceList = BTreeMap<String, proto::Quantity>;

/// Reads a resource list. What is no quantity counts as nothing: the apiserver has refused it already.
pub fn read(list: &ResourceList) -> Resources {
    let amount = |name: &str, quantity: &proto::Quantity| {
        let quantity: Quantity = quantity.string.parse().unwrap_or_default();
        if name == "cpu" {
            quantity.milli_value()
        } else {
            quantity.value()
        }
    };
    list.iter()
        .map(|(name, quantity)| (name.clone(), amount(name, quantity)))
        .collect()
}

/// Adds `more` to `sum`.
pub fn add(sum: &mut Resources, more: &Resources) {
    for (name, amount) in more {
        let total = sum.entry(name.clone()).or_default();
        *total = total.saturating_add(*amount);
    }
}

/// Takes `less` from `sum`, leaving out what is then nothing.
pub fn subtract(sum: &mut Resources, less: &Resources) {
    for (name, amount) in less {
        if let Some(total) = sum.get_mut(name) {
            *total -= amount;
        }
    }
    sum.retain(|_, amount| *amount != 0);
}

fn raise(sum: &mut Resources, other: Resources) {
    for (name, amount) in other {
        let most = sum.entry(name).or_default();
        *most = amount.max(*most);
    }
}

fn container_requests(container: &Container) -> Resources {
    container
        .resources
        .as_ref()
        .map(|r| read(&r.requests))
        .unwrap_or_default()
}

/// What a pod takes: all main containers and sidecars together, or the greediest init container with the sidecars that
/// run beside it, whichever is more; then the overhead. Requests of the whole pod win over those of its containers.
pub fn requests(spec: &PodSpec) -> Resources {
    let mut sum = Resources::new();
    for container in &spec.containers {
        add(&mut sum, &container_requests(container));
    }
    let (mut sidecars, mut peak) = (Resources::new(), Resources::new());
    for container in &spec.init_containers {
        let own = container_requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
        } else {
            let mut together = own;
            add(&mut together, &sidecars);
            raise(&mut peak, together);
        }
    }
    raise(&mut sum, peak);
    if let Some(whole) = &spec.resources {
        sum.extend(read(&whole.requests));
    }
    add(&mut sum, &read(&spec.overhead));
    sum.retain(|_, amount| *amount != 0);
    sum
}

/// A pod's quality of service: <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>.
pub fn qos(spec: &PodSpec) -> QosClass {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let none = ResourceList::new();
    let lists: Vec<(&ResourceList, &ResourceList)> = match &spec.resources {
        Some(whole) if !whole.requests.is_empty() || !whole.limits.is_empty() => {
            vec![(&whole.requests, &whole.limits)]
        }
        _ => {
            let all = spec.init_containers.iter().chain(&spec.containers);
            all.map(|c| {
                c.resources
                    .as_ref()
                    .map_or((&none, &none), |r| (&r.requests, &r.limits))
            })
            .collect()
        }
    };
    let mut best_effort = true;
    let mut guaranteed = true;
    for (requests, limits) in lists {
        let (requests, limits) = (read(requests), read(limits));
        for name in COUNTED {
            let limit = limits.get(name).copied().filter(|amount| *amount > 0);
            // The limit stands for a request that is not given.
            let request = requests.get(name).copied().filter(|amount| *amount > 0).or(limit);
            best_effort &= request.is_none();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (best_effort, guaranteed) {
        (true, _) => QosClass::BestEffort,
        (false, true) => QosClass::Guaranteed,
        (false, false) => QosClass::Burstable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::ResourceRequirements;

    fn list(pairs: &[(&str, &str)]) -> ResourceList {
        let quantity = |text: &str| proto::Quantity { string: text.into() };
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), quantity(text)))
            .collect()
    }

    fn container(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
        Container {
            resources: Some(ResourceRequirements {
                requests: list(requests),
                limits: list(limits),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_pod_takes_the_most_that_it_ever_needs_at_once() {
        let mut sidecar = container(&[("cpu", "100m")], &[]);
        sidecar.restart_policy = Some("Always".into());
        let spec = PodSpec {
            init_containers: vec![
                container(&[("memory", "2Gi")], &[]),
                sidecar,
                container(&[("cpu", "1")], &[]),
            ],
            containers: vec![
                container(&[("cpu", "500m"), ("memory", "1Gi")], &[]),
                container(&[("cpu", "0.2")], &[]),
            ],
            overhead: list(&[("cpu", "10m")]),
            ..Default::default()
        };
        // The last init container runs beside the sidecar: 1100m. Main and sidecar: 800m.
        let expected = [("cpu".to_owned(), 1110), ("memory".to_owned(), 2 << 30)];
        assert_eq!(requests(&spec), Resources::from(expected));
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        let both: &[(&str, &str)] = &[("cpu", "1"), ("memory", "1Gi")];
        let cases = [
            (vec![container(&[], &[])], QosClass::BestEffort),
            (vec![container(both, both)], QosClass::Guaranteed),
            (vec![container(&[], both)], QosClass::Guaranteed),
            (vec![container(&[("cpu", "1000m")], both)], QosClass::Guaranteed),
            (
                vec![container(both, both), container(&[], &[])],
                QosClass::Burstable,
            ),
            (vec![container(&[("cpu", "1")], &[])], QosClass::Burstable),
            (vec![container(&[], &[("cpu", "1")])], QosClass::Burstable),
        ];
        for (containers, expected) in cases {
            let spec = PodSpec {
                containers,
                ..Default::default()
            };
            assert_eq!(qos(&spec), expected, "{spec:?}");
        }
    }
}
