//! DefaultPreemption: makes room for a Pod by sending away others of lower priority.
//!
//! PostFilter. When no node takes a Pod, those are looked at that could if Pods of lower priority left. Of them one is chosen by upstream's
//! criteria: the fewest victims that a PodDisruptionBudget protects, then the least important victims, the lowest sum of their priorities, the
//! fewest, those that started last. The Pod is nominated for the node, its room is promised to it, and the victims are deleted.
//! `preemptionPolicy: Never` keeps a Pod from all this.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>

mod budgets;
mod search;

use crate::cycle::{Judge, NO_PROMISES};
use crate::framework::{Plugin, PostFilter, PostFiltered, Room, Victim};
use crate::pod::{PodClass, PodInfo};
use crate::registry::Plugins;
use crate::snapshot::{Slot, Snapshot};
use budgets::Budgets;
use component_base::rng::Rng;
use rand::RngExt;
use search::{Candidate, Cost, Found, Search, on_copy, on_snapshot};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const NEVER: &str = "preemption: not eligible due to preemptionPolicy=Never.";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// How many classes' searches are kept: each takes about 40 bytes a node, and a few kinds of Pods push others out at a time.
const SEARCHES: usize = 8;

/// See the module; and upstream's DefaultPreemptionArgs.
#[derive(Debug)]
pub struct DefaultPreemption {
    /// How many of the nodes are looked at, in percent.
    pub min_candidate_nodes_percentage: u32,
    /// How many nodes are looked at at least.
    pub min_candidate_nodes_absolute: u32,
    /// The one used last stands first. The class is held, so that its address stays its own.
    kept: VecDeque<(Arc<PodClass>, Search)>,
}

impl DefaultPreemption {
    /// Looks at so many nodes.
    pub fn new(min_candidate_nodes_percentage: u32, min_candidate_nodes_absolute: u32) -> Self {
        Self {
            min_candidate_nodes_percentage,
            min_candidate_nodes_absolute,
            kept: VecDeque::new(),
        }
    }

    /// How many candidates are enough.
    fn enough(&self, nodes: usize) -> usize {
        let share = nodes * self.min_candidate_nodes_percentage as usize / 100;
        share.max(self.min_candidate_nodes_absolute as usize).min(nodes)
    }

    fn search(&mut self, class: &Arc<PodClass>, snapshot: &Snapshot) -> Search {
        let place = self.kept.iter().position(|(kept, _)| Arc::ptr_eq(kept, class));
        let kept = place.and_then(|place| self.kept.remove(place));
        let mut search = kept.map_or_else(Search::default, |(_, search)| search);
        search.refresh(snapshot);
        search
    }
}

impl Default for DefaultPreemption {
    /// As upstream.
    fn default() -> Self {
        Self::new(10, 100)
    }
}

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }
}

impl PostFilter for DefaultPreemption {
    fn post_filter(
        &mut self,
        pod: &PodInfo,
        plugins: &Plugins,
        snapshot: &mut Snapshot,
        rng: &mut Rng,
    ) -> PostFiltered {
        if pod.template.spec.preemption_policy.as_deref() == Some("Never") {
            return PostFiltered::Nothing(NEVER.into());
        }
        if leaves_soon(pod, plugins, snapshot) {
            return PostFiltered::Wait;
        }
        let slots = snapshot.slots().len();
        if snapshot.node_count() == 0 {
            return PostFiltered::Nothing(String::new());
        }
        let offset = rng.random_range(0..slots);
        let enough = self.enough(snapshot.node_count());
        let budgets = Budgets::of(snapshot);
        snapshot.know(&pod.template, &plugins.spreading);
        let judge = Judge::new(plugins, pod, snapshot, &NO_PROMISES);
        if judge.is_hopeless() {
            let nodes = snapshot.node_count();
            return PostFiltered::Nothing(format!(
                "preemption: 0/{nodes} nodes are available: {nodes} {NOT_HELPFUL}."
            ));
        }
        let by_class = judge.is_by_class();
        drop(judge);
        // What Pod plugins say changes with every Pod that comes: not to be kept.
        let mut search = if by_class {
            self.search(pod.class(), snapshot)
        } else {
            let mut search = Search::default();
            search.refresh(snapshot);
            search
        };
        // What is kept counts this Pod's own promise against it, as it does against the others of its class.
        let own = snapshot.nomination(&pod.uid);
        let forget = |search: &mut Search| {
            if let Some(slot) = own {
                search.found[slot as usize] = Found::Unknown;
                search.message = None;
            }
        };
        forget(&mut search);
        let result = if let Some(message) = &search.message {
            PostFiltered::Nothing(message.clone())
        } else {
            let order = (offset..slots).chain(0..offset).map(|slot| slot as Slot);
            let candidates = if by_class {
                look_on_copies(&mut search, pod, plugins, &budgets, snapshot, order, enough)
            } else {
                look_on_snapshot(&mut search, pod, plugins, &budgets, snapshot, order, enough)
            };
            match choose(&search, &candidates) {
                Some(_) if plugins.extenders.choose_victims(&pod.template) => {
                    let mut order = candidates.clone();
                    order.sort_by_key(|slot| candidate(&search, *slot).map(|candidate| candidate.cost));
                    let rooms = order
                        .iter()
                        .map(|slot| room(&search, &candidates, *slot, snapshot));
                    PostFiltered::Rooms(rooms.collect())
                }
                Some(slot) => PostFiltered::Room(room(&search, &candidates, slot, snapshot)),
                None => {
                    let message = message(&search, snapshot.node_count());
                    search.message = Some(message.clone());
                    PostFiltered::Nothing(message)
                }
            }
        };
        forget(&mut search);
        if by_class {
            self.kept.push_front((pod.class().clone(), search));
            self.kept.truncate(SEARCHES);
        }
        result
    }
}

/// Whether Pods are on their way out of the node that the Pod is nominated for.
fn leaves_soon(pod: &PodInfo, plugins: &Plugins, snapshot: &mut Snapshot) -> bool {
    let Some(slot) = snapshot
        .nomination(&pod.uid)
        .filter(|slot| snapshot.node(*slot).present)
    else {
        return false;
    };
    if let Err((_, rejection)) = crate::cycle::judge(plugins, pod, snapshot, slot)
        && !rejection.is_resolvable()
    {
        return false;
    }
    let mut pods = snapshot.pods_on(slot);
    pods.any(|placed| placed.deleting && placed.priority() < pod.priority())
}

/// Whether a look is over: there are candidates enough, and one that breaks no budget.
fn is_enough(
    found: &Found,
    candidates: &mut Vec<Slot>,
    slot: Slot,
    harmless: &mut bool,
    enough: usize,
) -> bool {
    if let Found::Candidate(candidate) = found {
        candidates.push(slot);
        *harmless |= candidate.cost.violations == 0;
    }
    *harmless && candidates.len() >= enough
}

fn look_on_copies(
    search: &mut Search,
    pod: &PodInfo,
    plugins: &Plugins,
    budgets: &Budgets,
    snapshot: &Snapshot,
    order: impl Iterator<Item = Slot>,
    enough: usize,
) -> Vec<Slot> {
    let judge = Judge::new(plugins, pod, snapshot, &NO_PROMISES);
    let (mut candidates, mut harmless) = (Vec::new(), false);
    for slot in order {
        let found = &mut search.found[slot as usize];
        if *found == Found::Unknown {
            *found = on_copy(&judge, pod, snapshot.node(slot), budgets, snapshot);
        }
        if is_enough(found, &mut candidates, slot, &mut harmless, enough) {
            break;
        }
    }
    candidates
}

fn look_on_snapshot(
    search: &mut Search,
    pod: &PodInfo,
    plugins: &Plugins,
    budgets: &Budgets,
    snapshot: &mut Snapshot,
    order: impl Iterator<Item = Slot>,
    enough: usize,
) -> Vec<Slot> {
    let (mut candidates, mut harmless) = (Vec::new(), false);
    for slot in order {
        let found = &mut search.found[slot as usize];
        *found = on_snapshot(plugins, pod, slot, budgets, snapshot);
        if is_enough(found, &mut candidates, slot, &mut harmless, enough) {
            break;
        }
    }
    candidates
}

fn candidate(search: &Search, slot: Slot) -> Option<&Candidate> {
    match &search.found[slot as usize] {
        Found::Candidate(candidate) => Some(candidate),
        _ => None,
    }
}

/// The cheapest candidate; the first of several.
fn choose(search: &Search, candidates: &[Slot]) -> Option<Slot> {
    let costs = candidates
        .iter()
        .filter_map(|slot| Some((candidate(search, *slot)?.cost, *slot)));
    costs.min_by_key(|(cost, _)| *cost).map(|(_, slot)| slot)
}

fn room(search: &Search, candidates: &[Slot], slot: Slot, snapshot: &Snapshot) -> Room {
    let chosen = candidate(search, slot);
    let victims = chosen.map_or(&[][..], |chosen| &chosen.victims);
    let protected = chosen.map_or(0, |chosen| chosen.cost.violations);
    let victims = victims.iter().enumerate().filter_map(|(place, key)| {
        let placed = snapshot.pod(key)?;
        Some(Victim {
            key: key.clone(),
            uid: placed.uid.clone(),
            priority: placed.priority(),
            violates_budget: place < protected,
            graceful: placed.template.spec.termination_grace_period_seconds != Some(0),
        })
    });
    let others = candidates.iter().filter(|other| **other != slot);
    let next = others
        .filter_map(|other| Some(candidate(search, *other)?.cost))
        .min();
    Room {
        node: snapshot.node(slot).name.clone(),
        victims: victims.collect(),
        why: why(chosen.map(|chosen| chosen.cost), next, candidates.len()),
    }
}

/// What told the chosen node from the next best.
fn why(chosen: Option<Cost>, next: Option<Cost>, candidates: usize) -> String {
    let (Some(chosen), Some(next)) = (chosen, next) else {
        return "it is the only node where room can be made".into();
    };
    let among = format!("of {candidates} nodes where room can be made");
    if chosen.violations != next.violations {
        let (a, b) = (chosen.violations, next.violations);
        format!("{among}, its victims break the fewest budgets: {a}, the next best {b}")
    } else if chosen.highest != next.highest {
        let (a, b) = (chosen.highest, next.highest);
        format!("{among}, its most important victim has the lowest priority: {a}, the next best {b}")
    } else if chosen.sum != next.sum || chosen.count != next.count {
        let (a, b) = (chosen.count, next.count);
        format!("{among}, its victims' priorities have the lowest sum: {a} victims, the next best {b}")
    } else if chosen.started != next.started {
        format!("{among}, its most important victims started last")
    } else {
        format!("{among}, it is one of those that cost least, and the first that was looked at")
    }
}

/// Why nothing helps, in upstream's words.
fn message(search: &Search, nodes: usize) -> String {
    let mut counts: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    let mut count = |reason: Cow<'static, str>| *counts.entry(reason).or_default() += 1;
    for found in &search.found {
        match found {
            Found::NotHelpful => count(NOT_HELPFUL.into()),
            Found::NoVictims => count(NO_VICTIMS.into()),
            Found::Refused(reasons) => reasons.iter().cloned().for_each(&mut count),
            Found::Unknown | Found::Absent | Found::Candidate(_) => {}
        }
    }
    let mut reasons: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    reasons.sort_unstable();
    format!(
        "preemption: 0/{nodes} nodes are available: {}.",
        reasons.join(", ")
    )
}

#[cfg(test)]
mod tests;
