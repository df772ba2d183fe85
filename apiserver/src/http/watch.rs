//! Watch: the changes of a collection or of one object, as they come.
//!
//! The registry's frames are the same that gRPC sends; the text of each object is made once for all who watch.

mod options;
mod printer;

use super::answer;
use super::call::Call;
use super::media::{Format, Shape, not_acceptable};
use crate::registry::WatchFrames;
use crate::registry::errors::{self, Result};
use apimachinery::status::Reason;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use component_base::clock::{Clock, Instant};
use futures::future::BoxFuture;
use futures::stream::{self, ReadyChunks};
use futures::{FutureExt, StreamExt};
use options::{Start, WatchOptions};
use printer::Printer;
use proto::orrery::v1::{WatchRequest, WatchTarget};
use proto::{EventFrame, EventType};
use rand::RngExt;
use std::convert::Infallible;
use std::sync::PoisonError;
use std::time::Duration;

/// How long a watch lasts that says nothing about it: between this and twice as long, so that the clients of a server that
/// was restarted do not all come back at one moment. As upstream.
const MIN_DURATION: Duration = Duration::from_secs(1800);

/// How often a watch is told how far it has come. The registry tells more often than clients of HTTP expect.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);

/// The most events that are written in one go, when so many are ready.
const EVENTS_AT_ONCE: usize = 64;

/// Changes as they come.
pub(crate) async fn watch(call: &Call) -> Result<Response> {
    let form = call.form()?;
    if form.format == Format::Yaml || matches!(form.shape, Shape::PartialList(_)) {
        return Err(not_acceptable());
    }
    let options = WatchOptions::of(&call.query)?;
    let registry = &call.api.registry;
    let after = match options.start {
        Start::Objects(revision) => {
            registry.not_older(revision).await?;
            0
        }
        Start::After(revision) => revision,
        Start::Now => registry.revision().await?,
    };
    let followed = registry
        .watch(WatchRequest {
            targets: vec![target(call)?],
            after_revision: after,
            bookmarks: options.bookmarks,
        })
        .await;
    let clock = call.api.clock.clone();
    let printer = Printer {
        api: call.api.clone(),
        resource: call.resource.clone(),
        format: form.format,
        shape: form.shape,
        told_columns: false,
    };
    let body = match followed {
        Ok(frames) => Body::from_stream(events(Feed {
            frames: frames.ready_chunks(EVENTS_AT_ONCE),
            printer,
            ends: ending(&clock, options.timeout.unwrap_or_else(|| duration(call))),
            bookmarked: clock.now(),
            clock,
            options,
            position: after,
        })),
        // As upstream: clients look for it in the stream.
        Err(status) if Reason::of(&status) == Some(Reason::Expired) => {
            let mut out = Vec::new();
            printer.error(&status, &mut out);
            Body::from(out)
        }
        Err(status) => return Err(status),
    };
    let mut response = Response::new(body);
    let content_type = match form.format {
        Format::Protobuf => HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch"),
        Format::Json | Format::Yaml => form.format.content_type(),
    };
    answer::dress(response.headers_mut(), content_type);
    Ok(response)
}

fn target(call: &Call) -> Result<WatchTarget> {
    let mut fields = call.field_selector()?;
    if !call.name().is_empty() {
        let separator = if fields.is_empty() { "" } else { "," };
        fields = format!("{fields}{separator}metadata.name={}", call.name());
    }
    Ok(WatchTarget {
        kind: call.kind(),
        namespace: call.namespace().to_owned(),
        label_selector: call.query.text("labelSelector").to_owned(),
        field_selector: fields,
    })
}

fn duration(call: &Call) -> Duration {
    let mut rng = call.api.rng.lock().unwrap_or_else(PoisonError::into_inner);
    MIN_DURATION.mul_f64(1.0 + rng.random::<f64>())
}

/// Ends when the watch's time is over.
fn ending(clock: &Clock, after: Duration) -> BoxFuture<'static, ()> {
    let clock = clock.clone();
    async move { clock.sleep(after).await }.boxed()
}

/// A watch that runs.
struct Feed {
    frames: ReadyChunks<WatchFrames>,
    printer: Printer,
    options: WatchOptions,
    clock: Clock,
    /// Made once: a timer for every event would cost more than the event.
    ends: BoxFuture<'static, ()>,
    /// When the client was last told how far it has come.
    bookmarked: Instant,
    /// How far it has come.
    position: i64,
}

/// The body of a watch: what is ready is sent together. Ends with the watch's time, or after an error.
fn events(feed: Feed) -> impl futures::Stream<Item = std::result::Result<Bytes, Infallible>> {
    stream::unfold(Some(feed), |feed| async move {
        let mut feed = feed?;
        loop {
            let (out, goes_on) = feed.next().await;
            if !out.is_empty() || !goes_on {
                return Some((Ok(Bytes::from(out)), goes_on.then_some(feed)));
            }
        }
    })
}

impl Feed {
    /// What comes next, and whether more follows.
    async fn next(&mut self) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let frames = tokio::select! {
            // Events first: a watch whose time is over still tells what has happened.
            biased;
            frames = self.frames.next() => frames,
            () = &mut self.ends => {
                if self.options.bookmarks && self.position > 0 {
                    let told = self.printer.bookmark(self.position, false, &mut out);
                    told.unwrap_or_else(|status| self.printer.error(&status, &mut out));
                }
                return (out, false);
            }
        };
        let Some(frames) = frames else {
            return (out, false);
        };
        for frame in frames {
            if let Err(status) = frame.and_then(|frame| self.print(&frame, &mut out)) {
                self.printer.error(&status, &mut out);
                return (out, false);
            }
        }
        (out, true)
    }

    fn print(&mut self, frame: &EventFrame, out: &mut Vec<u8>) -> Result<()> {
        let event = frame
            .event()
            .map_err(|error| errors::internal(error.to_string()))?;
        match event.r#type() {
            EventType::Synced => {
                self.position = event.revision;
                if self.options.marks_initial {
                    self.printer.bookmark(event.revision, true, out)?;
                }
            }
            EventType::Bookmark => {
                self.position = event.revision;
                let now = self.clock.now();
                if now.duration_since(self.bookmarked) >= BOOKMARK_PERIOD {
                    self.bookmarked = now;
                    self.printer.bookmark(event.revision, false, out)?;
                }
            }
            _ => self.printer.event(&event, out)?,
        }
        Ok(())
    }
}
