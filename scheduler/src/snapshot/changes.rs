//! [`Changes`]: which nodes changed, in order, so that who looked before need not look at all of them again.

use super::Slot;
use std::collections::VecDeque;

/// How many changes are kept. Who missed more looks at every node again, which costs little more than reading so many.
const KEPT: usize = 8192;

/// A place in the order of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen(u64);

/// The last [`KEPT`] changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// How many changes were forgotten.
    first: u64,
    slots: VecDeque<Slot>,
}

impl Changes {
    pub(super) fn note(&mut self, slot: Slot) {
        if self.slots.len() == KEPT {
            self.slots.pop_front();
            self.first += 1;
        }
        self.slots.push_back(slot);
    }

    pub(super) fn now(&self) -> Seen {
        Seen(self.first + self.slots.len() as u64)
    }

    /// The nodes that changed since, a node perhaps several times; `None` when that is no longer known.
    pub(super) fn since(&self, seen: Seen) -> Option<impl Iterator<Item = Slot> + '_> {
        let skip = usize::try_from(seen.0.checked_sub(self.first)?).ok()?;
        Some(self.slots.range(skip.min(self.slots.len())..).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_until_they_are_forgotten() {
        let mut changes = Changes::default();
        changes.note(1);
        let seen = changes.now();
        assert_eq!(changes.since(seen).unwrap().count(), 0);
        changes.note(7);
        assert_eq!(changes.since(seen).unwrap().collect::<Vec<_>>(), [7]);
        for slot in 0..KEPT as Slot {
            changes.note(slot);
        }
        assert!(changes.since(seen).is_none());
        assert_eq!(changes.since(changes.now()).unwrap().count(), 0);
    }
}
