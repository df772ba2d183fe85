//! Watch: checks what is asked for, and hands out the cache's frames as they are.

use super::errors::{self, Result};
use super::{Registry, Resource, read, request, strategy};
use crate::custom::Version;
use crate::limits::MAX_WATCH_TARGETS;
use crate::metrics::{Verb, Watching};
use apimachinery::kinds::ANY_CUSTOM;
use apimachinery::kinds::custom::type_of;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use proto::EventFrame;
use proto::meta::v1::Status;
use proto::orrery::v1::WatchRequest;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use storage::watch::{Events, WatchOptions};

/// The events of one watch. Ends after an error, and when a custom kind that is watched is no longer served.
pub struct WatchFrames {
    events: Events,
    counted: Watching,
    /// The versions of custom kinds that are watched.
    shown: Vec<Arc<Version>>,
    /// Ends when one of them is no longer served.
    gone: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for WatchFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchFrames").finish_non_exhaustive()
    }
}

impl Stream for WatchFrames {
    type Item = Result<EventFrame, Box<Status>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // What has happened is told first, the deletion of the last object too.
        let Poll::Ready(event) = self.events.poll_next_unpin(context) else {
            return self.gone.poll_unpin(context).map(|()| None);
        };
        Poll::Ready(event.map(|event| {
            self.counted.sent();
            let frame = event.map_err(|error| errors::store(&error))?;
            show(&self.shown, frame)
        }))
    }
}

/// The event with its object in the version that was asked for. Mostly that is how it is stored.
fn show(versions: &[Arc<Version>], frame: EventFrame) -> Result<EventFrame> {
    if versions.is_empty() {
        return Ok(frame);
    }
    let mut event = frame
        .event()
        .map_err(|error| errors::internal(format!("an event does not decode: {error}")))?;
    let Some(object) = event
        .object
        .as_mut()
        .filter(|object| object.number == ANY_CUSTOM.number)
    else {
        return Ok(frame);
    };
    let (api_version, kind) = type_of(&object.bytes).unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let version = versions
        .iter()
        .find(|version| version.info.group == group && version.info.kind == kind);
    let Some(version) = version else {
        return Ok(frame);
    };
    let shown = strategy::shown(&version.into(), &object.bytes, event.revision)?;
    if shown == object.bytes {
        return Ok(frame);
    }
    object.bytes = shown;
    Ok(EventFrame::new(&event))
}

/// Ends when one of the versions is no longer served.
fn ended(versions: &[Arc<Version>]) -> BoxFuture<'static, ()> {
    if versions.is_empty() {
        return std::future::pending().boxed();
    }
    let gone = versions.iter().map(|version| version.gone.clone());
    let gone = gone.map(|gone| gone.cancelled_owned().boxed());
    futures::future::select_all(gone).map(drop).boxed()
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
        let mut versions = Vec::new();
        let targets = asked.targets.iter().map(|target| {
            let info = self.watched(&target.kind)?;
            versions.extend(info.custom.clone());
            read::target(
                info.info,
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
            gone: ended(&versions),
            shown: versions,
        })
    }

    /// The kind of a target; [`ANY_CUSTOM`] is one too.
    fn watched(&self, name: &str) -> Result<Resource> {
        if name == ANY_CUSTOM.resource() {
            return Ok((&ANY_CUSTOM).into());
        }
        self.kind(name)
    }
}
