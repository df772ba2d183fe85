//! The ordered feed of changes, from one etcd watch.
//!
//! In: a revision to go on from. Out: every change after it, in order, once. A broken connection is made again, and the
//! watch goes on behind the last change that was given.

use super::client::{Events, error};
use super::layout::revision_of;
use super::{Shared, events};
use crate::store::{Change, Changes, Revision, StoreError};
use component_base::clock::Clock;
use futures::StreamExt;
use proto::etcd::etcdserverpb::WatchResponse;
use proto::etcd::mvccpb::Event;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// An election takes a second or two; who still finds no etcd then should know.
const RESUME_TRIES: u32 = 40;
const RESUME_DELAY: Duration = Duration::from_millis(250);

pub(super) struct Feed {
    shared: Arc<Shared>,
    clock: Clock,
    closed: CancellationToken,
    /// Every change up to here is taken.
    reached: Revision,
    /// `None` while there is no connection.
    events: Option<Events>,
    /// A response that came in parts.
    parts: Vec<Event>,
    taken: VecDeque<Arc<Change>>,
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, clock: Clock, closed: CancellationToken, after: Revision) -> Self {
        Self {
            shared,
            clock,
            closed,
            reached: after,
            events: None,
            parts: Vec::new(),
            taken: VecDeque::new(),
        }
    }

    pub(super) fn into_changes(self) -> Changes {
        futures::stream::try_unfold(self, |mut feed| async {
            let closed = feed.closed.clone();
            let change = tokio::select! {
                biased;
                () = closed.cancelled() => Err(super::closed()),
                change = feed.next() => change,
            }?;
            Ok(Some((change, feed)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Arc<Change>, StoreError> {
        let mut tries = 0;
        loop {
            if let Some(change) = self.taken.pop_front() {
                return Ok(change);
            }
            match self.receive().await {
                Ok(()) => tries = 0,
                Err(StoreError::Unavailable(why)) if tries < RESUME_TRIES => {
                    tracing::warn!(why, after = self.reached, "lost etcd's watch; opening it again");
                    tries += 1;
                    self.disconnect();
                    self.clock.sleep(RESUME_DELAY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes one response.
    async fn receive(&mut self) -> Result<(), StoreError> {
        let first = self.reached + 1;
        let events = match &mut self.events {
            Some(events) => events,
            none => {
                let Shared { client, layout } = &*self.shared;
                none.insert(client.watch(layout.changes(), first).await?)
            }
        };
        match events.message().await {
            Ok(Some(response)) if response.compact_revision > 0 => self.skip(response.compact_revision).await,
            Ok(Some(response)) => self.take(response),
            Ok(None) => Err(StoreError::Unavailable("etcd ended the watch".into())),
            Err(status) => Err(error(&status, first)),
        }
    }

    /// The log is gone up to `compacted`. Where another user of this etcd compacted it, none of our changes need be
    /// lost: then the feed goes on behind the gap.
    async fn skip(&mut self, compacted: Revision) -> Result<(), StoreError> {
        let Shared { client, layout } = &*self.shared;
        let head = client.get(layout.head(), compacted).await?;
        if revision_of(head.as_ref()) > self.reached {
            return Err(StoreError::Expired {
                asked: self.reached,
                compacted,
            });
        }
        self.disconnect();
        self.reached = compacted;
        Ok(())
    }

    fn disconnect(&mut self) {
        self.events = None;
        self.parts.clear();
    }

    fn take(&mut self, response: WatchResponse) -> Result<(), StoreError> {
        if response.canceled {
            return Err(StoreError::Unavailable(format!(
                "etcd ended the watch: {}",
                response.cancel_reason
            )));
        }
        self.parts.extend(response.events);
        if !response.fragment {
            let parts = std::mem::take(&mut self.parts);
            let changes = events::changes(&self.shared.layout, &parts)?;
            self.taken.extend(
                changes
                    .into_iter()
                    .filter(|change| change.revision > self.reached),
            );
            let last = parts.last().and_then(|event| event.kv.as_ref());
            self.reached = self.reached.max(last.map_or(0, |kv| kv.mod_revision));
        }
        Ok(())
    }
}
