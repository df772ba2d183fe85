//! What if: the same explanation for a cluster that is changed in thought, on a copy of the snapshot.

use super::{as_pod, judge, not_found, ready};
use crate::engine::Engine;
use crate::pod::{Classes, PodInfo};
use crate::snapshot::{Placement, Snapshot};
use client::ObjectKey;
use proto::api::core::v1::{Node, Pod};
use proto::orrery::v1::hypothetical_change::Change;
use proto::orrery::v1::{ExplainRequest, ExplainResponse, HypotheticalChange, WhatIfRequest};
use proto::{Kind, Object};
use tonic::Status;

/// Answers a question. The engine is as it was.
pub(super) fn what_if(engine: &mut Engine, request: &WhatIfRequest) -> Result<ExplainResponse, Status> {
    ready(engine)?;
    let ask = request.ask.clone().unwrap_or_default();
    let mut snapshot = engine.snapshot.clone();
    // Templates of its own: none of the engine's is changed, and none of these is taken for one of the engine's.
    let mut classes = Classes::apart();
    for (number, change) in request.changes.iter().enumerate() {
        apply(&mut snapshot, change, &mut classes)
            .map_err(|why| Status::invalid_argument(format!("changes[{number}]: {why}")))?;
    }
    let pod = match &request.pod {
        Some(object) => {
            let pod: Pod = decode(object).map_err(|why| Status::invalid_argument(format!("pod: {why}")))?;
            PodInfo::of(&pod, 0, &mut classes)
        }
        None => {
            let key = super::key(&ask);
            let queued = engine.queue.get(&key).map(|queued| PodInfo::clone(&queued.pod));
            let placed = engine.snapshot.pod(&key).map(as_pod);
            placed.or(queued).ok_or_else(|| not_found(&ask.pod))?
        }
    };
    snapshot.remove_pod(&pod.key);
    let mut response = ExplainResponse {
        uid: pod.uid.to_string(),
        revision: engine.revision(),
        ..ExplainResponse::default()
    };
    judge(&engine.profiles, &mut snapshot, &pod, &ask, &mut response)?;
    Ok(response)
}

fn apply(snapshot: &mut Snapshot, change: &HypotheticalChange, classes: &mut Classes) -> Result<(), String> {
    match &change.change {
        None => Err("says nothing: set one of node, removeNode, pod, removePod".into()),
        Some(Change::Node(object)) => {
            let node: Node = decode(object)?;
            snapshot.set_node(&node);
            Ok(())
        }
        Some(Change::RemoveNode(name)) => {
            let there = snapshot.node_named(name).is_some();
            snapshot.remove_node(name);
            there.then_some(()).ok_or(format!("there is no node {name:?}"))
        }
        Some(Change::Pod(object)) => {
            let pod: Pod = decode(object)?;
            let node = pod.spec.as_ref().map_or("", |spec| &spec.node_name);
            if snapshot.node_named(node).is_none() {
                return Err(format!("pod.spec.nodeName: there is no node {node:?}"));
            }
            let info = PodInfo::of(&pod, 0, classes);
            snapshot.place(&info, node, Placement::Bound);
            Ok(())
        }
        Some(Change::RemovePod(ask)) => remove(snapshot, ask),
    }
}

fn remove(snapshot: &mut Snapshot, ask: &ExplainRequest) -> Result<(), String> {
    let key: ObjectKey = super::key(ask);
    let gone = snapshot.remove_pod(&key);
    let missing = || format!("there is no pod {key} that has a node");
    gone.map(|_| ()).ok_or_else(missing)
}

fn decode<K: Kind>(object: &Object) -> Result<K, String> {
    object.decode_as().map_err(|error| error.to_string())
}
