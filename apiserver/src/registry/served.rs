//! Which resources are served, and under which paths: HTTP, discovery and OpenAPI read it here, and nothing else decides
//! it.
//!
//! Invariant: no two resources share group, version and plural.

use super::create_only;
use apimachinery::convert::{self, View};
use apimachinery::kinds::{self, KindInfo};
use std::collections::HashMap;

/// One resource under one version of its group.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The kind that is served; of a view, the view.
    pub info: &'static KindInfo,
    /// How it converts to the kind that is stored, where that is another.
    pub view: Option<&'static View>,
}

impl Resource {
    /// What a list of its objects calls itself: `PodList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.info.kind)
    }

    /// The kind that is stored.
    pub fn stored(&self) -> &'static KindInfo {
        let stored = self.view.and_then(|view| kinds::by_number(view.stored));
        stored.unwrap_or(self.info)
    }
}

/// Everything that is served.
#[derive(Debug, Default)]
pub struct Served {
    resources: Vec<Resource>,
    /// Indexes by group, version and plural.
    by_path: HashMap<(String, String, String), usize>,
}

impl Served {
    /// The kinds that are part of the server.
    pub(crate) fn built_in() -> Self {
        let kinds = kinds::all().iter().map(|info| Resource { info, view: None });
        let views = convert::views().iter().map(|view| Resource {
            info: &view.info,
            view: Some(view),
        });
        Self::new(kinds.chain(views))
    }

    /// These resources, in this order.
    pub(crate) fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        let resources: Vec<_> = resources.into_iter().collect();
        let path = |info: &KindInfo| (info.group.into(), info.version.into(), info.plural.into());
        let by_path = resources
            .iter()
            .enumerate()
            .map(|(i, resource)| (path(resource.info), i));
        Self {
            by_path: by_path.collect(),
            resources,
        }
    }

    /// All of them, in the order of their kinds' numbers.
    pub fn all(&self) -> &[Resource] {
        &self.resources
    }

    /// The resource that a path names.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        let path = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.by_path.get(&path).map(|&i| &self.resources[i])
    }

    /// The resource that a path names and that can only be created: see [`create_only`].
    pub fn find_create_only(&self, group: &str, version: &str, plural: &str) -> Option<Resource> {
        let rows = create_only().iter();
        let mut found =
            rows.filter(|info| (info.group, info.version, info.plural) == (group, version, plural));
        found.next().map(|info| Resource { info, view: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_found_under_its_own_group_and_version_only() {
        let served = Served::built_in();
        let found = |group, version, plural| served.find(group, version, plural).map(|r| r.info.kind);
        assert_eq!(found("", "v1", "pods"), Some("Pod"));
        assert_eq!(found("apps", "v1", "deployments"), Some("Deployment"));
        assert_eq!(found("apps", "v1", "pods"), None);
        assert_eq!(found("", "v2", "pods"), None);
        assert_eq!(found("", "v1", "Pod"), None, "paths have plurals");
        assert_eq!(found("events.k8s.io", "v1", "events"), Some("Event"));
        let autoscalers = |version| {
            served
                .find("autoscaling", version, "horizontalpodautoscalers")
                .unwrap()
        };
        assert_eq!(autoscalers("v1").stored().version, "v2");
        assert_eq!(autoscalers("v2").stored().version, "v2");
    }
}
