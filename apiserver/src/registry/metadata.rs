//! The part of `metadata` that belongs to the server: what an update must be made from, and what it
//! cannot change. Pure.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>.

use super::errors::{self, Result};
use apimachinery::kinds::KindInfo;
use apimachinery::status::{self, FieldError};
use proto::meta::v1::ObjectMeta;
use storage::store::Revision;

/// Whether an update may replace the object at `revision`: it names the resourceVersion and UID it was made from, or
/// none.
pub(crate) fn check_current(
    info: &KindInfo,
    new: &ObjectMeta,
    old: &ObjectMeta,
    revision: Revision,
) -> Result<()> {
    if !new.uid.is_empty() && new.uid != old.uid {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            new.uid, old.uid
        );
        return Err(errors::conflict(info, &old.name, &why));
    }
    if new.resource_version.is_empty() || new.resource_version == "0" {
        return Ok(());
    }
    match new.resource_version.parse::<Revision>() {
        Ok(version) if version == revision => Ok(()),
        Ok(_) => Err(errors::stale(info, &old.name)),
        Err(_) => Err(fault(
            info,
            &old.name,
            "FieldValueInvalid",
            "metadata.resourceVersion",
            format!("Invalid value: {:?}: must be an integer", new.resource_version),
        )),
    }
}

/// Keeps what an update cannot change, and refuses what it must not try.
pub(crate) fn carry_over(info: &KindInfo, new: &mut ObjectMeta, old: &ObjectMeta) -> Result<()> {
    if old.deletion_timestamp.is_none() && new.deletion_timestamp.is_some() {
        let message = "Invalid value: field is immutable; delete the object instead".to_owned();
        return Err(fault(
            info,
            &old.name,
            "FieldValueInvalid",
            "metadata.deletionTimestamp",
            message,
        ));
    }
    if old.deletion_timestamp.is_some() {
        let added: Vec<&String> = new
            .finalizers
            .iter()
            .filter(|f| !old.finalizers.contains(f))
            .collect();
        if !added.is_empty() {
            let message = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            return Err(fault(
                info,
                &old.name,
                "FieldValueForbidden",
                "metadata.finalizers",
                message,
            ));
        }
    }
    new.name.clone_from(&old.name);
    new.namespace.clone_from(&old.namespace);
    new.generate_name.clone_from(&old.generate_name);
    new.uid.clone_from(&old.uid);
    new.generation = old.generation;
    new.creation_timestamp = old.creation_timestamp;
    new.deletion_timestamp = old.deletion_timestamp;
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.managed_fields.clone_from(&old.managed_fields);
    new.resource_version.clear();
    new.self_link.clear();
    Ok(())
}

/// One fault of an object's metadata.
pub(crate) fn fault(
    info: &KindInfo,
    name: &str,
    reason: &'static str,
    field: &str,
    message: String,
) -> Box<proto::meta::v1::Status> {
    let fault = FieldError {
        reason,
        field: field.into(),
        message,
    };
    Box::new(status::invalid(info.group, info.kind, name, &[fault]))
}

#[cfg(test)]
mod tests {
    use super::*;

    use proto::Timestamp;

    const NOW: Timestamp = Timestamp { seconds: 9, nanos: 0 };

    fn pods() -> &'static KindInfo {
        apimachinery::kinds::by_number(1).unwrap()
    }

    fn stored() -> ObjectMeta {
        ObjectMeta {
            name: "web".into(),
            uid: "u1".into(),
            generation: 1,
            creation_timestamp: Some(NOW),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_update_must_be_made_from_the_present_state_or_from_none() {
        let cases = [
            ("", "", ""),
            ("7", "u1", ""),
            ("0", "", ""),
            ("6", "", "Conflict"),
            ("7", "u2", "Conflict"),
            ("x", "", "Invalid"),
        ];
        for (version, uid, reason) in cases {
            let new = ObjectMeta {
                resource_version: version.into(),
                uid: uid.into(),
                ..ObjectMeta::default()
            };
            let got = check_current(pods(), &new, &stored(), 7);
            assert_eq!(
                got.err().map_or(String::new(), |s| s.reason),
                reason,
                "{version} {uid}"
            );
        }
    }

    #[test]
    fn what_belongs_to_the_server_survives_an_update() {
        let mut new = ObjectMeta {
            name: "web".into(),
            generation: 99,
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..ObjectMeta::default()
        };
        carry_over(pods(), &mut new, &stored()).unwrap();
        assert_eq!(
            new,
            ObjectMeta {
                labels: new.labels.clone(),
                ..stored()
            }
        );
    }

    #[test]
    fn a_deletion_cannot_be_forged_and_a_deleting_object_gets_no_finalizer() {
        let mut forged = ObjectMeta {
            deletion_timestamp: Some(NOW),
            ..stored()
        };
        assert!(carry_over(pods(), &mut forged, &stored()).is_err());
        let deleting = ObjectMeta {
            finalizers: vec!["a/b".into()],
            ..forged
        };
        let mut fewer = ObjectMeta {
            finalizers: vec![],
            ..deleting.clone()
        };
        assert!(carry_over(pods(), &mut fewer, &deleting).is_ok());
        let mut more = ObjectMeta {
            finalizers: vec!["a/b".into(), "c/d".into()],
            ..deleting.clone()
        };
        let refused = carry_over(pods(), &mut more, &deleting).unwrap_err();
        assert_eq!(refused.details.unwrap().causes[0].field, "metadata.finalizers");
    }
}
