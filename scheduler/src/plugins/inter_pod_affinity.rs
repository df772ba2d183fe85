//! InterPodAffinity: a Pod says which Pods it wants near itself, and which not; and those that run say so of it.
//!
//! Filter, Score. `podAffinity` with `topologyKey: topology.kubernetes.io/zone` puts a Pod into a zone that has such Pods;
//! `podAntiAffinity` with `kubernetes.io/hostname` keeps two of them off one node. Anti-affinity works both ways: a running Pod also keeps
//! away those that come later. Preferred terms add their weight for each such Pod in the node's domain.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Normalize, Plugin, PodPreFilter, PodPreScore,
    PreFiltered, Rejection, Requeue, Score,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{Domain, NOWHERE, Node, Slot, Snapshot, TallyId, Topology};

const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING_ANTI_AFFINITY: &str = "node(s) didn't satisfy existing pods anti-affinity rules";
/// Never seen: the engine counts before it asks.
const UNKNOWN: &str = "the pods around were not counted";

/// See the module; and upstream's InterPodAffinityArgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterPodAffinity {
    /// What a placed Pod's required affinity weighs for the Pods that it means, 0 to 100.
    pub hard_pod_affinity_weight: i32,
    /// Whether placed Pods' preferences have no say about Pods that have none themselves.
    pub ignore_preferred_terms_of_existing_pods: bool,
}

impl Default for InterPodAffinity {
    /// As upstream.
    fn default() -> Self {
        Self {
            hard_pod_affinity_weight: 1,
            ignore_preferred_terms_of_existing_pods: false,
        }
    }
}

/// How many Pods of a kind each domain holds.
#[derive(Clone, Copy, Debug)]
struct Count<'a> {
    /// By slot.
    domains: &'a [Domain],
    /// By domain.
    pods: &'a [u32],
}

impl<'a> Count<'a> {
    fn of(topology: &'a Topology, id: TallyId) -> Option<(Self, u64)> {
        let (tally, places) = topology.tally(id)?;
        let count = Self {
            domains: places.all(),
            pods: tally.by_domain(),
        };
        Some((count, tally.total()))
    }

    /// How many there are around a node; `None` where it lacks the label.
    fn around(&self, slot: Slot) -> Option<u32> {
        let domain = self.domains[slot as usize];
        (domain != NOWHERE).then(|| self.pods[domain as usize])
    }
}

/// What the nodes are judged by.
#[derive(Debug)]
pub struct Around<'a> {
    affinity: Vec<Count<'a>>,
    /// No Pod meets the affinity yet but this one itself: it is the first of its group.
    is_first: bool,
    anti_affinity: Vec<Count<'a>>,
    forbidden: Vec<Count<'a>>,
}

impl Around<'_> {
    fn is_near(&self, slot: Slot) -> bool {
        let mut affinity = self.affinity.iter();
        affinity.all(|count| count.around(slot).is_some_and(|pods| pods > 0 || self.is_first))
    }

    fn is_free(counts: &[Count<'_>], slot: Slot) -> bool {
        counts.iter().all(|count| count.around(slot).unwrap_or(0) == 0)
    }
}

impl Filter for Around<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if !self.is_near(node.slot) {
            Err(Rejection::unresolvable(AFFINITY))
        } else if !Self::is_free(&self.anti_affinity, node.slot) {
            Err(Rejection::unschedulable(ANTI_AFFINITY))
        } else if !Self::is_free(&self.forbidden, node.slot) {
            Err(Rejection::unschedulable(EXISTING_ANTI_AFFINITY))
        } else {
            Ok(())
        }
    }

    fn narrow(&self, slots: &mut Vec<Slot>, _: &Snapshot) {
        slots.retain(|slot| {
            self.is_near(*slot)
                && Self::is_free(&self.anti_affinity, *slot)
                && Self::is_free(&self.forbidden, *slot)
        });
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }
}

impl Requeue for InterPodAffinity {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeLabels,
            ClusterEvent::AssignedPodAdded,
            ClusterEvent::AssignedPodUpdated,
            ClusterEvent::AssignedPodDeleted,
            ClusterEvent::NamespaceLabels,
        ])
    }

    /// A Pod that comes helps those that want it near; one that leaves, those that it kept away or that kept away from it.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        let affinity = pod.spec.affinity.as_ref();
        let wants = affinity
            .and_then(|affinity| affinity.pod_affinity.as_ref())
            .is_some_and(|near| {
                !near
                    .required_during_scheduling_ignored_during_execution
                    .is_empty()
            });
        match change.what {
            Changed::Placed(..) => wants || change.events.intersects(ClusterEvent::AssignedPodUpdated.into()),
            Changed::Left(left, _) => {
                let apart = |pod: &PodTemplate| {
                    let affinity = pod.spec.affinity.as_ref();
                    affinity.is_some_and(|affinity| affinity.pod_anti_affinity.is_some())
                };
                // The last one that met an affinity may have left: then the next may be the first of its group.
                apart(pod) || apart(&left.template) || wants
            }
            Changed::Node(_) | Changed::Object(_) | Changed::Other => true,
        }
    }
}

impl PodPreFilter for InterPodAffinity {
    type State<'a> = Around<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Around<'a>> {
        let topology = snapshot.topology();
        let Some(interest) = topology.interest(&pod.template) else {
            return PreFiltered::Reject(Rejection::error(UNKNOWN));
        };
        let counts = |ids: &[TallyId]| -> Vec<Count<'a>> {
            let counts = ids.iter().filter_map(|id| Count::of(topology, *id));
            counts
                .filter(|(_, total)| *total > 0)
                .map(|(count, _)| count)
                .collect()
        };
        let (anti_affinity, forbidden) = (counts(&interest.anti_affinity), counts(&interest.forbidden));
        let near = interest.affinity.iter();
        let near: Vec<_> = near.filter_map(|id| Count::of(topology, *id)).collect();
        if near.is_empty() && anti_affinity.is_empty() && forbidden.is_empty() {
            return PreFiltered::Skip;
        }
        PreFiltered::Filter(Around {
            is_first: interest.meets_itself && near.iter().all(|(_, total)| *total == 0),
            affinity: near.into_iter().map(|(count, _)| count).collect(),
            anti_affinity,
            forbidden,
        })
    }
}

/// What the nodes are scored by.
#[derive(Debug)]
pub struct Liked<'a>(Vec<(Count<'a>, i64)>);

impl Score for Liked<'_> {
    fn score(&self, node: &Node) -> i64 {
        let around =
            |(count, weight): &(Count<'_>, i64)| weight * i64::from(count.around(node.slot).unwrap_or(0));
        self.0.iter().map(around).sum()
    }

    fn score_all(&self, slots: &[Slot], _: &Snapshot, scores: &mut Vec<i64>) {
        scores.clear();
        scores.resize(slots.len(), 0);
        for (count, weight) in &self.0 {
            for (score, slot) in scores.iter_mut().zip(slots) {
                *score += weight * i64::from(count.around(*slot).unwrap_or(0));
            }
        }
    }

    fn normalize(&self) -> Normalize {
        Normalize::Stretched
    }
}

impl PodPreScore for InterPodAffinity {
    type State<'a> = Liked<'a>;

    fn pre_score<'a>(&'a self, pod: &'a PodInfo, _: &'a [Slot], snapshot: &'a Snapshot) -> Option<Liked<'a>> {
        let topology = snapshot.topology();
        let interest = topology.interest(&pod.template)?;
        let has_preferences = !interest.preferred.is_empty();
        if self.ignore_preferred_terms_of_existing_pods && !has_preferences {
            return None;
        }
        let required = i64::from(self.hard_pod_affinity_weight);
        let required_by = interest.required_by.iter().map(|id| (*id, required));
        let liked_by = interest.liked_by.iter().copied();
        let wanted = interest
            .preferred
            .iter()
            .copied()
            .chain(required_by)
            .chain(liked_by);
        let counts: Vec<_> = wanted
            .filter(|(_, weight)| *weight != 0)
            .filter_map(|(id, weight)| {
                let (count, total) = Count::of(topology, id)?;
                (total > 0).then_some((count, weight))
            })
            .collect();
        (!counts.is_empty()).then_some(Liked(counts))
    }
}

#[cfg(test)]
mod tests;
