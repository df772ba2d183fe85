//! The ordered feed of changes.
//!
//! In: a revision to go on from. Out: every change after it, in order, once, without end.
//! A feed holds nothing but the revision that it has reached. It copies from memory what is recent and reads the log for
//! the rest, so that a slow reader costs nobody anything, and loses nothing until the log itself is compacted past it.

use super::engine::{Engine, Next};
use crate::store::{Change, Changes, Revision, StoreError};
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// Changes taken at a time: the state is locked for as long as this many pointers are copied.
const CHUNK_CHANGES: usize = 256;

struct Feed {
    /// Weak: a feed that nobody polls does not keep the data directory in use.
    engine: Weak<Engine>,
    published: watch::Receiver<Revision>,
    /// The last change that was taken.
    reached: Revision,
    taken: VecDeque<Arc<Change>>,
}

/// The changes after `after`.
pub(super) fn feed(engine: &Arc<Engine>, after: Revision) -> Changes {
    let feed = Feed {
        engine: Arc::downgrade(engine),
        published: engine.published.subscribe(),
        reached: after,
        taken: VecDeque::new(),
    };
    futures::stream::try_unfold(feed, |mut feed| async {
        let change = feed.next().await?;
        Ok(Some((change, feed)))
    })
    .boxed()
}

impl Feed {
    async fn next(&mut self) -> Result<Arc<Change>, StoreError> {
        loop {
            if let Some(change) = self.taken.pop_front() {
                return Ok(change);
            }
            // Marked as seen before the state is read, so that a change in between wakes us.
            self.published.borrow_and_update();
            let engine = self.engine.upgrade().ok_or_else(closed)?;
            match engine.next(self.reached, CHUNK_CHANGES)? {
                Next::Changes(changes) => self.take(changes),
                Next::Log => {
                    let after = self.reached;
                    let read = tokio::task::spawn_blocking(move || engine.read_log(after, CHUNK_CHANGES));
                    self.take(read.await.map_err(|_| closed())??);
                }
                Next::Wait => {
                    drop(engine);
                    self.published.changed().await.map_err(|_| closed())?;
                }
            }
        }
    }

    fn take(&mut self, changes: VecDeque<Arc<Change>>) {
        self.reached = changes.back().map_or(self.reached, |change| change.revision);
        self.taken = changes;
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
