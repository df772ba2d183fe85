//! [`PlacedPod`] and [`PlacedPods`]: the Pods that have a node.

use super::Slot;
use crate::pod::{PodClass, PodTemplate};
use client::ObjectKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Names a placed Pod while it is placed; may then become another's.
pub type PodId = u32;

/// Who says that a Pod is on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// This scheduler has decided so; the binding is on its way.
    Assumed,
    /// The API shows it.
    Bound,
}

/// A Pod that has a node.
#[derive(Clone, Debug)]
pub struct PlacedPod {
    /// Namespace and name.
    pub key: ObjectKey,
    /// Tells it from another Pod of its name.
    pub uid: Arc<str>,
    /// The revision of the Pod's last write that is known.
    pub revision: i64,
    /// Where its node stands.
    pub slot: Slot,
    /// Who says so.
    pub placement: Placement,
    /// When it was started, in microseconds since 1970; 0 while it has not.
    pub started: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What it was made from.
    pub template: Arc<PodTemplate>,
}

impl PlacedPod {
    /// What it takes.
    pub fn class(&self) -> &Arc<PodClass> {
        &self.template.class
    }

    /// Its priority.
    pub fn priority(&self) -> i32 {
        self.template.class.priority
    }
}

/// Placed Pods, by number and by name.
#[derive(Clone, Debug, Default)]
pub(super) struct PlacedPods {
    slots: Vec<Option<PlacedPod>>,
    free: Vec<PodId>,
    by_key: HashMap<ObjectKey, PodId>,
}

impl PlacedPods {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn id(&self, key: &ObjectKey) -> Option<PodId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&self, id: PodId) -> Option<&PlacedPod> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: PodId) -> Option<&mut PlacedPod> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, pod: PlacedPod) -> PodId {
        let key = pod.key.clone();
        let id = if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(pod);
            id
        } else {
            self.slots.push(Some(pod));
            (self.slots.len() - 1) as PodId
        };
        self.by_key.insert(key, id);
        id
    }

    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<(PodId, PlacedPod)> {
        let id = self.by_key.remove(key)?;
        let pod = self.slots[id as usize].take()?;
        self.free.push(id);
        Some((id, pod))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PlacedPod> {
        self.slots.iter().flatten()
    }
}
