//! How OpenAPI calls things: definitions, operations, tags. As upstream calls them, because generated clients are named
//! after them. Pure.

use super::super::discovery::groups::Gvk;

/// The two versions of OpenAPI that Kubernetes publishes, which say some things differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Swagger 2.0, the whole API in one document.
    V2,
    /// OpenAPI 3.0, a document a group and version.
    V3,
}

impl Dialect {
    /// What points to a definition.
    pub(super) fn reference(self, definition: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{definition}"),
            Self::V3 => format!("#/components/schemas/{definition}"),
        }
    }
}

/// The definition of a message: `io.k8s.api.core.v1.Pod` for `k8s.io.api.core.v1.Pod`.
pub(super) fn definition(message: &str) -> String {
    let rest = message.strip_prefix("k8s.io.").unwrap_or(message);
    // Go's packages are spelled with a dash, which protobuf does not allow.
    format!(
        "io.k8s.{}",
        rest.replace("apiextensions_apiserver", "apiextensions-apiserver")
            .replace("scheduler_plugins", "scheduler-plugins")
    )
}

/// The definition of a custom kind: `com.example.v1.Widget` in group `example.com`.
pub(super) fn custom_definition(kind: Gvk) -> String {
    let mut parts: Vec<_> = kind.group.split('.').rev().collect();
    parts.extend([kind.version, kind.kind]);
    parts.join(".")
}

/// The message that is a kind's, when it has one: by the schema's package, which is named after the group's first word.
pub(super) fn message(kind: Gvk) -> Option<String> {
    let directory = match kind.group {
        "" => "core",
        group => group.split('.').next().unwrap_or_default(),
    };
    let packages = [
        format!("k8s.io.api.{directory}"),
        format!("k8s.io.scheduler_plugins.apis.{directory}"),
        format!("k8s.io.{directory}_apiserver.pkg.apis.{directory}"),
    ];
    packages
        .iter()
        .map(|package| format!("{package}.{}.{}", kind.version, kind.kind))
        .find(|name| proto::descriptors().get_message_by_name(name).is_some())
}

/// `CoreV1`, `AppsV1`, `ExampleComV1`: the part of an operation's name that says where it belongs.
pub(super) fn place(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    group
        .split(['.', '-'])
        .chain([version])
        .map(capitalized)
        .collect()
}

/// `core_v1`, `apps_v1`, `exampleCom_v1`: what operations are sorted by.
pub(super) fn tag(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut words = group.split(['.', '-']);
    let first = words.next().unwrap_or_default();
    let rest: String = words.map(capitalized).collect();
    format!("{first}{rest}_{version}")
}

/// The word with a capital first.
pub(super) fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_after_gos_packages() {
        assert_eq!(definition("k8s.io.api.core.v1.Pod"), "io.k8s.api.core.v1.Pod");
        assert_eq!(
            definition("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON"),
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"
        );
        let widget = Gvk {
            group: "stable.example.com",
            version: "v1beta1",
            kind: "Widget",
        };
        assert_eq!(custom_definition(widget), "com.example.stable.v1beta1.Widget");
    }

    #[test]
    fn operations_are_named_after_their_group() {
        for (group, version, expected, tagged) in [
            ("", "v1", "CoreV1", "core_v1"),
            ("apps", "v1", "AppsV1", "apps_v1"),
            ("events.k8s.io", "v1", "EventsV1", "events_v1"),
            (
                "stable.example.com",
                "v1beta1",
                "StableExampleComV1beta1",
                "stableExampleCom_v1beta1",
            ),
        ] {
            assert_eq!(place(group, version), expected);
            assert_eq!(tag(group, version), tagged);
        }
    }

    #[test]
    fn kinds_that_are_stored_or_asked_have_a_message() {
        for (group, version, kind, expected) in [
            ("", "v1", "Pod", "k8s.io.api.core.v1.Pod"),
            ("autoscaling", "v1", "Scale", "k8s.io.api.autoscaling.v1.Scale"),
            (
                "storage.k8s.io",
                "v1",
                "StorageClass",
                "k8s.io.api.storage.v1.StorageClass",
            ),
            (
                "scheduling.x-k8s.io",
                "v1alpha1",
                "PodGroup",
                "k8s.io.scheduler_plugins.apis.scheduling.v1alpha1.PodGroup",
            ),
        ] {
            assert_eq!(message(Gvk { group, version, kind }).as_deref(), Some(expected));
        }
    }
}
