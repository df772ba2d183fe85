//! [`Binder`]: what was chosen for a Pod's claims is written, and the Pod waits until the claims have their volumes: upstream's PreBind.
//!
//! A volume that was chosen is kept for its claim by `spec.claimRef`; a claim whose volume is to be made gets the node as an annotation, which
//! tells its provisioner. The controller does the rest. A write holds only for the object as it was seen; where another was faster, the
//! Pod loses its place and is tried again.

use super::OUT_OF_REACH;
use crate::framework::{ClusterEvent, EventSet, Permit, Permitted, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::snapshot::{Chosen, ClaimKey, Snapshot};
use apimachinery::volumes::{belongs, is_bound, is_reachable, volume_of};
use apimachinery::well_known::{BOUND_BY_CONTROLLER, SELECTED_NODE};
use client::ObjectKey;
use proto::Kind;
use proto::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{BatchOperation, PatchRequest};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a Pod waits for its volumes, as upstream.
const WAIT: Duration = Duration::from_secs(600);

/// See the module; and upstream's VolumeBindingArgs.
#[derive(Debug)]
pub struct Binder {
    /// How long a Pod waits for its volumes.
    pub bind_timeout: Duration,
    /// The Pods that wait: what they wait for, and at which revision each object was when it was chosen.
    waiting: HashMap<ObjectKey, HashMap<ObjectKey, i64>>,
    /// Who waits for an object.
    by_object: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Binder {
    /// Pods wait so long for their volumes.
    pub fn new(bind_timeout: Duration) -> Self {
        Self {
            bind_timeout,
            waiting: HashMap::new(),
            by_object: HashMap::new(),
        }
    }

    fn wait(&mut self, pod: &ObjectKey, objects: HashMap<ObjectKey, i64>) {
        for object in objects.keys() {
            let waiting = self.by_object.entry(object.clone()).or_default();
            waiting.insert(pod.clone());
        }
        self.waiting.insert(pod.clone(), objects);
    }

    fn forget(&mut self, pod: &ObjectKey) {
        for object in self.waiting.remove(pod).unwrap_or_default().into_keys() {
            if let Some(waiting) = self.by_object.get_mut(&object) {
                waiting.remove(pod);
                if waiting.is_empty() {
                    self.by_object.remove(&object);
                }
            }
        }
    }
}

impl Default for Binder {
    fn default() -> Self {
        Self::new(WAIT)
    }
}

impl Plugin for Binder {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }
}

impl Permit for Binder {
    fn permit(&mut self, pod: &PodInfo, node: &str, snapshot: &Snapshot) -> Permitted {
        let Some(chosen) = snapshot.volumes().chosen(&pod.key) else {
            return Permitted::Allow(Vec::new());
        };
        let first = !self.waiting.contains_key(&pod.key);
        if first {
            self.wait(&pod.key, revisions(chosen, snapshot));
        }
        let seen = &self.waiting[&pod.key];
        let all = chosen
            .volumes
            .iter()
            .map(|(volume, claim)| keeps(snapshot, claim, volume, seen))
            .chain(
                chosen
                    .to_make
                    .iter()
                    .map(|claim| is_made(snapshot, claim, node, seen)),
            );
        let mut writes = Vec::new();
        let mut pending = false;
        for state in all {
            match state {
                Ok(State::Done) => {}
                Ok(State::Written) => pending = true,
                Ok(State::ToWrite(patch)) => {
                    pending = true;
                    writes.push(BatchOperation {
                        operation: Some(Operation::Patch(*patch)),
                        cause: pod.revision,
                    });
                }
                Err(why) => {
                    self.forget(&pod.key);
                    return Permitted::Reject(Rejection::error(why), Vec::new());
                }
            }
        }
        if !pending {
            self.forget(&pod.key);
            return Permitted::Allow(Vec::new());
        }
        Permitted::Wait {
            at_most: self.bind_timeout,
            // What was sent once is on its way.
            writes: if first { writes } else { Vec::new() },
        }
    }

    fn concerned(&self, events: EventSet, object: &ObjectKey) -> Vec<ObjectKey> {
        let volumes = EventSet::of(&[
            ClusterEvent::PersistentVolumeClaim,
            ClusterEvent::PersistentVolume,
        ]);
        if !events.intersects(volumes) {
            return Vec::new();
        }
        let waiting = self.by_object.get(object).into_iter().flatten();
        waiting.cloned().collect()
    }

    fn settled(&mut self, pod: &ObjectKey, _: bool) -> Vec<ObjectKey> {
        self.forget(pod);
        Vec::new()
    }
}

/// How far a choice has come.
enum State {
    /// The claim has its volume.
    Done,
    /// The choice is written.
    Written,
    /// The choice is to be written, or is on its way.
    ToWrite(Box<PatchRequest>),
}

fn claim_key((namespace, name): &ClaimKey) -> ObjectKey {
    ObjectKey::new::<PersistentVolumeClaim>(namespace, name)
}

fn volume_key(name: &str) -> ObjectKey {
    ObjectKey::new::<PersistentVolume>("", name)
}

/// Everything that a choice waits for, as it is now.
fn revisions(chosen: &Chosen, snapshot: &Snapshot) -> HashMap<ObjectKey, i64> {
    let objects = snapshot.objects();
    let mut seen = HashMap::new();
    let claims = chosen.volumes.iter().map(|(_, claim)| claim);
    for claim in claims.chain(&chosen.to_make) {
        let object = objects.claims.get(claim);
        seen.insert(claim_key(claim), object.map_or(0, |object| object.revision()));
    }
    for (volume, _) in &chosen.volumes {
        let object = objects.global(&objects.volumes, volume);
        seen.insert(volume_key(volume), object.map_or(0, |object| object.revision()));
    }
    seen
}

fn find<'a>(snapshot: &'a Snapshot, key: &ClaimKey) -> Result<&'a Arc<PersistentVolumeClaim>, String> {
    let claim = snapshot.objects().claims.get(key);
    claim.ok_or_else(|| format!("persistentvolumeclaim {:?} not found", key.1))
}

/// How far a claim has come that is to get a volume which is there.
fn keeps(
    snapshot: &Snapshot,
    key: &ClaimKey,
    name: &str,
    seen: &HashMap<ObjectKey, i64>,
) -> Result<State, String> {
    let claim = find(snapshot, key)?;
    let objects = snapshot.objects();
    let Some(volume) = objects.global(&objects.volumes, name) else {
        return Err(format!("persistentvolume {name:?} not found"));
    };
    if is_bound(claim) {
        return if volume_of(claim) == name {
            Ok(State::Done)
        } else {
            Err(format!("persistentvolumeclaim {:?} got another volume", key.1))
        };
    }
    let kept_for = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    if kept_for.is_some_and(|reference| reference.uid == claim.uid()) {
        return Ok(State::Written);
    }
    let as_seen = seen.get(&volume_key(name)) == Some(&volume.revision());
    if !as_seen || kept_for.is_some() && !belongs(volume, claim) {
        return Err(format!("persistentvolume {name:?} has changed"));
    }
    let reference = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": claim.namespace(),
        "name": claim.name(),
        "uid": claim.uid(),
        "resourceVersion": claim.meta().resource_version,
    });
    let mut patch = json!({ "spec": { "claimRef": reference } });
    if kept_for.is_none() {
        patch["metadata"] = json!({ "annotations": { BOUND_BY_CONTROLLER: "yes" } });
    }
    Ok(State::ToWrite(Box::new(write(
        &**volume,
        "persistentvolumes",
        patch,
    ))))
}

/// How far a claim has come whose volume is to be made for a node.
fn is_made(
    snapshot: &Snapshot,
    key: &ClaimKey,
    node: &str,
    seen: &HashMap<ObjectKey, i64>,
) -> Result<State, String> {
    let claim = find(snapshot, key)?;
    let objects = snapshot.objects();
    if is_bound(claim) {
        let volume = objects.global(&objects.volumes, volume_of(claim));
        // The claim may be seen a moment before its volume.
        let Some(volume) = volume else {
            return Ok(State::Written);
        };
        let reachable = snapshot
            .node_named(node)
            .is_some_and(|node| is_reachable(volume, &node.name, &node.labels));
        return if reachable {
            Ok(State::Done)
        } else {
            Err(OUT_OF_REACH.into())
        };
    }
    match claim.meta().annotations.get(SELECTED_NODE) {
        Some(selected) if selected == node => Ok(State::Written),
        None if seen.get(&claim_key(key)) == Some(&claim.revision()) => {
            let patch = json!({ "metadata": { "annotations": { SELECTED_NODE: node } } });
            Ok(State::ToWrite(Box::new(write(
                &**claim,
                "persistentvolumeclaims",
                patch,
            ))))
        }
        _ => Err(format!(
            "provisioning failed for persistentvolumeclaim {:?}",
            key.1
        )),
    }
}

/// A patch that holds only for the object as it is.
fn write<K: Kind>(object: &K, plural: &str, mut patch: Value) -> PatchRequest {
    patch["metadata"]["uid"] = json!(object.uid());
    patch["metadata"]["resourceVersion"] = json!(object.meta().resource_version);
    PatchRequest {
        kind: plural.into(),
        namespace: object.namespace().into(),
        name: object.name().into(),
        r#type: PatchType::Merge.into(),
        patch: patch.to_string(),
        ..PatchRequest::default()
    }
}
