//! The rules for all metadata: names, labels, annotations, owners, finalizers.

use super::Faults;
use super::labels;
use crate::kinds::KindInfo;
use crate::names::{self, NameRule};
use crate::path::Path;
use crate::well_known::{FOREGROUND_DELETION, NAMESPACE_FINALIZER, ORPHAN};
use proto::Timestamp;
use proto::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// The most bytes that an object's annotations may have together.
pub const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// The rules for an object's metadata at any time.
pub fn validate_meta(info: &KindInfo, meta: &ObjectMeta, faults: &mut Faults) {
    let at = Path::ROOT.field("metadata");
    let rule = NameRule::of(info.number);
    if !meta.generate_name.is_empty() {
        let problems = rule.check_prefix(&meta.generate_name);
        faults.problems(&at.field("generateName"), &meta.generate_name, problems);
    }
    if meta.name.is_empty() {
        faults.required(&at.field("name"), "name or generateName is required");
    } else {
        faults.problems(&at.field("name"), &meta.name, rule.check(&meta.name));
    }
    let namespace = at.field("namespace");
    match (info.namespaced, meta.namespace.is_empty()) {
        (true, true) => faults.required(&namespace, ""),
        (true, false) => faults.problems(&namespace, &meta.namespace, names::dns1123_label(&meta.namespace)),
        (false, false) => faults.forbidden(&namespace, "not allowed on this type"),
        (false, true) => {}
    }
    labels::labels(&meta.labels, &at.field("labels"), faults);
    annotations(&meta.annotations, &at.field("annotations"), faults);
    owners(&meta.owner_references, &at.field("ownerReferences"), faults);
    finalizers(&meta.finalizers, &at.field("finalizers"), faults);
}

/// A Pod template's metadata, which has no name.
pub(super) fn template_meta(meta: &ObjectMeta, at: &Path<'_>, faults: &mut Faults) {
    labels::labels(&meta.labels, &at.field("labels"), faults);
    annotations(&meta.annotations, &at.field("annotations"), faults);
    finalizers(&meta.finalizers, &at.field("finalizers"), faults);
}

fn annotations(annotations: &BTreeMap<String, String>, at: &Path<'_>, faults: &mut Faults) {
    let mut total = 0;
    for (key, value) in annotations {
        // Unlike labels, annotations may have a prefix in upper case.
        faults.problems(at, key, names::qualified_name(&key.to_lowercase()));
        total += key.len() + value.len();
    }
    if total > MAX_ANNOTATION_BYTES {
        faults.too_long(at, MAX_ANNOTATION_BYTES);
    }
}

fn owners(owners: &[OwnerReference], at: &Path<'_>, faults: &mut Faults) {
    let mut controllers = Vec::new();
    for (i, owner) in owners.iter().enumerate() {
        let at = at.index(i);
        let fields = [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ];
        for (name, value) in fields {
            if value.is_empty() {
                faults.invalid(&at.field(name), value, "must not be empty");
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            faults.invalid(&at, "v1, Kind=Event", "is disallowed from being an owner");
        }
        if owner.controller == Some(true) {
            controllers.push(format!("{}/{}", owner.kind, owner.name));
        }
    }
    if controllers.len() > 1 {
        let detail = format!(
            "only one reference can have controller set to true, found {}",
            controllers.join(" and ")
        );
        faults.invalid(at, controllers.len(), &detail);
    }
}

fn finalizers(finalizers: &[String], at: &Path<'_>, faults: &mut Faults) {
    for finalizer in finalizers {
        finalizer_name(finalizer, at, faults);
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has(ORPHAN) && has(FOREGROUND_DELETION) {
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND_DELETION} cannot be both set");
        faults.invalid(at, finalizers, &detail);
    }
}

/// A finalizer is one of Kubernetes' own, or says whose it is.
pub(super) fn finalizer_name(finalizer: &str, at: &Path<'_>, faults: &mut Faults) {
    faults.problems(at, finalizer, names::qualified_name(finalizer));
    let own = [ORPHAN, FOREGROUND_DELETION, NAMESPACE_FINALIZER].contains(&finalizer);
    if !own && !finalizer.contains('/') {
        faults.invalid(
            at,
            finalizer,
            "name is neither a standard finalizer name nor is it fully qualified",
        );
    }
}

/// What an update may not do to metadata.
pub fn validate_meta_update(old: &ObjectMeta, new: &ObjectMeta, faults: &mut Faults) {
    let at = Path::ROOT.field("metadata");
    faults.immutable(&at.field("name"), &old.name, &new.name, &new.name);
    faults.immutable(
        &at.field("namespace"),
        &old.namespace,
        &new.namespace,
        &new.namespace,
    );
    faults.immutable(&at.field("uid"), &old.uid, &new.uid, &new.uid);
    let time = |t: &Option<Timestamp>| t.map_or_else(|| "null".to_owned(), |t| t.to_string());
    for (name, old, new) in [
        (
            "creationTimestamp",
            &old.creation_timestamp,
            &new.creation_timestamp,
        ),
        (
            "deletionTimestamp",
            &old.deletion_timestamp,
            &new.deletion_timestamp,
        ),
    ] {
        faults.immutable(&at.field(name), old, new, time(new));
    }
    let grace = |meta: &ObjectMeta| meta.deletion_grace_period_seconds;
    faults.immutable(
        &at.field("deletionGracePeriodSeconds"),
        &grace(old),
        &grace(new),
        grace(new).unwrap_or(0),
    );
    if old.deletion_timestamp.is_some() {
        let added: Vec<_> = new
            .finalizers
            .iter()
            .filter(|f| !old.finalizers.contains(f))
            .collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            faults.forbidden(&at.field("finalizers"), &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use proto::api::core::v1::{Namespace, Pod};

    fn fields(meta: &ObjectMeta, namespaced: bool) -> Vec<String> {
        let info = if namespaced {
            kinds::of::<Pod>()
        } else {
            kinds::of::<Namespace>()
        };
        let mut faults = Faults::default();
        validate_meta(info, meta, &mut faults);
        faults.into_vec().into_iter().map(|f| f.field).collect()
    }

    fn good() -> ObjectMeta {
        ObjectMeta {
            name: "web".into(),
            namespace: "default".into(),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn metadata_that_breaks_a_rule_is_named_by_its_path() {
        assert_eq!(fields(&good(), true), [""; 0]);
        let owner = OwnerReference {
            api_version: "v1".into(),
            kind: "Pod".into(),
            name: "p".into(),
            uid: "u".into(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let cases: Vec<(fn(&mut ObjectMeta), &str)> = vec![
            (|m| m.name = String::new(), "metadata.name"),
            (|m| m.name = "Web".into(), "metadata.name"),
            (|m| m.generate_name = "-".into(), "metadata.generateName"),
            (|m| m.namespace = String::new(), "metadata.namespace"),
            (|m| m.namespace = "a.b".into(), "metadata.namespace"),
            (
                |m| drop(m.labels.insert("a b".into(), String::new())),
                "metadata.labels",
            ),
            (
                |m| drop(m.labels.insert("a".into(), "-".into())),
                "metadata.labels",
            ),
            (
                |m| drop(m.annotations.insert("a/b/c".into(), String::new())),
                "metadata.annotations",
            ),
            (
                |m| drop(m.annotations.insert("a".into(), "x".repeat(MAX_ANNOTATION_BYTES))),
                "metadata.annotations",
            ),
            (|m| m.finalizers.push("plain".into()), "metadata.finalizers"),
            (
                |m| m.finalizers = vec![ORPHAN.into(), FOREGROUND_DELETION.into()],
                "metadata.finalizers",
            ),
        ];
        for (spoil, field) in cases {
            let mut meta = good();
            spoil(&mut meta);
            assert_eq!(fields(&meta, true), [field]);
        }
        let two = ObjectMeta {
            owner_references: vec![owner.clone(), owner],
            ..good()
        };
        assert_eq!(fields(&two, true), ["metadata.ownerReferences"]);
        let empty = ObjectMeta {
            owner_references: vec![OwnerReference::default()],
            ..good()
        };
        assert_eq!(fields(&empty, true).len(), 4);
        assert_eq!(fields(&good(), false), ["metadata.namespace"]);
        let upper = ObjectMeta {
            annotations: [("Example.COM/A".into(), String::new())].into(),
            ..good()
        };
        assert_eq!(fields(&upper, true), [""; 0]);
    }

    #[test]
    fn an_update_cannot_rename_revive_or_hold_back_an_object() {
        let old = ObjectMeta {
            uid: "u1".into(),
            deletion_timestamp: Some(Timestamp::default()),
            ..good()
        };
        let cases: Vec<(fn(&mut ObjectMeta), &str)> = vec![
            (|m| m.name = "other".into(), "metadata.name"),
            (|m| m.namespace = "other".into(), "metadata.namespace"),
            (|m| m.uid = "u2".into(), "metadata.uid"),
            (
                |m| m.creation_timestamp = Some(Timestamp::default()),
                "metadata.creationTimestamp",
            ),
            (|m| m.deletion_timestamp = None, "metadata.deletionTimestamp"),
            (
                |m| m.deletion_grace_period_seconds = Some(1),
                "metadata.deletionGracePeriodSeconds",
            ),
            (|m| m.finalizers.push("a/b".into()), "metadata.finalizers"),
        ];
        for (change, field) in cases {
            let mut new = old.clone();
            change(&mut new);
            let mut faults = Faults::default();
            validate_meta_update(&old, &new, &mut faults);
            let found: Vec<_> = faults.into_vec().into_iter().map(|f| f.field).collect();
            assert_eq!(found, [field]);
        }
    }
}
