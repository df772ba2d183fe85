//! Watch: checks what is asked for, and hands out the cache's frames as they are.

use super::errors::{self, Result};
use super::{Registry, read, request};
use crate::limits::MAX_WATCH_TARGETS;
use crate::metrics::{Verb, Watching};
use apimachinery::kinds::KindInfo;
use futures::{Stream, StreamExt};
use proto::EventFrame;
use proto::meta::v1::Status;
use proto::orrery::v1::WatchRequest;
use std::pin::Pin;
use std::task::{Context, Poll};
use storage::watch::{Events, WatchOptions};

/// The events of one watch. Ends after an error, and never otherwise.
pub struct WatchFrames {
    events: Events,
    counted: Watching,
}

impl std::fmt::Debug for WatchFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchFrames").finish_non_exhaustive()
    }
}

impl Stream for WatchFrames {
    type Item = Result<EventFrame, Box<Status>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = std::task::ready!(self.events.poll_next_unpin(context));
        Poll::Ready(event.map(|event| {
            self.counted.sent();
            event.map_err(|error| errors::store(&error))
        }))
    }
}

impl Registry {
    /// Follows any set of kinds on one ordered stream.
    pub async fn watch(&self, asked: WatchRequest) -> Result<WatchFrames> {
        let first = asked
            .targets
            .first()
            .and_then(|target| request::kind(&target.kind).ok());
        let result = self.follow(&asked).await;
        self.metrics().requested(Verb::Watch, first, &result);
        result
    }

    async fn follow(&self, asked: &WatchRequest) -> Result<WatchFrames> {
        if asked.targets.is_empty() {
            return Err(errors::bad_request(
                "targets must name at least one kind to watch",
            ));
        }
        if asked.targets.len() > MAX_WATCH_TARGETS {
            return Err(errors::bad_request(format!(
                "a watch has at most {MAX_WATCH_TARGETS} targets, not {}",
                asked.targets.len()
            )));
        }
        if asked.after_revision < 0 {
            return Err(errors::bad_request("after_revision must not be negative"));
        }
        let targets = asked.targets.iter().map(|target| {
            let info: &'static KindInfo = request::kind(&target.kind)?;
            read::target(
                info,
                &target.namespace,
                &target.label_selector,
                &target.field_selector,
            )
        });
        let options = WatchOptions {
            targets: targets.collect::<Result<_>>()?,
            after: Some(asked.after_revision).filter(|after| *after > 0),
            bookmarks: asked.bookmarks,
        };
        self.catch_up().await?;
        let events = self
            .cache()
            .watch(options)
            .await
            .map_err(|error| errors::store(&error))?;
        Ok(WatchFrames {
            events,
            counted: self.metrics().watching(),
        })
    }
}
