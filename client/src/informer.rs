//! [`Informer`]: every change of a set of kinds, in order, whatever becomes of the connection.
//!
//! In: one Watch stream over all targets. Out: [`Delta`]s. A broken stream is resumed after the last revision that was
//! told; only when that revision is compacted away are the objects listed again, and then the informer tells what
//! differs: objects that vanished as deletions, objects that did not change not at all.
//!
//! ```text
//!               start
//!                 │
//!                 v    SYNCED R
//!    ┌──────> Listing ─────────> Following R <──┐
//!    │         │   ^                │   │       │ event or bookmark: a later R
//!    │   ended │   │ retry          │   └───────┘ ended: resume after R, later
//!    │         └───┘                │
//!    └──────────────────────────────┘ Expired, refused, or too new for long: the server does not know R
//! ```
//!
//! `Follower::step` is that diagram, without I/O. Invariant: whoever applies the deltas holds at every
//! [`Delta::Synced`] and after every delta that follows it exactly what the server held at that revision.

use crate::backoff::{Backoff, Policy};
use crate::client::Client;
use crate::delta::Delta;
use crate::error::Error;
use crate::key::ObjectKey;
use crate::limits::{DELTAS, STALLED_AFTER};
use apimachinery::kinds;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::orrery::v1::{WatchRequest, WatchTarget};
use proto::{Event, EventFrame, EventType, Kind};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;

/// The target for all objects of kind `K`, in all namespaces.
pub fn target<K: Kind>() -> WatchTarget {
    target_of(K::NUMBER)
}

/// The target for all objects of a kind by its number, in all namespaces.
pub fn target_of(number: u32) -> WatchTarget {
    let kind = kinds::by_number(number).map(kinds::KindInfo::resource);
    WatchTarget {
        kind: kind.unwrap_or_default(),
        ..WatchTarget::default()
    }
}

/// Follows a set of targets on a task of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Informer {
    deltas: mpsc::Receiver<Delta>,
    _task: AbortOnDropHandle<()>,
}

impl Informer {
    /// Starts to follow. Must be called on a tokio runtime.
    pub fn spawn(client: &Client, targets: Vec<WatchTarget>) -> Self {
        let (sender, deltas) = mpsc::channel(DELTAS);
        let backoff = Backoff::new(Policy::RECONNECT, client.seed().fork("informer"));
        let task = tokio::spawn(follow(client.clone(), targets, backoff, sender));
        Self {
            deltas,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The next delta. Waits as long as it takes; may be cancelled without loss. `None` only when the process ends.
    pub async fn next(&mut self) -> Option<Delta> {
        self.deltas.recv().await
    }

    /// The next delta, when it is here already.
    pub fn try_next(&mut self) -> Option<Delta> {
        self.deltas.try_recv().ok()
    }
}

/// How Kubernetes says that a revision lies in the future.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
const TOO_LARGE: &str = "ResourceVersionTooLarge";

/// After the server has been behind our revision so many times in a row, its store was replaced by an older one.
const MAX_BEHIND: u32 = 5;

/// Where a follower is. See the module's diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Before the SYNCED of a list.
    Listing,
    /// Every change up to this revision has been told.
    Following(i64),
}

/// What happens to a follower.
#[derive(Debug)]
enum Input {
    /// The stream gave an event.
    Event(Event),
    /// The stream ended, or could not be opened.
    Ended(End),
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    /// The server closed it: it is shutting down, or the stream fell too far behind.
    Closed,
    /// Nothing came for [`STALLED_AFTER`], not even a bookmark.
    Stalled,
    /// An error.
    Failed(Error),
}

/// The informer without its I/O.
#[derive(Debug)]
struct Follower {
    position: Position,
    /// Every object that was told and not deleted.
    known: HashMap<ObjectKey, Known>,
    /// Counts the lists, so that an object of an earlier list which the current one lacks is found.
    list: u32,
    /// How many times in a row the server said that it has not reached our revision.
    behind: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    revision: i64,
    list: u32,
}

impl Follower {
    fn new() -> Self {
        Self {
            position: Position::Listing,
            known: HashMap::new(),
            list: 0,
            behind: 0,
        }
    }

    /// What to ask for next.
    fn after_revision(&self) -> i64 {
        match self.position {
            Position::Listing => 0,
            Position::Following(revision) => revision,
        }
    }

    /// The one step: what to tell goes to `out`. After an end, the caller opens a stream after
    /// [`Follower::after_revision`].
    fn step(&mut self, input: Input, out: &mut Vec<Delta>) {
        match (self.position, input) {
            (position, Input::Event(event)) => self.event(position, event, out),
            (Position::Listing, Input::Ended(_)) => self.list += 1,
            (Position::Following(revision), Input::Ended(end)) => {
                self.behind = if end.is_behind() { self.behind + 1 } else { 0 };
                // 0 asks for a list: nothing was ever written to that store.
                if revision == 0 || end.forgets_the_revision() || self.behind > MAX_BEHIND {
                    self.behind = 0;
                    self.position = Position::Listing;
                    self.list += 1;
                    out.push(Delta::Restarted);
                }
            }
        }
    }

    fn event(&mut self, position: Position, event: Event, out: &mut Vec<Delta>) {
        let revision = event.revision;
        self.behind = 0;
        if let Position::Following(last) = position {
            if revision <= last {
                return;
            }
            self.position = Position::Following(revision);
        }
        match (event.r#type(), position) {
            (EventType::Added | EventType::Modified, _) => self.upsert(event, out),
            (EventType::Deleted, _) => self.delete(event, out),
            (EventType::Synced, Position::Listing) => self.synced(revision, out),
            (EventType::Bookmark | EventType::Synced, Position::Following(_)) => {
                out.push(Delta::Bookmark(revision));
            }
            (EventType::Bookmark, Position::Listing) => {}
            (EventType::Unspecified, _) => {
                tracing::error!(
                    revision,
                    "a watch event of a type that this version does not know"
                );
            }
        }
    }

    fn upsert(&mut self, event: Event, out: &mut Vec<Delta>) {
        let Some((key, object)) = keyed(&event) else {
            return;
        };
        let now = Known {
            revision: event.revision,
            list: self.list,
        };
        if let Some(known) = self.known.get_mut(&key) {
            let unchanged = known.revision == event.revision;
            *known = now;
            if unchanged {
                return;
            }
        } else {
            self.known.insert(key.clone(), now);
        }
        let (revision, actor, cause) = (event.revision, event.actor.into(), event.cause);
        out.push(Delta::Upsert {
            key,
            object,
            revision,
            actor,
            cause,
        });
    }

    fn delete(&mut self, event: Event, out: &mut Vec<Delta>) {
        let Some((key, object)) = keyed(&event) else {
            return;
        };
        if self.known.remove(&key).is_some() {
            let (object, actor) = (Some(object), event.actor.into());
            out.push(Delta::Delete {
                key,
                object,
                revision: event.revision,
                actor,
                cause: event.cause,
            });
        }
    }

    fn synced(&mut self, revision: i64, out: &mut Vec<Delta>) {
        let list = self.list;
        let mut vanished: Vec<_> = self
            .known
            .extract_if(|_, known| known.list != list)
            .map(|(key, _)| key)
            .collect();
        // A map has no order of its own, and a run must be repeatable.
        vanished.sort_unstable();
        let actor: Arc<str> = "".into();
        out.extend(vanished.into_iter().map(|key| Delta::Delete {
            key,
            object: None,
            revision,
            actor: actor.clone(),
            cause: 0,
        }));
        out.push(Delta::Synced(revision));
        self.position = Position::Following(revision);
    }
}

impl End {
    /// Whether the server has not reached the revision. One of several may lag, and will reach it soon.
    fn is_behind(&self) -> bool {
        let Self::Failed(Error::Api(status)) = self else {
            return false;
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|cause| cause.reason == TOO_LARGE)
    }

    /// Whether resuming after the same revision cannot work: it is compacted away, or it is of a store that was
    /// replaced. Everything else may heal by itself.
    fn forgets_the_revision(&self) -> bool {
        matches!(self, Self::Failed(error @ Error::Api(_)) if !error.retryable())
    }
}

/// An event's object and its key; an event without one breaks the protocol, and is told in the log. A definition teaches
/// the process its kind: on the one ordered stream it comes before its objects.
fn keyed(event: &Event) -> Option<(ObjectKey, proto::Object)> {
    let object = event.object.clone().unwrap_or_default();
    if let Ok(definition) = object.decode_as::<CustomResourceDefinition>() {
        kinds::custom::note(&definition);
    }
    match ObjectKey::read(&object) {
        Ok(key) if !object.is_unset() => Some((key, object)),
        read => {
            tracing::error!(revision = event.revision, error = ?read.err(), "a watch event without a readable object");
            None
        }
    }
}

/// Follows until nobody listens any more.
async fn follow(
    client: Client,
    targets: Vec<WatchTarget>,
    mut backoff: Backoff,
    deltas: mpsc::Sender<Delta>,
) {
    let mut follower = Follower::new();
    let mut out = vec![Delta::Restarted];
    while tell(&deltas, &mut out).await {
        let request = WatchRequest {
            targets: targets.clone(),
            after_revision: follower.after_revision(),
            bookmarks: true,
        };
        let end = match client.watch(request).await {
            Ok(stream) => read(&client, stream, &mut follower, &mut backoff, &deltas).await,
            Err(error) => Some(End::Failed(error)),
        };
        let Some(end) = end else { return };
        let delay = backoff.fail();
        let after = follower.after_revision();
        match &end {
            End::Failed(error) => {
                tracing::warn!(server = client.server(), after, ?delay, %error, "watch failed");
            }
            end => tracing::info!(server = client.server(), after, ?delay, ?end, "watch ended"),
        }
        follower.step(Input::Ended(end), &mut out);
        client.clock().sleep(delay).await;
    }
}

/// Reads one stream to its end; `None` when nobody listens any more.
async fn read(
    client: &Client,
    mut stream: Streaming<EventFrame>,
    follower: &mut Follower,
    backoff: &mut Backoff,
    deltas: &mpsc::Sender<Delta>,
) -> Option<End> {
    let mut out = Vec::new();
    loop {
        let event = match client.clock().timeout(STALLED_AFTER, stream.message()).await {
            Ok(Ok(Some(frame))) => frame.event(),
            Ok(Ok(None)) => return Some(End::Closed),
            Ok(Err(status)) => return Some(End::Failed(Error::from_tonic(client.server(), status))),
            Err(_) => return Some(End::Stalled),
        };
        match event {
            Ok(event) => follower.step(Input::Event(event), &mut out),
            Err(error) => return Some(End::Failed(error.into())),
        }
        backoff.reset();
        if !tell(deltas, &mut out).await {
            return None;
        }
    }
}

/// Passes deltas on, waiting for room; false when nobody listens any more.
async fn tell(deltas: &mpsc::Sender<Delta>, out: &mut Vec<Delta>) -> bool {
    for delta in out.drain(..) {
        if deltas.send(delta).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use component_base::grpc::{failure, to_tonic};
    use proto::Object;
    use proto::api::core::v1::Pod;
    use proto::meta::v1::StatusCause;

    fn event(r#type: EventType, revision: i64, name: &str) -> Input {
        let object = (!name.is_empty()).then(|| {
            let mut pod = Pod::default();
            pod.metadata_mut().name = name.into();
            Object::encode_from(&pod)
        });
        Input::Event(Event {
            r#type: r#type.into(),
            revision,
            object,
            ..Event::default()
        })
    }

    fn refused(reason: &str) -> Input {
        Input::Ended(End::Failed(Error::from_tonic(
            "test",
            to_tonic(failure(reason, "no")),
        )))
    }

    fn too_large() -> Input {
        let mut status = failure("Timeout", "Too large resource version");
        let cause = StatusCause {
            reason: TOO_LARGE.into(),
            ..StatusCause::default()
        };
        status.details.get_or_insert_default().causes.push(cause);
        Input::Ended(End::Failed(Error::from_tonic("test", to_tonic(status))))
    }

    /// What a follower tells: `+a5` for an upsert of `a` at 5, `-a5` for its deletion, `=5` synced, `.5` bookmark, `!`.
    fn told(follower: &mut Follower, inputs: Vec<Input>) -> String {
        let mut out = Vec::new();
        inputs
            .into_iter()
            .for_each(|input| follower.step(input, &mut out));
        let text = |delta: &Delta| match delta {
            Delta::Restarted => "!".to_owned(),
            Delta::Synced(revision) => format!("={revision}"),
            Delta::Bookmark(revision) => format!(".{revision}"),
            Delta::Upsert { key, revision, .. } => format!("+{}{revision}", key.name),
            Delta::Delete { key, revision, .. } => format!("-{}{revision}", key.name),
        };
        out.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// A follower that holds a (3) and b (4) at revision 5.
    fn following() -> Follower {
        use EventType::{Added, Synced};
        let mut follower = Follower::new();
        let list = vec![event(Added, 3, "a"), event(Added, 4, "b"), event(Synced, 5, "")];
        assert_eq!(told(&mut follower, list), "+a3 +b4 =5");
        follower
    }

    #[test]
    fn a_follower_tells_each_change_once_and_knows_where_to_resume() {
        use EventType::{Added, Bookmark, Deleted, Modified, Synced, Unspecified};
        let ended = || Input::Ended(End::Closed);
        let cases: Vec<(&str, Vec<Input>, &str, i64)> = vec![
            (
                "changes",
                vec![
                    event(Added, 6, "c"),
                    event(Modified, 7, "a"),
                    event(Deleted, 8, "b"),
                ],
                "+c6 +a7 -b8",
                8,
            ),
            ("bookmark", vec![event(Bookmark, 9, "")], ".9", 9),
            (
                "duplicates",
                vec![event(Modified, 5, "a"), event(Bookmark, 4, "")],
                "",
                5,
            ),
            (
                "a deletion of what was never told",
                vec![event(Deleted, 6, "x")],
                "",
                6,
            ),
            ("an event without an object", vec![event(Added, 6, "")], "", 6),
            (
                "an event of tomorrow's type",
                vec![event(Unspecified, 6, "a")],
                "",
                6,
            ),
            (
                "a disconnect",
                vec![event(Modified, 6, "a"), ended(), event(Modified, 7, "a")],
                "+a6 +a7",
                7,
            ),
            ("a stall", vec![Input::Ended(End::Stalled)], "", 5),
            ("an overload", vec![refused("TooManyRequests")], "", 5),
            ("an expired revision", vec![refused("Expired")], "!", 0),
            (
                "a revision that the server never had",
                vec![refused("BadRequest")],
                "!",
                0,
            ),
            (
                "a relist",
                vec![
                    refused("Expired"),
                    event(Added, 3, "a"),
                    event(Added, 8, "c"),
                    event(Synced, 9, ""),
                ],
                "! +c8 -b9 =9",
                9,
            ),
            (
                "a relist that breaks off and starts again",
                vec![
                    refused("Expired"),
                    event(Added, 7, "a"),
                    event(Added, 4, "b"),
                    ended(),
                    event(Added, 7, "a"),
                    event(Synced, 9, ""),
                ],
                "! +a7 -b9 =9",
                9,
            ),
            (
                "an object made again while nobody watched",
                vec![
                    refused("Expired"),
                    event(Added, 3, "a"),
                    event(Added, 8, "b"),
                    event(Synced, 9, ""),
                ],
                "! +b8 =9",
                9,
            ),
            ("a server that lags", (0..5).map(|_| too_large()).collect(), "", 5),
            (
                "a server that lags, then speaks, then lags",
                (0..5)
                    .map(|_| too_large())
                    .chain([event(Bookmark, 6, ""), too_large()])
                    .collect(),
                ".6",
                6,
            ),
            (
                "a store replaced by an older one",
                (0..6).map(|_| too_large()).collect(),
                "!",
                0,
            ),
            (
                "an empty store",
                vec![refused("Expired"), event(Synced, 0, ""), ended()],
                "! -a0 -b0 =0 !",
                0,
            ),
        ];
        for (name, inputs, expected, resume) in cases {
            let mut follower = following();
            assert_eq!(told(&mut follower, inputs), expected, "{name}");
            assert_eq!(follower.after_revision(), resume, "{name}");
        }
    }
}
