//! Amounts: requests, limits, capacity.

use super::Faults;
use crate::names;
use crate::path::Path;
use crate::quantity::Quantity;
use crate::resources::container_amounts;
use proto::api::core::v1::{PodSpec, ResourceRequirements};
use std::collections::BTreeMap;

/// Resources that a container can ask for without a domain in front.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Whether the resource is counted in whole pieces and cannot be shared: anything with a foreign domain.
pub(super) fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.starts_with("kubernetes.io/") && !name.contains(".kubernetes.io/")
}

/// A container's requests and limits.
pub(super) fn requirements(resources: &ResourceRequirements, at: &Path<'_>, faults: &mut Faults) {
    let (limits, requests) = (at.field("limits"), at.field("requests"));
    for (list, at) in [(&resources.limits, &limits), (&resources.requests, &requests)] {
        for (name, amount) in list {
            container_resource(name, &at.key(name), faults);
            quantity(name, amount, &at.key(name), faults);
        }
    }
    for (name, request) in &resources.requests {
        let Ok(asked) = Quantity::try_from(request) else {
            continue;
        };
        let at = requests.key(name);
        let exact = is_extended(name) || name.starts_with("hugepages-");
        match resources
            .limits
            .get(name)
            .map(|limit| (limit, Quantity::try_from(limit)))
        {
            Some((limit, Ok(granted))) => {
                if exact && asked != granted {
                    let detail = format!("must be equal to {name} limit of {}", limit.string);
                    faults.invalid(&at, &request.string, &detail);
                } else if asked > granted {
                    let detail = format!("must be less than or equal to {name} limit of {}", limit.string);
                    faults.invalid(&at, &request.string, &detail);
                }
            }
            None if exact => {
                faults.required(
                    &limits.key(name),
                    "limit must be set for non overcommitable resources",
                );
            }
            _ => {}
        }
    }
}

fn container_resource(name: &str, at: &Path<'_>, faults: &mut Faults) {
    let problems = names::qualified_name(name);
    let known = STANDARD.contains(&name) || name.starts_with("hugepages-") || name.contains('/');
    if problems.is_empty() && !known {
        faults.invalid(at, name, "must be a standard resource for containers");
    }
    faults.problems(at, name, problems);
}

/// A list of amounts that nobody need ask for: capacity, overhead.
pub(super) fn list(list: &BTreeMap<String, proto::Quantity>, at: &Path<'_>, faults: &mut Faults) {
    for (name, amount) in list {
        let at = at.key(name);
        faults.problems(&at, name, names::qualified_name(name));
        quantity(name, amount, &at, faults);
    }
}

/// What a Pod asks for as a whole: only what can be shared by its containers, and as much as they ask for together.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/>
pub(super) fn pod_level(
    spec: &PodSpec,
    resources: &ResourceRequirements,
    at: &Path<'_>,
    faults: &mut Faults,
) {
    let is_shared = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    for (part, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for name in list.keys().filter(|name| !is_shared(name)) {
            let supported = ["cpu", "hugepages-", "memory"];
            faults.one_of(&at.field(part).key(name), name, &supported);
        }
    }
    let of_containers = container_amounts(spec, |resources| &resources.requests);
    for (name, request) in &resources.requests {
        let Some(all) = of_containers.get(name) else {
            continue;
        };
        if Quantity::try_from(request).is_ok_and(|asked| asked < *all) {
            let detail = format!("must be greater than or equal to aggregate container requests of {all}");
            faults.invalid(&at.field("requests").key(name), &request.string, &detail);
        }
    }
}

/// One amount: readable, not negative, whole where pieces are counted.
pub(super) fn quantity(name: &str, amount: &proto::Quantity, at: &Path<'_>, faults: &mut Faults) {
    match Quantity::try_from(amount) {
        Err(e) => faults.invalid(at, &amount.string, &e.to_string()),
        Ok(q) if q.is_negative() => faults.invalid(at, &amount.string, "must be greater than or equal to 0"),
        Ok(q) if (name == "pods" || is_extended(name)) && !q.is_whole() => {
            faults.invalid(at, &amount.string, "must be an integer");
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_within_limits() {
        for (name, request, limit, field) in [
            ("cpu", Some("1"), Some("2"), None),
            ("cpu", Some("1"), None, None),
            ("cpu", Some("2"), Some("1"), Some("x.requests[cpu]")),
            ("cpu", Some("-1"), None, Some("x.requests[cpu]")),
            ("cpu", Some("lots"), None, Some("x.requests[cpu]")),
            ("cpus", Some("1"), None, Some("x.requests[cpus]")),
            ("example.com/gpu", Some("1"), Some("1"), None),
            (
                "example.com/gpu",
                Some("1"),
                Some("2"),
                Some("x.requests[example.com/gpu]"),
            ),
            (
                "example.com/gpu",
                Some("1"),
                None,
                Some("x.limits[example.com/gpu]"),
            ),
            (
                "example.com/gpu",
                None,
                Some("500m"),
                Some("x.limits[example.com/gpu]"),
            ),
            (
                "hugepages-2Mi",
                Some("2Mi"),
                Some("4Mi"),
                Some("x.requests[hugepages-2Mi]"),
            ),
        ] {
            let map = |text: Option<&str>| {
                text.map(|text| (name.to_owned(), proto::Quantity { string: text.into() }))
                    .into_iter()
                    .collect()
            };
            let resources = ResourceRequirements {
                requests: map(request),
                limits: map(limit),
                ..ResourceRequirements::default()
            };
            let mut faults = Faults::default();
            requirements(&resources, &Path::ROOT.field("x"), &mut faults);
            let fields: Vec<_> = faults.into_vec().into_iter().map(|f| f.field).collect();
            assert_eq!(
                fields,
                field.into_iter().collect::<Vec<_>>(),
                "{name} {request:?} {limit:?}"
            );
        }
    }
}
