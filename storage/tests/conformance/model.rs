//! Compares a store with a sequential model: a map of the objects, and the list of all changes.

use crate::checks::{key, origin, write};
use bytes::Bytes;
use futures::StreamExt;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::store::{Change, Conflict, HistoryLimit, Key, Precondition, Revision, Store, Versioned, Write};

/// A step of a history. Names and revisions are picked from what there is when the step is done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(Vec<Attempt>),
    /// Compacts the log, keeping this many changes.
    Compact(usize),
    /// Closes the store and opens it again, where the engine can.
    Reopen,
}

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    name: usize,
    value: Option<u8>,
    precondition: Expect,
}

#[derive(Clone, Copy, Debug)]
enum Expect {
    Nothing,
    Absence,
    /// The key's revision.
    Current,
    /// A revision that another write had.
    Stale,
}

const NAMES: usize = 4;

pub(crate) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let precondition = prop_oneof![
        3 => Just(Expect::Nothing),
        2 => Just(Expect::Absence),
        3 => Just(Expect::Current),
        1 => Just(Expect::Stale),
    ];
    let attempt = (0..NAMES, prop::option::weighted(0.7, any::<u8>()), precondition).prop_map(
        |(name, value, precondition)| Attempt {
            name,
            value,
            precondition,
        },
    );
    let step = prop_oneof![
        12 => prop::collection::vec(attempt, 1..6).prop_map(Step::Commit),
        2 => (0..10_usize).prop_map(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..count)
}

#[derive(Default)]
pub(crate) struct Model {
    objects: BTreeMap<Key, Versioned>,
    changes: Vec<Arc<Change>>,
    compacted: Revision,
    /// Where the store was at first: an etcd may have been used, and compacted, by others.
    start: Revision,
}

impl Model {
    fn to_write(&self, attempt: &Attempt) -> Write {
        let name = format!("web-{}", attempt.name);
        let current = self.objects.get(&key(&name)).map(|versioned| versioned.revision);
        let precondition = match attempt.precondition {
            Expect::Nothing => Precondition::None,
            Expect::Absence => Precondition::Absent,
            Expect::Current => current.map_or(Precondition::Absent, Precondition::At),
            Expect::Stale => Precondition::At(current.unwrap_or(1) - 1),
        };
        let value = attempt
            .value
            .map(|byte| Bytes::from(vec![byte; usize::from(byte)]));
        Write {
            value,
            origin: origin("model", self.changes.len() as Revision),
            ..write(&name, None, precondition)
        }
    }

    /// What the store's answer to a write has to be. The revision is the store's choice, if it rises.
    fn apply(&mut self, write: &Write, answer: &Result<Arc<Change>, Conflict>) {
        let before = self.objects.get(&write.key).cloned();
        let current = before.as_ref().map(|versioned| versioned.revision);
        let allowed = match write.precondition {
            Precondition::None => true,
            Precondition::Absent => current.is_none(),
            Precondition::At(revision) => current == Some(revision),
        } && (write.value.is_some() || current.is_some());
        match answer {
            Err(conflict) => {
                assert!(!allowed, "{write:?} was refused");
                assert_eq!((&conflict.key, conflict.current), (&write.key, current));
            }
            Ok(change) => {
                assert!(allowed, "{write:?} was done");
                assert_eq!(
                    **change,
                    Change {
                        revision: change.revision,
                        key: write.key.clone(),
                        before,
                        after: write.value.clone(),
                        origin: write.origin.clone(),
                    }
                );
                match &write.value {
                    Some(value) => {
                        let versioned = Versioned {
                            value: value.clone(),
                            revision: change.revision,
                        };
                        self.objects.insert(write.key.clone(), versioned);
                    }
                    None => drop(self.objects.remove(&write.key)),
                }
                self.changes.push(change.clone());
            }
        }
    }

    fn kept(&self) -> impl DoubleEndedIterator<Item = &Arc<Change>> {
        self.changes
            .iter()
            .filter(|change| change.revision > self.compacted)
    }

    /// Compares everything that can be read.
    async fn check(&self, store: &dyn Store) {
        let snapshot = store.load("").await.unwrap();
        let objects: Vec<_> = self
            .objects
            .iter()
            .map(|(key, versioned)| (key.clone(), versioned.clone()))
            .collect();
        assert_eq!(snapshot.entries, objects);
        assert!(snapshot.revision >= self.changes.last().map_or(0, |change| change.revision));
        assert_eq!(snapshot.compacted, self.compacted);
        let kept: Vec<_> = self.kept().cloned().collect();
        let feed: Vec<_> = store
            .changes(self.compacted.max(self.start))
            .await
            .unwrap()
            .take(kept.len())
            .map(Result::unwrap)
            .collect()
            .await;
        assert_eq!(feed, kept);
        for name in 0..NAMES {
            let key = key(&format!("web-{name}"));
            let expected: Vec<_> = self
                .kept()
                .rev()
                .filter(|change| change.key == key)
                .cloned()
                .collect();
            assert_eq!(store.history(&key, HistoryLimit::NONE).await.unwrap(), expected);
        }
        if let Some(change) = self.kept().next() {
            assert_eq!(&store.change(change.revision).await.unwrap(), change);
        }
    }
}

/// Does the steps and compares after each. `reopen` gives the store again after it was closed; an engine that cannot be
/// closed gives itself.
pub(crate) async fn run<S: Store, F: Future<Output = Arc<S>>>(
    mut store: Arc<S>,
    steps: Vec<Step>,
    reopen: impl Fn(Arc<S>) -> F,
) {
    let mut model = Model {
        start: store.revisions().await.unwrap().0,
        ..Model::default()
    };
    for step in steps {
        match step {
            Step::Commit(attempts) => {
                // A later write of the call may need a revision that an earlier one makes: etcd's are not foreseen, so
                // each write expects what was there before the call. Keys differ, so that it is exact.
                let mut names = std::collections::BTreeSet::new();
                let writes: Vec<_> = attempts
                    .iter()
                    .filter(|attempt| names.insert(attempt.name))
                    .map(|attempt| model.to_write(attempt))
                    .collect();
                let answers = store.commit(writes.clone()).await.unwrap();
                let mut done: Vec<_> = writes.iter().zip(&answers).collect();
                // Writes to different keys may come in any order.
                done.sort_by_key(|(_, answer)| answer.as_ref().map_or(0, |change| change.revision));
                for (write, answer) in done {
                    model.apply(write, answer);
                }
                assert!(model.changes.is_sorted_by(|a, b| a.revision < b.revision));
            }
            Step::Compact(keep) => {
                let Some(index) = model.changes.len().checked_sub(keep + 1) else {
                    continue;
                };
                let to = model.changes[index].revision;
                store.compact(to).await.unwrap();
                model.compacted = model.compacted.max(to);
            }
            Step::Reopen => store = reopen(store).await,
        }
        model.check(&*store).await;
    }
}
