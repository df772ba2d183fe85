//! The life of a Namespace: nothing is created in one that is missing or on its way out, and the system's own stay.
//!
//! ```text
//!   Active ──delete──▶ Terminating ──spec.finalizers emptied (subresource finalize), metadata.finalizers gone──▶ gone
//! ```
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle>.

use crate::registry::errors::{self, Result};
use apimachinery::kinds::{self, KindInfo};
use apimachinery::meta;
use proto::api::core::v1::Namespace;
use proto::{Kind, Timestamp};

/// The namespaces that exist from the start and cannot be deleted.
pub(crate) const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// The phase of a namespace on its way out.
const TERMINATING: &str = "Terminating";

/// Whether an object of kind `info` may be created in the namespace `name`, which is `found`.
pub(crate) fn check_create(
    info: &KindInfo,
    object: &str,
    name: &str,
    found: Option<&Namespace>,
) -> Result<()> {
    let Some(namespace) = found else {
        return Err(errors::not_found(kinds::of::<Namespace>(), name));
    };
    if namespace.meta().deletion_timestamp.is_none() && phase(namespace) != TERMINATING {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    Err(errors::with_cause(
        errors::forbidden(info, object, &why),
        "NamespaceTerminating",
        "metadata.namespace",
        format!("namespace {name} is being terminated"),
    ))
}

/// Whether the namespace `name` may be deleted.
pub(crate) fn check_delete(name: &str) -> Result<()> {
    if SYSTEM_NAMESPACES.contains(&name) {
        let info = kinds::of::<Namespace>();
        return Err(errors::forbidden(info, name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Sends a namespace on its way out; `false` when it is on it already.
pub(crate) fn begin_deletion(namespace: &mut Namespace, now: Timestamp) -> bool {
    if !meta::begin_deletion(namespace.metadata_mut(), now, 0) {
        return false;
    }
    namespace.status.get_or_insert_default().phase = TERMINATING.into();
    true
}

/// Whether the namespace's content is gone, so that it can go itself.
pub(crate) fn is_empty(namespace: &Namespace) -> bool {
    namespace
        .spec
        .as_ref()
        .is_none_or(|spec| spec.finalizers.is_empty())
}

fn phase(namespace: &Namespace) -> &str {
    namespace.status.as_ref().map_or("", |status| &status.phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name = "team".into();
        namespace
            .spec
            .get_or_insert_default()
            .finalizers
            .push("kubernetes".into());
        namespace.status.get_or_insert_default().phase = "Active".into();
        namespace
    }

    #[test]
    fn nothing_is_created_in_a_namespace_that_is_missing_or_terminating() {
        let pods = kinds::by_number(1).unwrap();
        let check = |found: Option<&Namespace>| check_create(pods, "web", "team", found);
        let mut team = namespace();
        assert!(check(Some(&team)).is_ok());
        let missing = check(None).unwrap_err();
        assert_eq!(
            (missing.reason.as_str(), missing.message.as_str()),
            ("NotFound", "namespaces \"team\" not found")
        );
        assert!(begin_deletion(&mut team, Timestamp { seconds: 5, nanos: 1 }));
        let refused = check(Some(&team)).unwrap_err();
        assert_eq!(refused.reason, "Forbidden");
        assert_eq!(refused.details.unwrap().causes[0].reason, "NamespaceTerminating");
    }

    #[test]
    fn a_namespace_goes_once_and_waits_for_its_content() {
        let mut team = namespace();
        assert!(!is_empty(&team));
        assert!(begin_deletion(&mut team, Timestamp { seconds: 5, nanos: 1 }));
        assert_eq!(phase(&team), "Terminating");
        assert!(!begin_deletion(&mut team, Timestamp { seconds: 6, nanos: 1 }));
        team.spec = None;
        assert!(is_empty(&team));
    }

    #[test]
    fn the_systems_own_namespaces_stay() {
        assert_eq!(check_delete("kube-system").unwrap_err().reason, "Forbidden");
        assert!(check_delete("team").is_ok());
    }
}
