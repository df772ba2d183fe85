//! [`Tally`]: how many placed Pods of a kind each domain holds.

use super::super::Slot;
use super::{Domain, KeyId, Matcher, NOWHERE};

/// Which Pods are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// Those that all of these mean. With `live`, not those that are being deleted, and by node too.
    Matching { all_of: Vec<Matcher>, live: bool },
    /// Those that have such a term themselves.
    Carrying(Carried),
}

/// A term that a placed Pod has, which speaks of Pods to come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Carried {
    /// What it does.
    pub role: Role,
    /// Whom it means.
    pub matcher: Matcher,
}

/// What a carried term does to the Pods that it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Keeps them away: required anti-affinity.
    Forbids,
    /// The Pod has required them near itself, so they may like to be near it: required affinity.
    Required,
    /// Likes them by so much, or, below 0, dislikes them: a preferred term's weight.
    Prefers(i32),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) counted: Counted,
    pub(super) key: KeyId,
    /// Where there are live Pods only; else empty.
    by_slot: Vec<u32>,
    by_domain: Vec<u32>,
    in_domains: u64,
}

impl Tally {
    pub(super) fn new(counted: Counted, key: KeyId) -> Self {
        Self {
            counted,
            key,
            by_slot: Vec::new(),
            by_domain: Vec::new(),
            in_domains: 0,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.counted, Counted::Matching { live: true, .. })
    }

    pub(super) fn grow(&mut self, slots: usize, domains: usize) {
        if self.is_live() && self.by_slot.len() < slots {
            self.by_slot.resize(slots, 0);
        }
        if self.by_domain.len() < domains {
            self.by_domain.resize(domains, 0);
        }
    }

    pub(super) fn count(&mut self, slot: Slot, domain: Domain, more: bool) {
        let change = |count: &mut u32| *count = if more { *count + 1 } else { *count - 1 };
        if let Some(count) = self.by_slot.get_mut(slot as usize) {
            change(count);
        }
        if domain != NOWHERE {
            change(&mut self.by_domain[domain as usize]);
            self.in_domains = if more {
                self.in_domains + 1
            } else {
                self.in_domains - 1
            };
        }
    }

    /// By domain.
    pub fn by_domain(&self) -> &[u32] {
        &self.by_domain
    }

    /// By slot; empty for a tally that is not for spreading.
    pub fn by_slot(&self) -> &[u32] {
        &self.by_slot
    }

    /// How many in all domains together.
    pub fn total(&self) -> u64 {
        self.in_domains
    }

    /// How much memory it takes, in counts.
    pub(super) fn size(&self) -> usize {
        self.by_slot.len() + self.by_domain.len()
    }
}
