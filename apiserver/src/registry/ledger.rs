//! [`Ledger`]: how much of each node its Pods take, so that no bind asks for more than the node has, whoever decides.
//!
//! In: every Pod and Node as it changes, from the cache's follower, so that what the ledger holds is as current as what anybody can read.
//! A bind [`Claim`]s what its Pod asks for before it is written; the claim counts until the bind is seen or has failed. So of two
//! schedulers that give a node's last room away, one is refused.
//!
//! Counted are Pods that have a node and have not run to their end. Not refused are Pods that are created with a node, which no scheduler
//! decides on; a node that has not said what it has; and what is not asked for, as on a node that shrank.

use apimachinery::resources::{Allocatable, Resources, pod_requests};
use apimachinery::wire::Fields;
use proto::Kind;
use proto::api::core::v1::{Node, Pod};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::Stored;
use storage::cache::Observer;
use storage::store::Key;

/// Why a node has no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {node:?} has not enough {resource}: the pod requests {requested}, {free} of {allocatable} are free"
)]
pub(crate) struct Short {
    node: String,
    /// The first resource that there is too little of; CPU counts in thousandths of a core.
    resource: String,
    requested: i64,
    free: i64,
    allocatable: i64,
}

/// What a node has, and what of it is taken.
#[derive(Debug, Default)]
struct Room {
    /// `None` while the node is not there or has not said.
    allocatable: Option<Allocatable>,
    taken: Resources,
    pods: i64,
}

/// A Pod that has a node.
#[derive(Debug)]
struct Held {
    uid: String,
    node: Arc<str>,
    requests: Resources,
    /// The spec's bytes: while they stay, so do the requests.
    spec: u64,
}

/// What a bind on its way takes.
#[derive(Debug)]
struct Claimed {
    number: u64,
    uid: String,
    node: Arc<str>,
    requests: Resources,
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<Arc<str>, Room>,
    pods: HashMap<Key, Held>,
    /// By Pod: mostly one.
    claims: HashMap<Key, Vec<Claimed>>,
    last_claim: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<State>);

/// One bind's hold on a node's room. Gives it back when it is dropped; by then the bind has been seen, or was not done.
#[derive(Debug)]
pub(crate) struct Claim {
    ledger: Arc<Ledger>,
    pod: Key,
    number: u64,
}

impl Room {
    fn change(&mut self, requests: &Resources, more: bool) {
        if more {
            self.taken.add(requests);
            self.pods += 1;
        } else {
            self.taken.subtract(requests);
            self.pods -= 1;
        }
    }

    /// Whether a Pod fits.
    fn check(&self, node: &str, asked: &Resources) -> Result<(), Short> {
        let Some(Allocatable { resources: has, pods }) = &self.allocatable else {
            return Ok(());
        };
        let short = |resource: &str, requested: i64, allocatable: i64, taken: i64| {
            if requested == 0 || requested <= allocatable - taken {
                return Ok(());
            }
            Err(Short {
                node: node.to_owned(),
                resource: resource.to_owned(),
                requested,
                free: allocatable - taken,
                allocatable,
            })
        };
        let taken = &self.taken;
        short("pods", 1, *pods, self.pods)?;
        short("cpu", asked.cpu, has.cpu, taken.cpu)?;
        short("memory", asked.memory, has.memory, taken.memory)?;
        short(
            "ephemeral-storage",
            asked.ephemeral_storage,
            has.ephemeral_storage,
            taken.ephemeral_storage,
        )?;
        for (name, requested) in &asked.extended {
            short(name, *requested, has.extended(name), taken.extended(name))?;
        }
        Ok(())
    }
}

impl State {
    /// Counts in or out on a node. A node of which nothing is known any more is forgotten.
    fn change(&mut self, node: &Arc<str>, requests: &Resources, more: bool) {
        let room = self.nodes.entry(node.clone()).or_default();
        room.change(requests, more);
        if room.pods == 0 && room.allocatable.is_none() {
            self.nodes.remove(node);
        }
    }

    /// Gives a claim's room back, if it has any.
    fn release(&mut self, pod: &Key, number: u64) {
        let Some(claims) = self.claims.get_mut(pod) else {
            return;
        };
        let place = claims.iter().position(|claimed| claimed.number == number);
        let released = place.map(|place| claims.swap_remove(place));
        if claims.is_empty() {
            self.claims.remove(pod);
        }
        if let Some(claimed) = released {
            self.change(&claimed.node, &claimed.requests, false);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(held) = self.pods.remove(key) {
            self.change(&held.node, &held.requests, false);
        }
    }

    fn node_is(&mut self, name: &str, node: Option<&Node>) {
        let list = node
            .and_then(|node| node.status.as_ref())
            .map(|status| &status.allocatable);
        let allocatable = list.filter(|list| !list.is_empty()).map(Allocatable::of);
        let name: Arc<str> = name.into();
        let room = self.nodes.entry(name.clone()).or_default();
        room.allocatable = allocatable;
        if room.pods == 0 && room.allocatable.is_none() {
            self.nodes.remove(&name);
        }
    }

    fn pod_is(&mut self, key: &Key, stored: &Stored) {
        let glance = glance(&stored.bytes).unwrap_or_default();
        if glance.node.is_empty() || glance.is_finished {
            self.forget(key);
            return;
        }
        let same = |held: &Held| held.spec == glance.spec && *held.uid == *glance.uid;
        if self.pods.get(key).is_some_and(same) {
            return;
        }
        // A bind that is claimed for was decoded already; anything else is rare.
        let claims = self.claims.remove(key).unwrap_or_default();
        let claimed = claims
            .iter()
            .find(|claimed| *claimed.uid == *glance.uid && *claimed.node == *glance.node);
        let requests = match claimed {
            Some(claimed) => Some(claimed.requests.clone()),
            None => requests(stored),
        };
        self.forget(key);
        let held = Held {
            uid: glance.uid.to_owned(),
            node: glance.node.into(),
            requests: requests.unwrap_or_default(),
            spec: glance.spec,
        };
        self.change(&held.node, &held.requests, true);
        // What was claimed is counted now.
        for claimed in claims {
            self.change(&claimed.node, &claimed.requests, false);
        }
        self.pods.insert(key.clone(), held);
    }
}

fn requests(stored: &Stored) -> Option<Resources> {
    use prost::Message as _;
    // What does not decode was not written by this server.
    let pod = Pod::decode(stored.bytes.clone()).ok()?;
    Some(Resources::of(&pod_requests(pod.spec.as_ref()?)))
}

/// What is looked at of every change of a Pod, without decoding it.
#[derive(Default)]
struct Glance<'a> {
    uid: &'a str,
    node: &'a str,
    is_finished: bool,
    spec: u64,
}

fn glance(pod: &[u8]) -> Result<Glance<'_>, apimachinery::wire::WireError> {
    let mut glance = Glance::default();
    for field in Fields::new(pod) {
        let field = field?;
        match field.number {
            // metadata.uid
            1 => glance.uid = text(field.bytes()?, 5)?.unwrap_or(glance.uid),
            // spec.nodeName
            2 => {
                glance.node = text(field.bytes()?, 10)?.unwrap_or(glance.node);
                glance.spec ^= xxhash_rust::xxh3::xxh3_64(field.bytes()?);
            }
            // status.phase
            3 => {
                let phase = text(field.bytes()?, 1)?;
                glance.is_finished = matches!(phase, Some("Succeeded" | "Failed"));
            }
            _ => {}
        }
    }
    Ok(glance)
}

fn text(message: &[u8], number: u32) -> Result<Option<&str>, apimachinery::wire::WireError> {
    let mut found = None;
    for field in Fields::new(message) {
        let field = field?;
        if field.number == number {
            found = Some(field.str()?);
        }
    }
    Ok(found)
}

impl Observer for Ledger {
    fn sees(&self, number: u32, key: &Key, after: Option<&Stored>) {
        if number == Pod::NUMBER {
            let mut state = self.state();
            match after {
                Some(stored) => state.pod_is(key, stored),
                None => state.forget(key),
            }
        } else if number == Node::NUMBER {
            use prost::Message as _;
            let node = after.and_then(|stored| Node::decode(stored.bytes.clone()).ok());
            let (_, _, name) = key.parts();
            self.state().node_is(name, node.as_ref());
        }
    }
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A claim for a Pod, which takes nothing yet.
    pub(crate) fn claim(self: &Arc<Self>, pod: Key) -> Claim {
        let mut state = self.state();
        state.last_claim += 1;
        let number = state.last_claim;
        drop(state);
        Claim {
            ledger: self.clone(),
            pod,
            number,
        }
    }
}

impl Claim {
    /// Takes what a Pod asks for on a node, in place of what this claim took before.
    pub(crate) fn take(&self, pod: &Pod, node: &str) -> Result<(), Short> {
        let requests = pod.spec.as_ref().map(|spec| Resources::of(&pod_requests(spec)));
        let requests = requests.unwrap_or_default();
        let mut state = self.ledger.state();
        state.release(&self.pod, self.number);
        let node: Arc<str> = node.into();
        if let Some(room) = state.nodes.get(&node) {
            room.check(&node, &requests)?;
        }
        state.change(&node, &requests, true);
        let claimed = Claimed {
            number: self.number,
            uid: pod.uid().to_owned(),
            node,
            requests,
        };
        state.claims.entry(self.pod.clone()).or_default().push(claimed);
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.ledger.state().release(&self.pod, self.number);
    }
}

#[cfg(test)]
mod tests;
