//! [`Topology`]: which Pods are where, counted by the labels of nodes, for affinity between Pods and for spreading.
//!
//! In: placed Pods and the labels of nodes, as they change. Out: for a template, the counts that concern it ([`Interest`]). Placing a
//! Pod costs as much as there are counts that it is in, which is known for its template; reading costs a look at an array. Upstream
//! looks at every Pod, or at every Pod with terms, for each Pod that it places.
//!
//! Invariant: every [`Tally`] equals a recount over all placed Pods (a property test shows it).

mod interest;
mod matcher;
mod places;
mod tally;

pub use interest::{Interest, SpreadDefaults, SpreadInterest};
pub use matcher::Matcher;
pub use places::{Domain, NOWHERE, Places};
pub use tally::{Carried, Role, Tally};

use super::{Objects, PlacedPod, Slot};
use crate::pod::{PodTemplate, TemplateId};
use interest::{Terms, default_matcher};
use proto::api::core::v1::PodAffinityTerm;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tally::Counted;

/// Names a topology key.
type KeyId = u32;
/// Names a tally while it is there.
pub type TallyId = u32;

/// How many templates' interests are kept. When there are more, all are worked out anew as they are asked for.
const INTERESTS: usize = 1024;
/// How many counts the tallies of waiting Pods' terms may hold together: 64 MiB. Then they are made anew as they are asked for.
const COUNTS: usize = 16 << 20;

/// What a placed template is counted in.
#[derive(Clone, Debug)]
struct Member {
    template: Arc<PodTemplate>,
    placed: u32,
    tallies: Vec<TallyId>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    keys: Vec<Places>,
    key_ids: HashMap<Arc<str>, KeyId>,
    tallies: Vec<Option<Tally>>,
    free: Vec<TallyId>,
    ids: HashMap<(Counted, KeyId), TallyId>,
    members: HashMap<TemplateId, Member>,
    interests: HashMap<TemplateId, (u64, Interest)>,
    /// Changes with the set of tallies, and with what their matchers mean.
    generation: u64,
    slots: usize,
}

impl Topology {
    /// What concerns a template; `None` before [`super::Snapshot::know`].
    pub fn interest(&self, template: &PodTemplate) -> Option<&Interest> {
        let (generation, interest) = self.interests.get(&template.id)?;
        (*generation == self.generation).then_some(interest)
    }

    /// A tally, and the domains that it counts by.
    pub fn tally(&self, id: TallyId) -> Option<(&Tally, &Places)> {
        let tally = self.tallies.get(id as usize)?.as_ref()?;
        Some((tally, &self.keys[tally.key as usize]))
    }

    /// Whether Pods may be told apart by the labels of their namespaces.
    fn asks_namespaces(&self) -> bool {
        self.ids.keys().any(|(counted, _)| match counted {
            Counted::Matching { all_of, .. } => all_of.iter().any(Matcher::asks_namespaces),
            Counted::Carrying(carried) => carried.matcher.asks_namespaces(),
        })
    }

    /// The labels of a namespace have changed, or it is new or gone.
    pub(super) fn namespaces_changed(&mut self) {
        if self.asks_namespaces() {
            self.forget_interests();
        }
    }

    /// Somebody selects other Pods than before.
    pub(super) fn owners_changed(&mut self) {
        self.generation += 1;
    }

    /// Makes everything anew that waiting Pods ask for, when it is asked for.
    fn forget_interests(&mut self) {
        self.generation += 1;
        self.interests.clear();
        for id in 0..self.tallies.len() {
            let held = self.tallies[id].as_ref();
            if held.is_some_and(|tally| matches!(tally.counted, Counted::Matching { .. })) {
                self.drop_tally(id as TallyId);
            }
        }
        let tallies = &self.tallies;
        for member in self.members.values_mut() {
            member.tallies.retain(|id| tallies[*id as usize].is_some());
        }
    }

    fn drop_tally(&mut self, id: TallyId) {
        if let Some(tally) = self.tallies[id as usize].take() {
            self.ids.remove(&(tally.counted, tally.key));
            self.free.push(id);
            self.generation += 1;
        }
    }

    /// A slot is new.
    pub(super) fn grow(&mut self, slots: usize) {
        self.slots = slots;
        for key in &mut self.keys {
            key.grow(slots);
        }
        for tally in self.tallies.iter_mut().flatten() {
            tally.grow(slots, 0);
        }
    }

    /// A node has other labels: `None` when it is not there. `pods` are those on it.
    pub(super) fn relabel(
        &mut self,
        slot: Slot,
        labels: Option<&BTreeMap<String, String>>,
        pods: &[(TemplateId, bool)],
    ) {
        let none = BTreeMap::new();
        let labels = labels.unwrap_or(&none);
        if !self.keys.iter().any(|key| key.moves(slot, labels)) {
            return;
        }
        for (template, deleting) in pods {
            self.count(slot, *template, *deleting, false);
        }
        for key in &mut self.keys {
            if key.moves(slot, labels) {
                key.put(slot, labels);
            }
        }
        let keys = &self.keys;
        for tally in self.tallies.iter_mut().flatten() {
            tally.grow(0, keys[tally.key as usize].sizes().len());
        }
        for (template, deleting) in pods {
            self.count(slot, *template, *deleting, true);
        }
    }

    fn count(&mut self, slot: Slot, template: TemplateId, deleting: bool, more: bool) {
        let Some(member) = self.members.get(&template) else {
            return;
        };
        for id in &member.tallies {
            if let Some(tally) = &mut self.tallies[*id as usize]
                && !(deleting && tally.is_live())
            {
                let domain = self.keys[tally.key as usize].of(slot);
                tally.count(slot, domain, more);
            }
        }
    }

    /// A Pod has a node. `nodes` gives the labels of all nodes, for a key that is new.
    pub(super) fn add(&mut self, pod: &PlacedPod, nodes: &[super::Node], objects: &Objects) {
        let template = &pod.template;
        if !self.members.contains_key(&template.id) {
            self.join(template, nodes, objects);
        }
        if let Some(member) = self.members.get_mut(&template.id) {
            member.placed += 1;
        }
        self.count(pod.slot, template.id, pod.deleting, true);
    }

    /// A Pod has no longer a node.
    pub(super) fn remove(&mut self, pod: &PlacedPod) {
        let id = pod.template.id;
        self.count(pod.slot, id, pod.deleting, false);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.placed -= 1;
        if member.placed > 0 {
            return;
        }
        let Some(gone) = self.members.remove(&id) else {
            return;
        };
        for tally in gone.tallies {
            let is_carried =
                |tally: &Tally| matches!(tally.counted, Counted::Carrying(_)) && tally.total() == 0;
            let unused = self.tallies[tally as usize].as_ref().is_some_and(is_carried);
            if unused && !self.members.values().any(|other| other.tallies.contains(&tally)) {
                self.drop_tally(tally);
            }
        }
    }

    /// A template has its first placed Pod.
    fn join(&mut self, template: &Arc<PodTemplate>, nodes: &[super::Node], objects: &Objects) {
        let mut tallies: Vec<TallyId> = Vec::new();
        for (id, tally) in (0..).zip(&self.tallies) {
            if let Some(Tally {
                counted: Counted::Matching { all_of, .. },
                ..
            }) = tally
                && all_of.iter().all(|matcher| matcher.matches(template, objects))
            {
                tallies.push(id);
            }
        }
        let terms = Terms::of(template);
        let required = terms.affinity.iter().map(|term| (term, Role::Required));
        let forbidden = terms.anti_affinity.iter().map(|term| (term, Role::Forbids));
        let preferred = terms
            .weighted()
            .map(|(term, weight)| (term, Role::Prefers(weight)));
        for (term, role) in required.chain(forbidden).chain(preferred) {
            let matcher = Matcher::of_term(term, template);
            let counted = Counted::Carrying(Carried { role, matcher });
            let key = self.key(&term.topology_key, nodes);
            let id = self.ids.get(&(counted.clone(), key)).copied();
            // Two terms of one Pod that say the same count twice, as upstream counts them.
            tallies.push(id.unwrap_or_else(|| self.insert(counted, key)));
        }
        let member = Member {
            template: template.clone(),
            placed: 0,
            tallies,
        };
        self.members.insert(template.id, member);
    }

    fn key(&mut self, name: &str, nodes: &[super::Node]) -> KeyId {
        if let Some(id) = self.key_ids.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let mut places = Places::new(name.clone());
        places.grow(self.slots);
        for node in nodes.iter().filter(|node| node.present) {
            places.put(node.slot, &node.labels);
        }
        let id = self.keys.len() as KeyId;
        self.keys.push(places);
        self.key_ids.insert(name, id);
        id
    }

    fn insert(&mut self, counted: Counted, key: KeyId) -> TallyId {
        let mut tally = Tally::new(counted.clone(), key);
        tally.grow(self.slots, self.keys[key as usize].sizes().len());
        let id = if let Some(id) = self.free.pop() {
            self.tallies[id as usize] = Some(tally);
            id
        } else {
            self.tallies.push(Some(tally));
            (self.tallies.len() - 1) as TallyId
        };
        self.ids.insert((counted, key), id);
        self.generation += 1;
        id
    }

    /// Works out what concerns a template. `pods` gives all placed Pods, for a count that is new.
    pub(super) fn know<'a, P: Iterator<Item = &'a PlacedPod>>(
        &mut self,
        template: &Arc<PodTemplate>,
        defaults: &SpreadDefaults,
        objects: &Objects,
        nodes: &[super::Node],
        pods: impl Fn() -> P,
    ) {
        if self.interest(template).is_some() {
            return;
        }
        let counts = || self.tallies.iter().flatten().map(Tally::size).sum::<usize>();
        if self.interests.len() >= INTERESTS || counts() > COUNTS {
            self.forget_interests();
        }
        let matching = |topology: &mut Self, all_of: Vec<Matcher>, live: bool, key: &str| {
            let key = topology.key(key, nodes);
            let counted = Counted::Matching { all_of, live };
            match topology.ids.get(&(counted.clone(), key)) {
                Some(id) => *id,
                None => topology.fill(counted, key, objects, pods()),
            }
        };
        let terms = Terms::of(template);
        let of_term = |term: &PodAffinityTerm| Matcher::of_term(term, template);
        let mut interest = Interest::default();
        let near: Vec<Matcher> = terms.affinity.iter().map(of_term).collect();
        interest.meets_itself = near.iter().all(|matcher| matcher.matches(template, objects));
        for term in terms.affinity {
            let tally = matching(self, near.clone(), false, &term.topology_key);
            interest.affinity.push(tally);
        }
        for term in terms.anti_affinity {
            let tally = matching(self, vec![of_term(term)], false, &term.topology_key);
            interest.anti_affinity.push(tally);
        }
        for (term, weight) in terms.weighted() {
            let tally = matching(self, vec![of_term(term)], false, &term.topology_key);
            interest.preferred.push((tally, i64::from(weight)));
        }
        let own = &template.spec.topology_spread_constraints;
        if own.is_empty() {
            interest.built_in = defaults.built_in;
            let matcher = (!defaults.constraints.is_empty()).then(|| default_matcher(template, objects));
            if let Some(matcher) = matcher.flatten() {
                for constraint in &defaults.constraints {
                    let tally = matching(self, vec![matcher.clone()], true, &constraint.topology_key);
                    interest.spread.push(SpreadInterest {
                        tally,
                        constraint: constraint.clone(),
                        counts_itself: matcher.matches(template, objects),
                    });
                }
            }
        }
        for constraint in own {
            let matcher = Matcher::of_constraint(constraint, template);
            let counts_itself = matcher.matches(template, objects);
            let tally = matching(self, vec![matcher], true, &constraint.topology_key);
            interest.spread.push(SpreadInterest {
                tally,
                constraint: Arc::new(constraint.clone()),
                counts_itself,
            });
        }
        self.carried(template, objects, &mut interest);
        self.interests.insert(template.id, (self.generation, interest));
    }

    /// Finds the terms that placed Pods carry and that mean a template.
    fn carried(&self, template: &PodTemplate, objects: &Objects, interest: &mut Interest) {
        for (id, tally) in (0..).zip(&self.tallies) {
            let Some(Tally {
                counted: Counted::Carrying(carried),
                ..
            }) = tally
            else {
                continue;
            };
            if !carried.matcher.matches(template, objects) {
                continue;
            }
            match carried.role {
                Role::Forbids => interest.forbidden.push(id),
                Role::Required => interest.required_by.push(id),
                Role::Prefers(weight) => interest.liked_by.push((id, weight.into())),
            }
        }
    }

    /// Makes a tally of Pods that are placed already.
    fn fill<'a>(
        &mut self,
        counted: Counted,
        key: KeyId,
        objects: &Objects,
        pods: impl Iterator<Item = &'a PlacedPod>,
    ) -> TallyId {
        let id = self.insert(counted.clone(), key);
        let Counted::Matching { all_of, live } = counted else {
            return id;
        };
        let mut any = false;
        for member in self.members.values_mut() {
            let mut matchers = all_of.iter();
            if matchers.all(|matcher| matcher.matches(&member.template, objects)) {
                member.tallies.push(id);
                any = true;
            }
        }
        if !any {
            return id;
        }
        let members = &self.members;
        let places = &self.keys[key as usize];
        if let Some(tally) = &mut self.tallies[id as usize] {
            for pod in pods {
                let counts = members
                    .get(&pod.template.id)
                    .is_some_and(|member| member.tallies.last() == Some(&id));
                if counts && !(live && pod.deleting) {
                    tally.count(pod.slot, places.of(pod.slot), true);
                }
            }
        }
        id
    }
}

#[cfg(test)]
mod tests;
