//! PodTopologySpread: Pods of a kind are spread over zones, nodes or any other domains.
//!
//! Filter, Score. With `maxSkew: 1`, `topologyKey: topology.kubernetes.io/zone` and `whenUnsatisfiable: DoNotSchedule`, a Pod is refused by
//! a zone that would then hold two more of its kind than the emptiest. `ScheduleAnyway` scores emptier domains higher. Pods that say
//! nothing, and that a Service or a controller selects, are spread over nodes and zones as far as nothing else speaks against it.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Normalize, Plugin, PodPreFilter, PodPreScore,
    PreFiltered, Rejection, Requeue, Score, UNSCORED,
};
use crate::plugins::node_affinity;
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{Domain, Interest, NOWHERE, Node, Slot, Snapshot, SpreadInterest};
use apimachinery::tolerations::untolerated;
use apimachinery::well_known::{NO_EXECUTE, NO_SCHEDULE};
use std::borrow::Cow;

const REASON: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";
/// Never seen: the engine counts before it asks.
const UNKNOWN: &str = "the pods to spread among were not counted";
const HOSTNAME: &str = "kubernetes.io/hostname";
const DO_NOT_SCHEDULE: &str = "DoNotSchedule";

/// See the module. Its defaults are [`crate::snapshot::SpreadDefaults`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PodTopologySpread;

/// A constraint and its counts.
#[derive(Debug)]
struct Counted<'a> {
    /// By slot.
    domains: &'a [Domain],
    /// By domain, on the nodes that count.
    pods: Cow<'a, [u32]>,
    /// By domain, whether a node that counts is in it.
    is_there: Cow<'a, [u32]>,
    /// By slot.
    on_node: &'a [u32],
    interest: &'a SpreadInterest,
}

impl Counted<'_> {
    fn domain(&self, slot: Slot) -> Option<Domain> {
        let domain = self.domains[slot as usize];
        (domain != NOWHERE).then_some(domain)
    }
}

/// The constraints, with the counts on the nodes that count for each: those that have all keys (where `all_keys` says so), and
/// that the inclusion policies let in.
fn counted<'a>(
    pod: &PodInfo,
    constraints: &[&'a SpreadInterest],
    all_keys: bool,
    snapshot: &'a Snapshot,
) -> Vec<Counted<'a>> {
    let topology = snapshot.topology();
    let held: Vec<_> = constraints
        .iter()
        .filter_map(|interest| Some((topology.tally(interest.tally)?, *interest)))
        .collect();
    // Nodes that lack one of several keys do not count for the others; mostly there are none.
    let complete = !all_keys
        || held
            .iter()
            .all(|((_, places), _)| places.labelled() == snapshot.node_count())
        || held.len() == 1;
    let has_keys = |slot: Slot| complete || held.iter().all(|((_, places), _)| places.of(slot) != NOWHERE);
    let counted = held.iter().map(|((tally, places), interest)| {
        let mut counted = Counted {
            domains: places.all(),
            pods: Cow::Borrowed(tally.by_domain()),
            is_there: Cow::Borrowed(places.sizes()),
            on_node: tally.by_slot(),
            interest,
        };
        let policies = Policies::of(pod, interest);
        if complete && policies.let_all_in(snapshot) {
            return counted;
        }
        let mut pods = vec![0; places.sizes().len()];
        let mut is_there = pods.clone();
        for node in snapshot.slots().iter().filter(|node| node.present) {
            let domain = places.of(node.slot);
            if domain != NOWHERE && has_keys(node.slot) && policies.let_in(node) {
                pods[domain as usize] += tally.by_slot()[node.slot as usize];
                is_there[domain as usize] += 1;
            }
        }
        counted.pods = Cow::Owned(pods);
        counted.is_there = Cow::Owned(is_there);
        counted
    });
    counted.collect()
}

/// Which nodes count for a constraint.
struct Policies<'a> {
    pod: &'a PodInfo,
    affinity: bool,
    taints: bool,
}

impl<'a> Policies<'a> {
    fn of(pod: &'a PodInfo, interest: &SpreadInterest) -> Self {
        let constraint = &interest.constraint;
        let class = pod.class();
        let asks = !class.node_selector.is_empty()
            || class
                .node_affinity
                .required_during_scheduling_ignored_during_execution
                .is_some();
        Self {
            pod,
            affinity: asks && constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        }
    }

    fn let_all_in(&self, snapshot: &Snapshot) -> bool {
        !(self.affinity || self.taints && snapshot.hard_taints() > 0)
    }

    fn let_in(&self, node: &Node) -> bool {
        let class = self.pod.class();
        let repels = |effect: &str| effect == NO_SCHEDULE || effect == NO_EXECUTE;
        let mut taints = node.taints.iter().filter(|taint| repels(&taint.effect));
        (!self.affinity || node_affinity::selects(class, node))
            && (!self.taints || untolerated(taints.by_ref(), &class.tolerations).is_none())
    }
}

/// What the nodes are judged by: each constraint, and how many Pods a domain may hold at most before the Pod comes.
#[derive(Debug)]
pub struct Hard<'a>(Vec<(Counted<'a>, i64)>);

impl Hard<'_> {
    fn fits(&self, slot: Slot) -> bool {
        self.0.iter().all(|(counted, most)| {
            counted
                .domain(slot)
                .is_some_and(|domain| i64::from(counted.pods[domain as usize]) <= *most)
        })
    }
}

impl Filter for Hard<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        for (counted, most) in &self.0 {
            let Some(domain) = counted.domain(node.slot) else {
                return Err(Rejection::unresolvable(NO_LABEL));
            };
            if i64::from(counted.pods[domain as usize]) > *most {
                return Err(Rejection::unschedulable(REASON));
            }
        }
        Ok(())
    }

    fn narrow(&self, slots: &mut Vec<Slot>, _: &Snapshot) {
        slots.retain(|slot| self.fits(*slot));
    }
}

/// `count + self - least <= maxSkew`, told for the count.
fn most(counted: &Counted<'_>) -> i64 {
    let domains = counted.pods.iter().zip(counted.is_there.iter());
    let there = domains.filter(|(_, nodes)| **nodes > 0);
    let (mut least, mut number) = (u32::MAX, 0);
    for (pods, _) in there {
        least = least.min(*pods);
        number += 1;
    }
    let constraint = &counted.interest.constraint;
    let least = if number < i64::from(constraint.min_domains.unwrap_or(1)) {
        0
    } else {
        i64::from(least)
    };
    i64::from(constraint.max_skew) + least - i64::from(counted.interest.counts_itself)
}

fn constraints(interest: &Interest, hard: bool) -> Vec<&SpreadInterest> {
    let all = interest.spread.iter();
    all.filter(|spread| (spread.constraint.when_unsatisfiable == DO_NOT_SCHEDULE) == hard)
        .collect()
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }
}

impl Requeue for PodTopologySpread {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeLabels,
            ClusterEvent::NodeTaints,
            ClusterEvent::AssignedPodAdded,
            ClusterEvent::AssignedPodUpdated,
            ClusterEvent::AssignedPodDeleted,
        ])
    }

    /// Only Pods of its own namespace are counted.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        match change.what {
            Changed::Placed(placed, _) | Changed::Left(placed, _) => {
                placed.template.namespace == pod.namespace
            }
            Changed::Node(_) | Changed::Object(_) | Changed::Other => true,
        }
    }
}

impl PodPreFilter for PodTopologySpread {
    type State<'a> = Hard<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Hard<'a>> {
        let Some(interest) = snapshot.topology().interest(&pod.template) else {
            return PreFiltered::Reject(Rejection::error(UNKNOWN));
        };
        let hard = constraints(interest, true);
        if hard.is_empty() {
            return PreFiltered::Skip;
        }
        let counted = counted(pod, &hard, true, snapshot);
        let judged = counted.into_iter().map(|counted| {
            let most = most(&counted);
            (counted, most)
        });
        PreFiltered::Filter(Hard(judged.collect()))
    }
}

/// What the nodes are scored by: each constraint and its weight.
#[derive(Debug)]
pub struct Soft<'a> {
    constraints: Vec<(Counted<'a>, f64)>,
    /// Nodes that lack a key do not count.
    all_keys: bool,
}

impl Soft<'_> {
    fn score_slot(&self, slot: Slot) -> i64 {
        let mut score = 0.0;
        for (counted, weight) in &self.constraints {
            let constraint = &counted.interest.constraint;
            match counted.domain(slot) {
                None if self.all_keys => return UNSCORED,
                None => {}
                Some(domain) => {
                    let pods = if constraint.topology_key == HOSTNAME {
                        counted.on_node[slot as usize]
                    } else {
                        counted.pods[domain as usize]
                    };
                    score += f64::from(pods) * weight + f64::from(constraint.max_skew - 1);
                }
            }
        }
        score.round() as i64
    }
}

impl Score for Soft<'_> {
    fn score(&self, node: &Node) -> i64 {
        self.score_slot(node.slot)
    }

    fn score_all(&self, slots: &[Slot], _: &Snapshot, scores: &mut Vec<i64>) {
        scores.clear();
        scores.extend(slots.iter().map(|slot| self.score_slot(*slot)));
    }

    fn normalize(&self) -> Normalize {
        Normalize::Even
    }
}

impl PodPreScore for PodTopologySpread {
    type State<'a> = Soft<'a>;

    fn pre_score<'a>(
        &'a self,
        pod: &'a PodInfo,
        feasible: &'a [Slot],
        snapshot: &'a Snapshot,
    ) -> Option<Soft<'a>> {
        let interest = snapshot.topology().interest(&pod.template)?;
        let soft = constraints(interest, false);
        if soft.is_empty() {
            return None;
        }
        let all_keys = !interest.built_in;
        let counted = counted(pod, &soft, all_keys, snapshot);
        // The domains of the feasible nodes, and how many those are.
        let scored: Vec<Slot> = if all_keys {
            let has_all = |slot: &&Slot| counted.iter().all(|held| held.domain(**slot).is_some());
            feasible.iter().filter(has_all).copied().collect()
        } else {
            feasible.to_vec()
        };
        let weighted = counted.into_iter().map(|counted| {
            let size = if counted.interest.constraint.topology_key == HOSTNAME {
                scored.len()
            } else {
                distinct(&counted, &scored)
            };
            // The more domains, the smaller the differences between them: this evens constraints out, as upstream does.
            let weight = (size as f64 + 2.0).ln();
            (counted, weight)
        });
        Some(Soft {
            constraints: weighted.collect(),
            all_keys,
        })
    }
}

/// How many domains some nodes are in.
fn distinct(counted: &Counted<'_>, slots: &[Slot]) -> usize {
    let mut seen = vec![false; counted.is_there.len()];
    let mut number = 0;
    for slot in slots {
        if let Some(domain) = counted.domain(*slot)
            && !std::mem::replace(&mut seen[domain as usize], true)
        {
            number += 1;
        }
    }
    number
}

#[cfg(test)]
mod tests;
