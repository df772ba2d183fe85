//! Reads of many objects, and of the past.
//!
//! Every page of a list shows one revision. The pages after the first mostly come soon, so the first one leaves its
//! snapshot behind; when that is gone, the state is rewound from the current one with the changes since, from memory or
//! from the store's log. [`StoreError::Expired`] says that the log does not reach back either.

use crate::cache::Cache;
use crate::event::{Recorded, Stored};
use crate::filter::Target;
use crate::objects::KindObjects;
use crate::scan::{Scan, Step};
use crate::store::{Key, Revision, StoreError};
use component_base::clock::Instant;
use futures::StreamExt;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The objects in key order.
    pub items: Vec<(Key, Stored)>,
    /// The revision that every page of this list shows.
    pub revision: Revision,
    /// The key to continue after; `None` on the last page.
    pub next: Option<Key>,
    /// How many objects follow after this page; `None` with selectors, where counting would cost a whole scan.
    pub remaining: Option<usize>,
}

/// How many objects a list looks at before it lets other tasks run.
const SCAN_CHUNK: usize = 2048;
/// Snapshots kept for the next pages. Each holds only what has changed since.
const MAX_SNAPSHOTS: usize = 32;
/// A client that has not asked for its next page for so long is served from the log instead.
const SNAPSHOT_TTL: Duration = Duration::from_secs(60);

/// The snapshots that lists of several pages have left behind, least recently used first.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(VecDeque<Snapshot>);

#[derive(Debug)]
struct Snapshot {
    number: u32,
    revision: Revision,
    objects: KindObjects,
    used: Instant,
}

impl Snapshots {
    /// Lets go of what nobody has asked for lately. The follower calls this with each batch: it is changes that make
    /// an old snapshot hold memory.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self
            .0
            .front()
            .is_some_and(|oldest| now.duration_since(oldest.used) >= SNAPSHOT_TTL)
        {
            self.0.pop_front();
        }
    }

    fn get(&mut self, number: u32, revision: Revision, now: Instant) -> Option<KindObjects> {
        let i = self
            .0
            .iter()
            .position(|s| s.number == number && s.revision == revision)?;
        let snapshot = self.0.remove(i)?;
        let objects = snapshot.objects.clone();
        self.0.push_back(Snapshot {
            used: now,
            ..snapshot
        });
        Some(objects)
    }

    fn keep(&mut self, number: u32, revision: Revision, objects: KindObjects, now: Instant) {
        if self.get(number, revision, now).is_none() {
            self.0.push_back(Snapshot {
                number,
                revision,
                objects,
                used: now,
            });
        }
        if self.0.len() > MAX_SNAPSHOTS {
            self.0.pop_front();
        }
    }
}

impl Cache {
    /// A page of the objects that `target` asks for: at most `limit` (0 for no limit), after the key `after`, as they
    /// were at `revision` (the newest when `None`).
    pub async fn list(
        &self,
        target: &Target,
        limit: usize,
        after: Option<Key>,
        revision: Option<Revision>,
    ) -> Result<Page, StoreError> {
        let number = target.kind.number;
        let (objects, revision) = self.objects_at(number, revision).await?;
        let mut scan = Scan::new(objects.clone(), vec![target.clone()], after);
        // One more than the page holds tells whether there is a next one.
        let wanted = if limit == 0 {
            usize::MAX
        } else {
            limit.saturating_add(1)
        };
        let mut items = Vec::new();
        while items.len() < wanted && !scan.is_done() {
            items.extend(scan.next(Step {
                objects: wanted - items.len(),
                // They are in memory already, and shared.
                bytes: usize::MAX,
                effort: SCAN_CHUNK,
            })?);
            tokio::task::yield_now().await;
        }
        let unfiltered = target.is_unfiltered();
        let more = limit != 0 && items.len() > limit;
        if !more {
            return Ok(Page {
                items,
                revision,
                next: None,
                remaining: unfiltered.then_some(0),
            });
        }
        items.truncate(limit);
        self.shared
            .snapshots()
            .keep(number, revision, objects, self.clock.now());
        let remaining = unfiltered.then(|| scan.count_rest() + 1);
        let next = items.last().map(|(key, _)| key.clone());
        Ok(Page {
            items,
            revision,
            next,
            remaining,
        })
    }

    /// The object as it was at a revision.
    pub async fn get_at(&self, key: &Key, revision: Revision) -> Result<Option<Stored>, StoreError> {
        let now = self.get(key);
        self.check_not_future(revision)?;
        if now.as_ref().is_some_and(|object| object.revision <= revision) {
            return Ok(now);
        }
        let mut earlier = self.earlier(revision, |change| change.key == *key).await?;
        Ok(earlier.remove(key).unwrap_or(now))
    }

    /// The objects of a kind at a revision, and that revision.
    async fn objects_at(
        &self,
        number: u32,
        revision: Option<Revision>,
    ) -> Result<(KindObjects, Revision), StoreError> {
        let (objects, current) = {
            let state = self.shared.read();
            (state.objects.kind(number), state.objects.revision)
        };
        let Some(revision) = revision.filter(|revision| *revision != current) else {
            return Ok((objects, current));
        };
        self.check_not_future(revision)?;
        let kept = self.shared.snapshots().get(number, revision, self.clock.now());
        if let Some(objects) = kept {
            return Ok((objects, revision));
        }
        let earlier = self.earlier(revision, |change| change.number == number).await?;
        // The changes were read after the objects, so they may go further; what they say of `revision` is the same.
        Ok((objects.rewound(earlier), revision))
    }

    fn check_not_future(&self, asked: Revision) -> Result<(), StoreError> {
        let current = self.shared.read().objects.revision;
        if asked > current {
            return Err(StoreError::Future { asked, current });
        }
        Ok(())
    }

    /// For every wanted object that has changed after `revision`: what it was at `revision`.
    async fn earlier(
        &self,
        revision: Revision,
        wanted: impl Fn(&Recorded) -> bool,
    ) -> Result<HashMap<Key, Option<Stored>>, StoreError> {
        // The first change after a revision knows what was there at that revision.
        let mut earlier = HashMap::new();
        let mut note = |change: &Recorded| {
            if wanted(change) && !earlier.contains_key(&change.key) {
                earlier.insert(change.key.clone(), change.before.clone());
            }
        };
        let (recent, current) = {
            let state = self.shared.read();
            (state.recent.after(revision, usize::MAX), state.objects.revision)
        };
        if let Some(batches) = recent {
            for batch in batches {
                batch.after(revision).iter().for_each(|slot| note(&slot.change));
            }
            return Ok(earlier);
        }
        let mut changes = self.store.changes(revision).await?;
        let mut position = revision;
        while position < current {
            let change = changes
                .next()
                .await
                .unwrap_or_else(|| Err(crate::cache::stopped()))?;
            position = change.revision;
            note(&Recorded::new(&change)?);
        }
        Ok(earlier)
    }
}
