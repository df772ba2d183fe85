//! [`Ranking`]: nodes by their score, so that the best is found without a look at the others.

use crate::snapshot::Slot;
use component_base::rng::Rng;
use rand::RngExt;
use std::collections::BTreeMap;

/// The score of a node that cannot be chosen.
pub(super) const NEVER: i64 = i64::MIN;

/// Every node's score, and the nodes of each score.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// By slot; [`NEVER`] for a node that is not in it.
    scores: Vec<i64>,
    /// By slot: where the node stands among those of its score.
    places: Vec<u32>,
    equals: BTreeMap<i64, Vec<Slot>>,
    len: usize,
}

impl Ranking {
    /// Makes room for so many slots.
    pub(super) fn resize(&mut self, slots: usize) {
        self.scores.resize(slots, NEVER);
        self.places.resize(slots, 0);
    }

    /// Gives a node a score; [`NEVER`] takes it out.
    pub(super) fn set(&mut self, slot: Slot, score: i64) {
        let before = std::mem::replace(&mut self.scores[slot as usize], score);
        if before == score {
            return;
        }
        if before != NEVER {
            self.len -= 1;
            if let Some(equals) = self.equals.get_mut(&before) {
                let place = self.places[slot as usize] as usize;
                equals.swap_remove(place);
                if let Some(moved) = equals.get(place) {
                    self.places[*moved as usize] = place as u32;
                }
                if equals.is_empty() {
                    self.equals.remove(&before);
                }
            }
        }
        if score != NEVER {
            self.len += 1;
            let equals = self.equals.entry(score).or_default();
            self.places[slot as usize] = equals.len() as u32;
            equals.push(slot);
        }
    }

    /// How many nodes have a score.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A node's score.
    pub(super) fn score(&self, slot: Slot) -> i64 {
        self.scores[slot as usize]
    }

    /// The nodes that have a score, in the order of slots.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let scored = (0..).zip(&self.scores).filter(|(_, score)| **score != NEVER);
        scored.map(|(slot, _)| slot)
    }

    /// The nodes by falling score, those of one score together.
    pub(super) fn falling(&self) -> impl Iterator<Item = &[Slot]> + '_ {
        self.equals.values().rev().map(Vec::as_slice)
    }

    /// One of the best nodes.
    pub(super) fn best(&self, rng: &mut Rng) -> Option<Slot> {
        any_of(self.falling().next()?, rng)
    }
}

/// One of several, by chance.
pub(super) fn any_of(slots: &[Slot], rng: &mut Rng) -> Option<Slot> {
    match slots {
        [] => None,
        [only] => Some(*only),
        many => Some(many[rng.random_range(0..many.len())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ranking_does_what_a_sorted_list_does(changes in prop::collection::vec((0..8u32, 0..5i64), 1..60)) {
            let mut ranking = Ranking::default();
            ranking.resize(8);
            let mut model = [NEVER; 8];
            for (slot, score) in changes {
                let score = if score == 4 { NEVER } else { score };
                ranking.set(slot, score);
                model[slot as usize] = score;
                let scored = model.iter().filter(|score| **score != NEVER).count();
                prop_assert_eq!(ranking.len(), scored);
                let mut told: Vec<(i64, Slot)> = Vec::new();
                for equals in ranking.falling() {
                    let mut equals = equals.to_vec();
                    equals.sort_unstable();
                    told.extend(equals.iter().map(|slot| (-ranking.score(*slot), *slot)));
                }
                let mut expected: Vec<(i64, Slot)> =
                    (0..).zip(model).filter(|(_, score)| *score != NEVER).map(|(slot, score)| (-score, slot)).collect();
                expected.sort_unstable();
                prop_assert_eq!(told, expected);
            }
        }
    }
}
