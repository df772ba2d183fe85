//! One watch: the events of any set of kinds on one stream, in the order of the revisions.
//!
//! What it promises: no gap, no duplicate, no reorder. The initial state, where asked for, is one consistent snapshot,
//! ended by SYNCED. A BOOKMARK at R means that every event up to R has been sent.
//!
//! How: a watch is a position (everything up to it has been sent) and a place to read from. It pulls, so a slow one
//! holds no queue, blocks nobody, and cannot lose anything between two queues: there is none.
//!
//! ```text
//!   Initial ──end of the snapshot──> Behind ──all recent changes read──> Synced
//!                                     │  ^ ^                               │
//!     older than the recent changes   v  │ └────────── the bell rings ─────┘
//!                                     Log ──no longer there──> Expired, the stream ends
//! ```
//! `Synced` reads nothing until its bell rings (`hub.rs`).

use crate::cache::{Cache, stopped};
use crate::event::{Batch, Recorded, initial, mark};
use crate::filter::{Target, is_custom};
use crate::hub::{Answer, Subscription};
use crate::objects::KindObjects;
use crate::scan::{Scan, Step, matches};
use crate::store::{Change, Changes, Revision, StoreError};
use apimachinery::kinds::ANY_CUSTOM;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use proto::{EventFrame, EventType};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The stream of [`Cache::watch`]. Ends after an error.
pub type Events = BoxStream<'static, Result<EventFrame, StoreError>>;

/// What to follow, and from where.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Objects of any kinds. One that several targets ask for is sent once.
    pub targets: Vec<Target>,
    /// Continue after this revision; `None` starts with the objects there are, as ADDED, ended by SYNCED.
    pub after: Option<Revision>,
    /// Send a BOOKMARK every [`BOOKMARK_PERIOD`].
    pub bookmarks: bool,
}

/// How often a watch tells how far it is. Short enough that "which revision has it reached" is a live figure.
pub const BOOKMARK_PERIOD: Duration = Duration::from_secs(1);
/// How many changes a watch looks at before it lets other tasks run.
const READ_CHUNK: usize = 512;
/// How much is taken of the initial state at a time.
const INITIAL_STEP: Step = Step {
    objects: 256,
    bytes: PART_BYTES,
    effort: 2048,
};
/// What a watch holds while its client does not read: events of this many bytes, of which the last may go beyond. A
/// thousand clients that never read cost 256 MiB, and no more where objects are large.
const PART_BYTES: usize = 256 << 10;

impl Cache {
    /// Follows the targets. Fails at once when `after` is a revision that is not written yet, or no longer in the log.
    pub async fn watch(self: &Arc<Self>, options: WatchOptions) -> Result<Events, StoreError> {
        let watch = Watch::new(Arc::clone(self), options).await?;
        let batches = stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            Some(match watch.next().await {
                Ok(frames) => (frames.into_iter().map(Ok).collect(), Some(watch)),
                Err(error) => (vec![Err(error)], None),
            })
        });
        Ok(batches.map(stream::iter::<Vec<_>>).flatten().boxed())
    }
}

/// Where a watch reads.
enum Phase {
    /// From the snapshot that it began with.
    Initial(VecDeque<(u32, Scan)>),
    /// From the recent changes, not knowing whether there are more.
    Behind,
    /// Nothing: it has read everything that concerns it.
    Synced,
    /// From the store's log, being too far behind for the recent changes.
    Log(Changes),
}

struct Watch {
    cache: Arc<Cache>,
    /// By the kind's number.
    targets: BTreeMap<u32, Vec<Target>>,
    subscription: Subscription,
    phase: Phase,
    /// Everything up to this revision that concerns the watch has been given out.
    position: Revision,
    /// Ends when the position is to be told, or brought up to date.
    tick: BoxFuture<'static, ()>,
    bookmarks: bool,
}

impl Watch {
    async fn new(cache: Arc<Cache>, options: WatchOptions) -> Result<Self, StoreError> {
        let WatchOptions {
            targets,
            after,
            bookmarks,
        } = options;
        let subscription = Subscription::new(Arc::clone(&cache.shared.bells), &targets);
        let mut by_kind: BTreeMap<u32, Vec<Target>> = BTreeMap::new();
        for target in targets {
            by_kind.entry(target.kind.number).or_default().push(target);
        }
        let (phase, position) = match after {
            None => {
                let state = cache.shared.read();
                let scan = |number: u32, objects: KindObjects, targets: &[Target]| {
                    (number, Scan::new(objects, targets.to_vec(), None))
                };
                let named = by_kind
                    .iter()
                    .map(|(number, targets)| scan(*number, state.objects.kind(*number), targets));
                let any = by_kind.get(&ANY_CUSTOM.number).into_iter().flat_map(|targets| {
                    let others = state
                        .objects
                        .custom()
                        .filter(|(number, _)| !by_kind.contains_key(number));
                    others.map(|(number, objects)| scan(number, objects.clone(), targets))
                });
                (Phase::Initial(named.chain(any).collect()), state.objects.revision)
            }
            Some(after) => (begin_after(&cache, after).await?, after),
        };
        let tick = tick(&cache);
        Ok(Self {
            cache,
            targets: by_kind,
            subscription,
            phase,
            position,
            tick,
            bookmarks,
        })
    }

    /// The next events: never none. An error is the end.
    async fn next(&mut self) -> Result<Vec<EventFrame>, StoreError> {
        loop {
            // A client that always has something to read, or nothing in a long run of changes, must not hold the thread.
            tokio::task::consume_budget().await;
            let frames = match &mut self.phase {
                Phase::Initial(_) => self.read_initial()?,
                Phase::Behind => self.read_recent().await?,
                Phase::Synced => self.wait().await,
                Phase::Log(_) => self.read_log().await?,
            };
            if !frames.is_empty() {
                return Ok(frames);
            }
            // Also while changes are read that a selector leaves out: the client sees nothing else then.
            if !matches!(self.phase, Phase::Initial(_)) && (&mut self.tick).now_or_never().is_some() {
                self.tick = tick(&self.cache);
                if self.bookmarks {
                    return Ok(vec![mark(EventType::Bookmark, self.position)]);
                }
            }
        }
    }

    fn read_initial(&mut self) -> Result<Vec<EventFrame>, StoreError> {
        let Phase::Initial(scans) = &mut self.phase else {
            return Ok(Vec::new());
        };
        if let Some((number, scan)) = scans.front_mut() {
            let objects = scan.next(INITIAL_STEP)?;
            let frames = objects
                .iter()
                .map(|(_, object)| initial(*number, object))
                .collect();
            if scan.is_done() {
                scans.pop_front();
            }
            return Ok(frames);
        }
        self.phase = Phase::Behind;
        Ok(vec![mark(EventType::Synced, self.position)])
    }

    async fn read_recent(&mut self) -> Result<Vec<EventFrame>, StoreError> {
        let batches = self.cache.shared.read().recent.after(self.position, READ_CHUNK);
        match batches {
            None => {
                self.phase = Phase::Log(self.cache.store.changes(self.position).await?);
                Ok(Vec::new())
            }
            Some(batches) if batches.is_empty() => {
                // Everything that the cache has applied was sent before it failed.
                if let Some(error) = self.cache.shared.failure() {
                    return Err(error);
                }
                self.phase = Phase::Synced;
                Ok(Vec::new())
            }
            Some(batches) => self.read_batches(&batches),
        }
    }

    fn read_batches(&mut self, batches: &[Arc<Batch>]) -> Result<Vec<EventFrame>, StoreError> {
        let mut part = Part::default();
        for batch in batches {
            for slot in batch.after(self.position) {
                if part.is_full() {
                    return Ok(part.frames);
                }
                if let Some(targets) = targets_of(&self.targets, slot.number) {
                    part.extend(frame(targets, &slot.change)?);
                }
                self.position = slot.revision;
            }
        }
        Ok(part.frames)
    }

    async fn wait(&mut self) -> Vec<EventFrame> {
        let ticked = tokio::select! {
            // In one order, so that a run can be replayed; `next` sees to the tick when the bell never rests.
            biased;
            () = self.subscription.rung() => false,
            () = &mut self.tick => true,
        };
        match self.subscription.answer() {
            Answer::Rung(after) => {
                self.position = self.position.max(after);
                self.phase = Phase::Behind;
            }
            Answer::Silent(revision) => self.position = self.position.max(revision),
        }
        if self.cache.shared.failure().is_some() {
            self.phase = Phase::Behind;
        }
        if !ticked {
            return Vec::new();
        }
        self.tick = tick(&self.cache);
        // True whatever the bell said: `position` never passes an event that was not given out.
        if self.bookmarks {
            vec![mark(EventType::Bookmark, self.position)]
        } else {
            Vec::new()
        }
    }

    async fn read_log(&mut self) -> Result<Vec<EventFrame>, StoreError> {
        let Phase::Log(changes) = &mut self.phase else {
            return Ok(Vec::new());
        };
        let mut part = Part::default();
        // The first is waited for; of the others, those are taken that are there.
        let mut next = changes.next().await;
        for taken in 1.. {
            let change: Arc<Change> = next.ok_or_else(stopped)??;
            let recorded = Recorded::new(&change)?;
            if let Some(targets) = targets_of(&self.targets, recorded.number) {
                part.extend(frame(targets, &recorded)?);
            }
            self.position = change.revision;
            if taken == READ_CHUNK || part.is_full() {
                break;
            }
            let Some(ready) = changes.next().now_or_never() else {
                break;
            };
            next = ready;
        }
        if self.position >= self.cache.shared.read().recent.floor() {
            self.phase = Phase::Behind;
        }
        Ok(part.frames)
    }
}

/// Events that are given out together.
#[derive(Default)]
struct Part {
    frames: Vec<EventFrame>,
    bytes: usize,
}

impl Part {
    fn is_full(&self) -> bool {
        self.bytes >= PART_BYTES
    }

    fn extend(&mut self, frame: Option<EventFrame>) {
        self.bytes += frame.as_ref().map_or(0, |frame| frame.0.len());
        self.frames.extend(frame);
    }
}

fn tick(cache: &Cache) -> BoxFuture<'static, ()> {
    let clock = cache.clock.clone();
    async move { clock.sleep(BOOKMARK_PERIOD).await }.boxed()
}

/// Where a watch reads that continues after a revision.
async fn begin_after(cache: &Cache, after: Revision) -> Result<Phase, StoreError> {
    if after > cache.revision() {
        // Another process may have acknowledged it already.
        let (current, _) = cache.store.revisions().await?;
        if after > current {
            return Err(StoreError::Future {
                asked: after,
                current,
            });
        }
        cache.wait_for(after).await?;
    }
    if after >= cache.shared.read().recent.floor() {
        return Ok(Phase::Behind);
    }
    Ok(Phase::Log(cache.store.changes(after).await?))
}

/// What is asked for of a kind. Who names a custom kind beside [`ANY_CUSTOM`] means that name.
fn targets_of(targets: &BTreeMap<u32, Vec<Target>>, number: u32) -> Option<&[Target]> {
    let any = || targets.get(&ANY_CUSTOM.number).filter(|_| is_custom(number));
    targets.get(&number).or_else(any).map(Vec::as_slice)
}

/// The event of a change for a watch with these targets of the object's kind.
fn frame(targets: &[Target], change: &Recorded) -> Result<Option<EventFrame>, StoreError> {
    let asks = |object: &Option<crate::event::Stored>| match object {
        Some(object) => matches(targets, &change.key, object),
        None => Ok(false),
    };
    change.frame(asks(&change.before)?, asks(&change.after)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheConfig;
    use crate::memory::MemoryStore;
    use crate::store::{Key, Origin, Precondition, Store, Write};
    use component_base::clock::Clock;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::ConfigMap;

    const OBJECTS: usize = 20;
    const OBJECT_BYTES: usize = 100 << 10;

    fn large(name: &str) -> Write {
        let mut map = ConfigMap::default();
        map.metadata_mut().name = name.into();
        map.data.insert("key".into(), "x".repeat(OBJECT_BYTES));
        Write {
            key: Key::new("configmaps", "default", name),
            value: Some(map.encode_to_vec().into()),
            precondition: Precondition::None,
            origin: Origin {
                actor: "test".into(),
                cause: 0,
                time: proto::Timestamp::default(),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn however_large_objects_are_a_watch_takes_little_at_a_time() {
        let initial = (CacheConfig::default(), None);
        let recent = (CacheConfig::default(), Some(0));
        let forgetful = CacheConfig {
            recent_changes: 1,
            ..CacheConfig::default()
        };
        for (config, after) in [initial, recent, (forgetful, Some(0))] {
            let store = Arc::new(MemoryStore::new());
            let cache = Cache::open(store.clone(), Clock::system(), config).await.unwrap();
            let writes = (0..OBJECTS).map(|i| large(&i.to_string())).collect();
            let last = store.commit(writes).await.unwrap().pop().unwrap().unwrap();
            cache.wait_for(last.revision).await.unwrap();
            let options = WatchOptions {
                targets: vec![Target::all(apimachinery::kinds::of::<ConfigMap>())],
                after,
                bookmarks: false,
            };
            let mut watch = Watch::new(Arc::clone(&cache), options).await.unwrap();
            let mut seen = 0;
            while seen < OBJECTS {
                let frames = watch.next().await.unwrap();
                let bytes: usize = frames.iter().map(|frame| frame.0.len()).sum();
                assert!(bytes < PART_BYTES + 2 * OBJECT_BYTES, "{bytes} after {after:?}");
                seen += frames.len();
            }
        }
    }
}
