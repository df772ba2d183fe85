//! [`Report`]: what the scheduler tells people: Events, and the Pod's condition `PodScheduled`.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>

use crate::engine::Preemption;
use crate::framework::Victim;
use crate::pod::{POD_SCHEDULED, PodInfo};
use client::ObjectKey;
use client::controller::{EventAction, EventKind};
use client::time;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{ObjectReference, Pod, PodCondition};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{BatchOperation, PatchRequest};
use serde_json::{Value, json};

/// The condition's reason for a Pod that no node takes.
const UNSCHEDULABLE: &str = "Unschedulable";
/// The condition's reason for a Pod that could not be judged.
const SCHEDULER_ERROR: &str = "SchedulerError";
/// The condition's reason for a Pod that its gates hold.
const SCHEDULING_GATED: &str = "SchedulingGated";
/// The condition's message for a Pod that its gates hold, as upstream words it.
const GATED_MESSAGE: &str = "Scheduling is blocked due to non-empty scheduling gates";

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// An Event; `cause` is the revision that it tells of.
    Event {
        /// The Event.
        event: EventAction,
        /// The revision.
        cause: i64,
    },
    /// A write of the Pod's status. It may fail: the next attempt writes it again.
    Condition(BatchOperation),
    /// Another write, which a Pod waits for.
    Write(BatchOperation),
}

/// A Pod has a node.
pub(crate) fn scheduled(pod: &PodInfo, node: &str) -> Report {
    let message = format!(
        "Successfully assigned {}/{} to {node}",
        pod.key.namespace, pod.key.name
    );
    event(pod, EventKind::Normal, "Scheduled", message)
}

/// A Pod has no node, and why.
pub(crate) fn failed(pod: &PodInfo, message: &str, is_error: bool, wall: Timestamp) -> Vec<Report> {
    let reason = if is_error { SCHEDULER_ERROR } else { UNSCHEDULABLE };
    let mut reports = vec![event(pod, EventKind::Warning, "FailedScheduling", message.into())];
    reports.extend(condition(pod, reason, message, wall));
    reports
}

/// A Pod has no node, and why; room is being made for it on one.
pub(crate) fn making_room(pod: &PodInfo, message: String, node: &str, wall: Timestamp) -> Vec<Report> {
    let mut status = scheduled_false(pod, UNSCHEDULABLE, &message, wall).unwrap_or_else(|| json!({}));
    status["nominatedNodeName"] = json!(node);
    let write = Report::Condition(status_patch(pod, status));
    vec![event(pod, EventKind::Warning, "FailedScheduling", message), write]
}

/// A Pod must go so that another gets its room.
pub(crate) fn preempted(victim: &Victim, preemption: &Preemption) -> Report {
    let message = format!(
        "Preempted by pod {} on node {}",
        preemption.pod.uid, preemption.room.node
    );
    about(
        &victim.key,
        &victim.uid,
        preemption.pod.revision,
        EventKind::Normal,
        "Preempted",
        message,
    )
}

/// The write that tells a victim why it goes. Conditions are merged by type, so the others stay.
pub(crate) fn disrupted(victim: &Victim, preemption: &Preemption) -> BatchOperation {
    let by = &preemption.pod.template.spec.scheduler_name;
    let condition = json!({
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": format!("{by}: preempting to accommodate a higher priority pod"),
    });
    let patch = json!({
        "metadata": { "uid": &*victim.uid },
        "status": { "conditions": [condition] },
    });
    let patch = PatchRequest {
        kind: "pods".into(),
        namespace: victim.key.namespace.to_string(),
        name: victim.key.name.to_string(),
        subresource: "status".into(),
        r#type: PatchType::StrategicMerge.into(),
        patch: patch.to_string(),
        ..PatchRequest::default()
    };
    BatchOperation {
        operation: Some(Operation::Patch(patch)),
        cause: preemption.pod.revision,
    }
}

/// A Pod's gates hold it.
pub(crate) fn gated(pod: &PodInfo, wall: Timestamp) -> Option<Report> {
    condition(pod, SCHEDULING_GATED, GATED_MESSAGE, wall)
}

/// Room is being made for a Pod on a node, or, if that is empty, is no longer.
pub(crate) fn nominated(pod: &PodInfo, node: &str) -> Option<Report> {
    if pod.nominated.as_deref().unwrap_or_default() == node {
        return None;
    }
    let status = json!({ "nominatedNodeName": (!node.is_empty()).then_some(node) });
    Some(Report::Condition(status_patch(pod, status)))
}

fn event(pod: &PodInfo, r#type: EventKind, reason: &str, message: String) -> Report {
    about(&pod.key, &pod.uid, pod.revision, r#type, reason, message)
}

/// An Event about a Pod. `cause` is the revision that it tells of.
fn about(key: &ObjectKey, uid: &str, cause: i64, r#type: EventKind, reason: &str, message: String) -> Report {
    let regarding = ObjectReference {
        kind: Pod::NAME.into(),
        api_version: "v1".into(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        uid: uid.into(),
        resource_version: cause.to_string(),
        field_path: String::new(),
    };
    Report::Event {
        event: EventAction {
            regarding,
            r#type,
            reason: reason.into(),
            message,
        },
        cause,
    }
}

/// The write that makes `PodScheduled` false; `None` when it says so already.
fn condition(pod: &PodInfo, reason: &str, message: &str, wall: Timestamp) -> Option<Report> {
    let status = scheduled_false(pod, reason, message, wall)?;
    Some(Report::Condition(status_patch(pod, status)))
}

/// The part of the status that makes `PodScheduled` false; `None` when it says so already.
fn scheduled_false(pod: &PodInfo, reason: &str, message: &str, wall: Timestamp) -> Option<Value> {
    let old = pod.scheduled_condition();
    if old.is_some_and(|old| old.status == "False" && old.reason == reason && old.message == message) {
        return None;
    }
    let since = old.filter(|old| old.status == "False");
    let new = PodCondition {
        r#type: POD_SCHEDULED.into(),
        status: "False".into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: since.map_or(Some(time::time(wall)), |old| old.last_transition_time),
        ..PodCondition::default()
    };
    let others = pod
        .conditions
        .iter()
        .filter(|other| other.r#type != POD_SCHEDULED);
    // A merge patch replaces a list as a whole. So the others are repeated, and the patch holds only while the Pod is as
    // it was seen.
    let conditions: Vec<Value> = others.chain([&new]).map(to_json).collect();
    Some(json!({ "conditions": conditions }))
}

/// The write that merges `status` into the Pod's status. One with conditions holds only while the Pod is as it was seen.
fn status_patch(pod: &PodInfo, status: Value) -> BatchOperation {
    let mut patch = json!({ "metadata": { "uid": &*pod.uid } });
    if status.get("conditions").is_some() {
        patch["metadata"]["resourceVersion"] = json!(pod.revision.to_string());
    }
    patch["status"] = status;
    let patch = PatchRequest {
        kind: "pods".into(),
        namespace: pod.key.namespace.to_string(),
        name: pod.key.name.to_string(),
        subresource: "status".into(),
        r#type: PatchType::Merge.into(),
        patch: patch.to_string(),
        ..PatchRequest::default()
    };
    BatchOperation {
        operation: Some(Operation::Patch(patch)),
        cause: pod.revision,
    }
}

fn to_json(condition: &PodCondition) -> Value {
    let mut object = json!({ "type": condition.r#type, "status": condition.status });
    let times = [
        ("lastProbeTime", &condition.last_probe_time),
        ("lastTransitionTime", &condition.last_transition_time),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            object[name] = json!(time::timestamp(time).to_string());
        }
    }
    for (name, text) in [("reason", &condition.reason), ("message", &condition.message)] {
        if !text.is_empty() {
            object[name] = json!(text);
        }
    }
    if condition.observed_generation != 0 {
        object["observedGeneration"] = json!(condition.observed_generation);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{class, info};

    fn patch_of(report: Option<Report>) -> Option<Value> {
        let Some(Report::Condition(BatchOperation {
            operation: Some(Operation::Patch(patch)),
            ..
        })) = report
        else {
            return None;
        };
        Some(serde_json::from_str(&patch.patch).unwrap())
    }

    #[test]
    fn a_condition_is_written_once_and_keeps_the_others_and_its_date() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = at("2026-01-01T00:00:00Z");
        let mut pod = info("web", &class(&[]));
        pod.conditions = vec![PodCondition {
            r#type: "PodReadyToStartContainers".into(),
            status: "False".into(),
            ..PodCondition::default()
        }];
        let patch = patch_of(condition(&pod, UNSCHEDULABLE, "why", first)).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "1");
        let conditions = &patch["status"]["conditions"];
        assert_eq!(conditions[0]["type"], "PodReadyToStartContainers");
        assert_eq!(
            conditions[1],
            json!({
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "why",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        );
        pod.conditions.push(PodCondition {
            r#type: POD_SCHEDULED.into(),
            status: "False".into(),
            reason: UNSCHEDULABLE.into(),
            message: "why".into(),
            last_transition_time: Some(time::time(first)),
            ..PodCondition::default()
        });
        let later = at("2026-01-01T01:00:00Z");
        assert_eq!(condition(&pod, UNSCHEDULABLE, "why", later), None);
        let patch = patch_of(condition(&pod, UNSCHEDULABLE, "other", later)).unwrap();
        assert_eq!(
            patch["status"]["conditions"][1]["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn events_are_worded_as_kubernetes_words_them() {
        let pod = info("web", &class(&[]));
        let Report::Event { event, cause } = scheduled(&pod, "node-1") else {
            panic!("no event");
        };
        assert_eq!((event.reason.as_str(), cause), ("Scheduled", 1));
        assert_eq!(event.message, "Successfully assigned default/web to node-1");
    }
}
