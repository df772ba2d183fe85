//! The documents of discovery, as JSON. Pure.
//!
//! In: the [`Group`]s that are served. Out: `APIGroupList`, `APIGroup`, `APIResourceList`, and all of it at once as
//! `APIGroupDiscoveryList`, spelled as Kubernetes spells them.
//! <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>

use super::groups::{Group, Gvk, Resource, Subresource, Version, group_version};
use serde::Serialize;

/// `/api`: the versions of the core group.
pub(super) fn api_versions(groups: &[Group], server_address: &str) -> impl Serialize + use<> {
    let core = groups.iter().filter(|group| group.name.is_empty());
    ApiVersions {
        kind: "APIVersions",
        api_version: "v1",
        versions: core.flat_map(|group| &group.versions).map(|v| v.name).collect(),
        server_address_by_client_cidrs: [ServerAddress {
            client_cidr: "0.0.0.0/0",
            server_address: server_address.to_owned(),
        }],
    }
}

/// `/apis`: every other group.
pub(super) fn api_group_list(groups: &[Group]) -> impl Serialize + use<> {
    ApiGroupList {
        kind: "APIGroupList",
        api_version: "v1",
        groups: groups
            .iter()
            .filter(|group| !group.name.is_empty())
            .map(|group| api_group(group, false))
            .collect(),
    }
}

/// `/apis/{group}`.
pub(super) fn api_group_alone(group: &Group) -> impl Serialize + use<> {
    api_group(group, true)
}

/// `/api/{version}`, `/apis/{group}/{version}`: its resources.
pub(super) fn api_resource_list(group: &Group, version: &Version) -> impl Serialize + use<> {
    ApiResourceList {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: group_version(group.name, version.name),
        resources: version.resources.iter().flat_map(api_resources).collect(),
    }
}

/// All groups at once, of one version of the group `apidiscovery.k8s.io`.
pub(super) fn aggregated(groups: &[&Group], api_version: &'static str) -> impl Serialize + use<> {
    ApiGroupDiscoveryList {
        kind: "APIGroupDiscoveryList",
        api_version,
        metadata: Empty {},
        items: groups.iter().map(|group| group_discovery(group)).collect(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiVersions {
    kind: &'static str,
    api_version: &'static str,
    versions: Vec<&'static str>,
    #[serde(rename = "serverAddressByClientCIDRs")]
    server_address_by_client_cidrs: [ServerAddress; 1],
}

#[derive(Serialize)]
struct ServerAddress {
    #[serde(rename = "clientCIDR")]
    client_cidr: &'static str,
    #[serde(rename = "serverAddress")]
    server_address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroupList {
    kind: &'static str,
    api_version: &'static str,
    groups: Vec<ApiGroup>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup {
    /// Not within a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    name: &'static str,
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
    version: &'static str,
}

fn api_group(group: &Group, alone: bool) -> ApiGroup {
    let entry = |version: &Version| GroupVersion {
        group_version: group_version(group.name, version.name),
        version: version.name,
    };
    ApiGroup {
        kind: alone.then_some("APIGroup"),
        api_version: alone.then_some("v1"),
        name: group.name,
        versions: group.versions.iter().map(entry).collect(),
        preferred_version: group.versions.first().map(entry),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResourceList {
    kind: &'static str,
    api_version: &'static str,
    group_version: String,
    resources: Vec<ApiResource>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource {
    name: String,
    singular_name: &'static str,
    namespaced: bool,
    /// Where it is not the list's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    kind: &'static str,
    verbs: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'static [&'static str],
}

/// A resource and its subresources.
fn api_resources(resource: &Resource) -> Vec<ApiResource> {
    let itself = ApiResource {
        name: resource.plural.to_owned(),
        singular_name: resource.singular,
        namespaced: resource.namespaced,
        group: None,
        version: None,
        kind: resource.kind.kind,
        verbs: resource.verbs,
        short_names: resource.short_names,
        categories: resource.categories,
    };
    let below = resource.subresources.iter().map(|subresource| {
        let kind = subresource.kind;
        let foreign = (kind.group, kind.version) != (resource.kind.group, resource.kind.version);
        ApiResource {
            name: format!("{}/{}", resource.plural, subresource.name),
            singular_name: "",
            namespaced: resource.namespaced,
            group: foreign.then_some(kind.group),
            version: foreign.then_some(kind.version),
            kind: kind.kind,
            verbs: subresource.verbs,
            short_names: &[],
            categories: &[],
        }
    });
    std::iter::once(itself).chain(below).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroupDiscoveryList {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    items: Vec<ApiGroupDiscovery>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct ApiGroupDiscovery {
    metadata: Name,
    versions: Vec<ApiVersionDiscovery>,
}

#[derive(Serialize)]
struct Name {
    /// The core group has no name.
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'static str,
}

#[derive(Serialize)]
struct ApiVersionDiscovery {
    version: &'static str,
    resources: Vec<ApiResourceDiscovery>,
    freshness: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResourceDiscovery {
    resource: &'static str,
    response_kind: ResponseKind,
    scope: &'static str,
    singular_resource: &'static str,
    verbs: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<ApiSubresourceDiscovery>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiSubresourceDiscovery {
    subresource: &'static str,
    response_kind: ResponseKind,
    verbs: &'static [&'static str],
}

#[derive(Serialize)]
struct ResponseKind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
}

impl From<Gvk> for ResponseKind {
    fn from(Gvk { group, version, kind }: Gvk) -> Self {
        Self { group, version, kind }
    }
}

fn group_discovery(group: &Group) -> ApiGroupDiscovery {
    let version = |version: &Version| ApiVersionDiscovery {
        version: version.name,
        resources: version.resources.iter().map(resource_discovery).collect(),
        freshness: "Current",
    };
    ApiGroupDiscovery {
        metadata: Name { name: group.name },
        versions: group.versions.iter().map(version).collect(),
    }
}

fn resource_discovery(resource: &Resource) -> ApiResourceDiscovery {
    let below = |subresource: &Subresource| ApiSubresourceDiscovery {
        subresource: subresource.name,
        response_kind: subresource.kind.into(),
        verbs: subresource.verbs,
    };
    ApiResourceDiscovery {
        resource: resource.plural,
        response_kind: resource.kind.into(),
        scope: if resource.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        },
        singular_resource: resource.singular,
        verbs: resource.verbs,
        short_names: resource.short_names,
        categories: resource.categories,
        subresources: resource.subresources.iter().map(below).collect(),
    }
}
