//! What the registry does to Pods alone: binding one to a node, and marking one that is evicted. Pure.

use super::errors::{self, Result};
use apimachinery::kinds::KindInfo;
use proto::Timestamp;
use proto::api::core::v1::{Pod, PodCondition};

/// The condition that says whether a Pod has a node.
const POD_SCHEDULED: &str = "PodScheduled";
/// The condition that says that a Pod is about to go, and why.
const DISRUPTION_TARGET: &str = "DisruptionTarget";

/// Whether the Pod has run to its end.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    ["Succeeded", "Failed"].contains(&phase(pod))
}

/// `status.phase`.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().map_or("", |status| &status.phase)
}

/// Whether the condition `Ready` is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.r#type == "Ready")
        .any(|condition| condition.status == "True")
}

/// Binds the Pod to `node`. A Pod is bound once, and not while it is deleted or gated.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/binding-v1/>.
pub(crate) fn bind(info: &KindInfo, pod: &mut Pod, uid: &str, node: &str, now: Timestamp) -> Result<()> {
    let meta = pod.metadata.clone().unwrap_or_default();
    let name = &meta.name;
    let refuse = |why: String| Err(errors::conflict(info, name, &why));
    if !uid.is_empty() && uid != meta.uid {
        return refuse(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            meta.uid
        ));
    }
    if meta.deletion_timestamp.is_some() {
        return refuse(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let spec = pod.spec.get_or_insert_default();
    if !spec.node_name.is_empty() {
        return refuse(format!(
            "pod {name} is already assigned to node {:?}",
            spec.node_name
        ));
    }
    if !spec.scheduling_gates.is_empty() {
        return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    spec.node_name = node.to_owned();
    set_condition(pod, POD_SCHEDULED, "", "", now);
    Ok(())
}

/// Notes that the eviction API is the reason why this Pod goes.
/// <https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions>.
pub(crate) fn mark_evicted(pod: &mut Pod, now: Timestamp) {
    set_condition(
        pod,
        DISRUPTION_TARGET,
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
        now,
    );
}

/// Makes a condition true. Its date moves only when its status does.
fn set_condition(pod: &mut Pod, kind: &str, reason: &str, message: &str, now: Timestamp) {
    let conditions = &mut pod.status.get_or_insert_default().conditions;
    let place = conditions.iter().position(|condition| condition.r#type == kind);
    let place = place.unwrap_or_else(|| {
        conditions.push(PodCondition {
            r#type: kind.to_owned(),
            ..PodCondition::default()
        });
        conditions.len() - 1
    });
    let condition = &mut conditions[place];
    if condition.status != "True" {
        condition.status = "True".into();
        condition.last_transition_time = Some(Timestamp { nanos: 0, ..now });
    }
    condition.reason = reason.to_owned();
    condition.message = message.to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Kind;
    use proto::api::core::v1::{PodSchedulingGate, PodSpec};

    const NOW: Timestamp = Timestamp { seconds: 9, nanos: 9 };

    fn pod() -> Pod {
        let mut pod = Pod::default();
        let meta = pod.metadata_mut();
        meta.name = "web".into();
        meta.uid = "u1".into();
        pod
    }

    fn try_bind(pod: &mut Pod, uid: &str) -> std::result::Result<(), String> {
        bind(apimachinery::kinds::of::<Pod>(), pod, uid, "node-1", NOW).map_err(|status| {
            assert_eq!(status.reason, "Conflict");
            status.message
        })
    }

    #[test]
    fn binding_sets_node_and_condition_in_one_step_and_only_once() {
        let mut pod = pod();
        try_bind(&mut pod, "u1").unwrap();
        assert_eq!(pod.spec.as_ref().unwrap().node_name, "node-1");
        let condition = &pod.status.as_ref().unwrap().conditions[0];
        assert_eq!(
            (condition.r#type.as_str(), condition.status.as_str()),
            ("PodScheduled", "True")
        );
        assert_eq!(
            condition.last_transition_time,
            Some(Timestamp { seconds: 9, nanos: 0 })
        );
        let again = try_bind(&mut pod, "").unwrap_err();
        assert!(again.contains("already assigned to node \"node-1\""), "{again}");
    }

    #[test]
    fn a_pod_that_must_not_be_bound_says_why() {
        let mut deleting = pod();
        deleting.metadata_mut().deletion_timestamp = Some(NOW);
        let mut gated = pod();
        gated.spec = Some(PodSpec {
            scheduling_gates: vec![PodSchedulingGate { name: "wait".into() }],
            ..PodSpec::default()
        });
        for (mut pod, uid, why) in [
            (pod(), "u2", "UID in precondition: u2"),
            (deleting, "", "is being deleted"),
            (gated, "", "schedulingGates"),
        ] {
            let message = try_bind(&mut pod, uid).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }
}
