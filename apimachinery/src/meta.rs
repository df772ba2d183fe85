//! What happens to every object's metadata: creation, update, deletion, finalizers; and conditions in status.
//!
//! Pure: uid, time and the random suffix come from the caller. Rules:
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#metadata>.

use crate::names;
use crate::well_known::{FOREGROUND_DELETION, ORPHAN};
use proto::Timestamp;
use proto::meta::v1::{DeleteOptions, ObjectMeta};

/// What a new object gets from the server.
#[derive(Clone, Debug)]
pub struct Birth {
    /// A UID that no other object has.
    pub uid: String,
    /// The wall time.
    pub now: Timestamp,
    /// Five characters for a `generateName` ([`names::suffix`]).
    pub suffix: String,
    /// Whether the kind counts its specs in `metadata.generation`.
    pub counts_generation: bool,
}

/// Sets what the server sets on a new object, and clears what no client may set.
pub fn stamp_new(meta: &mut ObjectMeta, birth: &Birth) {
    if meta.name.is_empty() && !meta.generate_name.is_empty() {
        meta.name = names::generate(&meta.generate_name, &birth.suffix);
    }
    meta.uid.clone_from(&birth.uid);
    meta.creation_timestamp = Some(whole_seconds(birth.now));
    meta.generation = i64::from(birth.counts_generation);
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.resource_version.clear();
    meta.self_link.clear();
}

/// Puts back what an update may not change and need not repeat. What it does change of these, validation refuses.
pub fn keep_system_fields(old: &ObjectMeta, new: &mut ObjectMeta) {
    new.generation = old.generation;
    new.resource_version.clear();
    new.self_link.clone_from(&old.self_link);
    if new.uid.is_empty() {
        new.uid.clone_from(&old.uid);
    }
    if new.creation_timestamp.is_none() {
        new.creation_timestamp = old.creation_timestamp;
    }
    // Nothing takes a deletion back.
    if new.deletion_timestamp.is_none() {
        new.deletion_timestamp = old.deletion_timestamp;
    }
    if new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

/// `Time` has seconds only; the rest would not survive JSON.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp { nanos: 0, ..time }
}

/// Whether deletion has begun.
pub fn is_being_deleted(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

/// Begins the deletion of an object that stays for its grace or its finalizers, or shortens the grace of one that is
/// being deleted already. Says whether anything changed. A longer grace never replaces a shorter one.
pub fn begin_deletion(meta: &mut ObjectMeta, now: Timestamp, grace_seconds: i64) -> bool {
    let grace = grace_seconds.max(0);
    let after = |seconds: i64| Timestamp {
        seconds: now.seconds.saturating_add(seconds),
        nanos: 0,
    };
    match (meta.deletion_timestamp, meta.deletion_grace_period_seconds) {
        (Some(_), Some(granted)) if grace >= granted => false,
        (Some(due), Some(granted)) => {
            // The new grace counts from when deletion was first asked for, but nothing is due in the past.
            let asked = due.seconds.saturating_sub(granted);
            meta.deletion_timestamp = Some(Timestamp {
                seconds: asked.saturating_add(grace).max(now.seconds),
                nanos: 0,
            });
            meta.deletion_grace_period_seconds = Some(grace);
            true
        }
        (Some(_), None) => false,
        (None, _) => {
            meta.deletion_timestamp = Some(after(grace));
            meta.deletion_grace_period_seconds = Some(grace);
            if meta.generation > 0 {
                meta.generation += 1;
            }
            true
        }
    }
}

/// The finalizers of an object that is asked to go: beside its own, those that the propagation policy stands for.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion>
pub fn deletion_finalizers(meta: &ObjectMeta, options: &DeleteOptions) -> Vec<String> {
    let has = |finalizer: &str| has_finalizer(meta, finalizer);
    let (orphan, foreground) = match (options.propagation_policy.as_deref(), options.orphan_dependents) {
        (Some("Orphan"), _) | (None, Some(true)) => (true, false),
        (Some("Foreground"), _) => (false, true),
        (Some(_), _) | (None, Some(false)) => (false, false),
        (None, None) => (has(ORPHAN), has(FOREGROUND_DELETION)),
    };
    let others = meta
        .finalizers
        .iter()
        .filter(|f| *f != ORPHAN && *f != FOREGROUND_DELETION);
    let mut after: Vec<String> = others.cloned().collect();
    after.extend(orphan.then(|| ORPHAN.to_owned()));
    after.extend(foreground.then(|| FOREGROUND_DELETION.to_owned()));
    // The same set in another order is no change.
    if after.len() == meta.finalizers.len() && after.iter().all(|f| has(f)) {
        return meta.finalizers.clone();
    }
    after
}

/// Whether an object can be removed now: nobody holds it by a finalizer and its grace is over.
pub fn can_be_removed(meta: &ObjectMeta) -> bool {
    meta.finalizers.is_empty() && meta.deletion_grace_period_seconds.unwrap_or(0) == 0
}

/// Whether `finalizer` holds the object.
pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|f| f == finalizer)
}

/// Adds a finalizer; says whether it was missing.
pub fn add_finalizer(meta: &mut ObjectMeta, finalizer: &str) -> bool {
    let missing = !has_finalizer(meta, finalizer);
    if missing {
        meta.finalizers.push(finalizer.to_owned());
    }
    missing
}

/// Takes a finalizer away; says whether it was there.
pub fn remove_finalizer(meta: &mut ObjectMeta, finalizer: &str) -> bool {
    let before = meta.finalizers.len();
    meta.finalizers.retain(|f| f != finalizer);
    meta.finalizers.len() < before
}

/// What the condition types of all kinds have in common.
pub trait Condition: Clone {
    /// `Ready`, `Available`, …
    fn r#type(&self) -> &str;
    /// `True`, `False` or `Unknown`.
    fn status(&self) -> &str;
    /// A word for programs.
    fn reason(&self) -> &str;
    /// A sentence for people.
    fn message(&self) -> &str;
    /// When the status last changed.
    fn transition(&mut self) -> &mut Option<Timestamp>;
}

macro_rules! conditions {
    ($($type:ty),* $(,)?) => {$(
        impl Condition for $type {
            fn r#type(&self) -> &str {
                &self.r#type
            }
            fn status(&self) -> &str {
                &self.status
            }
            fn reason(&self) -> &str {
                &self.reason
            }
            fn message(&self) -> &str {
                &self.message
            }
            fn transition(&mut self) -> &mut Option<Timestamp> {
                &mut self.last_transition_time
            }
        }
    )*};
}

conditions!(
    proto::meta::v1::Condition,
    proto::api::core::v1::PodCondition,
    proto::api::core::v1::NodeCondition,
    proto::api::core::v1::NamespaceCondition,
    proto::api::core::v1::PersistentVolumeClaimCondition,
    proto::api::core::v1::ReplicationControllerCondition,
    proto::api::apps::v1::DeploymentCondition,
    proto::api::apps::v1::ReplicaSetCondition,
    proto::api::apps::v1::StatefulSetCondition,
    proto::api::apps::v1::DaemonSetCondition,
    proto::api::batch::v1::JobCondition,
    proto::api::autoscaling::v2::HorizontalPodAutoscalerCondition,
);

/// The condition of a type.
pub fn get_condition<'a, C: Condition>(conditions: &'a [C], r#type: &str) -> Option<&'a C> {
    conditions.iter().find(|c| c.r#type() == r#type)
}

/// Whether the condition of a type is `True`.
pub fn is_condition_true<C: Condition>(conditions: &[C], r#type: &str) -> bool {
    get_condition(conditions, r#type).is_some_and(|c| c.status() == "True")
}

/// Sets a condition. The transition time stays while the status does. Says whether status, reason or message changed;
/// where they did not, nothing is touched, so that a reconcile that finds nothing new writes nothing.
pub fn set_condition<C: Condition>(conditions: &mut Vec<C>, mut new: C) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.r#type() == new.r#type()) else {
        conditions.push(new);
        return true;
    };
    if old.status() == new.status() {
        if old.reason() == new.reason() && old.message() == new.message() {
            return false;
        }
        *new.transition() = *old.transition();
    }
    *old = new;
    true
}

/// Takes a condition away; says whether it was there.
pub fn remove_condition<C: Condition>(conditions: &mut Vec<C>, r#type: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c.r#type() != r#type);
    conditions.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::PodCondition;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn a_new_object_gets_its_name_uid_and_time_from_the_server() {
        let mut meta = ObjectMeta {
            generate_name: "web-".into(),
            uid: "forged".into(),
            resource_version: "7".into(),
            deletion_timestamp: Some(at(1)),
            ..ObjectMeta::default()
        };
        let birth = Birth {
            uid: "u1".into(),
            now: Timestamp { seconds: 5, nanos: 9 },
            suffix: "bcdfg".into(),
            counts_generation: true,
        };
        stamp_new(&mut meta, &birth);
        let expected = ObjectMeta {
            name: "web-bcdfg".into(),
            generate_name: "web-".into(),
            uid: "u1".into(),
            creation_timestamp: Some(at(5)),
            generation: 1,
            ..ObjectMeta::default()
        };
        assert_eq!(meta, expected);
    }

    #[test]
    fn grace_is_only_ever_shortened() {
        let mut meta = ObjectMeta {
            generation: 1,
            ..ObjectMeta::default()
        };
        assert!(begin_deletion(&mut meta, at(100), 30));
        assert_eq!((meta.deletion_timestamp, meta.generation), (Some(at(130)), 2));
        assert!(!begin_deletion(&mut meta, at(101), 30));
        assert!(!begin_deletion(&mut meta, at(101), 60));
        assert!(begin_deletion(&mut meta, at(105), 10));
        assert_eq!(meta.deletion_timestamp, Some(at(110)));
        assert!(!can_be_removed(&meta));
        assert!(begin_deletion(&mut meta, at(106), 0));
        assert_eq!((meta.deletion_timestamp, meta.generation), (Some(at(106)), 2));
        assert!(can_be_removed(&meta));
    }

    #[test]
    fn finalizers_are_a_set() {
        let mut meta = ObjectMeta::default();
        assert!(add_finalizer(&mut meta, "a/b") && !add_finalizer(&mut meta, "a/b"));
        assert!(has_finalizer(&meta, "a/b") && !can_be_removed(&meta));
        assert!(remove_finalizer(&mut meta, "a/b") && !remove_finalizer(&mut meta, "a/b"));
    }

    #[test]
    fn the_propagation_policy_becomes_a_finalizer() {
        let policy = |policy: &str| DeleteOptions {
            propagation_policy: Some(policy.into()),
            ..DeleteOptions::default()
        };
        let orphan = DeleteOptions {
            orphan_dependents: Some(true),
            ..DeleteOptions::default()
        };
        let cases: [(&[&str], DeleteOptions, &[&str]); 7] = [
            (&[], policy("Foreground"), &["foregroundDeletion"]),
            (&[], policy("Orphan"), &["orphan"]),
            (&[], policy("Background"), &[]),
            (&[], orphan, &["orphan"]),
            (&["orphan", "x/y"], policy("Background"), &["x/y"]),
            (
                &["foregroundDeletion"],
                DeleteOptions::default(),
                &["foregroundDeletion"],
            ),
            (&["foregroundDeletion"], policy("Orphan"), &["orphan"]),
        ];
        for (before, options, expected) in cases {
            let meta = ObjectMeta {
                finalizers: before.iter().map(|&finalizer| finalizer.to_owned()).collect(),
                ..ObjectMeta::default()
            };
            assert_eq!(
                deletion_finalizers(&meta, &options),
                expected,
                "{before:?} {options:?}"
            );
        }
    }

    #[test]
    fn a_condition_keeps_its_transition_time_until_its_status_changes() {
        let condition = |status: &str, reason: &str, seconds| PodCondition {
            r#type: "Ready".into(),
            status: status.into(),
            reason: reason.into(),
            last_transition_time: Some(at(seconds)),
            ..PodCondition::default()
        };
        let mut conditions = Vec::new();
        assert!(set_condition(&mut conditions, condition("False", "Starting", 1)));
        assert!(!set_condition(&mut conditions, condition("False", "Starting", 2)));
        assert!(set_condition(&mut conditions, condition("False", "Waiting", 3)));
        assert_eq!(conditions[0].last_transition_time, Some(at(1)));
        assert!(set_condition(&mut conditions, condition("True", "", 4)));
        assert_eq!(conditions[0].last_transition_time, Some(at(4)));
        assert!(is_condition_true(&conditions, "Ready") && !is_condition_true(&conditions, "Other"));
        assert!(remove_condition(&mut conditions, "Ready") && conditions.is_empty());
    }
}
