//! What is served, as discovery and OpenAPI tell it: groups, their versions, their resources. Pure.
//!
//! In: the rows of the kinds that are served. Out: [`Group`]s in the order in which Kubernetes lists them, the preferred
//! version first, resources by name. What only HTTP has (subresources without an object of their own, reviews that are
//! asked and never stored) stands in the tables below.

use crate::registry::create_only;
use apimachinery::kinds::KindInfo;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// An API group; the core group has no name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// The preferred one first.
    pub(crate) versions: Vec<Version>,
}

/// A version of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) name: &'static str,
    /// By name.
    pub(crate) resources: Vec<Resource>,
}

/// A resource: what a path names by its plural.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: Gvk,
    pub(crate) namespaced: bool,
    pub(crate) verbs: &'static [&'static str],
    pub(crate) short_names: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
    /// By name.
    pub(crate) subresources: Vec<Subresource>,
}

/// What lies below an object: `status`, `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subresource {
    pub(crate) name: &'static str,
    /// What is read or sent there.
    pub(crate) kind: Gvk,
    pub(crate) verbs: &'static [&'static str],
}

impl Subresource {
    /// Whether requests there open a connection. Then the kind is that of the query's parameters, and no object is sent.
    pub(crate) fn connects(&self) -> bool {
        self.kind.kind.ends_with("Options")
    }
}

/// Group, version and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Gvk {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
}

impl Gvk {
    const fn new(group: &'static str, version: &'static str, kind: &'static str) -> Self {
        Self { group, version, kind }
    }

    /// Of the objects that a row is about.
    pub(crate) const fn of(info: &KindInfo) -> Self {
        Self::new(info.group, info.version, info.kind)
    }
}

/// `apps/v1`, or `v1` for the core group.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Namespaces are deleted one by one.
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

const PART_VERBS: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const CONNECT: &[&str] = &["create", "get"];

/// `scale` of every kind that has it.
const SCALE: Gvk = Gvk::new("autoscaling", "v1", "Scale");

/// Subresources beside status and scale, by the core group's resource that has them.
const BELOW: &[(&str, Subresource)] = &[
    (
        "namespaces",
        below("finalize", Gvk::new("", "v1", "Namespace"), &["update"]),
    ),
    (
        "pods",
        below("attach", Gvk::new("", "v1", "PodAttachOptions"), CONNECT),
    ),
    ("pods", below("binding", Gvk::new("", "v1", "Binding"), CREATE)),
    (
        "pods",
        below("ephemeralcontainers", Gvk::new("", "v1", "Pod"), PART_VERBS),
    ),
    (
        "pods",
        below("eviction", Gvk::new("policy", "v1", "Eviction"), CREATE),
    ),
    (
        "pods",
        below("exec", Gvk::new("", "v1", "PodExecOptions"), CONNECT),
    ),
    ("pods", below("log", Gvk::new("", "v1", "Pod"), &["get"])),
    (
        "pods",
        below(
            "portforward",
            Gvk::new("", "v1", "PodPortForwardOptions"),
            CONNECT,
        ),
    ),
    ("pods", below("resize", Gvk::new("", "v1", "Pod"), PART_VERBS)),
];

const fn below(name: &'static str, kind: Gvk, verbs: &'static [&'static str]) -> Subresource {
    Subresource { name, kind, verbs }
}

/// The order of the groups that come with Kubernetes. Others follow by name.
const ORDER: &[&str] = &[
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "policy",
    "storage.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// What is served, as groups.
pub(crate) fn groups(served: impl IntoIterator<Item = &'static KindInfo>) -> Vec<Group> {
    let unstored = create_only().iter().map(|info| Resource {
        verbs: CREATE,
        ..stored(info)
    });
    let mut found: BTreeMap<&str, BTreeMap<&str, Vec<Resource>>> = BTreeMap::new();
    for resource in served.into_iter().map(stored).chain(unstored) {
        let versions = found.entry(resource.kind.group).or_default();
        versions.entry(resource.kind.version).or_default().push(resource);
    }
    let groups = found.into_iter().map(|(name, versions)| {
        let versions = versions.into_iter().map(|(name, mut resources)| {
            resources.sort_by_key(|resource| resource.plural);
            Version { name, resources }
        });
        let mut versions: Vec<_> = versions.collect();
        versions.sort_by_key(|version| Reverse(priority(version.name)));
        Group { name, versions }
    });
    let mut groups: Vec<_> = groups.collect();
    let place = |group: &Group| {
        ORDER
            .iter()
            .position(|name| *name == group.name)
            .unwrap_or(ORDER.len())
    };
    // Stable: the others stay ordered by name.
    groups.sort_by_key(place);
    groups
}

fn stored(info: &'static KindInfo) -> Resource {
    let mut subresources = Vec::new();
    if info.has_status {
        subresources.push(below("status", Gvk::of(info), PART_VERBS));
    }
    if info.has_scale {
        subresources.push(below("scale", SCALE, PART_VERBS));
    }
    if info.group.is_empty() {
        let own = BELOW.iter().filter(|(plural, _)| *plural == info.plural);
        subresources.extend(own.map(|(_, subresource)| *subresource));
    }
    subresources.sort_by_key(|subresource| subresource.name);
    let is_namespace = info.group.is_empty() && info.plural == "namespaces";
    Resource {
        plural: info.plural,
        singular: info.singular,
        kind: Gvk::of(info),
        namespaced: info.namespaced,
        verbs: if is_namespace { NAMESPACE_VERBS } else { ALL_VERBS },
        short_names: info.short_names,
        categories: info.categories,
        subresources,
    }
}

/// How much a version is preferred: stable ones before beta before alpha, newer before older, and what is no version of
/// Kubernetes' form after all that are, by name.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>
pub(crate) fn priority(version: &str) -> (bool, u8, u64, u64, Reverse<&str>) {
    let parsed = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at(digits);
        let major: u64 = major.parse().ok()?;
        let (stability, minor) = match rest {
            "" => (2, ""),
            _ if rest.starts_with("beta") => (1, &rest["beta".len()..]),
            _ if rest.starts_with("alpha") => (0, &rest["alpha".len()..]),
            _ => return None,
        };
        let minor: u64 = if stability == 2 { 0 } else { minor.parse().ok()? };
        Some((true, stability, major, minor, Reverse("")))
    };
    parsed().unwrap_or((false, 0, 0, 0, Reverse(version)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::kinds;

    #[test]
    fn versions_are_preferred_as_kubernetes_prefers_them() {
        let mut versions = [
            "foo10",
            "v1",
            "v11alpha2",
            "v10",
            "v3beta1",
            "v12alpha1",
            "foo1",
            "v2",
            "v10beta3",
            "v11beta2",
        ];
        versions.sort_by_key(|version| Reverse(priority(version)));
        let expected = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        assert_eq!(versions, expected);
    }

    #[test]
    fn every_kind_is_a_resource_of_its_group_and_version_once() {
        let groups = groups(kinds::all());
        for info in kinds::all() {
            let group = groups.iter().find(|group| group.name == info.group).unwrap();
            let version = group.versions.iter().find(|v| v.name == info.version).unwrap();
            let count = version
                .resources
                .iter()
                .filter(|r| r.kind == Gvk::of(info))
                .count();
            assert!(count >= 1, "{}", info.kind);
            let plurals: Vec<_> = version.resources.iter().map(|r| r.plural).collect();
            assert!(plurals.is_sorted_by(|a, b| a < b), "{plurals:?}");
        }
        assert_eq!(groups[0].name, "");
        assert_eq!(groups[1].name, "apps");
    }

    #[test]
    fn pods_have_the_subresources_that_kubernetes_gives_them() {
        let groups = groups(kinds::all());
        let pods = groups[0].versions[0]
            .resources
            .iter()
            .find(|r| r.plural == "pods")
            .unwrap();
        let names: Vec<_> = pods.subresources.iter().map(|s| s.name).collect();
        let expected = [
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "resize",
            "status",
        ];
        assert_eq!(names, expected);
    }
}
