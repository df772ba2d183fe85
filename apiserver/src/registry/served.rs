//! Which resources are served, and under which paths: HTTP, discovery and OpenAPI read it here, and nothing else decides
//! it.
//!
//! Invariant: no two resources share group, version and plural.

use super::errors::{self, Result};
use super::{Registry, create_only};
use crate::custom::Version;
use crate::custom::definition::Definition;
use apimachinery::convert::{self, View};
use apimachinery::kinds::{self, KindInfo};
use prost::Message as _;
use proto::Kind;
use proto::apiextensions::v1::CustomResourceDefinition;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use storage::store::Revision;

/// One resource under one version of its group. It is its kind's row, and knows more where a definition made it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The kind that is served; of a view, the view.
    pub info: &'static KindInfo,
    /// How it converts to the kind that is stored, where that is another.
    pub view: Option<&'static View>,
    /// What its definition says, where it is a custom one.
    pub custom: Option<Arc<Version>>,
}

impl Resource {
    /// What a list of its objects calls itself: `PodList`.
    pub fn list_kind(&self) -> String {
        let custom = self.custom.as_ref().map(|version| version.list_kind.clone());
        custom
            .filter(|kind| !kind.is_empty())
            .unwrap_or_else(|| format!("{}List", self.info.kind))
    }

    /// What those who use it are told; nothing where it is not on its way out.
    pub fn deprecation(&self) -> Option<&str> {
        self.custom.as_ref()?.deprecation.as_deref()
    }

    /// How requests name it, this version of it where it has several.
    pub fn name(&self) -> String {
        match self.custom {
            Some(_) => self.info.versioned_resource(),
            None => self.stored().resource(),
        }
    }

    /// The kind that is stored.
    pub fn stored(&self) -> &'static KindInfo {
        let stored = self.view.and_then(|view| kinds::by_number(view.stored));
        stored.unwrap_or(self.info)
    }
}

impl Deref for Resource {
    type Target = KindInfo;

    fn deref(&self) -> &KindInfo {
        self.info
    }
}

impl From<&'static KindInfo> for Resource {
    fn from(info: &'static KindInfo) -> Self {
        Self {
            info,
            view: None,
            custom: None,
        }
    }
}

impl From<&Arc<Version>> for Resource {
    fn from(version: &Arc<Version>) -> Self {
        Self {
            info: version.info,
            view: None,
            custom: Some(Arc::clone(version)),
        }
    }
}

/// The kinds that are part of the server, and their other versions.
fn built_in() -> impl Iterator<Item = Resource> {
    let views = convert::views().iter().map(|view| Resource {
        view: Some(view),
        ..Resource::from(&view.info)
    });
    kinds::all().iter().map(Resource::from).chain(views)
}

/// Everything that is served.
#[derive(Debug, Default)]
pub struct Served {
    resources: Vec<Resource>,
    /// Indexes by group, version and plural.
    by_path: HashMap<(String, String, String), usize>,
    /// The definitions behind the custom ones, in the order of their names, those that are not established included.
    definitions: Vec<Arc<Definition>>,
    /// The last change of any definition that this shows.
    revision: Revision,
}

impl Served {
    /// The kinds that are part of the server.
    pub(crate) fn built_in() -> Self {
        Self::new(built_in())
    }

    /// The kinds that are part of the server, and those of these definitions.
    fn with(definitions: Vec<Arc<Definition>>, revision: Revision) -> Self {
        let is_built_in = |info: &KindInfo| {
            let mut all = kinds::all().iter();
            all.any(|known| known.group == info.group && known.plural == info.plural)
        };
        let versions = definitions.iter().flat_map(|definition| &definition.versions);
        let custom = versions.filter(|version| version.served && !is_built_in(version.info));
        let served = Self::new(built_in().chain(custom.map(Resource::from)));
        Self {
            definitions,
            revision,
            ..served
        }
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
            definitions: Vec::new(),
            revision: 0,
        }
    }

    /// Every definition that there is.
    pub(crate) fn definitions(&self) -> &[Arc<Definition>] {
        &self.definitions
    }

    /// The custom resource that a user means by `name`: see [`kinds::is_named`]. Without a version it is the stored one.
    pub(crate) fn find_custom(&self, name: &str) -> Option<Resource> {
        let is_named = |version: &&Arc<Version>| kinds::is_named(version.info, name);
        let stored = self
            .definitions
            .iter()
            .filter_map(|definition| definition.stored());
        let mut named = stored.filter(is_named);
        let found = named.next().or_else(|| {
            let all = self
                .definitions
                .iter()
                .flat_map(|definition| &definition.versions);
            all.filter(|version| version.served).find(is_named)
        });
        found.map(Resource::from)
    }

    /// The resource of an object that says it is of this group, version and kind.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let is_it =
            |resource: &&Resource| resource.info.kind == kind && resource.info.api_version() == api_version;
        self.resources
            .iter()
            .filter(|resource| resource.custom.is_some())
            .find(is_it)
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

    /// The resource that a path names and that can only be created: see [`create_only()`].
    pub fn find_create_only(&self, group: &str, version: &str, plural: &str) -> Option<Resource> {
        let rows = create_only().iter();
        let mut found =
            rows.filter(|info| (info.group, info.version, info.plural) == (group, version, plural));
        found.next().map(Resource::from)
    }
}

impl Registry {
    /// What is served, with what every definition says that was acknowledged before.
    pub fn served(&self) -> Arc<Served> {
        let info = kinds::of::<CustomResourceDefinition>();
        let known = Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner));
        if known.revision >= self.cache().last_change(info) {
            return known;
        }
        let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster.
        let (stored, revision) = self.cache().all(info);
        if served.revision >= revision {
            return Arc::clone(&served);
        }
        let before: HashMap<&str, &Arc<Definition>> = served
            .definitions
            .iter()
            .map(|definition| (definition.object.name(), definition))
            .collect();
        let definitions = stored.iter().filter_map(|stored| {
            let object = CustomResourceDefinition::decode(stored.bytes.clone()).ok()?;
            let before = before.get(object.name()).copied();
            let unchanged = before.filter(|before| before.revision == stored.revision);
            Some(unchanged.map_or_else(
                || Arc::new(Definition::new(object, stored.revision, before.map(Arc::as_ref))),
                Arc::clone,
            ))
        });
        let next = Served::with(definitions.collect(), revision);
        for definition in &served.definitions {
            let mut after = next.definitions.iter();
            let after = after.find(|after| after.object.uid() == definition.object.uid());
            definition.end_watches(after.map(Arc::as_ref));
        }
        *served = Arc::new(next);
        Arc::clone(&served)
    }

    /// The resource that a user means by the name of a kind.
    pub(crate) fn kind(&self, name: &str) -> Result<Resource> {
        match super::request::kind(name) {
            Ok(info) => Ok(info.into()),
            Err(status) => self.served().find_custom(name).ok_or(status),
        }
    }

    /// The resource of an object that is sent to be stored.
    pub(crate) fn kind_of(&self, object: Option<&proto::Object>) -> Result<Resource> {
        let Some(object) = object.filter(|object| object.number == kinds::ANY_CUSTOM.number) else {
            return super::request::kind_of(object).map(Resource::from);
        };
        let (api_version, kind) = kinds::custom::type_of(&object.bytes)
            .map_err(|error| errors::bad_request(format!("the object does not decode: {error}")))?;
        let served = self.served();
        let resource = served.find_kind(api_version, kind).cloned();
        resource.ok_or_else(|| errors::unknown_kind(&format!("{kind} in version {api_version}")))
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
