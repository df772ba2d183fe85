//! Seeded randomness: one number decides every chance event of a process, so that a run can be replayed.
//!
//! Each user forks its own generator by a label. Two users then never disturb each other's sequence, whatever order
//! their tasks run in.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The generator that [`Seed::fork`] gives.
pub type Rng = StdRng;

/// Where all chance of a process comes from. Print it, and a failed run can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed that differs at every start.
    pub fn from_entropy() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // std's hasher keys are the one source of entropy that needs no further crate.
        Self(std::hash::RandomState::new().build_hasher().finish())
    }

    /// The generator for `label`. The same seed and label always give the same sequence.
    pub fn fork(self, label: &str) -> Rng {
        StdRng::seed_from_u64(self.child(label).0)
    }

    /// The seed for a part of the process that forks further generators of its own.
    pub fn child(self, label: &str) -> Self {
        // FNV-1a: stable across versions and platforms, unlike std's hasher.
        let start = 0xcbf2_9ce4_8422_2325 ^ self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(label.bytes().fold(start, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn a_label_gives_the_same_sequence_and_others_give_others() {
        let draw = |seed: u64, label: &str| Seed(seed).fork(label).random::<u64>();
        assert_eq!(draw(7, "kubelet"), draw(7, "kubelet"));
        assert_ne!(draw(7, "kubelet"), draw(7, "scheduler"));
        assert_ne!(draw(7, "kubelet"), draw(8, "kubelet"));
    }
}
