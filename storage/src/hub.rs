//! Who is to be woken by which change.
//!
//! A watch pulls its events from the recent changes by itself; nothing is sent to it. What it needs is to be woken when
//! there is something for it, and not otherwise: its bell hangs under the topics that it follows (a kind; a kind in one
//! namespace; a kind with one value of an indexed field), and the follower rings the bells of the topics that a batch
//! touches. Ringing is one atomic operation and never waits, whatever the watch does; a bell that has not been answered
//! since is not rung again. A watch that nothing concerns costs nothing.
//!
//! Invariant: when [`Subscription::answer`] tells a watch that it has seen all it had to see, nothing that concerns it lies
//! between its last answer and the revision it is given.

use crate::event::Batch;
use crate::filter::{IndexedValue, Target, is_custom};
use crate::index;
use crate::store::Revision;
use apimachinery::kinds::ANY_CUSTOM;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// No batch has rung the bell since it was answered.
const SILENT: Revision = Revision::MAX;

/// Wakes one watch.
#[derive(Debug)]
struct Bell {
    notify: Notify,
    /// The revision before the first batch that rang and was not answered; [`SILENT`] when there is none.
    rung_after: AtomicI64,
}

impl Bell {
    fn ring(&self, after: Revision) {
        let first = self
            .rung_after
            .compare_exchange(SILENT, after, Ordering::AcqRel, Ordering::Relaxed);
        if first.is_ok() {
            self.notify.notify_one();
        }
    }
}

/// The bells that one topic rings.
#[derive(Debug, Default)]
struct Topic {
    bells: Vec<Arc<Bell>>,
    /// The last batch that rang: many changes of a batch touch the same topic.
    rung: Revision,
}

impl Topic {
    fn ring(&mut self, batch: &Batch) {
        if self.rung != batch.last() {
            self.rung = batch.last();
            for bell in &self.bells {
                bell.ring(batch.first() - 1);
            }
        }
    }

    fn remove(&mut self, bell: &Arc<Bell>) {
        self.bells.retain(|other| !Arc::ptr_eq(other, bell));
    }
}

/// The topics of one kind.
#[derive(Debug, Default)]
struct Topics {
    all: Topic,
    namespaces: HashMap<String, Topic>,
    indexed: HashMap<IndexedValue, Topic>,
}

impl Topics {
    fn of(&mut self, target: &Target) -> &mut Topic {
        if let Some(indexed) = target.indexed() {
            self.indexed.entry(indexed).or_default()
        } else if let Some(namespace) = &target.namespace {
            self.namespaces.entry(namespace.clone()).or_default()
        } else {
            &mut self.all
        }
    }

    /// `number` is the kind's, or [`ANY_CUSTOM`]'s.
    fn ring(&mut self, batch: &Batch, number: u32) {
        self.all.ring(batch);
        if self.namespaces.is_empty() && self.indexed.is_empty() {
            return;
        }
        let concerns = |of: u32| of == number || (number == ANY_CUSTOM.number && is_custom(of));
        for slot in batch.changes.iter().filter(|slot| concerns(slot.number)) {
            if let Some(topic) = self.namespaces.get_mut(slot.change.key.parts().1) {
                topic.ring(batch);
            }
            if self.indexed.is_empty() {
                continue;
            }
            for (row, index) in index::of(number).iter().enumerate() {
                let objects = [&slot.change.before, &slot.change.after];
                for value in objects
                    .into_iter()
                    .flatten()
                    .filter_map(|object| index.value(&object.bytes))
                {
                    let wanted = IndexedValue {
                        row,
                        value: value.into(),
                    };
                    if let Some(topic) = self.indexed.get_mut(&wanted) {
                        topic.ring(batch);
                    }
                }
            }
        }
    }

    fn remove(&mut self, bell: &Arc<Bell>) {
        fn from<K: Eq + Hash>(topics: &mut HashMap<K, Topic>, bell: &Arc<Bell>) {
            topics.retain(|_, topic| {
                topic.remove(bell);
                !topic.bells.is_empty()
            });
        }
        self.all.remove(bell);
        from(&mut self.namespaces, bell);
        from(&mut self.indexed, bell);
    }
}

/// All bells.
#[derive(Debug)]
pub(crate) struct Bells {
    by_kind: Mutex<HashMap<u32, Topics>>,
    /// Every batch up to this revision has rung whom it concerns.
    rung_to: AtomicI64,
}

impl Bells {
    pub(crate) fn new(revision: Revision) -> Self {
        Self {
            by_kind: Mutex::default(),
            rung_to: AtomicI64::new(revision),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Topics>> {
        self.by_kind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings whom a batch concerns. Called after the batch can be read, in the order of the batches.
    pub(crate) fn ring(&self, batch: &Batch) {
        let mut by_kind = self.lock();
        // A bit for each kind that was seen; numbers beyond are rung again, which is harmless.
        let mut seen = 0u128;
        for slot in &batch.changes {
            let bit = 1u128.checked_shl(slot.number).unwrap_or(0);
            if seen & bit == 0 {
                seen |= bit;
                if let Some(topics) = by_kind.get_mut(&slot.number) {
                    topics.ring(batch, slot.number);
                }
                if let Some(topics) = by_kind
                    .get_mut(&ANY_CUSTOM.number)
                    .filter(|_| is_custom(slot.number))
                {
                    topics.ring(batch, ANY_CUSTOM.number);
                }
            }
        }
        drop(by_kind);
        self.rung_to.store(batch.last(), Ordering::Release);
    }

    /// Wakes everybody: the cache has failed.
    pub(crate) fn ring_all(&self) {
        for topics in self.lock().values() {
            let rest = topics.namespaces.values().chain(topics.indexed.values());
            for bell in std::iter::once(&topics.all)
                .chain(rest)
                .flat_map(|topic| &topic.bells)
            {
                bell.notify.notify_one();
            }
        }
    }
}

/// A watch's own bell; taken down when dropped.
pub(crate) struct Subscription {
    bells: Arc<Bells>,
    bell: Arc<Bell>,
    kinds: Vec<u32>,
}

/// What a bell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing that concerns the watch has happened up to this revision.
    Silent(Revision),
    /// Something has, at the earliest after this revision.
    Rung(Revision),
}

impl Subscription {
    /// Hangs a bell under the topics of the targets.
    pub(crate) fn new(bells: Arc<Bells>, targets: &[Target]) -> Self {
        let bell = Arc::new(Bell {
            notify: Notify::new(),
            rung_after: AtomicI64::new(SILENT),
        });
        let mut by_kind = bells.lock();
        for target in targets {
            let topic = by_kind.entry(target.kind.number).or_default().of(target);
            topic.bells.push(Arc::clone(&bell));
        }
        drop(by_kind);
        let kinds = targets.iter().map(|target| target.kind.number).collect();
        Self { bells, bell, kinds }
    }

    /// Waits until the bell rings, or has rung since the last answer.
    pub(crate) async fn rung(&self) {
        self.bell.notify.notified().await;
    }

    /// Reads the bell and silences it. Only a watch that had seen everything before may skip on [`Answer::Silent`].
    pub(crate) fn answer(&self) -> Answer {
        // In this order: a batch that rings after the load is not counted as silent.
        let rung_to = self.bells.rung_to.load(Ordering::Acquire);
        match self.bell.rung_after.swap(SILENT, Ordering::AcqRel) {
            SILENT => Answer::Silent(rung_to),
            after => Answer::Rung(after),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut by_kind = self.bells.lock();
        for kind in &self.kinds {
            if let Some(topics) = by_kind.get_mut(kind) {
                topics.remove(&self.bell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Recorded;
    use crate::store::{Change, Key, Origin, Versioned};
    use futures::FutureExt;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::{Node, Pod};

    fn pod(node: &str) -> bytes::Bytes {
        let mut pod = Pod::default();
        pod.spec.get_or_insert_default().node_name = node.into();
        pod.encode_to_vec().into()
    }

    /// A Pod of a namespace that moves from one node to another.
    fn moved(revision: Revision, namespace: &str, from: &str, to: &str) -> Batch {
        let change = Change {
            revision,
            key: Key::new("pods", namespace, "p"),
            before: Some(Versioned {
                value: pod(from),
                revision: revision - 1,
            }),
            after: Some(pod(to)),
            origin: Origin {
                actor: "test".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        };
        Batch::new(vec![Recorded::new(&change).unwrap()]).unwrap()
    }

    fn pods() -> Target {
        Target::all(apimachinery::kinds::of::<Pod>())
    }

    fn on(node: &str) -> Target {
        Target {
            fields: format!("spec.nodeName={node}").parse().unwrap(),
            ..pods()
        }
    }

    #[test]
    fn a_bell_rings_only_for_what_concerns_its_watch() {
        let namespace = |namespace: &str| Target {
            namespace: Some(namespace.into()),
            ..pods()
        };
        for (targets, rings) in [
            (vec![pods()], true),
            (vec![namespace("a")], true),
            (vec![namespace("b")], false),
            (vec![on("n1")], true),
            (vec![on("n2")], true),
            (vec![on("n3")], false),
            (vec![Target::all(apimachinery::kinds::of::<Node>())], false),
            (vec![on("n3"), namespace("a")], true),
        ] {
            let bells = Arc::new(Bells::new(10));
            let subscription = Subscription::new(Arc::clone(&bells), &targets);
            assert_eq!(subscription.answer(), Answer::Silent(10));
            bells.ring(&moved(20, "a", "n1", "n2"));
            assert_eq!(subscription.rung().now_or_never().is_some(), rings, "{targets:?}");
            let answer = if rings {
                Answer::Rung(19)
            } else {
                Answer::Silent(20)
            };
            assert_eq!(subscription.answer(), answer);
            assert_eq!(
                subscription.answer(),
                Answer::Silent(20),
                "an answered bell is silent"
            );
        }
    }

    #[test]
    fn a_bell_keeps_the_first_batch_that_was_not_answered() {
        let bells = Arc::new(Bells::new(0));
        let subscription = Subscription::new(Arc::clone(&bells), &[on("n1")]);
        bells.ring(&moved(5, "a", "n8", "n9"));
        bells.ring(&moved(6, "a", "n1", "n9"));
        bells.ring(&moved(7, "a", "n9", "n1"));
        assert_eq!(subscription.answer(), Answer::Rung(5));
    }

    #[test]
    fn a_dropped_watch_leaves_nothing_behind() {
        let bells = Arc::new(Bells::new(0));
        drop(Subscription::new(
            Arc::clone(&bells),
            &[pods(), on("n1"), on("n2")],
        ));
        let by_kind = bells.lock();
        let topics = &by_kind[&Pod::NUMBER];
        assert!(topics.all.bells.is_empty() && topics.namespaces.is_empty() && topics.indexed.is_empty());
    }
}
