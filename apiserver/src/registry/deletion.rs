//! What a delete makes of an object: nothing, a mark, or a removal. Pure.
//!
//! ```text
//!             delete, grace > 0 (Pods)          delete with grace 0, by the kubelet
//!   live ───────────────────────────▶ marked ───────────────────────────────┐
//!    │                                  │ a second delete may only shorten   ▼
//!    │ delete, finalizers               ▼                               finalizers? ──no──▶ gone
//!    ├─────────────────────────▶ marked, grace 0 ──last finalizer gone──────────▲
//!    └─ delete, no finalizers, no grace ────────────────────────────────────────┘
//! ```
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>,
//! <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#cascading-deletion>.

use super::errors::{self, Result};
use apimachinery::kinds::KindInfo;
use apimachinery::meta::{begin_deletion, can_be_removed, deletion_finalizers, is_being_deleted};
use apimachinery::status::{self, FieldError};
use proto::Timestamp;
use proto::meta::v1::{DeleteOptions, ObjectMeta};

/// What becomes of the object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Its deletion is under way already, and this request changes nothing.
    Pending,
    /// It stays for now, with this metadata.
    Marked(Box<ObjectMeta>),
    /// It goes.
    Removed,
}

/// Refuses options that contradict themselves.
pub(crate) fn validate_options(options: &DeleteOptions) -> Result<()> {
    let mut faults = Vec::new();
    if options.propagation_policy.is_some() && options.orphan_dependents.is_some() {
        faults.push(FieldError {
            reason: "FieldValueInvalid",
            field: "propagationPolicy".into(),
            message: format!(
                "Invalid value: {:?}: orphanDependents and deletionPropagation cannot be both set",
                options.propagation_policy()
            ),
        });
    }
    if let Some(policy) = &options.propagation_policy
        && !["Foreground", "Background", "Orphan"].contains(&policy.as_str())
    {
        faults.push(FieldError {
            reason: "FieldValueNotSupported",
            field: "propagationPolicy".into(),
            message: format!(
                "Unsupported value: {policy:?}: supported values: \"Foreground\", \"Background\", \"Orphan\""
            ),
        });
    }
    if options.dry_run.iter().any(|value| value != "All") {
        faults.push(FieldError {
            reason: "FieldValueNotSupported",
            field: "dryRun".into(),
            message: format!(
                "Unsupported value: {:?}: supported values: \"All\"",
                options.dry_run
            ),
        });
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Box::new(status::invalid(
        "meta.k8s.io",
        "DeleteOptions",
        "",
        &faults,
    )))
}

/// Deletes the object with this UID only, unless the caller named one.
pub(crate) fn pin_uid(options: &mut DeleteOptions, uid: &str) {
    let preconditions = options.preconditions.get_or_insert_default();
    preconditions.uid.get_or_insert_with(|| uid.to_owned());
}

/// Whether the options ask for a rehearsal.
pub(crate) fn is_dry_run(options: &DeleteOptions) -> bool {
    !options.dry_run.is_empty()
}

/// Refuses an object that is not the one that the caller means.
pub(crate) fn check_preconditions(
    info: &KindInfo,
    meta: &ObjectMeta,
    revision: i64,
    options: &DeleteOptions,
) -> Result<()> {
    let Some(expected) = &options.preconditions else {
        return Ok(());
    };
    if let Some(uid) = &expected.uid
        && *uid != meta.uid
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta.uid
        );
        return Err(errors::conflict(info, &meta.name, &why));
    }
    if let Some(version) = &expected.resource_version
        && *version != revision.to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({revision}). The object might have been modified"
        );
        return Err(errors::conflict(info, &meta.name, &why));
    }
    Ok(())
}

/// What becomes of an object that is asked to go at `now`. `grace` is given for kinds that go gracefully (Pods): how many
/// seconds it would get if this were the first request. Options and preconditions are checked already.
pub(crate) fn fate(meta: &ObjectMeta, grace: Option<i64>, options: &DeleteOptions, now: Timestamp) -> Fate {
    let seconds = match grace {
        None => 0,
        Some(_) if is_waiting(meta) => {
            let left = meta.deletion_grace_period_seconds.unwrap_or(0);
            match options.grace_period_seconds.map(at_least_one_if_negative) {
                // Only shorter: whoever asked first was promised no more than that, and clients rely on the date.
                Some(seconds) if seconds < left => seconds,
                _ => return Fate::Pending,
            }
        }
        Some(_) if is_being_deleted(meta) => 0,
        Some(seconds) => seconds,
    };
    let mut after = meta.clone();
    // Once the deletion has begun, its finalizers are what controllers make of them.
    if meta.deletion_timestamp.is_none() || grace.is_none() {
        after.finalizers = deletion_finalizers(meta, options);
    }
    if seconds == 0 && after.finalizers.is_empty() {
        return Fate::Removed;
    }
    begin_deletion(&mut after, now, seconds);
    if after == *meta {
        return Fate::Pending;
    }
    Fate::Marked(Box::new(after))
}

/// Whether the last finalizer of a deleting object is gone, and it can go too.
pub(crate) fn is_released(meta: &ObjectMeta) -> bool {
    is_being_deleted(meta) && can_be_removed(meta)
}

fn is_waiting(meta: &ObjectMeta) -> bool {
    is_being_deleted(meta) && meta.deletion_grace_period_seconds.is_some_and(|s| s > 0)
}

/// Upstream takes a negative grace for one second.
fn at_least_one_if_negative(seconds: i64) -> i64 {
    if seconds < 0 { 1 } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp {
        seconds: 1_000,
        nanos: 5,
    };

    /// The grace of a Pod that runs.
    const RUNNING: Option<i64> = Some(30);

    fn grace(seconds: i64) -> DeleteOptions {
        DeleteOptions {
            grace_period_seconds: Some(seconds),
            ..DeleteOptions::default()
        }
    }

    fn policy(policy: &str) -> DeleteOptions {
        DeleteOptions {
            propagation_policy: Some(policy.into()),
            ..DeleteOptions::default()
        }
    }

    fn with_finalizers(finalizers: &[&str]) -> ObjectMeta {
        ObjectMeta {
            generation: 3,
            finalizers: finalizers.iter().map(|f| (*f).to_owned()).collect(),
            ..ObjectMeta::default()
        }
    }

    fn marked(meta: &ObjectMeta, date: i64, grace: i64) -> ObjectMeta {
        ObjectMeta {
            deletion_timestamp: Some(Timestamp {
                seconds: date,
                nanos: 0,
            }),
            deletion_grace_period_seconds: Some(grace),
            ..meta.clone()
        }
    }

    #[test]
    fn a_running_pod_gets_its_grace_and_the_kubelet_ends_it() {
        let live = with_finalizers(&[]);
        let Fate::Marked(meta) = fate(&live, RUNNING, &DeleteOptions::default(), NOW) else {
            panic!("a running pod is not removed at once");
        };
        assert_eq!(
            *meta,
            ObjectMeta {
                generation: 4,
                ..marked(&live, 1_030, 30)
            }
        );
        assert_eq!(fate(&meta, RUNNING, &grace(0), NOW), Fate::Removed);
    }

    #[test]
    fn a_second_delete_only_shortens_the_grace() {
        let dying = marked(&with_finalizers(&[]), 1_030, 30);
        for options in [grace(30), grace(40), DeleteOptions::default()] {
            assert_eq!(fate(&dying, RUNNING, &options, NOW), Fate::Pending, "{options:?}");
        }
        assert_eq!(
            fate(&dying, RUNNING, &grace(10), NOW),
            Fate::Marked(Box::new(marked(&dying, 1_010, 10)))
        );
        assert_eq!(
            fate(&dying, RUNNING, &grace(-7), NOW),
            Fate::Marked(Box::new(marked(&dying, 1_001, 1)))
        );
    }

    #[test]
    fn a_pod_without_grace_goes_at_once() {
        let got = fate(&with_finalizers(&[]), Some(0), &DeleteOptions::default(), NOW);
        assert_eq!(got, Fate::Removed);
    }

    #[test]
    fn finalizers_hold_an_object_and_its_release_lets_it_go() {
        let live = with_finalizers(&["example.com/hold"]);
        let Fate::Marked(meta) = fate(&live, None, &DeleteOptions::default(), NOW) else {
            panic!("a finalizer holds");
        };
        assert_eq!(
            *meta,
            ObjectMeta {
                generation: 4,
                ..marked(&live, 1_000, 0)
            }
        );
        assert_eq!(fate(&meta, None, &DeleteOptions::default(), NOW), Fate::Pending);
        assert!(!is_released(&meta));
        assert!(is_released(&ObjectMeta {
            finalizers: vec![],
            ..*meta
        }));
        assert!(
            !is_released(&with_finalizers(&[])),
            "a live object is not released"
        );
    }

    #[test]
    fn a_pod_with_finalizers_stays_after_its_grace() {
        let dying = marked(&with_finalizers(&["example.com/hold"]), 1_030, 30);
        let got = fate(&dying, RUNNING, &grace(0), NOW);
        assert_eq!(got, Fate::Marked(Box::new(marked(&dying, 1_000, 0))));
    }

    #[test]
    fn options_that_contradict_themselves_name_every_fault() {
        let options = DeleteOptions {
            orphan_dependents: Some(true),
            propagation_policy: Some("Sideways".into()),
            ..DeleteOptions::default()
        };
        let status = validate_options(&options).unwrap_err();
        assert_eq!(status.reason, "Invalid");
        assert_eq!(status.details.unwrap().causes.len(), 2);
        assert!(validate_options(&policy("Orphan")).is_ok());
    }

    #[test]
    fn preconditions_tell_a_recreated_object_from_the_one_meant() {
        let info = apimachinery::kinds::by_number(1).unwrap();
        let meta = ObjectMeta {
            uid: "u1".into(),
            ..ObjectMeta::default()
        };
        let options = |uid: Option<&str>, version: Option<&str>| DeleteOptions {
            preconditions: Some(proto::meta::v1::Preconditions {
                uid: uid.map(Into::into),
                resource_version: version.map(Into::into),
            }),
            ..DeleteOptions::default()
        };
        let check =
            |options: &DeleteOptions| check_preconditions(info, &meta, 7, options).map_err(|s| s.reason);
        assert_eq!(check(&options(Some("u1"), Some("7"))), Ok(()));
        assert_eq!(check(&options(Some("u2"), None)), Err("Conflict".into()));
        assert_eq!(check(&options(None, Some("6"))), Err("Conflict".into()));
    }

    proptest! {
        #[test]
        fn no_sequence_of_deletes_puts_an_end_off(
            requests in prop::collection::vec((prop::option::of(-3..100i64), 0..1_000i64), 1..10),
        ) {
            let mut meta = with_finalizers(&[]);
            let mut now = NOW;
            for (asked, wait) in requests {
                now.seconds += wait;
                let options = DeleteOptions {
                    grace_period_seconds: asked,
                    ..DeleteOptions::default()
                };
                let first = asked.map_or(30, at_least_one_if_negative);
                let before = meta.deletion_timestamp;
                match fate(&meta, Some(first), &options, now) {
                    Fate::Removed => break,
                    Fate::Pending => prop_assert!(before.is_some()),
                    Fate::Marked(after) => {
                        let end = after.deletion_timestamp.unwrap();
                        // A shorter grace that is over already ends now.
                        prop_assert!(before.is_none_or(|before| end.seconds <= before.seconds.max(now.seconds)));
                        meta = *after;
                    }
                }
            }
        }
    }
}
