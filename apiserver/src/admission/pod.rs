//! What a new Pod gets that says nothing of it: a priority, which its PriorityClass decides, and a ServiceAccount.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#priority>. The tolerations
//! that upstream adds in an admission plugin need nothing of the cluster: apimachinery sets them. A ServiceAccount need not
//! exist, unlike upstream: nothing is mounted of it, and a Pod that comes with its Namespace needs not wait.

use crate::registry::errors::{self, Result};
use apimachinery::defaults::resolve_priority;
use apimachinery::kinds;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::api::scheduling::v1::PriorityClass;

/// The classes that exist whether anybody made them or not.
const SYSTEM_CLASSES: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

/// The account of Pods that name none.
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// Gives the Pod the account that every Namespace has, unless it names one.
/// <https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts>
pub(crate) fn set_service_account(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    if spec.service_account_name.is_empty() && spec.service_account.is_empty() {
        spec.service_account_name = DEFAULT_SERVICE_ACCOUNT.into();
    }
}

/// Gives the Pod its class's priority. `classes` are all PriorityClasses.
pub(crate) fn set_priority(pod: &mut Pod, classes: &[PriorityClass]) -> Result<()> {
    let info = kinds::of::<Pod>();
    let pod_name = pod.name().to_owned();
    let spec = pod.spec.get_or_insert_default();
    let class = if spec.priority_class_name.is_empty() {
        // Two defaults are a mistake of the administrator; the lower one does less harm.
        let defaults = classes.iter().filter(|class| class.global_default);
        defaults.min_by_key(|class| class.value)
    } else {
        let wanted = &spec.priority_class_name;
        let class = classes.iter().find(|class| class.name() == wanted);
        if class.is_none() && !SYSTEM_CLASSES.contains(&wanted.as_str()) {
            let why = format!("no PriorityClass with name {wanted} was found");
            return Err(errors::forbidden(info, &pod_name, &why));
        }
        class
    };
    let (given, policy) = (spec.priority, spec.preemption_policy.clone());
    resolve_priority(spec, class);
    if let (Some(given), Some(computed)) = (given, spec.priority)
        && given != computed
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {computed} from the given PriorityClass name"
        );
        return Err(errors::forbidden(info, &pod_name, &why));
    }
    if policy.is_some() {
        spec.preemption_policy = policy;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::PodSpec;

    fn class(name: &str, value: i32, global_default: bool) -> PriorityClass {
        let mut class = PriorityClass {
            value,
            global_default,
            ..PriorityClass::default()
        };
        class.metadata_mut().name = name.into();
        class
    }

    fn admitted(spec: PodSpec, classes: Vec<PriorityClass>) -> std::result::Result<PodSpec, String> {
        let mut pod = Pod {
            spec: Some(spec),
            ..Pod::default()
        };
        set_priority(&mut pod, &classes).map_err(|status| status.message)?;
        Ok(pod.spec.unwrap())
    }

    #[test]
    fn a_plain_pod_has_priority_0_and_keeps_what_it_said_of_preemption() {
        let spec = admitted(PodSpec::default(), vec![]).unwrap();
        assert_eq!(
            (spec.priority, spec.preemption_policy()),
            (Some(0), "PreemptLowerPriority")
        );
        let gentle = PodSpec {
            preemption_policy: Some("Never".into()),
            ..PodSpec::default()
        };
        assert_eq!(admitted(gentle, vec![]).unwrap().preemption_policy(), "Never");
    }

    #[test]
    fn a_pod_that_names_no_account_gets_the_default_one() {
        for (name, deprecated, expected) in [("", "", "default"), ("mine", "", "mine"), ("", "old", "")] {
            let mut pod = Pod {
                spec: Some(PodSpec {
                    service_account_name: name.into(),
                    service_account: deprecated.into(),
                    ..PodSpec::default()
                }),
                ..Pod::default()
            };
            set_service_account(&mut pod);
            assert_eq!(
                pod.spec.unwrap().service_account_name,
                expected,
                "{name} {deprecated}"
            );
        }
    }

    #[test]
    fn the_priority_comes_from_the_class() {
        let classes = || {
            vec![
                class("high", 1000, false),
                class("usual", 10, true),
                class("also", 20, true),
            ]
        };
        let named = |name: &str, priority| PodSpec {
            priority_class_name: name.into(),
            priority,
            ..PodSpec::default()
        };
        assert_eq!(
            admitted(named("high", None), classes()).unwrap().priority,
            Some(1000)
        );
        let usual = admitted(named("", None), classes()).unwrap();
        assert_eq!(
            (usual.priority, usual.priority_class_name.as_str()),
            (Some(10), "usual")
        );
        let system = admitted(named("system-node-critical", None), vec![]).unwrap();
        assert_eq!(system.priority, Some(2_000_001_000));
        let missing = admitted(named("none", None), classes()).unwrap_err();
        assert!(missing.contains("no PriorityClass with name none"), "{missing}");
        let given = admitted(named("high", Some(7)), classes()).unwrap_err();
        assert!(given.contains("computed 1000"), "{given}");
    }
}
