//! [`Evictions`]: which Pods are on their way out, and for whom.

use crate::framework::Room;
use crate::pod::PodInfo;
use client::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Room that is to be made for a Pod: delete the victims, and write where the Pod is nominated.
#[derive(Clone, Debug)]
pub struct Preemption {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// Where, and who must go.
    pub room: Arc<Room>,
}

/// Victims and those who wait for them to leave. Only saves looking: a Pod whose victims leave unseen is tried again after
/// [`crate::queue::STALE_AFTER`].
#[derive(Debug, Default)]
pub(super) struct Evictions {
    waits_for: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// By victim: who waits for it.
    waiting: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Evictions {
    /// A Pod waits for these to leave, and for no others.
    pub(super) fn expect(&mut self, pod: &ObjectKey, victims: impl Iterator<Item = ObjectKey>) {
        self.settled(pod);
        let victims: BTreeSet<ObjectKey> = victims.collect();
        for victim in &victims {
            self.waiting
                .entry(victim.clone())
                .or_default()
                .insert(pod.clone());
        }
        self.waits_for.insert(pod.clone(), victims);
    }

    /// A Pod is gone: gives those who waited for it as the last.
    pub(super) fn gone(&mut self, victim: &ObjectKey) -> Vec<ObjectKey> {
        let mut ready = Vec::new();
        for pod in self.waiting.remove(victim).unwrap_or_default() {
            if let Some(victims) = self.waits_for.get_mut(&pod) {
                victims.remove(victim);
                if victims.is_empty() {
                    self.waits_for.remove(&pod);
                    ready.push(pod);
                }
            }
        }
        ready
    }

    /// Whether a Pod waits for others to leave.
    pub(super) fn is_expected(&self, pod: &ObjectKey) -> bool {
        self.waits_for.contains_key(pod)
    }

    /// Who waits for a Pod to leave.
    pub(super) fn waiting_for(&self, victim: &ObjectKey) -> Vec<ObjectKey> {
        let waiting = self.waiting.get(victim).into_iter().flatten();
        waiting.cloned().collect()
    }

    /// A Pod no longer waits.
    pub(super) fn settled(&mut self, pod: &ObjectKey) {
        for victim in self.waits_for.remove(pod).unwrap_or_default() {
            if let Some(waiting) = self.waiting.get_mut(&victim) {
                waiting.remove(pod);
                if waiting.is_empty() {
                    self.waiting.remove(&victim);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Pod;

    #[test]
    fn who_waits_for_several_is_ready_when_the_last_has_left() {
        let key = |name: &str| ObjectKey::new::<Pod>("default", name);
        let mut evictions = Evictions::default();
        evictions.expect(&key("first"), [key("a"), key("b")].into_iter());
        evictions.expect(&key("second"), [key("b")].into_iter());
        evictions.expect(&key("third"), [key("b"), key("c")].into_iter());
        assert!(evictions.gone(&key("a")).is_empty());
        evictions.settled(&key("second"));
        assert_eq!(evictions.gone(&key("b")), [key("first")]);
        assert_eq!(evictions.gone(&key("c")), [key("third")]);
        assert!(evictions.waiting.is_empty() && evictions.waits_for.is_empty());
    }
}
