//! Coscheduling: the Pods of a group are placed together, or none of them is.
//!
//! Filter, Permit. A Pod names its PodGroup in the label `scheduling.x-k8s.io/pod-group`. It is refused while fewer Pods than the group's
//! `minMember` are there, or while all nodes together have less room than its `minResources`. One that gets a place waits there until so many have one, then all are bound; when one of them finds no place,
//! or they have waited for `scheduleTimeoutSeconds`, all lose theirs. A Pod whose group is not there is like any other.
//! <https://github.com/kubernetes-sigs/scheduler-plugins/tree/master/pkg/coscheduling>

use crate::framework::{
    Change, ClusterEvent, EventSet, Filter, Permit, Permitted, Plugin, PodPreFilter, PreFiltered, Rejection,
    Requeue,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{GroupKey, Node, PlacedPod, Resources, Snapshot, group_of};
use apimachinery::resources::Allocatable;
use client::ObjectKey;
use proto::gangs::v1alpha1::PodGroup;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long Pods wait for one another when their group does not say, as upstream's plugin.
const WAIT: Duration = Duration::from_secs(60);

const NO_ROOM: &str = "cluster resource is not enough for the minResources of the group";

/// See the module; and upstream's CoschedulingArgs.
#[derive(Debug)]
pub struct Coscheduling {
    /// How long Pods wait for one another when their group does not say.
    pub permit_waiting_time: Duration,
    /// Who waits, by group.
    waiting: HashMap<GroupKey, BTreeSet<ObjectKey>>,
    groups: HashMap<ObjectKey, GroupKey>,
}

impl Coscheduling {
    /// Pods wait so long for one another when their group does not say.
    pub fn new(permit_waiting_time: Duration) -> Self {
        Self {
            permit_waiting_time,
            waiting: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Forgets who waits of a group.
    fn release(&mut self, group: &GroupKey) -> Vec<ObjectKey> {
        let members = self.waiting.remove(group).unwrap_or_default();
        for member in &members {
            self.groups.remove(member);
        }
        members.into_iter().collect()
    }
}

impl Default for Coscheduling {
    fn default() -> Self {
        Self::new(WAIT)
    }
}

/// A Pod's group, where it has one and that is there.
fn group(pod: &PodInfo, snapshot: &Snapshot) -> Option<(GroupKey, Arc<PodGroup>)> {
    let key = group_of(&pod.template)?;
    let group = snapshot.objects().pod_groups.get(&key)?.clone();
    Some((key, group))
}

fn min_member(group: &PodGroup) -> usize {
    let least = group.spec.as_ref().map_or(0, |spec| spec.min_member);
    usize::try_from(least).unwrap_or(0)
}

/// Whether all nodes together have the room that a group asks for as a whole, where it says how much. What its own Pods have taken counts
/// as free. That there is so much says nothing of where: the group may still find no place.
fn has_room(group: &PodGroup, key: &GroupKey, snapshot: &Snapshot) -> bool {
    let asked = group.spec.as_ref().map(|spec| &spec.min_resources);
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return true;
    };
    let asked = Allocatable::of(asked).resources;
    let own: Vec<&PlacedPod> = { snapshot.members(key) }
        .filter_map(|member| snapshot.pod(member))
        .collect();
    let fits = |amount: &dyn Fn(&Resources) -> i64| {
        let nodes = snapshot.slots().iter().filter(|node| node.present);
        let free: i64 = nodes
            .map(|node| amount(&node.allocatable) - amount(&node.requested))
            .sum();
        let own: i64 = own.iter().map(|pod| amount(&pod.class().requests)).sum();
        amount(&asked) <= free + own
    };
    fits(&|amounts| amounts.cpu)
        && fits(&|amounts| amounts.memory)
        && fits(&|amounts| amounts.ephemeral_storage)
        && asked
            .extended
            .keys()
            .all(|name| fits(&|amounts| amounts.extended(name)))
}

/// Refuses no node: what is to be refused, PreFilter refuses for all.
#[derive(Debug)]
pub struct Complete;

impl Filter for Complete {
    fn filter(&self, _: &Node) -> Result<(), Rejection> {
        Ok(())
    }
}

impl Plugin for Coscheduling {
    fn name(&self) -> &'static str {
        "Coscheduling"
    }
}

impl Requeue for Coscheduling {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::PodGroup,
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeAllocatable,
            ClusterEvent::AssignedPodDeleted,
        ])
    }

    /// A change of groups; and what gives room, for a group that asks for so much.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, snapshot: &Snapshot) -> bool {
        let asks = || {
            let group = group_of(pod).and_then(|key| snapshot.objects().pod_groups.get(&key));
            let spec = group.and_then(|group| group.spec.as_ref());
            spec.is_some_and(|spec| !spec.min_resources.is_empty())
        };
        change.events.intersects(ClusterEvent::PodGroup.into()) || asks()
    }
}

impl PodPreFilter for Coscheduling {
    type State<'a> = Complete;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Complete> {
        let Some((key, group)) = group(pod, snapshot) else {
            return PreFiltered::Skip;
        };
        let (there, wanted) = (snapshot.members(&key).count(), min_member(&group));
        if there >= wanted && has_room(&group, &key, snapshot) {
            return PreFiltered::Skip;
        }
        if there >= wanted {
            return PreFiltered::Reject(Rejection::unresolvable(NO_ROOM));
        }
        PreFiltered::Reject(Rejection::unresolvable(format!(
            "cannot find enough sibling pods, current pods number: {there}, minMember of group: {wanted}"
        )))
    }
}

impl Permit for Coscheduling {
    fn permit(&mut self, pod: &PodInfo, _: &str, snapshot: &Snapshot) -> Permitted {
        let Some((key, group)) = group(pod, snapshot) else {
            return Permitted::Allow(Vec::new());
        };
        let members = snapshot.members(&key);
        let placed = members.filter(|member| snapshot.pod(member).is_some()).count();
        if placed >= min_member(&group) {
            return Permitted::Allow(self.release(&key));
        }
        self.groups.insert(pod.key.clone(), key.clone());
        self.waiting.entry(key).or_default().insert(pod.key.clone());
        let seconds = group.spec.as_ref().and_then(|spec| spec.schedule_timeout_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Permitted::Wait {
            at_most: seconds.map_or(self.permit_waiting_time, Duration::from_secs),
            writes: Vec::new(),
        }
    }

    fn concerned(&self, events: EventSet, _: &ObjectKey) -> Vec<ObjectKey> {
        if events.intersects(ClusterEvent::PodGroup.into()) {
            self.groups.keys().cloned().collect()
        } else {
            Vec::new()
        }
    }

    fn settled(&mut self, pod: &ObjectKey, bound: bool) -> Vec<ObjectKey> {
        let Some(key) = self.groups.remove(pod) else {
            return Vec::new();
        };
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.remove(pod);
        }
        if bound { Vec::new() } else { self.release(&key) }
    }

    fn unschedulable(&mut self, pod: &PodInfo) -> Vec<ObjectKey> {
        group_of(&pod.template).map_or_else(Vec::new, |key| self.release(&key))
    }
}

#[cfg(test)]
mod tests;
