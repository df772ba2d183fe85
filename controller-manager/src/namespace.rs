//! Namespace controller: empties a Namespace that is being deleted, then lets it go.
//!
//! Watches: Namespace; the metadata of every kind. Writes: deletions; Namespace status and `spec.finalizers`.
//! Invariant: a Namespace is let go only when the cache shows nothing in it.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>

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
        let patch = json!({"spec": {"finalizers": left}});
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
fn conditions(content: &[Found<'_>]) -> [NamespaceCondition; 2] {
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
    [
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
