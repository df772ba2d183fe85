//! [`Groups`]: which Pods are in which PodGroup, with a node or without.

use crate::pod::PodTemplate;
use client::ObjectKey;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The label by which a Pod names its group.
pub const GROUP_LABEL: &str = "scheduling.x-k8s.io/pod-group";

/// A group's namespace and name.
pub type GroupKey = (Arc<str>, Arc<str>);

/// The group that Pods of a template are in.
pub fn group_of(pod: &PodTemplate) -> Option<GroupKey> {
    let name = pod.labels.get(GROUP_LABEL)?;
    Some((pod.namespace.clone(), name.as_str().into()))
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    members: HashMap<GroupKey, BTreeSet<ObjectKey>>,
    of: HashMap<ObjectKey, GroupKey>,
}

impl Groups {
    /// A Pod is there, in this group. Says whether that is new.
    pub(super) fn joins(&mut self, pod: &ObjectKey, group: Option<GroupKey>) -> bool {
        if self.of.get(pod) == group.as_ref() {
            return false;
        }
        let left = self.leaves(pod);
        let Some(group) = group else { return left };
        self.of.insert(pod.clone(), group.clone());
        self.members.entry(group).or_default().insert(pod.clone());
        true
    }

    /// A Pod is gone. Says whether it was in a group.
    pub(super) fn leaves(&mut self, pod: &ObjectKey) -> bool {
        let Some(group) = self.of.remove(pod) else {
            return false;
        };
        if let Some(members) = self.members.get_mut(&group) {
            members.remove(pod);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
        true
    }

    /// A group's Pods.
    pub(super) fn members(&self, group: &GroupKey) -> impl Iterator<Item = &ObjectKey> {
        self.members.get(group).into_iter().flatten()
    }
}
