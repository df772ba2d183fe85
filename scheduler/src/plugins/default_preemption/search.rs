//! Where room can be made for a Pod, and who must go for it.
//!
//! For each node: all Pods of lower priority are taken away, and if the Pod fits then, they are put back one by one, those that a budget
//! protects first and the more important before the others; who does not fit again is a victim.

use super::budgets::Budgets;
use crate::cycle::Judge;
use crate::pod::PodInfo;
use crate::registry::Plugins;
use crate::snapshot::{Node, PlacedPod, Seen, Slot, Snapshot};
use client::ObjectKey;
use std::borrow::Cow;
use std::cmp::Reverse;

/// Who must go from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Those first that a budget protects.
    pub(super) victims: Vec<ObjectKey>,
    pub(super) cost: Cost,
}

/// What it costs to make room on a node; the lowest is best. In upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// How many victims budgets protect.
    pub(super) violations: usize,
    /// The highest priority of a victim.
    pub(super) highest: i32,
    /// The victims' priorities together, each counted from the lowest there is.
    pub(super) sum: i64,
    /// How many victims.
    pub(super) count: usize,
    /// When the oldest of the most important victims started; the later the better.
    pub(super) started: Reverse<i64>,
}

/// What a node is to a Pod that needs room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody has looked since it changed.
    #[default]
    Unknown,
    /// No node is there.
    Absent,
    /// Whoever goes, the Pod cannot go there.
    NotHelpful,
    /// No Pod on it may be sent away.
    NoVictims,
    /// It is refused for these reasons also when all that may go are gone.
    Refused(Vec<Cow<'static, str>>),
    /// Room can be made.
    Candidate(Box<Candidate>),
}

/// What was found for one class. Good for a node until that changes.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) seen: Option<(Seen, u64)>,
    pub(super) found: Vec<Found>,
    /// What was said last that nothing helps, while nothing has changed.
    pub(super) message: Option<String>,
}

impl Search {
    /// Forgets what was found of nodes that have changed, and all when budgets have.
    pub(super) fn refresh(&mut self, snapshot: &Snapshot) {
        let now = (snapshot.seen(), snapshot.budgets_version());
        if self.seen == Some(now) {
            return;
        }
        self.message = None;
        let same_budgets = self.seen.filter(|(_, budgets)| *budgets == now.1);
        self.found.resize(snapshot.slots().len(), Found::Unknown);
        match same_budgets.and_then(|(seen, _)| snapshot.changed_since(seen)) {
            Some(changed) => {
                for slot in changed {
                    self.found[slot as usize] = Found::Unknown;
                }
            }
            None => self.found.fill(Found::Unknown),
        }
        self.seen = Some(now);
    }
}

/// Earlier is more important; who has not started has started just now.
fn started(pod: &PlacedPod) -> i64 {
    if pod.started == 0 { i64::MAX } else { pod.started }
}

/// The Pods that may be sent away for one of a priority, parted into those that budgets protect and the others, the most important
/// first.
fn may_go<'a>(
    snapshot: &'a Snapshot,
    slot: Slot,
    priority: i32,
    budgets: &Budgets,
) -> (Vec<&'a PlacedPod>, Vec<&'a PlacedPod>) {
    let lower = snapshot.pods_on(slot).filter(|pod| pod.priority() < priority);
    let mut lower: Vec<&PlacedPod> = lower.collect();
    // The name last, so that the same Pods are found whatever the order in which they came.
    lower.sort_by(|a, b| {
        let order = |pod: &PlacedPod| (Reverse(pod.priority()), started(pod));
        order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key))
    });
    if budgets.is_empty() {
        return (Vec::new(), lower);
    }
    budgets.split(lower)
}

fn candidate(protected: &[&PlacedPod], others: &[&PlacedPod]) -> Candidate {
    let victims = || protected.iter().chain(others);
    let highest = victims().map(|pod| pod.priority()).max().unwrap_or(i32::MIN);
    let oldest = victims()
        .filter(|pod| pod.priority() == highest)
        .map(|pod| started(pod))
        .min();
    Candidate {
        victims: victims().map(|pod| pod.key.clone()).collect(),
        cost: Cost {
            violations: protected.len(),
            highest,
            sum: victims()
                .map(|pod| i64::from(pod.priority()) - i64::from(i32::MIN))
                .sum(),
            count: protected.len() + others.len(),
            started: Reverse(oldest.unwrap_or(i64::MAX)),
        },
    }
}

/// Looks at one node, for a Pod that only class plugins have an opinion of: on a copy of the node.
pub(super) fn on_copy(
    judge: &Judge<'_>,
    pod: &PodInfo,
    node: &Node,
    budgets: &Budgets,
    snapshot: &Snapshot,
) -> Found {
    if !node.present {
        return Found::Absent;
    }
    let mut left = judge.copy(node, &pod.uid);
    if let Err((_, rejection)) = judge.class(&left, &pod.uid)
        && !rejection.is_resolvable()
    {
        return Found::NotHelpful;
    }
    let (protected, others) = may_go(snapshot, node.slot, pod.priority(), budgets);
    if protected.is_empty() && others.is_empty() {
        return Found::NoVictims;
    }
    for gone in protected.iter().chain(&others) {
        left.remove_pod(gone.class());
    }
    if let Err((_, rejection)) = judge.class(&left, &pod.uid) {
        return Found::Refused(rejection.reasons);
    }
    let mut must_go = |pods: Vec<&'_ PlacedPod>| {
        let mut victims = pods;
        victims.retain(|victim| {
            left.add_pod(victim.class());
            let fits = judge.class(&left, &pod.uid).is_ok();
            if !fits {
                left.remove_pod(victim.class());
            }
            !fits
        });
        victims
            .iter()
            .map(|victim| victim.key.clone())
            .collect::<Vec<_>>()
    };
    let (protected, others) = (must_go(protected), must_go(others));
    found(snapshot, &protected, &others)
}

/// As [`on_copy`], for any Pod: on the snapshot itself, which is as it was afterwards.
pub(super) fn on_snapshot(
    plugins: &Plugins,
    pod: &PodInfo,
    slot: Slot,
    budgets: &Budgets,
    snapshot: &mut Snapshot,
) -> Found {
    if !snapshot.node(slot).present {
        return Found::Absent;
    }
    if let Err((_, rejection)) = crate::cycle::judge(plugins, pod, snapshot, slot)
        && !rejection.is_resolvable()
    {
        return Found::NotHelpful;
    }
    let (protected, others) = may_go(snapshot, slot, pod.priority(), budgets);
    let keys = |pods: Vec<&PlacedPod>| pods.iter().map(|pod| pod.key.clone()).collect::<Vec<_>>();
    let (protected, others) = (keys(protected), keys(others));
    if protected.is_empty() && others.is_empty() {
        return Found::NoVictims;
    }
    let node = snapshot.node(slot).name.clone();
    let mut away: Vec<PlacedPod> = Vec::new();
    for key in protected.iter().chain(&others) {
        away.extend(snapshot.remove_pod(key));
    }
    let refused = crate::cycle::judge(plugins, pod, snapshot, slot).err();
    if let Some((_, rejection)) = refused {
        for gone in away {
            snapshot.put_back(gone, &node);
        }
        return Found::Refused(rejection.reasons);
    }
    let mut victims: Vec<PlacedPod> = Vec::new();
    for gone in away {
        snapshot.put_back(gone.clone(), &node);
        if crate::cycle::judge(plugins, pod, snapshot, slot).is_err() {
            victims.extend(snapshot.remove_pod(&gone.key));
        }
    }
    let gone: Vec<ObjectKey> = victims.iter().map(|victim| victim.key.clone()).collect();
    for victim in victims {
        snapshot.put_back(victim, &node);
    }
    let (of_protected, of_others): (Vec<_>, Vec<_>) =
        gone.into_iter().partition(|key| protected.contains(key));
    found(snapshot, &of_protected, &of_others)
}

fn found(snapshot: &Snapshot, protected: &[ObjectKey], others: &[ObjectKey]) -> Found {
    let pods = |keys: &[ObjectKey]| {
        keys.iter()
            .filter_map(|key| snapshot.pod(key))
            .collect::<Vec<_>>()
    };
    // Nobody need go when it is promised room alone that it lacks: that of Pods which are no longer to come.
    if protected.is_empty() && others.is_empty() {
        return Found::NoVictims;
    }
    Found::Candidate(Box::new(candidate(&pods(protected), &pods(others))))
}
