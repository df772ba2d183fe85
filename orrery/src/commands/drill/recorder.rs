//! Records everything that the cluster does, through one watch of every kind that is resumed across every crash.
//!
//! Unlike an informer it hides nothing: an event that comes twice or out of order is recorded as it came, and a revision
//! that the server does not know any more is a fault, not a reason to list again.

use crate::invariants::facts::Facts;
use crate::invariants::history::{Change, Entry, Gap, History, State};
use anyhow::{Result, bail};
use apimachinery::kinds::{self, KindInfo};
use apimachinery::status::Reason;
use client::{Client, Error, ObjectKey};
use futures::StreamExt;
use proto::orrery::v1::{ListRequest, WatchRequest, WatchTarget};
use proto::{Event, EventFrame, EventType};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;

/// How long to wait before the watch is opened again. A restart takes some tens of milliseconds.
const REOPEN_DELAY: Duration = Duration::from_millis(20);
/// A watch that says nothing for so long, not even with a bookmark, is opened again: some of the server's own pace.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// The most changes that are kept: hours of the load, and a bound on memory (about half a kilobyte each).
const MOST_ENTRIES: usize = 2_000_000;

/// What was recorded so far.
#[derive(Debug, Default)]
struct Record {
    history: History,
    /// The state after the last change.
    now: State,
    /// Whether the first state is complete.
    synced: bool,
}

/// Records on a task of its own, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Recorder {
    record: Arc<Mutex<Record>>,
    reached: watch::Receiver<i64>,
    _task: AbortOnDropHandle<()>,
}

impl Recorder {
    /// Starts to record.
    pub(super) fn start(client: Client) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let (reach, reached) = watch::channel(0);
        let task = tokio::spawn(follow(client, record.clone(), reach));
        Self {
            record,
            reached,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The revision up to which everything is recorded.
    pub(super) fn revision(&self) -> i64 {
        *self.reached.borrow()
    }

    /// Waits until everything up to this revision is recorded.
    pub(super) async fn wait_for(&self, revision: i64) -> Result<()> {
        let mut reached = self.reached.clone();
        let waited = reached.wait_for(|reached| *reached >= revision).await.map(|_| ());
        if waited.is_err() {
            bail!(
                "the recorder has stopped at revision {}: {}",
                self.revision(),
                self.gap()
            );
        }
        Ok(())
    }

    /// Waits until `look` finds nothing missing in the newest state; `Err` says what was missing last. It looks again
    /// after each change, but not more often than the `pause`.
    pub(super) async fn wait_until(
        &self,
        client: &Client,
        pause: Duration,
        limit: Duration,
        mut look: impl FnMut(&State) -> Option<String>,
    ) -> Result<(), String> {
        let clock = client.clock();
        let deadline = clock.now() + limit;
        let mut reached = self.reached.clone();
        loop {
            reached.mark_unchanged();
            let Some(missing) = look(&lock(&self.record).now) else {
                return Ok(());
            };
            let left = deadline.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Err(missing);
            }
            if let Ok(Err(_)) = clock.timeout(left, reached.changed()).await {
                return Err(format!("the watch has broken: {}", self.gap()));
            }
            clock.sleep(pause).await;
        }
    }

    /// A copy of what was recorded.
    pub(super) fn history(&self) -> History {
        lock(&self.record).history.clone()
    }

    /// The state after the last change.
    pub(super) fn state(&self) -> State {
        lock(&self.record).now.clone()
    }

    fn gap(&self) -> String {
        let record = lock(&self.record);
        record
            .history
            .gaps
            .last()
            .map_or_else(|| "nothing is known".to_owned(), |gap| gap.why.clone())
    }
}

/// A record is changed by single assignments and pushes: a panic elsewhere leaves it whole.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that the API serves, read at one revision.
pub(super) async fn list_everything(client: &Client) -> Result<State, Error> {
    let mut state = State::default();
    for info in kinds::all() {
        let request = ListRequest {
            kind: info.resource(),
            revision: state.revision,
            ..ListRequest::default()
        };
        let list = client.list(request).await?;
        // The first list is of the newest revision, and all others are of the same.
        state.revision = list.revision;
        for object in &list.items {
            let key = ObjectKey::read(object).map_err(|error| Error::Config(error.to_string()))?;
            let facts = Facts::read(object).map_err(|error| Error::Config(error.to_string()))?;
            state.objects.insert(key, facts.into());
        }
    }
    Ok(state)
}

/// Follows until the watch cannot be resumed.
async fn follow(client: Client, record: Arc<Mutex<Record>>, reach: watch::Sender<i64>) {
    let target = |info: &KindInfo| WatchTarget {
        kind: info.resource(),
        ..WatchTarget::default()
    };
    let targets: Vec<_> = kinds::all().iter().map(target).collect();
    loop {
        if !lock(&record).synced {
            *lock(&record) = Record::default();
        }
        let after = *reach.borrow();
        let request = WatchRequest {
            targets: targets.clone(),
            after_revision: after,
            bookmarks: true,
        };
        let ended = match client.watch(request).await {
            Ok(stream) => read(&client, stream, &record, &reach).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended
            && !may_heal(&error)
        {
            let after = *reach.borrow();
            let why = error.to_string();
            lock(&record).history.gaps.push(Gap { after, why });
            return;
        }
        client.clock().sleep(REOPEN_DELAY).await;
    }
}

/// Whether the same watch may work later. That the server does not know our revision never heals: it is the promise
/// that is broken.
fn may_heal(error: &Error) -> bool {
    matches!(error, Error::Transport { .. })
        || matches!(
            error.reason(),
            Some(Reason::TooManyRequests | Reason::ServiceUnavailable)
        )
}

/// Reads one stream to its end.
async fn read(
    client: &Client,
    mut stream: Streaming<EventFrame>,
    record: &Mutex<Record>,
    reach: &watch::Sender<i64>,
) -> Result<(), Error> {
    loop {
        let Ok(Some(frame)) = client.clock().timeout(STALLED_AFTER, stream.next()).await else {
            return Ok(());
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(status) => return Err(failed(client, &status)),
        };
        let event = frame.event()?;
        let revision = take(&mut lock(record), &event).map_err(Error::Config)?;
        if let Some(revision) = revision {
            reach.send_replace(revision);
        }
    }
}

/// The stream's end as the client tells failures. A status with details is the API's own answer.
fn failed(client: &Client, status: &tonic::Status) -> Error {
    if status.details().is_empty() {
        return Error::Transport {
            server: client.server().to_owned(),
            source: Box::new(status.clone()),
        };
    }
    Error::Api(Box::new(component_base::grpc::from_tonic(status)))
}

/// Takes in an event, as it came; gives the revision that is reached with it.
fn take(record: &mut Record, event: &Event) -> Result<Option<i64>, String> {
    let revision = event.revision;
    let object = event.object.as_ref();
    let change = match event.r#type() {
        EventType::Bookmark => return Ok(record.synced.then_some(revision)),
        EventType::Synced => {
            if !record.synced {
                record.now.revision = revision;
                record.history.start = record.now.clone();
                record.synced = true;
            }
            return Ok(Some(revision));
        }
        EventType::Deleted => Change::Delete,
        EventType::Added | EventType::Modified => {
            let object = object.ok_or("an event without an object")?;
            Change::Upsert(Facts::read(object).map_err(|error| error.to_string())?.into())
        }
        EventType::Unspecified => return Err("an event of no known type".into()),
    };
    let object = object.ok_or("an event without an object")?;
    let entry = Entry {
        revision,
        key: ObjectKey::read(object).map_err(|error| error.to_string())?,
        change,
        actor: event.actor.as_str().into(),
        cause: event.cause,
    };
    record.now.apply(&entry);
    if !record.synced {
        return Ok(None);
    }
    if record.history.entries.len() >= MOST_ENTRIES {
        return Err(format!("more than {MOST_ENTRIES} changes: ask for fewer rounds"));
    }
    record.history.entries.push(entry);
    Ok(Some(revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::{replay, revisions};
    use proto::api::core::v1::ConfigMap;
    use proto::{Kind, Object};

    fn event(r#type: EventType, revision: i64, name: &str) -> Event {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = name.into();
        object.metadata_mut().resource_version = revision.to_string();
        let mark = name.is_empty();
        Event {
            r#type: r#type.into(),
            revision,
            object: (!mark).then(|| Object::encode_from(&object)),
            ..Event::default()
        }
    }

    fn record(events: &[(EventType, i64, &str)]) -> (Record, Vec<Option<i64>>) {
        let mut record = Record::default();
        let take = |(r#type, revision, name): &(EventType, i64, &str)| {
            take(&mut record, &event(*r#type, *revision, name)).unwrap()
        };
        let reached = events.iter().map(take).collect();
        (record, reached)
    }

    #[test]
    fn what_is_there_is_the_start_and_what_follows_are_the_changes() {
        let (record, reached) = record(&[
            (EventType::Added, 5, "b"),
            (EventType::Added, 3, "a"),
            (EventType::Synced, 6, ""),
            (EventType::Modified, 7, "a"),
            (EventType::Bookmark, 9, ""),
            (EventType::Deleted, 10, "b"),
        ]);
        assert_eq!(reached, [None, None, Some(6), Some(7), Some(9), Some(10)]);
        assert_eq!(
            (record.history.start.revision, record.history.start.objects.len()),
            (6, 2)
        );
        assert_eq!(record.history.entries.len(), 2);
        assert_eq!((record.now.revision, record.now.objects.len()), (10, 1));
        assert_eq!(record.history.replay(|_, _| {}), record.now);
        assert_eq!(revisions::check(&record.history), []);
    }

    #[test]
    fn an_event_that_comes_twice_or_out_of_order_is_recorded_and_found() {
        let (mut record, _) = record(&[
            (EventType::Synced, 6, ""),
            (EventType::Added, 7, "a"),
            (EventType::Modified, 9, "a"),
            (EventType::Modified, 9, "a"),
            (EventType::Modified, 8, "a"),
        ]);
        assert_eq!(revisions::check(&record.history).len(), 2);
        let why = "expired".to_owned();
        record.history.gaps.push(Gap { after: 9, why });
        assert_eq!(replay::check(&record.history).len(), 1);
    }

    #[test]
    fn only_what_the_server_may_get_over_is_tried_again() {
        use apimachinery::status::failure;
        let api = |reason| Error::Api(Box::new(failure(reason, "why")));
        assert!(may_heal(&api(Reason::TooManyRequests)));
        assert!(!may_heal(&api(Reason::Expired)));
        // How "too large resource version" is told: the server has forgotten what it showed us.
        assert!(!may_heal(&api(Reason::Timeout)));
    }
}
