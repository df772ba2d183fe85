//! What a Pod asks for: effective requests and limits, and its quality-of-service class.
//!
//! Init containers run one after another before the others, so the Pod needs the larger of what the largest of them
//! needs and what all others need together. Sidecars (init containers with restartPolicy Always) run beside everything
//! that starts after them. <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>

mod sums;

pub use sums::{Allocatable, Resources};

use crate::quantity::Quantity;
use proto::api::core::v1::{Container, PodSpec, ResourceRequirements};
use std::collections::BTreeMap;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Whether an init container is a sidecar: it keeps running.
pub fn is_sidecar(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// What the scheduler sets aside: the containers' effective requests, what the Pod as a whole asks for in their place,
/// and the runtime's overhead. Quantities that cannot be read count as nothing; validation has refused them.
pub fn pod_requests(spec: &PodSpec) -> Amounts {
    let mut amounts = with_pod_level(spec, |r| &r.requests);
    add(&mut amounts, &read(&spec.overhead));
    amounts
}

/// The Pod's effective limits, by the same rule; overhead raises those that there are, and makes none.
pub fn pod_limits(spec: &PodSpec) -> Amounts {
    let mut amounts = with_pod_level(spec, |r| &r.limits);
    for (name, overhead) in read(&spec.overhead) {
        if let Some(amount) = amounts.get_mut(&name) {
            *amount += &overhead;
        }
    }
    amounts
}

type Pick = fn(&ResourceRequirements) -> &BTreeMap<String, proto::Quantity>;

fn with_pod_level(spec: &PodSpec, pick: Pick) -> Amounts {
    let mut amounts = container_amounts(spec, pick);
    if let Some(resources) = &spec.resources {
        amounts.extend(read(pick(resources)));
    }
    amounts
}

/// What the containers together need, without what the Pod as a whole asks for.
pub(crate) fn container_amounts(spec: &PodSpec, pick: Pick) -> Amounts {
    let of = |c: &Container| c.resources.as_ref().map(|r| read(pick(r))).unwrap_or_default();
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for init in &spec.init_containers {
        let own = of(init);
        if is_sidecar(init) {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut starting, &sidecars);
        } else {
            let mut together = own;
            add(&mut together, &sidecars);
            raise(&mut starting, &together);
        }
    }
    raise(&mut total, &starting);
    total
}

fn read(list: &BTreeMap<String, proto::Quantity>) -> Amounts {
    let readable =
        |(name, amount): (&String, &proto::Quantity)| Some((name.clone(), Quantity::try_from(amount).ok()?));
    list.iter().filter_map(readable).collect()
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *to.entry(name.clone()).or_default() += amount;
    }
}

fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let slot = to.entry(name.clone()).or_default();
        if *slot < *amount {
            slot.clone_from(amount);
        }
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>
pub fn qos_class(spec: &PodSpec) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let empty = ResourceRequirements::default();
    let sets: Vec<&ResourceRequirements> = match &spec.resources {
        Some(pod) if !pod.limits.is_empty() || !pod.requests.is_empty() => vec![pod],
        _ => (spec.containers.iter().chain(&spec.init_containers))
            .map(|c| c.resources.as_ref().unwrap_or(&empty))
            .collect(),
    };
    let amount = |list: &BTreeMap<String, proto::Quantity>, name: &str| {
        let amount = Quantity::try_from(list.get(name)?).ok()?;
        (!amount.is_zero()).then_some(amount)
    };
    let (mut asks, mut guaranteed) = (false, !sets.is_empty());
    for set in sets {
        for name in COUNTED {
            let (request, limit) = (amount(&set.requests, name), amount(&set.limits, name));
            asks |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (asks, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
        let list = |pairs: &[(&str, &str)]| {
            let quantity = |text: &str| proto::Quantity { string: text.into() };
            pairs.iter().map(|(k, v)| ((*k).into(), quantity(v))).collect()
        };
        Container {
            resources: Some(ResourceRequirements {
                requests: list(requests),
                limits: list(limits),
                ..ResourceRequirements::default()
            }),
            ..Container::default()
        }
    }

    #[test]
    fn a_pod_needs_the_larger_of_starting_and_running() {
        let cpu = |text| container(&[("cpu", text)], &[]);
        let sidecar = |text| Container {
            restart_policy: Some("Always".into()),
            ..cpu(text)
        };
        for (inits, mains, expected) in [
            (vec![], vec![cpu("100m"), cpu("200m")], "300m"),
            (vec![cpu("500m")], vec![cpu("100m")], "500m"),
            (vec![cpu("50m"), cpu("50m")], vec![cpu("100m")], "100m"),
            (vec![sidecar("100m"), cpu("300m")], vec![cpu("100m")], "400m"),
            (vec![cpu("300m"), sidecar("100m")], vec![cpu("100m")], "300m"),
            (vec![sidecar("100m")], vec![cpu("100m")], "200m"),
        ] {
            let spec = PodSpec {
                init_containers: inits,
                containers: mains,
                ..PodSpec::default()
            };
            assert_eq!(pod_requests(&spec)["cpu"].to_string(), expected);
        }
        let mut spec = PodSpec {
            containers: vec![cpu("100m")],
            ..PodSpec::default()
        };
        spec.overhead
            .insert("cpu".into(), proto::Quantity { string: "10m".into() });
        assert_eq!(pod_requests(&spec)["cpu"].to_string(), "110m");
        spec.resources = cpu("1").resources;
        assert_eq!(pod_requests(&spec)["cpu"].to_string(), "1010m");
        assert!(pod_limits(&spec).is_empty());
        spec.containers.clear();
        spec.resources = None;
        assert_eq!(
            pod_requests(&spec)["cpu"].to_string(),
            "10m",
            "overhead counts alone, too"
        );
    }

    #[test]
    fn the_quality_of_service_follows_requests_and_limits() {
        let both = [("cpu", "1"), ("memory", "1Gi")];
        for (containers, expected) in [
            (vec![container(&[], &[])], "BestEffort"),
            (vec![container(&both, &both)], "Guaranteed"),
            (vec![container(&[], &both)], "Guaranteed"),
            (vec![container(&both, &[])], "Burstable"),
            (vec![container(&both, &both), container(&[], &[])], "Burstable"),
            (vec![container(&[("cpu", "1")], &both)], "Guaranteed"),
            (vec![container(&[("cpu", "500m")], &both)], "Burstable"),
            (vec![container(&[("example.com/gpu", "1")], &[])], "BestEffort"),
        ] {
            let spec = PodSpec {
                containers,
                ..PodSpec::default()
            };
            assert_eq!(qos_class(&spec), expected);
        }
    }
}
