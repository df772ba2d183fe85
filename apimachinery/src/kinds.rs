//! The registry: one row for each kind that the apiserver stores.
//!
//! A row says how a kind is named, and which of the generic behaviours it takes part in. Generic code looks here and
//! never matches on kinds.

pub mod custom;

use std::collections::HashMap;
use std::sync::LazyLock;

/// Custom kinds have numbers from here on, which mean something in this process only. Arms of `orrery.v1.Object` are below.
pub const FIRST_CUSTOM: u32 = 1 << 16;

/// How a kind is named and what generic code may do with it.
#[derive(Clone, Debug)]
pub struct KindInfo {
    /// The arm of `orrery.v1.Object` ([`proto::Kind::NUMBER`]); for a custom kind a number of this process, see
    /// [`FIRST_CUSTOM`].
    pub number: u32,
    /// `Pod`.
    pub kind: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version that is served and stored.
    pub version: &'static str,
    /// `pods`: the resource name, and what storage keys start with.
    pub plural: &'static str,
    /// `pod`.
    pub singular: &'static str,
    /// `po`.
    pub short_names: &'static [&'static str],
    /// Groups of kinds that kubectl accepts in place of one: `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` is a subresource: written apart from the spec, and the spec counted by `metadata.generation`.
    pub has_status: bool,
    /// Whether the kind has a `scale` subresource.
    pub has_scale: bool,
    /// The message's full protobuf name.
    pub message: &'static str,
    /// The fields of a custom kind that field selectors can ask for, besides name and namespace. For the others see
    /// [`crate::selector::fields`].
    pub selectable: &'static [&'static str],
}

/// Stands for all custom kinds at once: what a watch names that follows every one of them, also those to come. No object
/// is stored under it.
pub static ANY_CUSTOM: KindInfo = KindInfo {
    number: <proto::orrery::v1::CustomResource as proto::Kind>::NUMBER,
    kind: "CustomResource",
    group: "orrery",
    version: "v1",
    plural: "customresources",
    singular: "customresource",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    has_scale: false,
    message: <proto::orrery::v1::CustomResource as proto::Kind>::FULL_NAME,
    selectable: &[],
};

impl KindInfo {
    /// The arm of `orrery.v1.Object` that the kind's objects travel in. All custom kinds share one.
    pub fn arm(&self) -> u32 {
        arm(self.number)
    }

    /// Whether a CustomResourceDefinition added the kind.
    pub fn is_custom(&self) -> bool {
        self.number >= FIRST_CUSTOM
    }

    /// `v1` or `apps/v1`: what manifests call `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`: unique among all kinds.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `deployments.v1.apps`: names the kind in this version, where a kind may have several.
    pub fn versioned_resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}.{}", self.plural, self.version, self.group)
        }
    }
}

/// The arm of `orrery.v1.Object` that objects of a kind travel in, by the kind's number.
pub fn arm(number: u32) -> u32 {
    if number >= FIRST_CUSTOM {
        ANY_CUSTOM.number
    } else {
        number
    }
}

macro_rules! row {
    ($message:ty, $group:literal, $version:literal, $plural:literal, [$($short:literal),*], [$($category:literal),*],
     $namespaced:expr $(, $flag:ident)*) => {
        KindInfo {
            number: <$message as proto::Kind>::NUMBER,
            kind: <$message as proto::Kind>::NAME,
            group: $group,
            version: $version,
            plural: $plural,
            singular: "",
            short_names: &[$($short),*],
            categories: &[$($category),*],
            namespaced: $namespaced,
            has_status: row!(@has status $($flag)*),
            has_scale: row!(@has scale $($flag)*),
            message: <$message as proto::Kind>::FULL_NAME,
            selectable: &[],
        }
    };
    (@has status status $($rest:ident)*) => { true };
    (@has scale scale $($rest:ident)*) => { true };
    (@has $want:ident $other:ident $($rest:ident)*) => { row!(@has $want $($rest)*) };
    (@has $want:ident) => { false };
}

const NAMESPACED: bool = true;
const CLUSTER: bool = false;

/// Every kind that is served, in the order of their numbers.
pub fn all() -> &'static [KindInfo] {
    static ALL: LazyLock<Vec<KindInfo>> = LazyLock::new(|| {
        use proto::api::{
            apps, autoscaling, batch, coordination, core, discovery, policy, scheduling, storage,
        };
        let mut rows = vec![
            row!(
                core::v1::Pod,
                "",
                "v1",
                "pods",
                ["po"],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(core::v1::Node, "", "v1", "nodes", ["no"], [], CLUSTER, status),
            row!(
                core::v1::Namespace,
                "",
                "v1",
                "namespaces",
                ["ns"],
                [],
                CLUSTER,
                status
            ),
            row!(core::v1::Event, "", "v1", "events", ["ev"], [], NAMESPACED),
            row!(
                core::v1::ConfigMap,
                "",
                "v1",
                "configmaps",
                ["cm"],
                [],
                NAMESPACED
            ),
            row!(core::v1::Secret, "", "v1", "secrets", [], [], NAMESPACED),
            row!(
                core::v1::Service,
                "",
                "v1",
                "services",
                ["svc"],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(
                core::v1::ServiceAccount,
                "",
                "v1",
                "serviceaccounts",
                ["sa"],
                [],
                NAMESPACED
            ),
            row!(
                core::v1::PersistentVolume,
                "",
                "v1",
                "persistentvolumes",
                ["pv"],
                [],
                CLUSTER,
                status
            ),
            row!(
                core::v1::PersistentVolumeClaim,
                "",
                "v1",
                "persistentvolumeclaims",
                ["pvc"],
                [],
                NAMESPACED,
                status
            ),
            row!(
                core::v1::ResourceQuota,
                "",
                "v1",
                "resourcequotas",
                ["quota"],
                [],
                NAMESPACED,
                status
            ),
            row!(
                core::v1::LimitRange,
                "",
                "v1",
                "limitranges",
                ["limits"],
                [],
                NAMESPACED
            ),
            row!(
                core::v1::ReplicationController,
                "",
                "v1",
                "replicationcontrollers",
                ["rc"],
                ["all"],
                NAMESPACED,
                status,
                scale
            ),
            row!(
                core::v1::PodTemplate,
                "",
                "v1",
                "podtemplates",
                [],
                [],
                NAMESPACED
            ),
            row!(
                apps::v1::Deployment,
                "apps",
                "v1",
                "deployments",
                ["deploy"],
                ["all"],
                NAMESPACED,
                status,
                scale
            ),
            row!(
                apps::v1::ReplicaSet,
                "apps",
                "v1",
                "replicasets",
                ["rs"],
                ["all"],
                NAMESPACED,
                status,
                scale
            ),
            row!(
                apps::v1::StatefulSet,
                "apps",
                "v1",
                "statefulsets",
                ["sts"],
                ["all"],
                NAMESPACED,
                status,
                scale
            ),
            row!(
                apps::v1::DaemonSet,
                "apps",
                "v1",
                "daemonsets",
                ["ds"],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(
                apps::v1::ControllerRevision,
                "apps",
                "v1",
                "controllerrevisions",
                [],
                [],
                NAMESPACED
            ),
            row!(
                batch::v1::Job,
                "batch",
                "v1",
                "jobs",
                [],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(
                batch::v1::CronJob,
                "batch",
                "v1",
                "cronjobs",
                ["cj"],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(
                coordination::v1::Lease,
                "coordination.k8s.io",
                "v1",
                "leases",
                [],
                [],
                NAMESPACED
            ),
            row!(
                policy::v1::PodDisruptionBudget,
                "policy",
                "v1",
                "poddisruptionbudgets",
                ["pdb"],
                [],
                NAMESPACED,
                status
            ),
            row!(
                scheduling::v1::PriorityClass,
                "scheduling.k8s.io",
                "v1",
                "priorityclasses",
                ["pc"],
                [],
                CLUSTER
            ),
            row!(
                autoscaling::v2::HorizontalPodAutoscaler,
                "autoscaling",
                "v2",
                "horizontalpodautoscalers",
                ["hpa"],
                ["all"],
                NAMESPACED,
                status
            ),
            row!(
                discovery::v1::EndpointSlice,
                "discovery.k8s.io",
                "v1",
                "endpointslices",
                [],
                [],
                NAMESPACED
            ),
            row!(
                storage::v1::StorageClass,
                "storage.k8s.io",
                "v1",
                "storageclasses",
                ["sc"],
                [],
                CLUSTER
            ),
            row!(
                proto::apiextensions::v1::CustomResourceDefinition,
                "apiextensions.k8s.io",
                "v1",
                "customresourcedefinitions",
                ["crd", "crds"],
                ["api-extensions"],
                CLUSTER,
                status
            ),
            row!(
                storage::v1::CsiDriver,
                "storage.k8s.io",
                "v1",
                "csidrivers",
                [],
                [],
                CLUSTER
            ),
            row!(
                storage::v1::CsiNode,
                "storage.k8s.io",
                "v1",
                "csinodes",
                [],
                [],
                CLUSTER
            ),
            row!(
                storage::v1::CsiStorageCapacity,
                "storage.k8s.io",
                "v1",
                "csistoragecapacities",
                [],
                [],
                NAMESPACED
            ),
            row!(
                storage::v1::VolumeAttachment,
                "storage.k8s.io",
                "v1",
                "volumeattachments",
                [],
                [],
                CLUSTER,
                status
            ),
            row!(
                proto::gangs::v1alpha1::PodGroup,
                "scheduling.x-k8s.io",
                "v1alpha1",
                "podgroups",
                ["pg", "pgs"],
                [],
                NAMESPACED,
                status
            ),
        ];
        for row in &mut rows {
            row.singular = Box::leak(row.kind.to_lowercase().into_boxed_str());
        }
        rows
    });
    &ALL
}

/// The row of a kind by its number. [`custom::of_object`] knows which kind an object in the arm of all custom kinds is of.
pub fn by_number(number: u32) -> Option<&'static KindInfo> {
    if number >= FIRST_CUSTOM {
        return custom::by_number(number);
    }
    if number == ANY_CUSTOM.number {
        return Some(&ANY_CUSTOM);
    }
    all().get(index(number)?)
}

/// Where the row of a kind stands among [`all`]. Numbers are dense and start at 1, but for the one that stands for all
/// custom kinds; a test below holds that.
pub(crate) fn index(number: u32) -> Option<usize> {
    let before = 1 + usize::from(number > ANY_CUSTOM.number);
    (number as usize)
        .checked_sub(before)
        .filter(|_| number != ANY_CUSTOM.number)
}

/// The row of a typed object. Panics for a message that is not stored (Scale, Eviction, Binding).
pub fn of<K: proto::Kind>() -> &'static KindInfo {
    by_number(K::NUMBER).expect("only subresource bodies have no row")
}

/// The row that a user means: kind, plural, singular or short name, in any case, with or without `.group`.
pub fn lookup(name: &str) -> Option<&'static KindInfo> {
    static NAMES: LazyLock<HashMap<String, &'static KindInfo>> = LazyLock::new(|| {
        let mut names = HashMap::new();
        for info in all() {
            for name in [info.plural, info.singular].iter().chain(info.short_names) {
                names.entry((*name).to_owned()).or_insert(info);
                if !info.group.is_empty() {
                    names.entry(format!("{name}.{}", info.group)).or_insert(info);
                    names
                        .entry(format!("{name}.{}.{}", info.version, info.group))
                        .or_insert(info);
                }
            }
        }
        names
    });
    NAMES
        .get(name)
        .or_else(|| NAMES.get(&name.to_lowercase()))
        .copied()
}

/// As [`lookup`], for who follows one cluster: also the custom kinds that were noted ([`custom::note`]).
pub fn find(name: &str) -> Option<&'static KindInfo> {
    let custom = || custom::all().into_iter().find(|info| is_named(info, name));
    lookup(name).or_else(custom)
}

/// Whether a user may mean this kind by `name`: plural, singular or short name, in any case, with or without `.group` or
/// `.version.group`.
pub fn is_named(info: &KindInfo, name: &str) -> bool {
    let (word, rest) = name.split_once('.').unwrap_or((name, ""));
    let is_word = [info.plural, info.singular, info.kind]
        .iter()
        .chain(info.short_names)
        .any(|known| known.eq_ignore_ascii_case(word));
    let is_rest = rest.is_empty()
        || rest.eq_ignore_ascii_case(info.group)
        || rest.split_once('.').is_some_and(|(version, group)| {
            version == info.version && group.eq_ignore_ascii_case(info.group)
        });
    is_word && is_rest
}

/// The row of a manifest's `apiVersion` and `kind`, which must be spelled exactly. A custom kind is found under any
/// version.
pub fn by_gvk(api_version: &str, kind: &str) -> Option<&'static KindInfo> {
    let built_in = all()
        .iter()
        .find(|info| info.kind == kind && info.api_version() == api_version);
    built_in.or_else(|| custom::by_kind(api_version.split_once('/')?.0, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_so_that_lookup_is_an_index() {
        for (i, info) in all().iter().enumerate() {
            assert_eq!(index(info.number), Some(i), "{}", info.kind);
        }
        assert_eq!(index(0), None);
        assert_eq!(index(ANY_CUSTOM.number), None);
    }

    #[test]
    fn every_stored_arm_of_object_has_a_row() {
        let object = proto::descriptors()
            .get_message_by_name("orrery.v1.Object")
            .unwrap();
        let custom = <proto::orrery::v1::CustomResource as proto::Kind>::NUMBER;
        let stored = object
            .fields()
            .filter(|f| f.number() < 1000 && f.number() != custom);
        assert_eq!(stored.count(), all().len());
    }

    #[test]
    fn kinds_are_found_by_every_name_a_user_may_type() {
        for name in [
            "deploy",
            "Deployment",
            "deployments",
            "deployments.apps",
            "DEPLOYMENT",
            "deployments.v1.apps",
        ] {
            assert_eq!(lookup(name).map(|i| i.kind), Some("Deployment"), "{name}");
        }
        assert!(lookup("deployments.batch").is_none());
        assert_eq!(
            by_gvk("apps/v1", "ReplicaSet").map(|i| i.plural),
            Some("replicasets")
        );
        assert!(by_gvk("apps/v1beta1", "ReplicaSet").is_none());
    }
}
