//! Namespace controller: empties a Namespace that is being deleted, then lets it go.
//!
//! Watches: Namespace; the metadata of every kind. Writes: deletions; Namespace status and `spec.finalizers`.
//! Invariant: a Namespace is let go only when the cache shows nothing in it.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>

use crate::patch;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::meta::{is_being_deleted, set_condition};
use apimachinery::well_known::NAMESPACE_FINALIZER;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use client::time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Namespace, NamespaceCondition};
use proto::meta::v1::{DeleteOptions, ObjectMeta};
use serde_json::json;
use std::collections::BTreeMap;

/// The most deletions in one plan, so that a huge namespace does not keep others waiting.
const BURST: usize = 500;

/// The controller. It keeps nothing.
pub(crate) struct NamespaceController;

impl Controller for NamespaceController {
    fn name(&self) -> &'static str {
        "namespace"
    }

    fn watches(&self) -> Vec<Watch> {
        let mut watches = Watch::all_metadata();
        watches.push(Watch::of::<Namespace>());
        watches
    }

    fn keys(&self, cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<Namespace>() {
            return vec![event.key.clone()];
        }
        let namespace = cache.get::<Namespace>("", &event.key.namespace);
        let going = namespace.filter(|namespace| is_being_deleted(namespace.meta()));
        going
            .map(|namespace| ObjectKey::of(&**namespace))
            .into_iter()
            .collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, now: Timestamp) -> Plan {
        let namespace = cache.get_key::<Namespace>(key);
        let Some(namespace) = namespace.filter(|namespace| is_being_deleted(namespace.meta())) else {
            return Plan::none();
        };
        let content: Vec<_> = kinds::all()
            .iter()
            .chain(kinds::custom::all())
            .filter(|info| info.namespaced)
            .flat_map(|info| {
                cache
                    .list_metadata(info.number, Some(namespace.name()))
                    .map(move |found| (info, found))
            })
            .collect();
        reconcile(namespace, &content, now)
    }
}

type Found<'a> = (&'static KindInfo, &'a ObjectMeta);

fn reconcile(namespace: &Namespace, content: &[Found<'_>], now: Timestamp) -> Plan {
    let mut plan = Plan::none();
    let standing = content.iter().filter(|(_, meta)| !is_being_deleted(meta));
    for (info, meta) in standing.take(BURST) {
        let options = DeleteOptions {
            propagation_policy: Some("Background".into()),
            ..DeleteOptions::default()
        };
        plan.push(Action::delete_key(
            ObjectKey::of_kind(info.number, &meta.namespace, &meta.name),
            meta,
            options,
        ));
    }
    let mut status = namespace.status.clone().unwrap_or_default();
    for condition in conditions(content) {
        let time = Some(time::time(now));
        set_condition(
            &mut status.conditions,
            NamespaceCondition {
                last_transition_time: time,
                ..condition
            },
        );
    }
    let held = namespace
        .spec
        .as_ref()
        .is_some_and(|spec| spec.finalizers.iter().any(|name| name == NAMESPACE_FINALIZER));
    if content.is_empty() && held {
        let finalizers = namespace.spec.iter().flat_map(|spec| &spec.finalizers);
        let left: Vec<_> = finalizers.filter(|name| *name != NAMESPACE_FINALIZER).collect();
        // The list is replaced as a whole: nobody's finalizer may be lost that came meanwhile.
        let patch = patch::of_spec(namespace.meta(), json!({"finalizers": left}));
        plan.push(Action::patch_key(
            ObjectKey::of(namespace),
            namespace.meta(),
            "finalize",
            patch,
        ));
    } else if namespace.status.as_ref() != Some(&status) {
        plan.push(Action::update_status(&Namespace {
            status: Some(status),
            ..namespace.clone()
        }));
    }
    plan
}

/// What is left, and what holds it.
///
/// The first three cannot be otherwise here: every kind is known, and a deletion that is refused is asked for again. Tools
/// look for them all the same.
fn conditions(content: &[Found<'_>]) -> [NamespaceCondition; 5] {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for (info, meta) in content {
        *counts.entry(info.resource()).or_default() += 1;
        for finalizer in &meta.finalizers {
            *finalizers.entry(finalizer).or_default() += 1;
        }
    }
    let condition = |r#type: &str, some: bool, reason: &str, message: String| NamespaceCondition {
        r#type: r#type.into(),
        status: if some { "True" } else { "False" }.into(),
        reason: reason.into(),
        message,
        ..NamespaceCondition::default()
    };
    let content = if counts.is_empty() {
        ("ContentRemoved", "All content successfully removed".to_owned())
    } else {
        let parts: Vec<_> = counts
            .iter()
            .map(|(kind, count)| format!("{kind} has {count} resource instances"))
            .collect();
        (
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", parts.join(", ")),
        )
    };
    let held = if finalizers.is_empty() {
        (
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        let part = |(finalizer, count): (&&str, &usize)| format!("{finalizer} in {count} resource instances");
        let parts: Vec<_> = finalizers.iter().map(part).collect();
        (
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                parts.join(", ")
            ),
        )
    };
    let fine = |r#type, reason, message: &str| condition(r#type, false, reason, message.to_owned());
    [
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        condition(
            "NamespaceContentRemaining",
            !counts.is_empty(),
            content.0,
            content.1,
        ),
        condition(
            "NamespaceFinalizersRemaining",
            !finalizers.is_empty(),
            held.0,
            held.1,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods;
    use crate::testing::{finish_terminating, pod};
    use apimachinery::meta::get_condition;
    use client::testing::World;
    use proto::api::core::v1::{ConfigMap, NamespaceSpec, Pod};

    const TEAM: &str = "team";

    fn world(namespace_finalizers: &[&str]) -> World {
        let mut world = World::of(&[&NamespaceController]);
        for name in [TEAM, "other"] {
            let mut namespace = Namespace::default();
            namespace.metadata_mut().name = name.into();
            namespace.metadata_mut().finalizers = namespace_finalizers.iter().map(|&f| f.into()).collect();
            namespace.spec = Some(NamespaceSpec {
                finalizers: vec![NAMESPACE_FINALIZER.into()],
            });
            world.add(&namespace);
        }
        world
    }

    fn add_config_map(world: &mut World, namespace: &str, name: &str, finalizers: &[&str]) {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = name.into();
        object.metadata_mut().namespace = namespace.into();
        object.metadata_mut().finalizers = finalizers.iter().map(|&f| f.into()).collect();
        world.add(&object);
    }

    fn delete_team(world: &mut World) {
        let namespace: Namespace = world.get("", TEAM).unwrap();
        world.delete(&namespace);
        world.settle(&[&NamespaceController]);
    }

    /// Status, reason and message of a condition.
    fn told(world: &World, r#type: &str) -> (String, String, String) {
        let namespace: Namespace = world.get("", TEAM).unwrap();
        let conditions = namespace.status.unwrap_or_default().conditions;
        let found = get_condition(&conditions, r#type).cloned().unwrap_or_default();
        (found.status, found.reason, found.message)
    }

    fn text(parts: (&str, &str, &str)) -> (String, String, String) {
        (parts.0.into(), parts.1.into(), parts.2.into())
    }

    #[test]
    fn a_namespace_that_goes_takes_its_content_along_and_nothing_else() {
        let mut world = world(&[]);
        add_config_map(&mut world, TEAM, "one", &[]);
        add_config_map(&mut world, TEAM, "two", &[]);
        add_config_map(&mut world, "other", "one", &[]);
        world.settle(&[&NamespaceController]);
        assert_eq!(world.list::<ConfigMap>().len(), 3);
        delete_team(&mut world);
        let left: Vec<_> = world.objects().map(|(key, _)| key.to_string()).collect();
        assert_eq!(left, ["namespaces/other", "configmaps/other/one"]);
    }

    #[test]
    fn an_empty_namespace_goes_at_once() {
        let mut world = world(&[]);
        delete_team(&mut world);
        assert_eq!(world.get::<Namespace>("", TEAM), None);
    }

    #[test]
    fn a_namespace_waits_for_what_finalizers_hold_and_says_so() {
        let mut world = world(&[]);
        add_config_map(&mut world, TEAM, "held", &["test/hold"]);
        add_config_map(&mut world, TEAM, "free", &[]);
        delete_team(&mut world);
        assert_eq!(
            told(&world, "NamespaceContentRemaining"),
            text((
                "True",
                "SomeResourcesRemain",
                "Some resources are remaining: configmaps has 1 resource instances"
            ))
        );
        assert_eq!(
            told(&world, "NamespaceFinalizersRemaining"),
            text((
                "True",
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: test/hold in 1 resource instances"
            ))
        );
        assert_eq!(told(&world, "NamespaceDeletionContentFailure").0, "False");
        world.edit::<ConfigMap>(TEAM, "held", |object| object.metadata_mut().finalizers.clear());
        world.settle(&[&NamespaceController]);
        assert_eq!(world.get::<Namespace>("", TEAM), None);
    }

    #[test]
    fn a_namespace_waits_for_pods_to_end() {
        let mut world = world(&[]);
        let mut web = pod("web", "web");
        web.metadata_mut().namespace = TEAM.into();
        web.spec.get_or_insert_default().node_name = "node-1".into();
        world.add(&web);
        delete_team(&mut world);
        let going: Pod = world.get(TEAM, "web").unwrap();
        assert!(pods::is_terminating(&going));
        assert_eq!(
            told(&world, "NamespaceFinalizersRemaining").1,
            "ContentHasNoFinalizers"
        );
        finish_terminating(&mut world);
        world.settle(&[&NamespaceController]);
        assert_eq!(world.get::<Namespace>("", TEAM), None);
    }

    #[test]
    fn an_emptied_namespace_that_others_hold_stays_until_they_let_go() {
        let mut world = world(&["test/hold"]);
        add_config_map(&mut world, TEAM, "one", &[]);
        delete_team(&mut world);
        let namespace: Namespace = world.get("", TEAM).unwrap();
        assert!(namespace.spec.is_none_or(|spec| spec.finalizers.is_empty()));
        assert_eq!(told(&world, "NamespaceContentRemaining").1, "ContentRemoved");
        world.edit::<Namespace>("", TEAM, |namespace| namespace.metadata_mut().finalizers.clear());
        assert_eq!(world.get::<Namespace>("", TEAM), None);
    }

    #[test]
    fn more_content_than_one_plan_deletes_goes_too() {
        let mut world = world(&[]);
        for i in 0..=BURST {
            add_config_map(&mut world, TEAM, &format!("c{i}"), &[]);
        }
        delete_team(&mut world);
        assert_eq!(world.list::<ConfigMap>().len(), 0);
        assert_eq!(world.get::<Namespace>("", TEAM), None);
    }
}
